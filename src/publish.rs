//! Publishing: from what a publisher sent to events in the log, all of them or none.

use std::{sync::Arc, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    bus::{Bus, Refusal, idempotency::Key},
    error::{Code, Problem},
    event::{Cursor, Data, Draft, OCTET_STREAM, base64, json},
    metrics::Metrics,
    topic::Topic,
};

/// The longest event type, in bytes.
const MAX_KIND: usize = 255;
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;
/// Memory for the events of one batch, whatever they are made from: its lines may be as short as `1`, and each of them
/// becomes an event with a topic and a time.
const BATCH: usize = 16 << 20;
/// What an event takes before it is in the log, beside its document.
const DRAFT: usize = 64;
/// When to try again what came while the gateway went.
const RETRY: Duration = Duration::from_secs(2);

/// The one way into the bus, for HTTP, for WebSocket and for the process itself.
#[derive(Clone, Debug)]
pub struct Publisher {
    bus: Arc<Bus>,
    began: Instant,
    max_event: u64,
    metrics: Arc<Metrics>,
}

impl Publisher {
    /// A publisher to a bus that begins now.
    pub fn new(bus: Arc<Bus>, max_event: ByteSize, metrics: Arc<Metrics>) -> Self {
        Self { bus, began: Instant::now(), max_event: max_event.as_u64(), metrics }
    }

    /// The time since the log began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Publishes all the drafts, or finds the answer that the key was given before.
    ///
    /// # Errors
    /// [`Code::IdempotencyMismatch`] if the key was used for another content, [`Code::Unavailable`] once the
    /// gateway goes.
    pub fn publish(&self, drafts: Vec<Draft>, key: Option<Key>) -> Result<Vec<Cursor>, Problem> {
        let (events, bytes) = (drafts.len() as u64, drafts.iter().map(|draft| draft.len() as u64).sum());
        let published = self.bus.publish(drafts, key, self.now()).map_err(|refusal| match refusal {
            Refusal::Mismatch(mismatch) => {
                Problem::new(Code::IdempotencyMismatch, mismatch.to_string()).at("Idempotency-Key")
            }
            Refusal::Closed => Problem::new(Code::Unavailable, refusal.to_string()).retry_after(RETRY),
        })?;
        if published.is_new {
            self.metrics.events.inc_by(events);
            self.metrics.event_bytes.inc_by(bytes);
        }
        Ok(published.cursors)
    }

    /// Publishes an event of the gateway's own, unless it goes. It is no one's publish, and is not counted as one.
    pub fn tell(&self, topic: Topic, json: &[u8]) {
        let draft = Draft::new(topic, None, &wall_clock(), Data::Json(json));
        _ = self.bus.publish(vec![draft], None, self.now());
    }

    /// An event for one topic.
    ///
    /// # Errors
    /// A [`Problem`] naming `topic`, `type` or `body`.
    pub fn draft(&self, topic: &str, kind: Option<&str>, content: Content<'_>) -> Result<Draft, Problem> {
        let topic = publishable(topic)?;
        let kind = kind.map(checked_kind).transpose()?;
        if content.len() as u64 > self.max_event {
            let detail = format!("the event is larger than {} bytes", self.max_event);
            return Err(Problem::new(Code::TooLarge, detail).at("body"));
        }
        let time = wall_clock();
        Ok(match content {
            Content::Json(bytes) => {
                let json =
                    json(bytes).map_err(|error| Problem::invalid("body", format!("not JSON: {error}")))?;
                Draft::new(topic, kind, &time, Data::Json(&json))
            }
            Content::Text(bytes) => {
                let text = std::str::from_utf8(bytes)
                    .map_err(|error| Problem::invalid("body", format!("not UTF-8: {error}")))?;
                Draft::new(topic, kind, &time, Data::Text(text))
            }
            Content::Binary(media_type, bytes) => {
                Draft::new(topic, kind, &time, Data::Binary(media_type, bytes))
            }
        })
    }

