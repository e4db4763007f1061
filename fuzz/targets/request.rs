//! A poll that the hub answers without a parser. The first line is what stands for the cursor in the next
//! request, the rest is the first request, which asked from `z-7`. Whatever the hub takes for the same question
//! must be, to a parser, the same request but for the place that it asks from.

#![no_main]

use std::borrow::Cow;

use fanlight::{bus::reader::Position, delivery::taken::asked_anew, fields::Fields};
use libfuzzer_sys::fuzz_target;

const CURSOR: &str = "z-7";

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (text, first) = (&bytes[..end], &bytes[end + 1..]);
    let Some(at) = first.windows(CURSOR.len()).position(|window| window == CURSOR.as_bytes()) else { return };
    // The hub is told of a request that was read, and asked from there.
    let Some(asked) = Asked::read(first) else { return };
    let presented = match (&*asked.presented, asked.after.as_deref()) {
        ([], Some(CURSOR)) => false,
        (presented, _) if presented == CURSOR.as_bytes() => true,
        _ => return,
    };
    let next = [&first[..at], text, &first[at + CURSOR.len()..]].concat();
    let Some(position) = asked_anew(first, CURSOR, presented, &next) else { return };
    let again = Asked::read(&next).expect("a parser reads it too");
    let cursor = match &position {
        Position::After(cursor) if !presented => {
            assert_eq!(again.after, Some(cursor.to_string()));
            cursor.to_string()
        }
        Position::Presented(cursor) if presented => {
            assert_eq!(again.presented, cursor.as_bytes());
            cursor.clone()
        }
        other => panic!("{other:?} was not asked for"),
    };
    assert_eq!(cursor.as_bytes(), text, "the cursor is all that was put in its place");
    // With the old cursor in its place it would be the old request.
    let (mut back, mut old) = (again, asked);
    for asked in [&mut back, &mut old] {
        asked.after = asked.after.take().filter(|_| presented);
        asked.presented.clear();
    }
    assert_eq!(back, old);
});

/// A request as a parser reads it, its position apart from the rest.
#[derive(Debug, PartialEq)]
struct Asked {
    method: String,
    path: String,
    topics: Vec<String>,
    rest: Vec<Option<String>>,
    after: Option<String>,
    presented: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Asked {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes).ok()? else { return None };
        let target = request.path?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let known = ["topic", "after", "last", "limit", "timeout"];
        let mut fields = Fields::split("longpoll", &known, [query, ""]).ok()?;
        let is_id = |name: &str| name.eq_ignore_ascii_case("last-event-id");
        let presented = request.headers.iter().find(|header| is_id(header.name));
        Some(Self {
            method: request.method?.to_owned(),
            path: path.to_owned(),
            topics: fields.take_all("topic").into_iter().map(Cow::into_owned).collect(),
            after: fields.take("after").map(Cow::into_owned),
            rest: ["last", "limit", "timeout"].map(|name| fields.take(name).map(Cow::into_owned)).into(),
            presented: presented.map(|header| header.value.to_vec()).unwrap_or_default(),
            headers: request
                .headers
                .iter()
                .filter(|header| presented.is_none_or(|presented| !std::ptr::eq(presented, *header)))
                .map(|header| (header.name.to_owned(), header.value.to_vec()))
                .collect(),
        })
        .filter(|_| length == bytes.len())
    }
}
