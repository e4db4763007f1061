//! Heartbeats: a subscription that matches nothing does not age.

use std::time::Duration;

use rstest::rstest;

use crate::{
    harness::{self, offset},
    http::soon,
    subscriber::{Gap, Position, Transport, Transport::*},
};

/// Short, but long enough for a WebSocket peer on a busy machine to answer pings in time.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// 1. A subscriber of `quiet/*` has caught up, and nothing comes for it.
/// 2. Meanwhile a busy topic pushes everything it ever had out of its history.
/// 3. The subscriber reconnects, now for the busy topic too.
///
/// With the cursor of its hello it would be told of a gap; the heartbeat's has moved past it.
#[rstest]
#[tokio::test]
async fn a_heartbeat_carries_the_cursor_on(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| {
        config.heartbeat = HEARTBEAT;
        config.longpoll_timeout = HEARTBEAT;
        config.history_events = 5;
    });
    let epoch = server.epoch().await;
    let (mut subscriber, hello) = server.subscribe_now(transport, &["quiet/*"]).await;
    let read = soon(async {
        loop {
            let cursor = subscriber.heartbeat().await;
            assert!(offset(&cursor) <= 50, "never beyond the head");
            if offset(&cursor) == 50 {
                return cursor;
            }
        }
    });
    let (cursor, _) = tokio::join!(read, server.publish_all("busy/one", 0..50));
    assert_eq!(cursor, server.cursor().await);
    subscriber.cut(true);

    let topics = ["quiet/*", "busy/*"];
    let mut aged = server.subscribe(transport, &topics, Position::after(&hello)).await;
    aged.hello().await;
    let lost = Gap { from: hello, to: epoch.at(45), reason: "evicted".to_owned() };
    assert_eq!(aged.gap().await, lost);

    let mut young = server.subscribe(transport, &topics, Position::after(&cursor)).await;
    assert_eq!(young.hello().await, cursor);
    let next = server.publish("quiet/now", "0").await;
    assert_eq!(young.event().await.id, next);
}

/// While events come there is something newer to say than a heartbeat; afterwards it names the last of them.
#[rstest]
#[tokio::test]
async fn a_heartbeat_never_overtakes_an_event(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| {
        config.heartbeat = HEARTBEAT;
        config.longpoll_timeout = HEARTBEAT;
    });
    let (mut subscriber, hello) = server.subscribe_now(transport, &["only"]).await;
    let mut account = super::Account::new(&hello);
    let publish = async {
        let mut publisher = server.publisher().await;
        for number in 0..100 {
            publisher.publish("only", &number.to_string()).await;
            tokio::time::sleep(Duration::from_millis(number % 7)).await;
        }
    };
    let read = async {
        loop {
            let item = subscriber.next().await;
            account.book(&item);
            if account.last == 100 {
                break;
            }
        }
    };
    tokio::join!(publish, read);
    assert_eq!(offset(&subscriber.heartbeat().await), 100);
}
