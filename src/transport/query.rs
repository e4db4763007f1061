//! What a subscriber asks for: the same fields for every transport, in the query or in a form.

use std::{borrow::Cow, time::Duration};

use serde_json::{Value, json};

use super::Transport;
use crate::{
    bus::reader::Position,
    config::Config,
    error::Problem,
    event::Cursor,
    fields::{Fields, out_of},
    ledger::account::{MAX_ID, is_id},
    topic::{Pattern, Subscription},
};

/// The longest `Last-Event-ID` that is repeated, in bytes. A cursor has 34 at most.
const MAX_PRESENTED: usize = 255;
/// Events in an answer.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=1000;
/// The same, where the request does not say.
const LIMIT: usize = 100;
/// Events of each topic to begin with.
const LASTS: std::ops::RangeInclusive<usize> = 1..=100_000;
/// Seconds between heartbeats.
const HEARTBEATS: std::ops::RangeInclusive<f64> = 5.0..=60.0;
/// Seconds that a long poll may wait.
const TIMEOUTS: std::ops::RangeInclusive<f64> = 0.0..=60.0;

/// A request for events.
#[derive(Clone, Debug)]
pub struct Query {
    /// The topics and patterns.
    pub subscription: Subscription,
    /// Where to begin.
    pub position: Position,
    /// The most events in an answer.
    pub limit: usize,
    /// How long a long poll waits.
    pub timeout: Duration,
    /// Up to which place.
    pub until: Option<Cursor>,
    /// How long a stream is silent before a heartbeat.
    pub heartbeat: Duration,
    /// On whose account of the ledger it is.
    pub client: Option<String>,
}

impl Query {
    /// Reads the fields of a request to a transport: of its query, and of its form if it has one.
    /// `presented` is the header `Last-Event-ID`, which beats `after` and `last` (an EventSource sends
    /// its URL again with whatever it held).
    ///
    /// # Errors
    /// A [`Problem`] naming the field that is unknown, repeated, missing, or that cannot be read.
    pub fn parse(
        transport: &dyn Transport,
        parts: [&str; 2],
        presented: Option<&[u8]>,
        config: &Config,
    ) -> Result<Self, Problem> {
        let mut fields = Fields::split(transport.name(), transport.fields(), parts)?;
        let topics = fields.take_all("topic");
        let query = Self {
            subscription: subscription(topics.iter().map(AsRef::as_ref), config.max_topics)?,
            position: fields.position(presented.filter(|text| !text.is_empty()))?,
            limit: fields.number("limit", LIMITS)?.unwrap_or(LIMIT),
            timeout: fields.seconds("timeout", TIMEOUTS)?.unwrap_or(config.longpoll_timeout),
            until: fields.cursor("until")?,
            heartbeat: fields.seconds("heartbeat", HEARTBEATS)?.unwrap_or(config.heartbeat),
            client: client(&mut fields)?,
        };
        if query.until.is_some() && !matches!(query.position, Position::After(_) | Position::Earliest) {
            return Err(Problem::invalid("until", "it needs 'after' to say from where"));
        }
        Ok(query)
    }
}

/// What a field may hold, as a JSON schema, and what it is for.
///
/// # Panics
/// For a field that no transport has.
pub fn described(field: &str, config: &Config) -> (Value, &'static str) {
    let seconds = |range: &std::ops::RangeInclusive<f64>, default: Duration| json!({"type": "number", "minimum": range.start(), "maximum": range.end(), "default": default.as_secs_f64()});
    let cursor = json!({"type": "string"});
    match field {
        "topic" => (json!({"type": "string"}), "A topic or pattern; repeatable."),
        "after" => (cursor, "A cursor, or `earliest`. Without it, and without `last`: from the next event."),
        "last" => (
            json!({"type": "integer", "minimum": LASTS.start(), "maximum": LASTS.end()}),
            "The newest events of each topic, then on. Excludes `after`.",
        ),
        "limit" => (
            json!({"type": "integer", "minimum": LIMITS.start(), "maximum": LIMITS.end(), "default": LIMIT}),
            "Events in an answer.",
        ),
        "until" => (cursor, "A cursor: events up to it. Needs `after`."),
        "timeout" => (seconds(&TIMEOUTS, config.longpoll_timeout), "Seconds to wait."),
        "client" => client_described(),
        "heartbeat" => (seconds(&HEARTBEATS, config.heartbeat), "Seconds of silence before a heartbeat."),
        _ => panic!("no transport has a field {field:?}"),
    }
}

/// What `client` may hold, as a JSON schema, and what it is for.
pub fn client_described() -> (Value, &'static str) {
    let pattern = format!("^[A-Za-z0-9_.-]{{1,{MAX_ID}}}$");
    (json!({"type": "string", "pattern": pattern}), "On whose account of the ledger the request is.")
}

/// Reads a list of topics and patterns.
///
/// # Errors
/// A [`Problem`] with the field `topic`.
pub fn subscription<'a>(
    texts: impl Iterator<Item = &'a str>,
    max_topics: usize,
) -> Result<Subscription, Problem> {
    let mut subscription = Subscription::default();
    for text in texts {
        subscription.insert(pattern(text)?);
        if subscription.len() > max_topics {
            return Err(Problem::invalid("topic", format!("more than {max_topics} topics and patterns")));
        }
    }
    Ok(subscription)
}

