//! What a poll and a long poll are answered with.

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    DEAD, MOST,
    document::{self, Control, Gap, Message},
    within,
};
use crate::cli::http::{self, Failure, Problem};

/// An answer, read.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// The gap, if there is one, then the events.
    pub(super) messages: Vec<Message>,
    /// From where the next asks.
    pub(super) cursor: String,
    /// Whether there is more at once.
    pub(super) more: bool,
}

/// Events are kept as the text that they came as.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    cursor: String,
    #[serde(default)]
    more: bool,
    gap: Option<Gap>,
}

/// Reads a `200` or a `204`.
pub(super) async fn read(response: Response) -> Result<Answer, Failure> {
    let status = response.status();
    if status == StatusCode::NO_CONTENT {
        let cursor = response.headers().get("fanlight-cursor").and_then(|cursor| cursor.to_str().ok());
        let problem = || Problem::not_a_gateway(status, "no Fanlight-Cursor header");
        let cursor = cursor.ok_or_else(|| Failure::Refused(problem()))?.to_owned();
        return Ok(Answer { messages: Vec::new(), cursor, more: false });
    }
    let body = within(DEAD, http::body(response, MOST)).await??;
    parse(body.into()).map_err(|why| Failure::Refused(Problem::not_a_gateway(status, why)))?
}

fn parse(body: Bytes) -> Result<Result<Answer, Failure>, String> {
    let Body { events, cursor, more, gap } =
        serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let gap = gap.map(|gap| Ok(Message::bare(Control::Gap(gap))));
    let events = events.iter().map(|event| document::read(body.slice_ref(event.get().as_bytes())));
    let messages: Result<Vec<_>, _> = gap.into_iter().chain(events).collect();
    Ok(messages.map(|messages| Answer { messages, cursor, more }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_bytes_and_the_gap_stands_before_them() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        let first = format!(r#"{{"id":"e-8","topic":"a","data":{deep}}}"#);
        let second = r#"{"id":"e-9","topic":"a","data":{"x" : 1.0}}"#;
        let text = format!(
            r#"{{"events":[{first},{second}],"cursor":"e-9","more":true,"gap":{{"from":"e-1","to":"e-7","reason":"evicted"}}}}"#
        );
        let answer = parse(text.into()).unwrap().unwrap();
        let gap = Gap { from: "e-1".into(), to: "e-7".into(), reason: "evicted".into() };
        let event = |id: &str, document: &str| Message::Event {
            id: id.to_owned(),
            document: Bytes::copy_from_slice(document.as_bytes()),
        };
        let expected = [Message::bare(Control::Gap(gap)), event("e-8", &first), event("e-9", second)];
        assert_eq!(answer, Answer { messages: expected.into(), cursor: "e-9".into(), more: true });
    }

    #[test]
    fn an_empty_answer_has_a_cursor() {
        let answer = parse(Bytes::from_static(b"{\"events\":[],\"cursor\":\"e-0\"}")).unwrap().unwrap();
        assert_eq!(answer, Answer { messages: Vec::new(), cursor: "e-0".into(), more: false });
        assert!(parse(Bytes::from_static(b"<html>")).is_err());
    }
}
