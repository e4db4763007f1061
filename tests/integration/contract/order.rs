//! Everything that matches, each once, in order; the same bytes everywhere.

use rstest::rstest;

use crate::{
    harness::{self, offset},
    subscriber::{Position, Subscriber, Transport, Transport::*},
};

#[rstest]
#[tokio::test]
async fn all_that_matches_comes_in_publish_order(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let (mut subscriber, hello) = server.subscribe_now(transport, &["a", "b/c"]).await;
    let mut publisher = server.publisher().await;
    let mut published = Vec::new();
    for number in 0..150 {
        let topic = ["a", "elsewhere", "b/c"][number % 3];
        let id = publisher.publish(topic, &format!(r#"{{"number":{number}}}"#)).await;
        assert_eq!(offset(&id), offset(&hello) + 1 + number as u64, "offsets grow by publish order");
        if topic != "elsewhere" {
            published.push((id, topic, number));
        }
    }
    for (id, topic, number) in published {
        let event = subscriber.event().await;
        assert_eq!((&*event.id, &*event.topic), (&*id, topic));
        assert!(event.doc.ends_with(&format!(r#","data":{{"number":{number}}}}}"#)), "{}", event.doc);
    }
}

#[rstest]
#[tokio::test]
async fn an_event_published_while_it_waits_comes_at_once(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let (mut subscriber, _) = server.subscribe_now(transport, &["live"]).await;
    let mut publisher = server.publisher().await;
    for number in 0..20 {
        let id = publisher.publish("live", &number.to_string()).await;
        assert_eq!(subscriber.event().await.id, id);
    }
}

/// An event is encoded once: the document is the same to the byte, whoever reads it, and when.
#[tokio::test]
async fn an_event_has_the_same_bytes_on_every_transport() {
    let server = harness::start();
    let mut live = Vec::new();
    for transport in Transport::ALL {
        live.push(server.subscribe_now(transport, &["**"]).await.0);
    }
    let mut publisher = server.publisher().await;
    let mut count = 0;
    for (kind, body) in [
        (
            "application/json",
            &b"{ \"spaced\" :\n[1,\t2.50, 1e3],\"text\":\"\\ud83d\\ude00\xf0\x9f\x98\x80\" }"[..],
        ),
        ("application/json", b"null"),
        ("text/plain", b"two\r\nlines, \"quoted\" \\ and \0\xe2\x80\xa8"),
        ("image/png", b"\x89PNG\r\n\x1a\n\0\xff"),
        ("application/vnd.api+json", b"[[]]"),
    ] {
        let answer = publisher.post("kinds/of/data", &[&format!("Content-Type: {kind}")], body).await;
        harness::id_of(&answer);
        count += 1;
    }

    let mut documents: Vec<(Transport, Vec<String>)> = Vec::new();
    for (transport, mut subscriber) in Transport::ALL.into_iter().zip(live) {
        documents.push((transport, take_documents(&mut subscriber, count).await));
        let mut later = server.subscribe(transport, &["kinds/*/data"], Position::earliest()).await;
        if transport.streams() {
            later.hello().await;
        }
        documents.push((transport, take_documents(&mut later, count).await));
    }
    let (_, expected) = &documents[0];
    assert!(expected[3].contains(r#""datacontenttype":"image/png","data_base64":"#), "{}", expected[3]);
    for (transport, found) in &documents {
        assert_eq!(found, expected, "{transport:?}");
    }
}

async fn take_documents(subscriber: &mut Subscriber, count: usize) -> Vec<String> {
    let mut documents = Vec::new();
    for _ in 0..count {
        documents.push(subscriber.event().await.doc);
    }
    documents
}

/// A subscription learns its cursor before its first event: cut in between, it resumes without loss.
#[rstest]
#[tokio::test]
async fn the_cursor_comes_before_the_first_event(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    server.publish_all("topic", 0..3).await;

    let (subscriber, hello) = server.subscribe_now(transport, &["topic"]).await;
    assert_eq!(hello, server.cursor().await);
    subscriber.cut(true);
    let missed = server.publish_all("topic", 3..6).await;

    let mut subscriber = server.subscribe(transport, &["topic"], Position::after(&hello)).await;
    assert_eq!(subscriber.hello().await, hello, "a resumed stream repeats the cursor that was presented");
    assert_eq!(subscriber.ids_through(&missed[2]).await, missed);

    let subscriber = server.subscribe(transport, &["topic"], Position::header(&missed[0])).await;
    let mut subscriber = subscriber;
    assert_eq!(subscriber.hello().await, missed[0]);
    assert_eq!(subscriber.ids_through(&missed[2]).await, missed[1..]);
}

/// A cursor names a place in the log: it holds for any topics on any transport.
#[rstest]
#[tokio::test]
async fn one_cursor_serves_all_topics_and_transports(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let mut publisher = server.publisher().await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(publisher.publish(["one", "two", "three"][number % 3], &number.to_string()).await);
    }
    let mut subscriber = server.subscribe(transport, &["one"], Position::after(&ids[0])).await;
    subscriber.hello().await;
    assert_eq!(subscriber.event().await.id, ids[3]);

    for then in Transport::ALL {
        let position = Position::after(subscriber.cursor.as_deref().unwrap());
        let mut subscriber = server.subscribe(then, &["two", "three"], position).await;
        assert_eq!(subscriber.hello().await, ids[3], "{then:?}");
        let expected = [4, 5, 7, 8, 10, 11].map(|number: usize| ids[number].clone());
        assert_eq!(subscriber.ids_through(&ids[11]).await, expected, "{then:?}");
    }
}

/// Many subscribers of many transports on one topic: each sees all of it.
#[tokio::test]
async fn everyone_receives_everything() {
    let server = harness::start();
    let mut subscribers = Vec::new();
    for number in 0..50 {
        let transport = Transport::ALL[number % 5];
        subscribers.push(server.subscribe_now(transport, &["crowd"]).await.0);
    }
    let ids = server.publish_all("crowd", 0..20).await;
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        assert_eq!(subscriber.ids_through(&ids[19]).await, ids, "{:?}", Transport::ALL[number % 5]);
    }
}
