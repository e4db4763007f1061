//! What a line is told to be like.

use std::{ops::RangeInclusive, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{error::Problem, topic::Topic};

/// The longest round trip, in milliseconds.
const MAX_RTT_MS: u64 = 5000;
/// The greatest bandwidth that is modelled, in kbit/s.
const MAX_KBPS: u64 = 1_000_000;
/// The greatest share of segments that are lost.
const MAX_LOSS: f64 = 0.5;
/// The most that a source publishes, in events per second.
const MAX_RATE: f64 = 1000.0;
/// The most events that a source publishes at once.
const MAX_BURST: u64 = 1000;
/// How large a source's event may be, in bytes of `data`. `{}` is the smallest object.
const SIZES: RangeInclusive<u64> = 2..=65_536;

/// What the connections of a line go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Conditions {
    /// The round-trip time in milliseconds, half of it each way.
    pub rtt_ms: u32,
    /// What the clients of the line share towards them, in kbit/s; 0 is no bound.
    pub down_kbps: u32,
    /// What they share towards the gateway.
    pub up_kbps: u32,
    /// The share of segments that are lost, 0 to 0.5.
    pub loss: f64,
    /// Whether a proxy holds streaming answers back until it has enough of them.
    pub buffering: bool,
    /// Whether nothing gets through.
    pub cut: bool,
}

impl Conditions {
    /// The round-trip time.
    pub fn rtt(&self) -> Duration {
        Duration::from_millis(self.rtt_ms.into())
    }
}

/// What a line's source publishes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Where to.
    pub topic: String,
    /// Events per second, on average; 0 is none.
    pub rate: f64,
    /// Bytes of `data`.
    pub size: u32,
    /// Events that are published at once.
    pub burst: u32,
}

impl Source {
    /// What the topic of a source begins with.
    pub const TOPICS: &str = "lab/";

    /// One event a second, to this topic.
    pub fn new(topic: String) -> Self {
        Self { topic, rate: 1.0, size: 200, burst: 1 }
    }
}

/// What is to change of a line: what is absent stays as it is, or begins as its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    rtt_ms: Option<u32>,
    down_kbps: Option<u32>,
    up_kbps: Option<u32>,
    loss: Option<f64>,
    buffering: Option<bool>,
    cut: Option<bool>,
    /// `Some(None)` takes the source away.
    source: Option<Option<WantedSource>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct WantedSource {
    topic: Option<String>,
    rate: Option<f64>,
    size: Option<u32>,
    burst: Option<u32>,
}

impl Wanted {
    /// Reads a JSON object; nothing at all is an empty one. No event may be larger than `max_event` bytes.
    ///
    /// # Errors
    /// A [`Problem`] naming `body`, or the member that is unknown or out of its range.
    pub fn parse(body: &[u8], max_event: u64) -> Result<Self, Problem> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let members: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid("body", format!("it is no JSON object: {error}")))?;
        let mut wanted = Self::default();
        for (name, value) in &members {
            match &**name {
                "rtt_ms" => wanted.rtt_ms = Some(integer(name, value, 0..=MAX_RTT_MS)?),
                "down_kbps" => wanted.down_kbps = Some(integer(name, value, 0..=MAX_KBPS)?),
                "up_kbps" => wanted.up_kbps = Some(integer(name, value, 0..=MAX_KBPS)?),
                "loss" => wanted.loss = Some(number(name, value, MAX_LOSS)?),
                "buffering" => wanted.buffering = Some(switch(name, value)?),
                "cut" => wanted.cut = Some(switch(name, value)?),
                "source" => wanted.source = Some(WantedSource::parse(value, max_event)?),
                _ => return Err(unknown(name, "rtt_ms, down_kbps, up_kbps, loss, buffering, cut, source")),
            }
        }
        Ok(wanted)
    }

    /// Changes what a line has. A source that is new publishes to `topic` unless it is told.
    pub fn apply(&self, conditions: &mut Conditions, source: &mut Option<Source>, topic: &str) {
        set(&mut conditions.rtt_ms, self.rtt_ms);
        set(&mut conditions.down_kbps, self.down_kbps);
        set(&mut conditions.up_kbps, self.up_kbps);
        set(&mut conditions.loss, self.loss);
        set(&mut conditions.buffering, self.buffering);
        set(&mut conditions.cut, self.cut);
        match &self.source {
            None => {}
            Some(None) => *source = None,
            Some(Some(wanted)) => {
                let source = source.get_or_insert_with(|| Source::new(topic.to_owned()));
                set(&mut source.topic, wanted.topic.clone());
                set(&mut source.rate, wanted.rate);
                set(&mut source.size, wanted.size);
                set(&mut source.burst, wanted.burst);
            }
        }
    }
}

impl WantedSource {
    fn parse(value: &Value, max_event: u64) -> Result<Option<Self>, Problem> {
        let members = match value {
            Value::Null => return Ok(None),
            Value::Object(members) => members,
            _ => return Err(Problem::invalid("source", "it must be an object, or null for none")),
        };
        let sizes = *SIZES.start()..=max_event.min(*SIZES.end());
        let mut wanted = Self::default();
        for (name, value) in members {
            let field = format!("source.{name}");
            match &**name {
                "topic" => wanted.topic = Some(topic(&field, value)?),
                "rate" => wanted.rate = Some(number(&field, value, MAX_RATE)?),
                "size" => wanted.size = Some(integer(&field, value, sizes.clone())?),
                "burst" => wanted.burst = Some(integer(&field, value, 1..=MAX_BURST)?),
                _ => return Err(unknown(&field, "topic, rate, size, burst")),
            }
        }
        Ok(Some(wanted))
    }
}

