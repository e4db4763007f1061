//! Which topics a subscription covers.

use rstest::rstest;

use crate::{
    harness,
    subscriber::{Position, Transport, Transport::*},
};

const TOPICS: [&str; 8] = [
    "orders",
    "orders/42",
    "orders/42/status",
    "orders/42/status/history",
    "orders/43/status",
    "bills/42/status",
    "Orders/42",
    "주문/42/상태",
];

/// Each pattern, and which of the topics it covers.
const PATTERNS: [(&str, &[usize]); 12] = [
    ("orders", &[0]),
    ("orders/42/status", &[2]),
    ("*", &[0]),
    ("orders/*", &[1]),
    ("orders/*/status", &[2, 4]),
    ("*/42/status", &[2, 5]),
    ("*/*/status", &[2, 4, 5]),
    ("orders/**", &[1, 2, 3, 4]),
    ("orders/42/**", &[2, 3]),
    ("*/*/**", &[2, 3, 4, 5, 7]),
    ("주문/*/상태", &[7]),
    ("**", &[0, 1, 2, 3, 4, 5, 6, 7]),
];

#[rstest]
#[tokio::test]
async fn a_pattern_covers_what_the_grammar_says(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
    #[values(true, false)] live: bool,
) {
    let server = harness::start();
    let start = server.cursor().await;
    let mut subscribers = Vec::new();
    let mut subscribe_all = async || {
        for (pattern, covered) in PATTERNS {
            let topics = [pattern, "the-end"];
            let mut subscriber = server.subscribe(transport, &topics, Position::after(&start)).await;
            subscriber.hello().await;
            subscribers.push((pattern, covered, subscriber));
        }
    };
    if live {
        subscribe_all().await;
    }
    for topic in TOPICS {
        server.publish(topic, "0").await;
    }
    let end = server.publish("the-end", "0").await;
    if !live {
        subscribe_all().await;
    }
    for (pattern, covered, mut subscriber) in subscribers {
        let mut found = Vec::new();
        loop {
            let event = subscriber.event().await;
            found.push(event.topic);
            if event.id == end {
                break;
            }
        }
        let expected: Vec<&str> = covered.iter().map(|&at| TOPICS[at]).chain(["the-end"]).collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

/// However many of its patterns an event matches, a subscription receives it once.
#[rstest]
#[tokio::test]
async fn overlapping_patterns_deliver_once(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let topics = ["a/b/c", "a/*/c", "*/b/*", "a/**", "**", "a/b/c", "x", "a/b"];
    let (mut live, hello) = server.subscribe_now(transport, &topics).await;
    let mut publisher = server.publisher().await;
    let mut ids = Vec::new();
    for number in 0..40 {
        let topic = ["a/b/c", "x", "a/b", "y/b/z"][number % 4];
        ids.push(publisher.publish(topic, &number.to_string()).await);
    }
    let mut resumed = server.subscribe(transport, &topics, Position::after(&hello)).await;
    resumed.hello().await;
    assert_eq!(live.ids_through(&ids[39]).await, ids);
    assert_eq!(resumed.ids_through(&ids[39]).await, ids);
}

/// As many topics as one subscription may have, each with its own events, in one order.
#[rstest]
#[tokio::test]
async fn many_topics_make_one_stream(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let topics: Vec<String> = (0..128).map(|number| format!("many/{number}/of/them")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let (mut live, hello) = server.subscribe_now(transport, &topics).await;
    let mut publisher = server.publisher().await;
    let mut ids = Vec::new();
    for number in 0..256 {
        ids.push(publisher.publish(topics[number * 37 % 128], "0").await);
        publisher.publish(&format!("not/{number}"), "0").await;
    }
    assert_eq!(live.ids_through(&ids[255]).await, ids);
    let mut resumed = server.subscribe(transport, &topics, Position::after(&hello)).await;
    resumed.hello().await;
    assert_eq!(resumed.ids_through(&ids[255]).await, ids);
}

/// The gateway's own topics can be asked for by name, beside others and without harm to them.
#[rstest]
#[tokio::test]
async fn own_topics_can_be_named(#[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start();
    let (mut subscriber, _) = server.subscribe_now(transport, &["$ledger/x", "$ledger/y/z", "plain"]).await;
    let id = server.publish("plain", "0").await;
    assert_eq!(subscriber.event().await.id, id);
}
