//! An account as events on `$ledger/ID`, while somebody listens.

use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use super::ledger;
use crate::{
    harness,
    http::{Conn, Piece, get, soon},
};

/// The next event of a stream of lines.
async fn event(conn: &mut Conn) -> Value {
    loop {
        let Piece::Data(line) = soon(conn.piece()).await else { panic!("the stream goes on") };
        let message: Value = serde_json::from_slice(&line).expect("a line is JSON");
        if message["control"].is_null() {
            return message;
        }
    }
}

#[rstest]
#[tokio::test]
async fn an_account_is_told_while_it_changes(#[values(true, false)] taken: bool) {
    let server = harness::start_with(|config| config.no_takeover = !taken);
    let mut listener = Conn::open(server.addr).await;
    listener.send(get("/v1/chunked?topic=$ledger/c")).await;
    listener.head().await;

    let mut conn = Conn::open(server.addr).await;
    conn.send(get("/v1/sse?topic=a&client=c")).await;
    conn.head().await;
    let told = event(&mut listener).await;
    assert_eq!((told["topic"].as_str(), told["data"]["client"].as_str()), (Some("$ledger/c"), Some("c")));
    assert_eq!(told["data"]["transports"]["sse"]["open"], 1);
    for turn in 1..=3 {
        server.publish("a", "7").await;
        let told = soon(async {
            loop {
                let told = event(&mut listener).await;
                if told["data"]["transports"]["sse"]["events"] == turn {
                    return told;
                }
            }
        })
        .await;
        // The same as is answered to who asks: but for acknowledgements that come later.
        let mut asked = ledger(&server, "c").await["transports"]["sse"].clone();
        let mut told = told["data"]["transports"]["sse"].clone();
        for row in [&mut asked, &mut told] {
            let tcp = row.as_object_mut().unwrap().remove("tcp").expect("segments");
            assert!(
                tcp["segments_in"].as_u64().unwrap() >= 2 && tcp["bytes_out"].as_u64().unwrap() >= 40,
                "{tcp}"
            );
        }
        assert_eq!(asked, told);
    }
    drop(conn);
    soon(async { while event(&mut listener).await["data"]["transports"]["sse"]["open"] != 0 {} }).await;

    // What does not change is not told.
    let mut last = tokio::time::timeout(Duration::from_secs(2), event(&mut listener)).await.ok();
    if last.is_some() {
        last = tokio::time::timeout(Duration::from_secs(2), event(&mut listener)).await.ok();
    }
    assert!(last.is_none(), "{last:?}");
}

/// An account that nobody listens to is no event, and one that somebody listens to takes no room from other events.
#[tokio::test]
async fn an_account_is_no_burden() {
    let server = harness::start();
    let before = server.cursor().await;
    let mut conn = Conn::open(server.addr).await;
    conn.send(get("/v1/chunked?topic=a&client=c")).await;
    conn.head().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(server.cursor().await, before, "nobody listens");

    let mut listener = Conn::open(server.addr).await;
    listener.send(get("/v1/chunked?topic=$ledger/c&client=c")).await;
    listener.head().await;
    // It changes by being told, for the one who listens is on it.
    for _ in 0..7 {
        event(&mut listener).await;
    }
    let held = server.get("/v1/poll?topic=$ledger/c&after=earliest").await.json();
    let held = held["events"].as_array().expect("events").len();
    assert!((1..=4).contains(&held), "{held} are held");
    let from_start = server.get(&format!("/v1/poll?topic=$ledger/c&after={before}")).await.json();
    assert!(from_start["gap"].is_null(), "a state that was replaced is no loss: {from_start}");
}

/// Who does not know the name of an account does not learn it.
#[tokio::test]
async fn accounts_are_asked_for_by_name() {
    let server = harness::start();
    for pattern in ["$ledger/*", "$ledger/**", "$*", "$ledger/c/*"] {
        for transport in ["poll", "longpoll", "chunked", "sse"] {
            let answer = server.get(&format!("/v1/{transport}?topic=a&topic={pattern}")).await;
            answer.is_problem(400, "invalid-request", Some("topic"));
        }
    }
    let mut conn = Conn::open(server.addr).await;
    conn.send(get("/v1/chunked?topic=$ledger/c")).await;
    assert_eq!(conn.head().await.status, 200);
}