fn set<T>(value: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *value = wanted;
    }
}

fn integer(field: &str, value: &Value, range: RangeInclusive<u64>) -> Result<u32, Problem> {
    let number = value.as_u64().filter(|number| range.contains(number));
    number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| {
        let detail = format!("it must be a whole number from {} to {}", range.start(), range.end());
        Problem::invalid(field.to_owned(), detail)
    })
}

fn number(field: &str, value: &Value, most: f64) -> Result<f64, Problem> {
    let number = value.as_f64().filter(|number| (0.0..=most).contains(number));
    // -0.0 would come back as such.
    number
        .map(f64::abs)
        .ok_or_else(|| Problem::invalid(field.to_owned(), format!("it must be a number from 0 to {most}")))
}

fn switch(field: &str, value: &Value) -> Result<bool, Problem> {
    value.as_bool().ok_or_else(|| Problem::invalid(field.to_owned(), "it must be true or false"))
}

fn topic(field: &str, value: &Value) -> Result<String, Problem> {
    let refused = |detail: String| Problem::invalid(field.to_owned(), detail);
    let text = value.as_str().ok_or_else(|| refused("it must be a string".to_owned()))?;
    Topic::parse(text).map_err(|error| refused(format!("{text:?}: {error}")))?;
    match text.starts_with(Source::TOPICS) {
        true => Ok(text.to_owned()),
        false => Err(refused(format!("it must begin with {}", Source::TOPICS))),
    }
}

fn unknown(field: &str, known: &str) -> Problem {
    let field: String = field.chars().filter(|c| !c.is_control()).take(64).collect();
    Problem::invalid(field, format!("the members are {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_EVENT: u64 = 64 << 10;

    #[test]
    fn what_is_absent_stays() {
        let (mut conditions, mut source) = (Conditions::default(), None);
        let mut put = |body: &str| {
            let wanted = Wanted::parse(body.as_bytes(), MAX_EVENT).unwrap();
            wanted.apply(&mut conditions, &mut source, "lab/own");
            (conditions, source.clone())
        };
        assert_eq!(put(""), (Conditions::default(), None));
        let all = r#"{"rtt_ms":120,"down_kbps":20000,"up_kbps":1000,"loss":0.01,"buffering":true,"cut":true,
                      "source":{"topic":"lab/x","rate":2.5,"size":64,"burst":3}}"#;
        let told = Conditions {
            rtt_ms: 120,
            down_kbps: 20_000,
            up_kbps: 1000,
            loss: 0.01,
            buffering: true,
            cut: true,
        };
        let source = Source { topic: "lab/x".to_owned(), rate: 2.5, size: 64, burst: 3 };
        assert_eq!(put(all), (told, Some(source.clone())));
        assert_eq!(put(r#"{"cut":false}"#), (Conditions { cut: false, ..told }, Some(source.clone())));
        let slower = Source { rate: 0.0, ..source };
        assert_eq!(put(r#"{"source":{"rate":0}}"#).1, Some(slower));
        assert_eq!(put(r#"{"source":null}"#).1, None);
        assert_eq!(put(r#"{"source":{}}"#).1, Some(Source::new("lab/own".to_owned())));
    }

    #[test]
    fn refusals_name_the_member() {
        for (body, field) in [
            ("{", "body"),
            ("[]", "body"),
            ("7", "body"),
            (r#"{"rtt_ms":-1}"#, "rtt_ms"),
            (r#"{"rtt_ms":5001}"#, "rtt_ms"),
            (r#"{"rtt_ms":"120"}"#, "rtt_ms"),
            (r#"{"rtt_ms":1.5}"#, "rtt_ms"),
            (r#"{"rtt_ms":null}"#, "rtt_ms"),
            (r#"{"down_kbps":1000001}"#, "down_kbps"),
            (r#"{"up_kbps":-1}"#, "up_kbps"),
            (r#"{"loss":0.51}"#, "loss"),
            (r#"{"loss":-0.1}"#, "loss"),
            (r#"{"loss":"0"}"#, "loss"),
            (r#"{"buffering":1}"#, "buffering"),
            (r#"{"cut":"yes"}"#, "cut"),
            (r#"{"speed":1}"#, "speed"),
            (r#"{"source":7}"#, "source"),
            (r#"{"source":{"topic":"orders/1"}}"#, "source.topic"),
            (r#"{"source":{"topic":"lab/"}}"#, "source.topic"),
            (r#"{"source":{"topic":"lab"}}"#, "source.topic"),
            (r#"{"source":{"topic":"lab/*"}}"#, "source.topic"),
            (r#"{"source":{"topic":7}}"#, "source.topic"),
            (r#"{"source":{"rate":1000.5}}"#, "source.rate"),
            (r#"{"source":{"size":1}}"#, "source.size"),
            (r#"{"source":{"size":65537}}"#, "source.size"),
            (r#"{"source":{"burst":0}}"#, "source.burst"),
            (r#"{"source":{"burst":1001}}"#, "source.burst"),
            (r#"{"source":{"pad":1}}"#, "source.pad"),
        ] {
            let problem = Wanted::parse(body.as_bytes(), MAX_EVENT).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        }
        let small = Wanted::parse(br#"{"source":{"size":1025}}"#, 1024).unwrap_err();
        assert_eq!(small.detail, "it must be a whole number from 2 to 1024");
    }
}
