//! How a shutdown reaches those who wait.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rstest::rstest;

use crate::{
    frames::{handshake, receive, text},
    harness,
    http::{Conn, get, post, soon},
    kernel::read_by_peer,
    subscriber::{End, Item, Position, Subscriber, Transport, Transport::*},
};

/// Reads to the end: the items before it, and the end itself.
async fn to_the_end(subscriber: &mut Subscriber) -> (Vec<Item>, End) {
    let mut items = Vec::new();
    loop {
        match subscriber.next().await {
            Item::End(end) => return (items, end),
            item => items.push(item),
        }
    }
}

fn published(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .filter_map(|item| if let Item::Event(event) = item { Some(event.id.clone()) } else { None })
        .collect()
}

/// Every stream is told when to come back, and ends in good order; `run` returns well within its bound.
#[rstest]
#[tokio::test]
async fn a_waiting_stream_is_told_to_reconnect(#[values(Chunked, Sse, Websocket)] transport: Transport) {
    let mut server = harness::start();
    let (mut subscriber, _) = server.subscribe_now(transport, &["topic"]).await;
    let id = server.publish("topic", "0").await;
    assert_eq!(subscriber.event().await.id, id);

    let began = Instant::now();
    server.shut_down();
    let (items, end) = to_the_end(&mut subscriber).await;
    let reconnects: Vec<&Item> = items.iter().filter(|item| !matches!(item, Item::Cursor(_))).collect();
    assert!(matches!(reconnects[..], [Item::Reconnect(_)]), "{items:?}");
    let expected = if transport == Websocket { End::Close(1012, "drain".to_owned()) } else { End::Clean };
    assert_eq!(end, expected);
    server.ended().await;
    assert!(began.elapsed() < Duration::from_millis(1900), "it did not wait for its time-out");
}

/// The times to come back at differ: not all clients return at once.
#[tokio::test]
async fn reconnects_are_spread() {
    let mut server = harness::start();
    let mut subscribers = Vec::new();
    for number in 0..30 {
        let transport = [Chunked, Sse, Websocket][number % 3];
        subscribers.push(server.subscribe_now(transport, &["topic"]).await.0);
    }
    server.shut_down();
    let mut delays = std::collections::BTreeSet::new();
    for subscriber in &mut subscribers {
        let (items, _) = to_the_end(subscriber).await;
        let Some(Item::Reconnect(after)) = items.last() else { panic!("{items:?}") };
        delays.insert(*after);
    }
    assert!(delays.len() > 10, "{delays:?}");
    server.ended().await;
}

/// A long poll that waits is answered, with the cursor to come back with.
#[tokio::test]
async fn a_waiting_long_poll_is_answered() {
    let mut server = harness::start();
    let cursor = server.publish("topic", "0").await;
    let mut conn = Conn::open(server.addr).await;
    conn.send(get(&format!("/v1/longpoll?topic=topic&after={cursor}&timeout=60"))).await;
    read_by_peer(server.addr, &conn).await;

    let began = Instant::now();
    server.shut_down();
    let answer = conn.answer().await;
    assert!(matches!(answer.status(), 200 | 204), "{}", answer.head.raw);
    assert_eq!(answer.head.get("fanlight-cursor"), Some(&*cursor));
    assert!(conn.rest().await.is_empty(), "then the connection ends");
    server.ended().await;
    assert!(began.elapsed() < Duration::from_millis(1900), "it did not wait for its time-out");
}

/// Nothing listens any more, and a connection that was kept for more requests is closed.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let mut server = harness::start();
    let mut idle = Conn::open(server.addr).await;
    idle.send(get("/v1/cursor")).await;
    assert_eq!(idle.answer().await.status(), 200);
    let addr = server.addr;
    server.shut_down();
    assert!(idle.rest().await.is_empty());
    server.ended().await;
    assert!(Conn::try_open(addr).await.is_none());
}

