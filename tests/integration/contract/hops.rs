//! Thousands of reconnects, each on a transport of chance, under a publisher at full speed.
//!
//! `FANLIGHT_HOPS` says how many (2,000), `FANLIGHT_SEED` repeats a run.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use bytesize::ByteSize;

use crate::{
    harness::{self, Server, offset},
    subscriber::{Item, Position, Transport},
};

/// Subscribers that hop at the same time, each with a chance of its own.
const HOPPERS: usize = 4;
const TOPICS: [&str; 4] = ["hop/a", "hop/b/c", "noise", "noise/more"];

struct Run {
    server: Server,
    /// Matching events that were published and answered.
    published: AtomicUsize,
    hopping: AtomicUsize,
    stopped: AtomicBool,
}

/// Exactly once and in order, whatever was cut where.
#[tokio::test]
async fn random_hops_lose_and_repeat_nothing() {
    let seed =
        std::env::var("FANLIGHT_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let hops = std::env::var("FANLIGHT_HOPS").map_or(2000, |hops| hops.parse().unwrap());
    println!("{hops} hops with FANLIGHT_SEED={seed}");

    let server = harness::start_with(|config| {
        config.history_events = 10_000_000;
        config.history_bytes = ByteSize::gib(2);
    });
    let run = Run {
        server,
        published: AtomicUsize::new(0),
        hopping: AtomicUsize::new(HOPPERS),
        stopped: AtomicBool::new(false),
    };
    let start = run.server.cursor().await;
    let hop = |number: u64| hop(&run, &start, fastrand::Rng::with_seed(seed ^ number), hops / HOPPERS);
    let (_, (), (), (), ()) = tokio::join!(publish(&run), hop(1), hop(2), hop(3), hop(4));
}

/// Publishes as fast as answers come, until the last hopper has hopped enough. The matching ones are
/// numbered from 0.
async fn publish(run: &Run) {
    let mut publisher = run.server.publisher().await;
    for turn in 0.. {
        if run.hopping.load(SeqCst) == 0 {
            break;
        }
        let topic = TOPICS[turn % TOPICS.len()];
        if topic.starts_with("hop/") {
            let number = run.published.load(SeqCst);
            publisher.publish(topic, &number.to_string()).await;
            run.published.store(number + 1, SeqCst);
        } else {
            publisher.publish(topic, r#""noise""#).await;
        }
    }
    run.stopped.store(true, SeqCst);
}

async fn hop(run: &Run, start: &str, mut rng: fastrand::Rng, hops: usize) {
    let mut walker = Walker { cursor: start.to_owned(), next: 0 };
    for _ in 0..hops {
        walker.hop(run, &mut rng).await;
    }
    run.hopping.fetch_sub(1, SeqCst);
    // The last connection gets what was published after the hops as well.
    while !run.stopped.load(SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut last = walker.open(run, &mut rng).await;
    while walker.next < run.published.load(SeqCst) {
        let item = last.next().await;
        walker.book(&item);
    }
    println!("{} events over {hops} hops", walker.next);
}

/// A client that processes events one by one, and may lose its connection at any moment.
struct Walker {
    cursor: String,
    /// The number of the event that is due.
    next: usize,
}

impl Walker {
    async fn open(&self, run: &Run, rng: &mut fastrand::Rng) -> crate::subscriber::Subscriber {
        let transport = Transport::ALL[rng.usize(..5)];
        let topics: &[&str] =
            [&["hop/**"][..], &["hop/a", "hop/*/c"], &["hop/b/c", "hop/*", "hop/a"]][rng.usize(..3)];
        let position = match rng.usize(..3) {
            0 => Position::header(&self.cursor),
            1 => Position::after(&self.cursor),
            _ => Position::last(3).and_header(&self.cursor),
        };
        run.server.subscribe(transport, topics, position).await
    }

    /// One connection: some events, or none, or not even the hello.
    async fn hop(&mut self, run: &Run, rng: &mut fastrand::Rng) {
        let mut subscriber = self.open(run, rng).await;
        let greeted = rng.u32(..10) > 0;
        if greeted {
            assert_eq!(subscriber.hello().await, self.cursor);
            let most = [3, 20, 60][rng.usize(..3)];
            for _ in 0..rng.usize(..most) {
                let item = subscriber.next().await;
                self.book(&item);
            }
        }
        subscriber.cut(rng.bool());
    }

    fn book(&mut self, item: &Item) {
        match item {
            Item::Hello(cursor) => assert_eq!(*cursor, self.cursor),
            Item::Event(event) => {
                let number = event.doc.rsplit_once(r#""data":"#).unwrap().1.trim_end_matches('}');
                assert_eq!(number.parse(), Ok(self.next), "after {}: {}", self.cursor, event.doc);
                assert!(offset(&event.id) > offset(&self.cursor), "{} after {}", event.id, self.cursor);
                self.next += 1;
                self.cursor = event.id.clone();
            }
            Item::Cursor(cursor) => {
                assert!(offset(cursor) >= offset(&self.cursor), "{cursor} after {}", self.cursor);
                self.cursor = cursor.clone();
            }
            other => panic!("{other:?} after {}", self.cursor),
        }
    }
}