/// Reads one topic or pattern.
///
/// # Errors
/// A [`Problem`] with the field `topic`.
pub fn pattern(text: &str) -> Result<Pattern, Problem> {
    let pattern =
        Pattern::parse(text).map_err(|error| Problem::invalid("topic", format!("{text:?}: {error}")))?;
    // Whoever does not know the name of an account is not to learn it here.
    if pattern.is_reserved() && pattern.as_str().contains('*') {
        let detail =
            format!("{text:?}: topics of the gateway's own are asked for by name, without a wildcard");
        return Err(Problem::invalid("topic", detail));
    }
    Ok(pattern)
}

/// Reads on whose account of the ledger a request is.
///
/// # Errors
/// A [`Problem`] with the field `client`.
pub fn client(fields: &mut Fields<'_>) -> Result<Option<String>, Problem> {
    match fields.take("client") {
        Some(id) if !is_id(&id) => {
            let detail = format!("it must be 1 to {MAX_ID} of A-Z, a-z, 0-9, '_', '.' and '-'");
            Err(Problem::invalid("client", detail))
        }
        id => Ok(id.map(Cow::into_owned)),
    }
}

/// Reads where to begin from the two fields that may say it.
///
/// # Errors
/// A [`Problem`] with the field `after` or `last`.
pub fn position(after: Option<&str>, last: Option<usize>) -> Result<Position, Problem> {
    match (after, last) {
        (Some(_), Some(_)) => Err(Problem::invalid("last", "'after' and 'last' exclude each other")),
        (None, None) => Ok(Position::Now),
        (None, Some(count)) if LASTS.contains(&count) => Ok(Position::Last(count)),
        (None, Some(_)) => Err(Problem::invalid("last", out_of(LASTS))),
        (Some("earliest"), None) => Ok(Position::Earliest),
        (Some(after), None) => match after.parse() {
            Ok(cursor) => Ok(Position::After(cursor)),
            Err(error) => Err(Problem::invalid("after", format!("{error}, nor 'earliest'"))),
        },
    }
}

impl Fields<'_> {
    fn position(&mut self, presented: Option<&[u8]>) -> Result<Position, Problem> {
        let (after, last) = (self.take("after"), self.take("last"));
        if let Some(presented) = presented {
            let text = std::str::from_utf8(presented).ok().filter(|text| text.len() <= MAX_PRESENTED);
            return Ok(Position::Presented(text.unwrap_or("unreadable").to_owned()));
        }
        let last = last.map(|last| last.parse().map_err(|_| Problem::invalid("last", out_of(LASTS))));
        position(after.as_deref(), last.transpose()?)
    }

    fn cursor(&mut self, name: &'static str) -> Result<Option<Cursor>, Problem> {
        let text = self.take(name);
        text.map(|text| text.parse().map_err(|error| Problem::invalid(name, format!("{error}")))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{chunked::Chunked, longpoll::Longpoll, poll::Poll};

    fn parse(transport: &dyn Transport, query: &str) -> Result<Query, Problem> {
        Query::parse(transport, [query, ""], None, &Config::default())
    }

    #[test]
    fn every_field_is_read() {
        let query = parse(&Poll, "topic=a%2Fb&topic=c/*&after=z-7&limit=3&until=z-9").unwrap();
        assert_eq!(query.subscription.len(), 2);
        assert_eq!(query.position, Position::After("z-7".parse().unwrap()));
        assert_eq!((query.limit, query.until), (3, "z-9".parse().ok()));
        assert_eq!(parse(&Longpoll, "topic=a&timeout=0.25").unwrap().timeout, Duration::from_millis(250));
        assert_eq!(parse(&Chunked, "topic=a+b&heartbeat=5").unwrap().heartbeat, Duration::from_secs(5));
        assert_eq!(parse(&Chunked, "topic=a&last=2").unwrap().position, Position::Last(2));
        assert_eq!(parse(&Poll, "topic=a&client=A_b.c-9").unwrap().client.as_deref(), Some("A_b.c-9"));
    }

    #[test]
    fn every_fault_names_its_field() {
        for (query, field) in [
            ("topic=a//b", "topic"),
            ("topic=%ff", "topic"),
            ("topic=%4", "topic"),
            ("topic=%zz", "topic"),
            ("topic=a&topics=b", "topics"),
            ("topic=a&heartbeat=9", "heartbeat"),
            ("topic=a&after=x", "after"),
            ("topic=a&after=z-1&after=z-1", "after"),
            ("topic=a&last=0", "last"),
            ("topic=a&last=x", "last"),
            ("topic=a&after=z-1&last=1", "last"),
            ("topic=a&limit=0", "limit"),
            ("topic=a&limit=1001", "limit"),
            ("topic=a&until=z-1", "until"),
            ("topic=a&after=z-1&until=", "until"),
            ("topic=a&%ff=1", "%ff"),
            ("topic=a&client=", "client"),
            ("topic=a&client=a%20b", "client"),
            ("topic=a&client=a&client=a", "client"),
        ] {
            assert_eq!(parse(&Poll, query).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
        for timeout in ["61", "-1", "x", "nan", "inf", "1e1", ""] {
            let query = format!("topic=a&timeout={timeout}");
            assert_eq!(parse(&Longpoll, &query).unwrap_err().field.as_deref(), Some("timeout"));
        }
    }

    #[test]
    fn what_a_browser_presents_beats_what_its_url_says() {
        let read = |presented: &[u8]| {
            let parts = ["topic=a&last=3", ""];
            Query::parse(&Chunked, parts, Some(presented), &Config::default()).unwrap().position
        };
        assert_eq!(read(b"z-7"), Position::Presented("z-7".into()));
        assert_eq!(read(b"\xff"), Position::Presented("unreadable".into()));
        assert_eq!(read(b""), Position::Last(3));
    }
}