/// A publish that is under way when the shutdown comes is still answered.
#[tokio::test]
async fn a_publish_under_way_ends() {
    let mut server = harness::start();
    let request = post("/v1/publish?topic=topic", &["Content-Type: application/json"], "[1,2,3]");
    let (first, second) = request.split_at(request.len() - 3);
    let mut conn = Conn::open(server.addr).await;
    conn.send(first).await;
    read_by_peer(server.addr, &conn).await;
    let addr = server.addr;
    server.shut_down();
    soon(async {
        while Conn::try_open(addr).await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    conn.send(second).await;
    harness::id_of(&conn.answer().await);
    assert!(conn.rest().await.is_empty());
    server.ended().await;
}

/// Publishers at full speed meet a shutdown: whatever they were answered, a subscriber that reads to the
/// end has received.
#[rstest]
#[tokio::test]
async fn an_answered_publish_is_delivered_before_the_end(
    #[values(Chunked, Sse, Websocket)] transport: Transport,
) {
    for round in 0..3 {
        // However late a busy machine lets a core have its turn, all is still there.
        let mut server = harness::start_with(|config| config.history_events = 1_000_000);
        let (mut subscriber, _) = server.subscribe_now(transport, &["topic"]).await;
        let mut publishers = Vec::new();
        for _ in 0..4 {
            publishers.push(server.publisher().await);
        }
        let publishing = publishers.into_iter().map(async |mut publisher| {
            let mut ids = Vec::new();
            while let Some(answer) = publisher.try_post("topic", &["Content-Type: text/plain"], "x").await {
                if answer.status() == 503 {
                    break;
                }
                ids.push(harness::id_of(&answer));
            }
            ids
        });
        let shut_down = async {
            tokio::time::sleep(Duration::from_millis(100 + 50 * round)).await;
            server.shut_down();
        };
        let all = async { tokio::join!(to_the_end(&mut subscriber), join_all(publishing), shut_down) };
        let ((items, _), answered, ()) = soon(all).await;
        let received = published(&items);
        assert!(received.is_sorted_by_key(|id| harness::offset(id)));
        let answered: Vec<String> = answered.into_iter().flatten().collect();
        assert!(!answered.is_empty());
        let missing: Vec<_> = answered.iter().filter(|id| !received.contains(id)).collect();
        assert!(
            missing.is_empty(),
            "{missing:?} of {} answered, {} received",
            answered.len(),
            received.len()
        );
        server.ended().await;
    }
}

/// The same over WebSockets, which publish on any core while subscribers of another are told that this was all.
#[tokio::test]
async fn an_operation_that_was_answered_is_delivered_before_the_end() {
    for round in 0..3 {
        let mut server = harness::start();
        let mut subscribers = Vec::new();
        for transport in [Chunked, Sse, Websocket, Chunked, Sse, Websocket] {
            subscribers.push(server.subscribe_now(transport, &["topic"]).await.0);
        }
        let mut publishers = Vec::new();
        for _ in 0..4 {
            let mut conn = Conn::open(server.addr).await;
            conn.send(handshake("/v1/websocket", &[])).await;
            assert_eq!(conn.head().await.status, 101);
            publishers.push(conn);
        }
        let publishing = publishers.into_iter().map(async |mut conn| {
            let mut ids = Vec::new();
            while conn.try_send(text(r#"{"op":"publish","topic":"topic","data":1}"#)).await {
                let answer = loop {
                    match receive(&mut conn).await {
                        Some((0x81, payload)) => {
                            let control: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                            if control["control"] == "ack" || control["control"] == "error" {
                                break Some(control);
                            }
                        }
                        Some(_) => {}
                        None => break None,
                    }
                };
                match answer {
                    Some(control) if control["control"] == "ack" => {
                        ids.push(control["id"].as_str().unwrap().to_owned());
                    }
                    Some(control) => assert_eq!(control["status"], 503, "{control}"),
                    None => break,
                }
            }
            ids
        });
        let shut_down = async {
            tokio::time::sleep(Duration::from_millis(100 + 50 * round)).await;
            server.shut_down();
        };
        let reading = join_all(subscribers.iter_mut().map(to_the_end));
        let (read, answered, ()) =
            soon(async { tokio::join!(reading, join_all(publishing), shut_down) }).await;
        let answered: Vec<String> = answered.into_iter().flatten().collect();
        assert!(!answered.is_empty());
        for (items, _) in &read {
            let received = published(items);
            let missing: Vec<_> = answered.iter().filter(|id| !received.contains(id)).collect();
            assert!(missing.is_empty(), "{missing:?} of {} answered", answered.len());
        }
        server.ended().await;
    }
}

/// With a delay, everything is served on; only what asks whether to send more traffic here is told no.
#[tokio::test]
async fn the_drain_delay_fails_readiness_first() {
    let mut server = harness::start_with(|config| config.drain_delay = Duration::from_millis(700));
    assert_eq!(server.get("/readyz").await.text(), "ready\n");
    let (mut subscriber, _) = server.subscribe_now(Sse, &["topic"]).await;
    let began = Instant::now();
    server.shut_down();
    let readiness = soon(async {
        loop {
            let answer = server.get("/readyz").await;
            if answer.status() != 200 {
                break answer;
            }
        }
    })
    .await;
    readiness.is_problem(503, "unavailable", None);
    assert!(readiness.head.get("retry-after").is_some());
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    let id = server.publish("topic", "0").await;
    assert_eq!(subscriber.event().await.id, id);
    let mut late = server.subscribe(Poll, &["topic"], Position::earliest()).await;
    assert_eq!(late.event().await.id, id);
    let (_, end) = to_the_end(&mut subscriber).await;
    assert_eq!(end, End::Clean);
    assert!(began.elapsed() >= Duration::from_millis(690));
    server.ended().await;
}

/// A long answer that was begun goes out whole, however slowly it is read.
#[rstest]
#[tokio::test]
async fn an_answer_under_way_is_sent_to_its_end(#[values(Poll, Longpoll)] transport: Transport) {
    let mut server = harness::start();
    let start = server.cursor().await;
    let text = format!("{:?}", "x".repeat(60_000));
    let mut last = String::new();
    for _ in 0..12 {
        last = server.publish("large", &text).await;
    }
    let mut conn = Conn::open_narrow(server.addr).await;
    conn.send(get(&format!("{}?topic=large&after={start}", transport.path()))).await;
    read_by_peer(server.addr, &conn).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shut_down();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = conn.answer().await;
    let events = answer.json()["events"].as_array().unwrap().len();
    assert_eq!((events, answer.head.get("fanlight-cursor")), (12, Some(&*last)));
    assert_eq!(conn.rest().await, b"");
    server.ended().await;
}
