//! A reader that stops reading costs bounded memory and nobody else's time; it is cut, its cursor intact.

use std::time::{Duration, Instant};

use rstest::rstest;

use crate::{
    harness::{self, Server, offset},
    http::{Conn, get, until},
    kernel::established,
    process::Served,
    subscriber::{Item, Position, Subscriber, Transport, Transport::*},
};

use super::Account;

const STALL: Duration = Duration::from_secs(1);
/// So large, and so many, that no pair of kernel buffers holds them all.
const EVENTS: usize = 150;

fn large() -> String {
    format!("{:?}", "x".repeat(60 * 1024))
}

/// A subscription over a connection whose kernel keeps little of what is not read.
async fn narrow(server: &Server, transport: Transport, cursor: &str) -> Subscriber {
    let conn = Conn::open_narrow(server.addr).await;
    let mut subscriber = Subscriber::open_on(conn, transport, &["large"], Position::after(cursor)).await;
    subscriber.hello().await;
    subscriber
}

/// 1. A subscriber stops reading while large events come.
/// 2. Subscribers on every transport receive all of them meanwhile, and the publisher is not held up.
/// 3. The stalled one is cut when it took no byte for the write stall limit, and not before.
/// 4. What it had received is whole; from there it resumes without a gap.
#[rstest]
#[tokio::test]
async fn a_stream_that_stalls_is_cut_and_resumes(#[values(Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start_with(|config| config.write_stall = STALL);
    let start = server.cursor().await;
    let conn = Conn::open_narrow(server.addr).await;
    let port = conn.port();
    let mut stalled = Subscriber::open_on(conn, transport, &["large"], Position::after(&start)).await;
    stalled.hello().await;

    let mut others = Vec::new();
    for transport in Transport::ALL {
        others.push(server.subscribe_now(transport, &["large"]).await.0);
    }
    let began = Instant::now();
    let publish = async {
        let mut publisher = server.publisher().await;
        let large = large();
        for number in 0..EVENTS {
            let id = publisher.publish("large", &large).await;
            for other in &mut others {
                assert_eq!(other.event().await.id, id, "event {number}");
            }
        }
        began.elapsed()
    };
    let watch = async {
        until(|| !established(server.addr, port)).await;
        began.elapsed()
    };
    let (published, cut) = tokio::join!(publish, watch);
    assert!(cut >= STALL.mul_f32(0.9), "cut after {cut:?}");
    assert!(cut < STALL * 6, "cut only after {cut:?}");
    assert!(published < Duration::from_secs(15), "the others waited: {published:?}");

    let mut account = Account::new(&start);
    loop {
        match stalled.next().await {
            Item::End(_) => break,
            item => account.book(&item),
        };
    }
    assert!(account.last < EVENTS as u64 / 2, "cut amid the events, not after them: {}", account.last);
    let cursor = stalled.cursor.unwrap();
    assert_eq!(offset(&cursor), account.last);
    let mut resumed = server.subscribe(transport, &["large"], Position::after(&cursor)).await;
    resumed.hello().await;
    while account.last < EVENTS as u64 {
        assert!(account.book(&resumed.next().await).is_some(), "no gap");
    }
}

/// The same for an answer of a mebibyte that nobody reads.
#[rstest]
#[tokio::test]
async fn an_answer_that_stalls_is_cut(#[values(Poll, Longpoll)] transport: Transport) {
    let server = harness::start_with(|config| config.write_stall = STALL);
    let start = server.cursor().await;
    let mut publisher = server.publisher().await;
    for _ in 0..20 {
        publisher.publish("large", &large()).await;
    }
    let began = Instant::now();
    let mut stalled = Conn::open_narrow(server.addr).await;
    stalled.send(get(&format!("{}?topic=large&after={start}", transport.path()))).await;
    until(|| !established(server.addr, stalled.port())).await;
    let cut = began.elapsed();
    assert!(cut >= STALL.mul_f32(0.9), "cut after {cut:?}");
    assert!(cut < STALL * 6, "cut only after {cut:?}");
    assert!(stalled.rest().await.len() < 512 * 1024, "the answer was not complete");

    let mut resumed = server.subscribe(transport, &["large"], Position::after(&start)).await;
    resumed.hello().await;
    for offset in 1..=20 {
        assert_eq!(harness::offset(&resumed.event().await.id), offset);
    }
}

/// A reader that pauses for less than the limit is not cut. What was evicted before it came back is told
/// in-band, once for each hole, and what is held follows.
#[rstest]
#[tokio::test]
async fn a_reader_that_was_overrun_is_told(#[values(Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start_with(|config| config.history_events = 10);
    let start = server.cursor().await;
    let mut subscriber = narrow(&server, transport, &start).await;
    let mut publisher = server.publisher().await;
    let large = large();
    for _ in 0..EVENTS {
        publisher.publish("large", &large).await;
    }
    let mut account = Account::new(&start);
    let mut reasons = Vec::new();
    let mut tail = Vec::new();
    while account.last < EVENTS as u64 {
        let item = subscriber.next().await;
        if let Item::Gap(gap) = &item {
            reasons.push(gap.reason.clone());
            tail.clear();
        }
        tail.extend(account.book(&item));
    }
    assert!(!reasons.is_empty(), "{EVENTS} events fitted into the buffers of a connection");
    assert!(reasons.iter().all(|reason| reason == "overrun"), "{reasons:?}");
    assert!(tail.len() >= 10 && tail.ends_with(&[EVENTS as u64]), "all that is held follows: {tail:?}");
}

/// Stalled readers of far more than the bound: neither a queue for each nor one for all would fit.
#[rstest]
#[tokio::test]
async fn stalled_readers_cost_bounded_memory(#[values(Chunked, Sse, Websocket)] transport: Transport) {
    const READERS: usize = 20;
    const BOUND: usize = 32 * 1024 * 1024;
    let served = Served::start(&["--history-events", "20", "--write-stall", "60s"]).await;
    let server = served.client();
    let start = server.cursor().await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(narrow(server, transport, &start).await);
    }
    let before = served.resident();
    let mut publisher = server.publisher().await;
    let large = "x".repeat(60 * 1024);
    let mut most = 0;
    for _ in 0..1000 {
        harness::id_of(&publisher.post("large", &["Content-Type: text/plain"], &large).await);
        most = most.max(served.resident().saturating_sub(before));
    }
    assert!(most < BOUND, "{} MiB more for {READERS} readers that read nothing", most >> 20);

    // They are there all the while: the first to read again is told what it missed.
    let mut account = Account::new(&start);
    while account.last < 1000 {
        account.book(&readers[0].next().await);
    }
}
