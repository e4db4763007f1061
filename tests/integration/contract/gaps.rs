//! What is lost is told, and nothing else is.

use std::time::Duration;

use bytesize::ByteSize;
use rstest::rstest;

use crate::{
    harness::{self, Epoch, Server, offset},
    http::soon,
    subscriber::{Gap, Item, Position, Subscriber, Transport, Transport::*},
};

fn gap(from: &str, to: &str, reason: &str) -> Gap {
    Gap { from: from.to_owned(), to: to.to_owned(), reason: reason.to_owned() }
}

/// Resumes after the cursor; the hello must repeat it.
async fn resume(server: &Server, transport: Transport, topics: &[&str], cursor: &str) -> Subscriber {
    let mut subscriber = server.subscribe(transport, topics, Position::after(cursor)).await;
    assert_eq!(subscriber.hello().await, cursor);
    subscriber
}

/// The next item is the event with that offset: no gap before it.
async fn expect_events(subscriber: &mut Subscriber, epoch: &Epoch, offsets: impl IntoIterator<Item = u64>) {
    for offset in offsets {
        assert_eq!(subscriber.event().await.id, epoch.at(offset));
    }
}

#[rstest]
#[tokio::test]
async fn eviction_by_count_is_told_exactly(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
    #[values("busy", "*", "**")] topic: &str,
) {
    let server = harness::start_with(|config| config.history_events = 10);
    let epoch = server.epoch().await;
    server.publish_all("busy", 0..30).await;

    for position in [0, 1, 10, 19] {
        let cursor = epoch.at(position);
        let mut subscriber = resume(&server, transport, &[topic], &cursor).await;
        assert_eq!(subscriber.gap().await, gap(&cursor, &epoch.at(20), "evicted"));
        expect_events(&mut subscriber, &epoch, 21..=30).await;
    }
    for position in [20, 21, 29] {
        let mut subscriber = resume(&server, transport, &[topic], &epoch.at(position)).await;
        expect_events(&mut subscriber, &epoch, position + 1..=30).await;
    }
}

/// The history is each topic's own: a busy neighbour takes nothing from a quiet topic.
#[rstest]
#[tokio::test]
async fn a_quiet_topic_beside_a_busy_one_has_no_gap(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.history_events = 10);
    let epoch = server.epoch().await;
    server.publish("quiet", "1").await;
    server.publish_all("busy", 0..200).await;
    server.publish("quiet", "2").await;

    for (position, expected) in [(0, &[1, 202][..]), (1, &[202]), (100, &[202]), (201, &[202])] {
        let mut subscriber = resume(&server, transport, &["quiet", "never"], &epoch.at(position)).await;
        expect_events(&mut subscriber, &epoch, expected.iter().copied()).await;
    }

    // What was lost is told to whoever asked for it; held events between the bounds still follow.
    let mut both = resume(&server, transport, &["quiet", "busy"], &epoch.at(0)).await;
    assert_eq!(both.gap().await, gap(&epoch.at(0), &epoch.at(191), "evicted"));
    expect_events(&mut both, &epoch, [1].into_iter().chain(192..=202)).await;
}

#[rstest]
#[tokio::test]
async fn eviction_by_bytes_is_told(#[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport) {
    const BOUND: u64 = 128 * 1024;
    let server = harness::start_with(|config| config.history_bytes = ByteSize::b(BOUND));
    let epoch = server.epoch().await;
    let mut publisher = server.publisher().await;
    let data = format!("{:?}", "x".repeat(2000));
    for number in 0..200 {
        publisher.publish(["left", "right"][number % 2], &data).await;
    }

    let mut all = server.subscribe(transport, &["left", "right"], Position::earliest()).await;
    if transport.streams() {
        all.hello().await;
    }
    let held = all.ids_through(&epoch.at(200)).await;
    let first = offset(&held[0]);
    assert!(held.len() as u64 * 2000 <= BOUND, "{} events are held", held.len());
    assert!(held.len() > 10, "the bound is used: {} events are held", held.len());
    assert!(held.iter().map(|id| offset(id)).eq(first..=200), "the oldest went first");

    let mut subscriber = resume(&server, transport, &["left", "right"], &epoch.at(0)).await;
    assert_eq!(subscriber.gap().await, gap(&epoch.at(0), &epoch.at(first - 1), "evicted"));
    expect_events(&mut subscriber, &epoch, first..=200).await;
    let mut subscriber = resume(&server, transport, &["left", "right"], &epoch.at(first - 1)).await;
    expect_events(&mut subscriber, &epoch, first..=200).await;
}

