//! Publishing, waiting, evicting and draining at once, in orders that a model checker chooses: some thousands of
//! schedules a test, another each time. A wake-up that is lost is a deadlock, which it finds.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use shuttle::{
    check_pct, check_random,
    sync::{Condvar, Mutex},
    thread::{self, JoinHandle},
};

use super::{
    feed::{Delivery, Feed},
    hub::Hub,
};
use crate::{
    bus::{
        Bus,
        idempotency::Key,
        log::{Bounds, Budget},
        reader::{Batch, Position},
    },
    event::{Data, Draft, Epoch},
    metrics::Metrics,
    publish::Publisher,
    topic::{Pattern, Subscription, Topic},
    transport::chunked::Chunked,
};

/// Schedules that are tried.
const SCHEDULES: usize = 3000;
const BUDGET: Budget = Budget { events: 2, bytes: 1 << 20 };

/// A future on a thread of its own, which is polled when it is woken and never otherwise: what forgets to wake it
/// is not saved by a runtime that looks again.
struct Task<T> {
    signal: Arc<Signal>,
    thread: JoinHandle<Option<T>>,
}

#[derive(Debug, Default)]
struct Signal {
    said: Mutex<Said>,
    heard: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Said {
    #[default]
    Nothing,
    Wake,
    Stop,
}

impl Signal {
    fn say(&self, word: Said) {
        let mut said = self.said.lock().unwrap();
        if *said != Said::Stop {
            *said = word;
        }
        self.heard.notify_one();
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.say(Said::Wake);
    }
}

impl<T: Send + 'static> Task<T> {
    fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        let signal = Arc::new(Signal::default());
        let heard = signal.clone();
        Self { signal, thread: thread::spawn(move || block_on(&heard, future)) }
    }

    fn join(self) -> T {
        self.thread.join().unwrap().expect("it was not stopped")
    }

    fn stop(self) {
        self.signal.say(Said::Stop);
        self.thread.join().unwrap();
    }
}

/// Polls when woken, until the end or `Stop`.
fn block_on<T>(signal: &Arc<Signal>, future: impl Future<Output = T>) -> Option<T> {
    let waker = Waker::from(signal.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        let mut said = signal.said.lock().unwrap();
        while *said == Said::Nothing {
            said = signal.heard.wait(said).unwrap();
        }
        if std::mem::take(&mut *said) == Said::Stop {
            return None;
        }
    }
}

/// The hub at work.
fn run(hub: &Arc<Hub>) -> Task<()> {
    let hub = hub.clone();
    Task::spawn(async move { hub.run().await })
}

/// Half of the schedules choose at every step who goes on, half hold a thread up at few places, for long.
fn check(schedule: impl Fn() + Copy + Send + Sync + 'static) {
    check_random(schedule, SCHEDULES / 2);
    check_pct(schedule, SCHEDULES / 2, 3);
}

/// A hub over a log that holds so many events of a topic.
fn hub(events: usize) -> Arc<Hub> {
    let bounds = Bounds { events, age: Duration::from_secs(10), bytes: 1 << 20 };
    let bus = Arc::new(Bus::new(Epoch(35), bounds));
    let metrics = Arc::new(Metrics::new(&bus));
    let publisher = Publisher::new(bus.clone(), "1KiB".parse().unwrap(), metrics.clone());
    Hub::new(bus, publisher, metrics)
}

fn feed(hub: &Arc<Hub>, pattern: &str) -> Feed {
    let subscription: Subscription = [Pattern::parse(pattern).unwrap()].into_iter().collect();
    let (reader, _) = hub.bus().open(subscription, Position::Now).unwrap();
    Feed::new(hub.clone(), reader, Some(&Chunked))
}

fn draft(topic: &str) -> Draft {
    Draft::new(Topic::parse(topic).unwrap(), None, "2026-01-01T00:00:00Z", Data::Json(b"1"))
}

/// The offset of an event that was published at a second.
fn publish(bus: &Bus, topic: &str, second: u64) -> u64 {
    bus.publish(vec![draft(topic)], None, Duration::from_secs(second)).unwrap().cursors[0].offset
}

/// What a subscriber was told: events, and the stretches that it missed.
#[derive(Debug, Default)]
struct Told {
    events: Vec<u64>,
    missed: Vec<(u64, u64)>,
}

impl Told {
    fn note(&mut self, batch: &Batch) {
        if let Some(gap) = &batch.gap {
            let from = gap.from.split_once('-').unwrap().1.parse().unwrap();
            self.missed.push((from, gap.to.offset));
        }
        self.events.extend(batch.events.iter().map(|event| event.offset()));
        assert!(self.events.is_sorted_by(|a, b| a < b), "doubled, or out of order: {self:?}");
    }