    /// A batch of NDJSON: with a topic each line is the data of an event for it, without one each line is
    /// an object with the event's `topic`, `type` and `data`. Blank lines are none.
    ///
    /// # Errors
    /// A [`Problem`] naming the line.
    pub fn batch(&self, topic: Option<&str>, kind: Option<&str>, body: &[u8]) -> Result<Vec<Draft>, Problem> {
        let mut drafts = Vec::new();
        let mut room = BATCH.max(16 * body.len());
        for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let draft = match topic {
                Some(topic) => self.draft(topic, kind, Content::Json(line)),
                None => self.line(kind, line),
            };
            let draft = draft.map_err(|problem| in_line(problem, at + 1))?;
            room = room.checked_sub(draft.len() + DRAFT).ok_or_else(|| {
                let detail = "the events of the batch take too much memory by then: send fewer at a time";
                in_line(Problem::new(Code::TooLarge, detail).at("body"), at + 1)
            })?;
            drafts.push(draft);
        }
        match drafts.is_empty() {
            true => Err(Problem::invalid("body", "the batch has no event")),
            false => Ok(drafts),
        }
    }

    fn line(&self, kind: Option<&str>, line: &[u8]) -> Result<Draft, Problem> {
        let line: Line<'_> = serde_json::from_slice(line)
            .map_err(|error| Problem::invalid("body", format!("not an event: {error}")))?;
        let kind = line.kind.as_deref().or(kind);
        match (line.data, line.data_base64) {
            (Some(data), None) if line.datacontenttype.is_none() => {
                self.draft(&line.topic, kind, Content::Json(data.get().as_bytes()))
            }
            (None, Some(data)) => {
                let data = base64(&data).map_err(|error| Problem::invalid("data_base64", error))?;
                let media_type = line.datacontenttype.as_deref().unwrap_or(OCTET_STREAM);
                self.draft(&line.topic, kind, Content::Binary(media_type, &data))
            }
            (Some(_), None) => {
                Err(Problem::invalid("datacontenttype", "it goes with data_base64; data is always JSON"))
            }
            (None, None) => Err(Problem::invalid("data", "it is missing")),
            (Some(_), Some(_)) => {
                Err(Problem::invalid("data", "'data' and 'data_base64' exclude each other"))
            }
        }
    }
}

/// What a publisher sent as the content of one event.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A JSON value.
    Json(&'a [u8]),
    /// A text, which should be UTF-8.
    Text(&'a [u8]),
    /// Anything, with its media type.
    Binary(&'a str, &'a [u8]),
}

impl Content<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Json(bytes) | Self::Text(bytes) | Self::Binary(_, bytes) => bytes.len(),
        }
    }
}

/// A line of a batch that names its topic itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    topic: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    datacontenttype: Option<String>,
}

/// A member that is there, though its value may be `null`.
fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// An idempotency key as it was sent, checked.
///
/// # Errors
/// A [`Problem`] with this field.
pub fn checked_key<'a>(key: &'a str, field: &'static str) -> Result<&'a str, Problem> {
    match key.len() {
        1..=MAX_KEY if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(key),
        _ => Err(Problem::invalid(field, format!("it must be 1 to {MAX_KEY} visible ASCII characters"))),
    }
}

fn checked_kind(kind: &str) -> Result<&str, Problem> {
    match kind.len() {
        1..=MAX_KIND if !kind.chars().any(char::is_control) => Ok(kind),
        _ => Err(Problem::invalid(
            "type",
            format!("it must be 1 to {MAX_KIND} bytes without control characters"),
        )),
    }
}

fn publishable(topic: &str) -> Result<Topic, Problem> {
    let topic =
        Topic::parse(topic).map_err(|error| Problem::invalid("topic", format!("{topic:?}: {error}")))?;
    if topic.is_reserved() {
        let detail = "topics that begin with '$' are the gateway's own";
        return Err(Problem::new(Code::NotAllowed, detail).at("topic"));
    }
    Ok(topic)
}

fn in_line(mut problem: Problem, line: usize) -> Problem {
    problem.detail = format!("line {line}: {}", problem.detail).into();
    problem
}

/// The time of day (RFC 3339, microseconds, UTC). It informs; nothing is ordered by it.
pub(crate) fn wall_clock() -> String {
    humantime::format_rfc3339_micros(std::time::SystemTime::now()).to_string()
}