#[rstest]
#[tokio::test]
async fn eviction_by_age_is_told(#[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start_with(|config| config.history_age = Duration::from_millis(300));
    let epoch = server.epoch().await;
    server.publish_all("aging", 0..5).await;
    server.publish("other", "0").await;
    let held = async || server.get("/v1/poll?topic=aging&after=earliest").await.status() != 204;
    soon(async {
        while held().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;

    let mut subscriber = resume(&server, transport, &["aging"], &epoch.at(2)).await;
    assert_eq!(subscriber.gap().await, gap(&epoch.at(2), &epoch.at(5), "evicted"));
    let mut complete = resume(&server, transport, &["aging"], &epoch.at(5)).await;
    let next = server.publish("aging", "0").await;
    assert_eq!(subscriber.event().await.id, next);
    assert_eq!(complete.event().await.id, next);
}

/// A gap that was not followed by an event moved no cursor: after a reconnect it is told again.
#[rstest]
#[tokio::test]
async fn an_unread_gap_is_told_again(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.history_bytes = ByteSize::kib(64));
    let epoch = server.epoch().await;
    server.publish("gone", "0").await;
    let data = format!("{:?}", "x".repeat(8000));
    let mut publisher = server.publisher().await;
    for _ in 0..20 {
        publisher.publish("bulk", &data).await;
    }
    for _ in 0..3 {
        let mut subscriber = resume(&server, transport, &["gone"], &epoch.at(0)).await;
        assert_eq!(subscriber.gap().await, gap(&epoch.at(0), &epoch.at(1), "evicted"));
        if transport.streams() {
            assert_eq!(subscriber.cursor, Some(epoch.at(0)), "a gap moves no cursor");
        }
        subscriber.cut(true);
    }
    // Once something follows, it is behind the subscriber.
    let mut subscriber = resume(&server, transport, &["gone"], &epoch.at(0)).await;
    assert_eq!(subscriber.gap().await, gap(&epoch.at(0), &epoch.at(1), "evicted"));
    let next = server.publish("gone", "1").await;
    assert_eq!(subscriber.event().await.id, next);
    let last = server.publish("gone", "2").await;
    let mut subscriber = resume(&server, transport, &["gone"], &next).await;
    assert_eq!(subscriber.event().await.id, last);
}

/// A cursor of a log that was replaced: everything that is held, after one gap.
#[rstest]
#[tokio::test]
async fn a_restart_is_told(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
    #[values(true, false)] in_header: bool,
) {
    let old = harness::start();
    let presented = old.publish_all("topic", 0..7).await.pop().unwrap();
    let server = harness::start_with(|config| config.history_events = 5);
    let epoch = server.epoch().await;
    assert_ne!(epoch.at(7), presented, "each log has a name of its own");

    let place = if in_header { Position::header(&presented) } else { Position::after(&presented) };
    let mut subscriber = server.subscribe(transport, &["topic"], place.clone()).await;
    assert_eq!(subscriber.hello().await, presented);
    assert_eq!(subscriber.gap().await, gap(&presented, &epoch.at(0), "restarted"));
    server.publish("elsewhere", "0").await;
    let id = server.publish("topic", "0").await;
    assert_eq!(subscriber.event().await.id, id);

    server.publish_all("topic", 0..10).await;
    let mut subscriber = server.subscribe(transport, &["topic"], place).await;
    assert_eq!(subscriber.hello().await, presented);
    assert_eq!(subscriber.gap().await, gap(&presented, &epoch.at(7), "restarted"));
    expect_events(&mut subscriber, &epoch, 8..=12).await;
}

/// What an EventSource sends back cannot be refused, since it would give up for good: it is a gap.
#[rstest]
#[tokio::test]
async fn an_unknown_cursor_in_the_header_is_a_gap(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.history_events = 5);
    let epoch = server.epoch().await;
    server.publish_all("topic", 0..9).await;
    for presented in
        ["nonsense", "7", "a-b", "UPPER-1", "-1", "0123456789abcd-1", "abc-01", "abc-18446744073709551616"]
    {
        let mut subscriber = server.subscribe(transport, &["topic"], Position::header(presented)).await;
        assert_eq!(subscriber.hello().await, presented);
        assert_eq!(subscriber.gap().await, gap(presented, &epoch.at(4), "unknown"));
        expect_events(&mut subscriber, &epoch, 5..=9).await;
    }

    // Ahead of the log: nothing that is held is known to be newer.
    let ahead = epoch.at(1000);
    let mut subscriber = server.subscribe(transport, &["topic"], Position::header(&ahead)).await;
    assert_eq!(subscriber.hello().await, ahead);
    assert_eq!(subscriber.gap().await, gap(&ahead, &epoch.at(9), "unknown"));
    let next = server.publish("topic", "0").await;
    assert_eq!(subscriber.event().await.id, next);
}

/// As a parameter, which a person or a program wrote, it is an error.
#[rstest]
#[tokio::test]
async fn an_unknown_cursor_in_the_query_is_refused(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let epoch = server.epoch().await;
    server.publish_all("topic", 0..9).await;
    for presented in ["nonsense", "", "EARLIEST", "abc-01", &epoch.at(10), &epoch.at(u64::MAX)] {
        let mut subscriber = server.subscribe(transport, &["topic"], Position::after(presented)).await;
        if !transport.streams() {
            assert_eq!(subscriber.hello().await, presented, "what this client holds, not what it was told");
        }
        let Item::Error(problem) = subscriber.next().await else { panic!("{presented} is refused") };
        assert_eq!((&problem["status"], &problem["field"]), (&400.into(), &"after".into()), "{presented}");
        assert!(matches!(subscriber.next().await, Item::End(_)));
    }
    let mut subscriber = server.subscribe(transport, &["topic"], Position::after(&epoch.at(9))).await;
    assert_eq!(subscriber.hello().await, epoch.at(9), "the head itself is known");
}
