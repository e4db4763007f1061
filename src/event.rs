//! The event and its place in a log.
//!
//! An event is encoded once, when it is published, into one buffer that holds what every transport
//! sends of it: its Server-Sent Events block, in which its NDJSON line and its document are slices.
//!
//! ```text
//! id: 3kq9-1042\ndata: {"id":"3kq9-1042","topic":"a/b",…,"data":7}\n\n
//!                      └───────────── document ──────────────┘
//!                      └──────────────── line ─────────────────┘
//! └─────────────────────────────── block ─────────────────────────┘
//! ```

use std::{fmt, io::Write, str::FromStr, time::Duration};

use base64::{Engine, display::Base64Display, engine::general_purpose::STANDARD};
use bytes::Bytes;
use thiserror::Error;

use crate::topic::Topic;

/// The name of one log: a random number, written in base 36 (13 characters at most).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 13];
        let mut rest = self.0;
        for at in (0..13).rev() {
            digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                return f.write_str(std::str::from_utf8(&digits[at..]).expect("base 36 is ASCII"));
            }
        }
        unreachable!("13 digits of base 36 hold a u64")
    }
}

/// One place in one log, across all topics: `<epoch>-<offset>`. It is also the id of the event there.
///
/// A cursor has exactly one spelling, so that one that was presented can be repeated byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The log.
    pub epoch: Epoch,
    /// The place: the first event has offset 1, and 0 lies before it.
    pub offset: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is no cursor (a cursor is the id of an event, or what hello or a poll told)")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, offset) = text.split_once('-').ok_or(CursorError)?;
        if epoch.len() > 13 || !epoch.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z')) {
            return Err(CursorError);
        }
        let cursor = Self {
            epoch: Epoch(u64::from_str_radix(epoch, 36).map_err(|_| CursorError)?),
            offset: offset.parse().map_err(|_| CursorError)?,
        };
        if cursor.to_string() == text { Ok(cursor) } else { Err(CursorError) }
    }
}

/// What a publisher gives as the content of an event.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// One JSON value without a raw line break, as [`json`] makes it.
    Json(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// Anything else, with its media type.
    Binary(&'a str, &'a [u8]),
}

/// An event that has everything but its place in the log.
#[derive(Clone, Debug)]
pub struct Draft {
    topic: Topic,
    /// The document from behind the id on.
    tail: Vec<u8>,
    /// How long the value of its data is there.
    payload: u32,
}

impl Draft {
    /// Encodes an event for `topic`, of type `kind`, published at `time` (RFC 3339).
    pub fn new(topic: Topic, kind: Option<&str>, time: &str, data: Data<'_>) -> Self {
        let mut tail = Vec::with_capacity(128 + topic.as_str().len() + data.encoded_len());
        tail.extend_from_slice(b",\"topic\":");
        quote(&mut tail, topic.as_str());
        if let Some(kind) = kind {
            tail.extend_from_slice(b",\"type\":");
            quote(&mut tail, kind);
        }
        tail.extend_from_slice(b",\"time\":");
        quote(&mut tail, time);
        let begins = match data {
            Data::Json(json) => {
                tail.extend_from_slice(b",\"data\":");
                let begins = tail.len();
                tail.extend_from_slice(json);
                begins
            }
            Data::Text(text) => {
                tail.extend_from_slice(b",\"data\":");
                let begins = tail.len();
                quote(&mut tail, text);
                begins
            }
            Data::Binary(media_type, bytes) => {
                tail.extend_from_slice(b",\"datacontenttype\":");
                quote(&mut tail, media_type);
                tail.extend_from_slice(b",\"data_base64\":");
                let begins = tail.len();
                write!(tail, "\"{}\"", Base64Display::new(bytes, &STANDARD)).expect("a Vec takes every byte");
                begins
            }
        };
        let payload = (tail.len() - begins) as u32;
        tail.push(b'}');
        Self { topic, tail, payload }
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// How many bytes of its document are the value of `data`, or of `data_base64`.
    pub fn payload(&self) -> usize {
        self.payload as usize
    }

    /// The bytes of its document but for the id.
    #[expect(clippy::len_without_is_empty, reason = "a document is never empty")]
    pub fn len(&self) -> usize {
        self.tail.len()
    }
}

impl Data<'_> {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Json(json) => json.len(),
            Self::Text(text) => text.len() + text.len() / 8,
            Self::Binary(_, bytes) => bytes.len().div_ceil(3) * 4,
        }
    }
}

/// Takes one JSON value (RFC 8259) as it was sent: only the whitespace around it goes, and its line
/// breaks (which can stand only between its tokens) become spaces, so that it fits one line.
///
/// # Errors
/// What the parser found, in words.
pub fn json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let value: &serde_json::value::RawValue =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut value = value.get().as_bytes().to_vec();
    for byte in &mut value {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(value)
}

/// Appends `text` as a JSON string.
pub fn quote(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a Vec takes every byte");
}

