//! A position in the log, however it is presented.

use rstest::rstest;

use crate::{
    harness::{self, Server, offset},
    subscriber::{Item, Position, Transport, Transport::*},
};

/// Thirty events on three topics by turns; the ids in order.
async fn thirty(server: &Server) -> Vec<String> {
    let mut publisher = server.publisher().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(publisher.publish(["a", "b", "c"][number % 3], &number.to_string()).await);
    }
    ids
}

/// What of the thirty is on `a` or `c` and beyond the offset.
fn beyond(ids: &[String], position: u64) -> Vec<String> {
    let on_a_or_c = ids.iter().enumerate().filter(|(number, _)| number % 3 != 1).map(|(_, id)| id);
    on_a_or_c.filter(|id| offset(id) > position).cloned().collect()
}

#[rstest]
#[tokio::test]
async fn from_every_position(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
    #[values(true, false)] in_header: bool,
) {
    let server = harness::start();
    let epoch = server.epoch().await;
    let ids = thirty(&server).await;
    for position in 0..=30 {
        let cursor = epoch.at(position);
        let place = if in_header { Position::header(&cursor) } else { Position::after(&cursor) };
        let mut subscriber = server.subscribe(transport, &["a", "c"], place).await;
        assert_eq!(subscriber.hello().await, cursor);
        for id in beyond(&ids, position) {
            assert_eq!(subscriber.event().await.id, id, "from {position}");
        }
        if position == 30 {
            let next = server.publish("a", "0").await;
            assert_eq!(subscriber.event().await.id, next, "at the end, what follows is what comes next");
        }
    }
}

/// EventSource sends its URL again with whatever it held, so what it has read since beats it.
#[rstest]
#[tokio::test]
async fn the_header_beats_the_query(#[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start();
    let ids = thirty(&server).await;
    for place in
        [Position::after(&ids[2]), Position::earliest(), Position::last(5), Position::after("nonsense")]
    {
        let mut subscriber = server.subscribe(transport, &["a", "c"], place.and_header(&ids[19])).await;
        assert_eq!(subscriber.hello().await, ids[19]);
        assert_eq!(subscriber.ids_through(&ids[29]).await, beyond(&ids, offset(&ids[19])));
    }
    // An empty one is none.
    let place = Position::after(&ids[2]).and_header("");
    let mut subscriber = server.subscribe(transport, &["a", "c"], place).await;
    assert_eq!(subscriber.hello().await, ids[2]);
    assert_eq!(subscriber.ids_through(&ids[29]).await, beyond(&ids, offset(&ids[2])));
}

/// `earliest` asks for no position: whatever was evicted before, it is no gap.
#[rstest]
#[tokio::test]
async fn earliest_is_all_that_is_held(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.history_events = 4);
    let ids = thirty(&server).await;
    let mut subscriber = server.subscribe(transport, &["a", "c"], Position::earliest()).await;
    if transport.streams() {
        assert!(offset(&subscriber.hello().await) < 19);
    }
    let held = beyond(&ids, 18);
    assert_eq!(held.len(), 8, "four on each topic");
    assert_eq!(subscriber.ids_through(&ids[29]).await, held);
    let id = server.publish("a", "0").await;
    assert_eq!(subscriber.event().await.id, id, "and on from there");
}

/// `last=N` is the N newest of each topic, in one order, and then whatever comes.
#[rstest]
#[tokio::test]
async fn last_counts_for_each_topic(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
    #[values(&["x", "y", "none"], &["*"])] topics: &[&str],
) {
    let server = harness::start_with(|config| config.history_events = 5);
    let mut ids = Vec::new();
    for topic in ["x", "x", "y", "x", "x/not", "x", "x", "x", "y"] {
        ids.push(server.publish(topic, "0").await);
    }
    // By offset: x 1 (evicted) 2 4 6 7 8, y 3 9.
    for (count, expected) in [
        (1, &[8, 9][..]),
        (2, &[3, 7, 8, 9]),
        (3, &[3, 6, 7, 8, 9]),
        (5, &[2, 3, 4, 6, 7, 8, 9]),
        (100_000, &[2, 3, 4, 6, 7, 8, 9]),
    ] {
        let mut subscriber = server.subscribe(transport, topics, Position::last(count)).await;
        if transport.streams() {
            let hello = subscriber.hello().await;
            assert_eq!(offset(&hello), expected[0] - 1, "the hello lies just before the first");
        }
        let found: Vec<u64> = subscriber.ids_through(&ids[8]).await.iter().map(|id| offset(id)).collect();
        assert_eq!(found, expected, "last={count}");
    }
    let mut subscriber = server.subscribe(transport, topics, Position::last(1)).await;
    if transport.streams() {
        subscriber.hello().await;
    }
    subscriber.ids_through(&ids[8]).await;
    let next = server.publish("y", "0").await;
    assert_eq!(subscriber.event().await.id, next, "and on from there");
}

/// With nothing held, `last` and `earliest` begin at the head, without a gap.
#[rstest]
#[tokio::test]
async fn last_of_nothing_begins_now(#[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start();
    server.publish("elsewhere", "0").await;
    for (place, topic) in [(Position::last(3), "empty"), (Position::earliest(), "void")] {
        let mut subscriber = server.subscribe(transport, &[topic], place).await;
        // A stream says hello; the answer to a poll gives its cursor.
        let (Item::Hello(cursor) | Item::Cursor(cursor)) = subscriber.next().await else {
            panic!("a cursor comes first")
        };
        assert!(offset(&cursor) <= offset(&server.cursor().await));
        let first = server.publish(topic, "0").await;
        assert_eq!(subscriber.event().await.id, first);
    }
}
