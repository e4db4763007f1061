//! A body and what it is: the first byte says which, the first line names the topic, the type and the key. What
//! is taken comes out of the log as it was meant, on one line, whatever it holds.

#![no_main]

use std::{sync::Arc, time::Duration};

use fanlight::{
    bus::{
        Bus,
        idempotency::Key,
        log::{Bounds, Budget},
        reader::Position,
    },
    event::{Cursor, Epoch},
    metrics::Metrics,
    publish::{Content, Publisher, checked_key},
    topic::{Pattern, Subscription},
    transport::{Transport, chunked::Chunked, sse::Sse},
};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

/// An event of which the data is left as it is written: no parser need like a half surrogate pair, a number
/// that no double holds, or what is nested deep.
#[derive(Deserialize)]
struct Document<'a> {
    id: String,
    topic: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    datacontenttype: Option<String>,
}

fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// A value without what stands around it, and its line breaks as spaces.
fn one_line(body: &[u8]) -> String {
    let text = str::from_utf8(body).expect("JSON is UTF-8");
    text.trim_matches([' ', '\t', '\r', '\n']).replace(['\r', '\n'], " ")
}

const MAX_EVENT: u64 = 1024;

thread_local! {
    static PUBLISHER: (Arc<Bus>, Publisher) = {
        let bounds = Bounds { events: 64, age: Duration::from_secs(3600), bytes: 1 << 20 };
        let bus = Arc::new(Bus::new(Epoch(7), bounds));
        let metrics = Arc::new(Metrics::new(&bus));
        (bus.clone(), Publisher::new(bus, MAX_EVENT.to_string().parse().unwrap(), metrics))
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((how, rest)) = bytes.split_first() else { return };
    let (head, body) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &b""[..]),
    };
    let Ok(head) = str::from_utf8(head) else { return };
    let mut words = head.splitn(3, ' ');
    let (topic, kind, key) = (words.next().unwrap_or_default(), words.next(), words.next());
    let kind = kind.filter(|kind| !kind.is_empty());
    PUBLISHER.with(|(bus, publisher)| {
        let drafts = match how % 5 {
            0 => publisher.draft(topic, kind, Content::Json(body)).map(|draft| vec![draft]),
            1 => publisher.draft(topic, kind, Content::Text(body)).map(|draft| vec![draft]),
            2 => publisher.draft(topic, kind, Content::Binary("image/png", body)).map(|draft| vec![draft]),
            3 => publisher.batch(Some(topic), kind, body),
            _ => publisher.batch(None, kind, body),
        };
        let before = bus.head().offset;
        let drafts = match drafts {
            Ok(drafts) => drafts,
            Err(problem) => {
                assert_eq!(bus.head().offset, before, "what is refused leaves nothing");
                serde_json::from_slice::<Value>(&problem.document()).expect("a problem is JSON");
                return;
            }
        };
        let key = key
            .and_then(|key| checked_key(key, "key").ok())
            .map(|key| Key::new(topic, key, [&bytes[..1], kind.unwrap_or_default().as_bytes(), body]));
        let keyed = key.is_some();
        let count = drafts.len();
        let Ok(cursors) = publisher.publish(drafts, key) else {
            assert!(keyed && bus.head().offset == before);
            return;
        };
        assert_eq!(cursors.len(), count);
        if bus.head().offset == before {
            assert!(keyed, "only a key is answered without an event");
            return;
        }
        assert_eq!(bus.head().offset, before + count as u64);
        let everything: Subscription = [Pattern::parse("**").unwrap()].into_iter().collect();
        let from = Cursor { offset: before, ..bus.head() };
        let (mut reader, _) = bus.open(everything, Position::After(from)).expect("it is there");
        let batch = bus.read(&mut reader, Budget { events: 64, bytes: 1 << 20 });
        for event in &batch.events {
            let document: Document = serde_json::from_slice(event.document()).expect("an event is JSON");
            assert_eq!(document.id, Cursor { offset: event.offset(), ..from }.to_string());
            assert_eq!(document.topic, event.topic().as_str());
            // JSON may hold a tab or the like nowhere but between its words; no line ends within it.
            assert!(!event.document().iter().any(|byte| matches!(byte, b'\n' | b'\r')));
            let (mut line, mut block) = (Vec::new(), Vec::new());
            Chunked.event(&mut line, event);
            Sse.event(&mut block, event);
            assert_eq!(line, [event.document(), b"\n"].concat());
            let id = document.id.as_bytes();
            assert_eq!(block, [b"id: ", id, b"\ndata: ", event.document(), b"\n\n"].concat());
            match how % 5 {
                0 => assert_eq!(document.data.map(RawValue::get), Some(&*one_line(body))),
                1 => assert_eq!(
                    serde_json::from_str::<String>(document.data.unwrap().get()).unwrap(),
                    str::from_utf8(body).unwrap()
                ),
                2 => assert_eq!(document.datacontenttype.as_deref(), Some("image/png")),
                _ => {}
            }
            if how % 5 < 4 {
                assert_eq!(document.kind.as_deref(), kind);
                assert_eq!(document.topic, topic);
            }
        }
    });
});