    fn knows(&self, offset: u64) -> bool {
        self.events.contains(&offset)
            || self.missed.iter().any(|(from, to)| (from + 1..=*to).contains(&offset))
    }
}

#[test]
fn no_wake_up_is_lost() {
    let schedule = || {
        let hub = hub(100);
        let run = run(&hub);
        let mut readers = Vec::new();
        for (pattern, count) in [("a", 2), ("**", 4), ("*", 4)] {
            let mut feed = feed(&hub, pattern);
            readers.push(Task::spawn(async move {
                let mut told = Told::default();
                while told.events.len() < count {
                    let Delivery::Batch(batch) = feed.next(BUDGET).await else { panic!("nobody drains") };
                    told.note(&batch);
                }
                assert!(told.missed.is_empty());
            }));
        }
        let publishers = ["a", "b"].map(|topic| {
            let hub = hub.clone();
            thread::spawn(move || [1, 2].map(|second| publish(hub.bus(), topic, second)))
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
        readers.into_iter().for_each(Task::join);
        run.stop();
    };
    check(schedule);
}

/// The first wait has no earlier wake-up to save it.
#[test]
fn the_first_wake_up_is_not_lost() {
    let schedule = || {
        let hub = hub(100);
        let run = run(&hub);
        let mut waiting = feed(&hub, "a");
        let mut encoding = feed(&hub, "a");
        let publisher = hub.clone();
        let publisher = thread::spawn(move || publish(publisher.bus(), "a", 1));
        let readers = [
            Task::spawn(async move { drop(waiting.next(BUDGET).await) }),
            Task::spawn(async move {
                drop(poll_fn(|cx: &mut Context<'_>| encoding.poll_encoded(cx, BUDGET, &Chunked)).await);
            }),
        ];
        readers.into_iter().for_each(Task::join);
        publisher.join().unwrap();
        run.stop();
    };
    check(schedule);
}

/// Whoever is told that there is no more is woken by the next event, and need not ask again before.
#[test]
fn who_has_everything_is_woken() {
    let schedule = || {
        let hub = hub(100);
        let run = run(&hub);
        let mut feed = feed(&hub, "a");
        let reader = Task::spawn(async move {
            let mut events = 0;
            poll_fn(move |cx: &mut Context<'_>| {
                match feed.poll_encoded(cx, BUDGET, &Chunked) {
                    Poll::Ready(Some(pending)) => {
                        events += pending.made.events;
                        if pending.more {
                            cx.waker().wake_by_ref();
                        }
                    }
                    Poll::Ready(None) => panic!("nobody drains"),
                    Poll::Pending => {}
                }
                if events == 3 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        for _ in 0..3 {
            publish(hub.bus(), "a", 1);
        }
        reader.join();
        run.stop();
    };
    check(schedule);
}

#[test]
fn what_is_evicted_is_told() {
    let schedule = || {
        let hub = hub(1);
        let run = run(&hub);
        let mut feed = feed(&hub, "a");
        let reader = Task::spawn(async move {
            let mut told = Told::default();
            // The last event stays.
            while !told.knows(4) {
                let Delivery::Batch(batch) = feed.next(BUDGET).await else { panic!("nobody drains") };
                told.note(&batch);
            }
            told
        });
        let bus = hub.clone();
        let evicting = thread::spawn(move || bus.bus().expire(Duration::from_secs(12)));
        for second in [1, 2, 3, 11] {
            publish(hub.bus(), "a", second);
        }
        evicting.join().unwrap();
        let told = reader.join();
        assert!((1..=4).all(|offset| told.knows(offset)), "a silent hole: {told:?}");
        run.stop();
    };
    check(schedule);
}

#[test]
fn what_was_published_before_a_drain_is_delivered_before_it() {
    let schedule = || {
        let hub = hub(100);
        let run = run(&hub);
        let readers = ["a", "**"].map(|pattern| {
            let mut feed = feed(&hub, pattern);
            Task::spawn(async move {
                let mut told = Told::default();
                loop {
                    match feed.next(BUDGET).await {
                        Delivery::Batch(batch) => told.note(&batch),
                        Delivery::Drain => return told,
                    }
                }
            })
        });
        let first = publish(hub.bus(), "a", 1);
        let draining = hub.clone();
        let going = thread::spawn(move || {
            draining.bus().close();
            Task::spawn(async move { draining.drain().await }).join();
        });
        // It is taken and delivered, or refused.
        let late = hub.bus().publish(vec![draft("a")], None, Duration::from_secs(1));
        let late = late.ok().map(|published| published.cursors[0].offset);
        going.join().unwrap();
        for reader in readers {
            let told = reader.join();
            assert!(told.knows(first), "{told:?} without {first}");
            assert!(
                late.is_none_or(|late| told.knows(late)),
                "{told:?} without {late:?}, which was answered"
            );
        }
        run.stop();
    };
    check(schedule);
}

/// Feeds at the same place share what one of them had encoded, while the log goes on.
#[test]
fn what_is_shared_is_what_anyone_would_read() {
    let schedule = || {
        let hub = hub(2);
        let run = run(&hub);
        let readers = [(); 2].map(|()| {
            let mut feed = feed(&hub, "a");
            Task::spawn(async move {
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\"data\":2}\n") {
                    let next = poll_fn(|cx: &mut Context<'_>| feed.poll_encoded(cx, BUDGET, &Chunked));
                    bytes.extend_from_slice(&next.await.expect("nobody drains").bytes);
                }
                String::from_utf8(bytes).unwrap()
            })
        });
        let bus = hub.clone();
        let evicting = thread::spawn(move || bus.bus().expire(Duration::from_secs(11)));
        for (second, data) in [(0, b"1"), (5, b"1"), (5, b"2")] {
            let topic = Topic::parse("a").unwrap();
            let draft = Draft::new(topic, None, "2026-01-01T00:00:00Z", Data::Json(data));
            hub.bus().publish(vec![draft], None, Duration::from_secs(second)).unwrap();
        }
        evicting.join().unwrap();
        for reader in readers {
            let text = reader.join();
            let told = |id: &str| text.matches(&format!("\"id\":\"{id}\"")).count();
            assert_eq!((told("z-2"), told("z-3")), (1, 1), "{text}");
            assert!(told("z-1") == 1 || text.contains("\"control\":\"gap\""), "a silent hole: {text}");
        }
        run.stop();
    };
    check(schedule);
}

/// A core that is rung looks at the log by itself, as the taken path does.
#[test]
fn a_bell_leads_to_every_topic() {
    let schedule = || {
        let hub = hub(1);
        let bell = hub.bus().bell();
        let watching = hub.clone();
        let watcher = Task::spawn(async move {
            let (mut seen, mut looks) = (0, Vec::new());
            while seen < 3 {
                bell.notified().await;
                loop {
                    match watching.bus().topics_since(seen, 1) {
                        Some((topics, _)) if topics.is_empty() => break,
                        Some((topics, up_to)) => {
                            looks.extend(topics);
                            seen = up_to;
                        }
                        // Everybody is looked at.
                        None => {
                            seen = watching.bus().head().offset;
                            looks.extend(["a", "b"].map(|name| Topic::parse(name).unwrap()));
                        }
                    }
                }
            }
            looks
        });
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(other.bus(), "b", 1));
        publish(hub.bus(), "a", 1);
        publish(hub.bus(), "a", 1);
        publisher.join().unwrap();
        let looks = watcher.join();
        for topic in ["a", "b"] {
            assert!(looks.iter().any(|look| look.as_str() == topic), "{topic} was not looked at: {looks:?}");
        }
    };
    check(schedule);
}

#[test]
fn a_key_makes_one_event() {
    let schedule = || {
        let hub = hub(100);
        let publishers = [(); 3].map(|()| {
            let hub = hub.clone();
            thread::spawn(move || {
                let key = Key::new("a", "k", [&b"1"[..]]);
                let published =
                    hub.bus().publish(vec![draft("a")], Some(key), Duration::from_secs(1)).unwrap();
                (published.cursors[0].offset, published.is_new)
            })
        });
        let answers = publishers.map(|publisher| publisher.join().unwrap());
        assert_eq!(answers.map(|(offset, _)| offset), [1; 3]);
        assert_eq!(answers.iter().filter(|(_, is_new)| *is_new).count(), 1);
    };
    check(schedule);
}

/// Topics that join while events come are delivered from then on, each once.
#[test]
fn a_subscription_that_changes_loses_nothing() {
    let schedule = || {
        let hub = hub(100);
        let run = run(&hub);
        let mut feed = feed(&hub, "a");
        let bus = hub.clone();
        let publisher = thread::spawn(move || ["a", "b", "a", "b"].map(|topic| publish(bus.bus(), topic, 1)));
        feed.subscribe(vec![Pattern::parse("b").unwrap()]);
        let joined = feed.cursor().offset;
        let wanted = move |told: &Told| {
            let all = [(1, "a"), (2, "b"), (3, "a"), (4, "b")];
            all.iter().all(|(offset, topic)| told.knows(*offset) || (*topic == "b" && *offset <= joined))
        };
        let reader = Task::spawn(async move {
            let mut told = Told::default();
            while !wanted(&told) {
                let Delivery::Batch(batch) = feed.next(BUDGET).await else { panic!("nobody drains") };
                told.note(&batch);
            }
            assert!(told.missed.is_empty());
        });
        reader.join();
        publisher.join().unwrap();
        run.stop();
    };
    check(schedule);
}
