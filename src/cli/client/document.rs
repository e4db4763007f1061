//! What one document says: an event, or a control.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::MOST;
use crate::cli::http::{Failure, Problem};

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// An event: its id, and the document as it came.
    Event { id: String, document: Bytes },
    /// A control, and the document as it came, if it came as one.
    Control { control: Control, document: Option<Bytes> },
}

/// What the gateway says of the subscription itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Control {
    /// From here it goes on.
    Cursor(String),
    /// Events that are not to be had any more.
    Gap(Gap),
    /// Come again after this long.
    Reconnect(Duration),
    /// What to wait before coming again, if not told otherwise.
    Retry(Duration),
    /// One that this client does not know.
    Other,
}

/// A hole that the gateway knows of.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Gap {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) reason: String,
}

impl Message {
    /// A control that came otherwise than as a document.
    pub(super) fn bare(control: Control) -> Self {
        Self::Control { control, document: None }
    }
}

/// The members of a document that matter here; `data` is passed over, however deep it is.
#[derive(Deserialize)]
struct Envelope {
    id: Option<String>,
    control: Option<String>,
    cursor: Option<String>,
    after_ms: Option<u64>,
}

/// Reads a document.
///
/// # Errors
/// What the gateway says in an `error` control, or that the document is none.
pub(super) fn read(document: Bytes) -> Result<Message, Failure> {
    let unreadable = |error: serde_json::Error| {
        let start = String::from_utf8_lossy(&document).chars().take(100).collect::<String>();
        let problem = Problem::not_a_gateway(reqwest::StatusCode::OK, format!("{error} in {start:?}"));
        Failure::Refused(problem)
    };
    let envelope: Envelope = serde_json::from_slice(&document).map_err(unreadable)?;
    let control = match (envelope.control.as_deref(), envelope.cursor, envelope.after_ms) {
        (None, ..) => {
            let id = envelope.id.ok_or_else(|| unreadable(serde::de::Error::missing_field("id")))?;
            return Ok(Message::Event { id, document });
        }
        (Some("hello" | "cursor" | "ack"), Some(cursor), _) => Control::Cursor(cursor),
        (Some("gap"), ..) => Control::Gap(serde_json::from_slice(&document).map_err(unreadable)?),
        (Some("reconnect"), _, after_ms) => {
            Control::Reconnect(Duration::from_millis(after_ms.unwrap_or_default()))
        }
        (Some("error"), ..) => {
            let problem: Problem = serde_json::from_slice(&document).map_err(unreadable)?;
            return Err(problem.into_failure(None));
        }
        _ => Control::Other,
    };
    Ok(Message::Control { control, document: Some(document) })
}

/// Cuts a body into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// Bytes at the front that are known to hold no line feed.
    searched: usize,
}

impl Lines {
    /// Takes some bytes.
    ///
    /// # Errors
    /// When the line that was begun grows beyond what any event can be.
    pub(super) fn feed(&mut self, part: &[u8]) -> Result<(), Failure> {
        if self.buffer.len() + part.len() > 2 * MOST {
            return Err(Failure::Lost(format!("a line longer than {MOST} bytes")));
        }
        self.buffer.extend_from_slice(part);
        Ok(())
    }

    /// The next whole line, without its line feed.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched + end + 1);
        self.searched = 0;
        line.truncate(line.len() - 1);
        Some(line.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(text: &'static str) -> Control {
        match read(Bytes::from_static(text.as_bytes())) {
            Ok(Message::Control { control, document }) => {
                assert_eq!(document.unwrap(), text);
                control
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn controls_are_known() {
        let cursor = Control::Cursor("e-1".to_owned());
        assert_eq!(control(r#"{"control":"hello","cursor":"e-1"}"#), cursor);
        assert_eq!(control(r#"{"control":"cursor","cursor":"e-1"}"#), cursor);
        assert_eq!(control(r#"{"control":"ack","ref":1,"cursor":"e-1"}"#), cursor);
        assert_eq!(control(r#"{"control":"expiring","at":"…"}"#), Control::Other);
        let after = Control::Reconnect(Duration::from_millis(1500));
        assert_eq!(control(r#"{"control":"reconnect","after_ms":1500}"#), after);
        let gap = Gap { from: "e-1".into(), to: "e-9".into(), reason: "evicted".into() };
        let text = r#"{"control":"gap","from":"e-1","to":"e-9","reason":"evicted"}"#;
        assert_eq!(control(text), Control::Gap(gap));
    }

    #[test]
    fn an_error_control_is_a_failure() {
        let text = r#"{"control":"error","ref":1,"type":"/x","title":"Bad","status":400,"field":"topic"}"#;
        let Err(Failure::Refused(problem)) = read(Bytes::from_static(text.as_bytes())) else {
            panic!("not refused");
        };
        assert_eq!(problem.to_string(), "400 Bad (field topic)");
        let text = r#"{"control":"error","title":"Draining","status":503}"#;
        assert!(matches!(read(Bytes::from_static(text.as_bytes())), Err(Failure::Unavailable { .. })));
    }

    #[test]
    fn an_event_keeps_its_bytes_whatever_its_data_holds() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        for data in [deep.as_str(), r#"{"control":"gap"}"#, r#""\ud800""#, "1e400", r#"{"id":"x","id":"y"}"#]
        {
            let text = format!(r#"{{"id":"e-1","topic":"a","type":"t","time":"…","data":{data}}}"#);
            let document = Bytes::from(text);
            let expected = Message::Event { id: "e-1".to_owned(), document: document.clone() };
            assert_eq!(read(document), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["<html>", "{}", "[]", ""] {
            assert!(matches!(read(Bytes::from_static(text.as_bytes())), Err(Failure::Refused(_))), "{text}");
        }
    }

    #[test]
    fn lines_are_whole_wherever_the_parts_are_cut() {
        let text = b"ab\n\ncde\nf";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let mut read = Vec::new();
            for part in [&text[..cut], &text[cut..]] {
                lines.feed(part).unwrap();
                read.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(read, ["ab", "", "cde"], "cut at {cut}");
        }
    }
}