/// A published event: encoded, immutable, shared by all who receive it.
#[derive(Debug)]
pub struct Event {
    offset: u64,
    topic: Topic,
    published: Duration,
    block: Bytes,
    document: u32,
    payload: u32,
}

impl Event {
    /// Gives a draft its place. `published` is the monotonic time since the log began.
    pub fn new(cursor: Cursor, draft: Draft, published: Duration) -> Self {
        let mut block = Vec::with_capacity(draft.tail.len() + 84);
        write!(block, "id: {cursor}\ndata: ").expect("a Vec takes every byte");
        let document = block.len() as u32;
        write!(block, "{{\"id\":\"{cursor}\"").expect("a Vec takes every byte");
        block.extend_from_slice(&draft.tail);
        block.extend_from_slice(b"\n\n");
        let Draft { topic, payload, .. } = draft;
        Self { offset: cursor.offset, topic, published, block: block.into(), document, payload }
    }

    /// Its place in the log.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its topic.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// When it was published, since the log began.
    pub fn published(&self) -> Duration {
        self.published
    }

    /// The event document: one JSON object without a raw line break.
    pub fn document(&self) -> &[u8] {
        &self.block[self.document as usize..self.block.len() - 2]
    }

    /// How many bytes of the document are the value of `data`, or of `data_base64`.
    pub fn payload(&self) -> usize {
        self.payload as usize
    }

    /// The document as a line of NDJSON.
    pub fn line(&self) -> &[u8] {
        &self.block[self.document as usize..self.block.len() - 1]
    }

    /// The event as a block of Server-Sent Events.
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// What the event costs in memory, in bytes: its encoding, and its share of the log's index.
    pub fn footprint(&self) -> u64 {
        const INDEX: usize = 160;
        (self.block.len() + INDEX) as u64
    }
}

/// The media type of binary data when nothing better is known (RFC 2046, 4.5.1).
pub const OCTET_STREAM: &str = "application/octet-stream";

/// Reads base64 (RFC 4648, 4) as [`Data::Binary`] is written.
///
/// # Errors
/// What is wrong, in words.
pub fn base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(kind: Option<&str>, data: Data<'_>) -> Event {
        let draft = Draft::new(Topic::parse("a/b").unwrap(), kind, "2026-11-22T09:31:02.123456Z", data);
        Event::new(Cursor { epoch: Epoch(35), offset: 7 }, draft, Duration::ZERO)
    }

    #[test]
    fn a_document_is_what_the_design_says() {
        let event = event(Some("t"), Data::Json(b"{\"x\": 1}"));
        assert_eq!(
            std::str::from_utf8(event.block()).unwrap(),
            "id: z-7\ndata: {\"id\":\"z-7\",\"topic\":\"a/b\",\"type\":\"t\",\
             \"time\":\"2026-11-22T09:31:02.123456Z\",\"data\":{\"x\": 1}}\n\n"
        );
        assert_eq!(event.line(), [event.document(), b"\n"].concat());
        assert!(event.document().starts_with(b"{\"id\"") && event.document().ends_with(b"}"));
        assert_eq!(event.payload(), b"{\"x\": 1}".len());
    }

    #[test]
    fn binary_data_names_its_type() {
        let event = event(None, Data::Binary("image/png", &[0, 255, 7]));
        assert!(event.document().ends_with(b",\"datacontenttype\":\"image/png\",\"data_base64\":\"AP8H\"}"));
        assert_eq!(event.payload(), b"\"AP8H\"".len());
    }

    #[test]
    fn json_is_taken_as_sent_but_on_one_line() {
        assert_eq!(
            json(b" {\"a\":\r\n 1.50,\n\"a\":\"\\ud800\\n\"} \n").unwrap(),
            b"{\"a\":   1.50, \"a\":\"\\ud800\\n\"}"
        );
        assert!(json(&[b"[".repeat(32_000), b"]".repeat(32_000)].concat()).is_ok());
        for bad in [&b""[..], b"{", b"1 2", b"\"a\nb\"", b"\xef\xbb\xbf1", b"\"\xff\"", b"NaN"] {
            assert!(json(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cursor_has_one_spelling() {
        for text in ["z-7", "0-0", "3w5e11264sgsf-18446744073709551615"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "-",
            "z",
            "z-",
            "-7",
            "Z-7",
            "0z-7",
            "z-07",
            "z-+7",
            "+z-7",
            "z-7 ",
            "z-7-7",
            "3w5e11264sgsg-1",
            "z-18446744073709551616",
            "aaaaaaaaaaaaaa-1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn cursors_go_there_and_back(epoch: u64, offset: u64) {
            let cursor = Cursor { epoch: Epoch(epoch), offset };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_stays_itself_on_one_line(text in any::<String>()) {
            let event = event(None, Data::Text(&text));
            prop_assert!(!event.document().iter().any(|b| matches!(b, b'\n' | b'\r')));
            let document: serde_json::Value = serde_json::from_slice(event.document()).unwrap();
            prop_assert_eq!(document["data"].as_str(), Some(text.as_str()));
        }
    }
}
