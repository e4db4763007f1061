//! What a WebSocket client may ask for on a live connection.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::query::{pattern, position};
use crate::{bus::reader::Position, error::Problem, topic::Pattern};

/// The longest `ref`, in bytes of JSON.
const MAX_REFERENCE: usize = 64;

/// One operation.
#[derive(Debug)]
pub enum Op<'a> {
    /// Topics join the subscription.
    Subscribe {
        /// Which.
        patterns: Vec<Pattern>,
        /// Where the connection begins, if this is its first subscription and it says so.
        position: Option<Position>,
    },
    /// Topics leave it.
    Unsubscribe {
        /// Which.
        patterns: Vec<Pattern>,
    },
    /// An event.
    Publish {
        /// Where to.
        topic: Cow<'a, str>,
        /// Its type.
        kind: Option<Cow<'a, str>>,
        /// Its data, as sent.
        data: &'a RawValue,
        /// Its idempotency key.
        key: Option<Cow<'a, str>>,
    },
    /// What time it is at the gateway.
    Clock,
}

/// Reads a message. Its `ref` comes first, so that a refusal can carry it.
pub fn parse(text: &str) -> (Option<&RawValue>, Result<Op<'_>, Problem>) {
    let Keys { mut keys, twice } = match serde_json::from_str(text) {
        Ok(keys) => keys,
        Err(error) => {
            let problem = Problem::invalid("body", format!("the message is no JSON object: {error}"));
            return (None, Err(problem));
        }
    };
    let reference = keys.remove("ref");
    let once = match twice {
        Some(key) => Err(Problem::invalid(printable(&key), "it may be given once only")),
        None => Ok(()),
    };
    match reference.filter(|reference| !is_reference(reference.get())) {
        Some(_) => {
            let detail = format!("it must be a string or a number of at most {MAX_REFERENCE} bytes");
            (None, Err(Problem::invalid("ref", detail)))
        }
        None => (reference, once.and_then(|()| op(keys))),
    }
}

/// The members of a message. Of one that stands there twice (RFC 8259, 4) nobody can say which is meant.
struct Keys<'a> {
    keys: BTreeMap<Cow<'a, str>, &'a RawValue>,
    twice: Option<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
                let mut keys = Keys { keys: BTreeMap::new(), twice: None };
                while let Some((key, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    if keys.keys.insert(key.clone(), value).is_some() {
                        keys.twice.get_or_insert_with(|| key.into_owned());
                    }
                }
                Ok(keys)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A key from outside, as it may be repeated in an answer.
fn printable(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn op<'a>(mut keys: BTreeMap<Cow<'a, str>, &'a RawValue>) -> Result<Op<'a>, Problem> {
    let name = text(&mut keys, "op")?.ok_or_else(|| Problem::invalid("op", "it is missing"))?;
    let op = match &*name {
        "subscribe" => {
            let last = keys.remove("last").map(|last| {
                serde_json::from_str(last.get()).map_err(|_| Problem::invalid("last", "it must be a number"))
            });
            let after = text(&mut keys, "after")?;
            let position = match (after, last.transpose()?) {
                (None, None) => None,
                (after, last) => Some(position(after.as_deref(), last)?),
            };
            Op::Subscribe { patterns: topics(&mut keys)?, position }
        }
        "unsubscribe" => Op::Unsubscribe { patterns: topics(&mut keys)? },
        "publish" => Op::Publish {
            topic: text(&mut keys, "topic")?.ok_or_else(|| Problem::invalid("topic", "it is missing"))?,
            kind: text(&mut keys, "type")?,
            data: keys.remove("data").ok_or_else(|| Problem::invalid("data", "it is missing"))?,
            key: text(&mut keys, "key")?,
        },
        "clock" => Op::Clock,
        _ => return Err(Problem::invalid("op", "it must be subscribe, unsubscribe, publish or clock")),
    };
    match keys.into_keys().next() {
        None => Ok(op),
        Some(key) => Err(Problem::invalid(printable(&key), format!("{name} does not take it"))),
    }
}

fn is_reference(json: &str) -> bool {
    json.len() <= MAX_REFERENCE && json.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
}

fn text<'a>(
    keys: &mut BTreeMap<Cow<'a, str>, &'a RawValue>,
    key: &'static str,
) -> Result<Option<Cow<'a, str>>, Problem> {
    let Some(value) = keys.remove(key) else { return Ok(None) };
    read_text(value).map(Some).ok_or_else(|| Problem::invalid(key, "it must be a string"))
}

/// A string of JSON, borrowed where it has no escapes.
fn read_text(value: &RawValue) -> Option<Cow<'_, str>> {
    match serde_json::from_str::<&str>(value.get()) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned),
    }
}

/// `topic`: one, or a list.
fn topics(keys: &mut BTreeMap<Cow<'_, str>, &RawValue>) -> Result<Vec<Pattern>, Problem> {
    let value = keys.remove("topic").ok_or_else(|| Problem::invalid("topic", "it is missing"))?;
    let texts: Vec<Cow<'_, str>> = match read_text(value) {
        Some(text) => vec![text],
        None => serde_json::from_str(value.get())
            .map_err(|_| Problem::invalid("topic", "it must be a string or a list of strings"))?,
    };
    if texts.is_empty() {
        return Err(Problem::invalid("topic", "the list is empty"));
    }
    texts.iter().map(|text| pattern(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read() {
        let (reference, op) = parse(r#"{"op":"subscribe","ref":1,"topic":["a","b/*"],"after":"earliest"}"#);
        assert_eq!(reference.unwrap().get(), "1");
        assert!(
            matches!(op, Ok(Op::Subscribe { patterns, position: Some(Position::Earliest) }) if patterns.len() == 2)
        );
        let (_, op) = parse(r#"{"op":"unsubscribe","ref":"x","topic":"a"}"#);
        assert!(matches!(op, Ok(Op::Unsubscribe { patterns }) if patterns[0].as_str() == "a"));
        let (reference, op) = parse(r#"{"op":"clock","ref":-7}"#);
        assert!(matches!(op, Ok(Op::Clock)) && reference.unwrap().get() == "-7");
        let (reference, op) =
            parse("{\"op\":\"publish\",\"topic\":\"a\",\"data\":{\"x\":\n1.50},\"type\":\"\\u0074\"}");
        assert!(reference.is_none());
        let Ok(Op::Publish { topic, kind, data, key }) = op else { panic!("{op:?}") };
        assert_eq!((&*topic, kind.as_deref(), data.get(), key), ("a", Some("t"), "{\"x\":\n1.50}", None));
    }

    #[test]
    fn refusals_name_the_key() {
        for (text, field) in [
            ("", "body"),
            ("[]", "body"),
            ("{}", "op"),
            (r#"{"op":"dance"}"#, "op"),
            (r#"{"op":7}"#, "op"),
            (r#"{"op":"subscribe"}"#, "topic"),
            (r#"{"op":"subscribe","topic":[]}"#, "topic"),
            (r#"{"op":"subscribe","topic":[7]}"#, "topic"),
            (r#"{"op":"subscribe","topic":"a//b"}"#, "topic"),
            (r#"{"op":"subscribe","topic":"a","after":7}"#, "after"),
            (r#"{"op":"subscribe","topic":"a","last":"x"}"#, "last"),
            (r#"{"op":"subscribe","topic":"a","last":1,"after":"z-1"}"#, "last"),
            (r#"{"op":"subscribe","topic":"a","x":1}"#, "x"),
            (r#"{"op":"publish","topic":"a"}"#, "data"),
            (r#"{"op":"publish","data":1}"#, "topic"),
            (r#"{"op":"publish","topic":"a","data":1,"key":1}"#, "key"),
            (r#"{"op":"clock","topic":"a"}"#, "topic"),
            (r#"{"op":"publish","topic":"a","data":1,"data":2}"#, "data"),
            (r#"{"op":"subscribe","op":"publish","topic":"a","data":2}"#, "op"),
            (r#"{"op":"subscribe","topic":"a","ref":1,"ref":2}"#, "ref"),
            (r#"{"op":"subscribe","ref":{},"topic":"a"}"#, "ref"),
            (r#"{"op":"subscribe","ref":null,"topic":"a"}"#, "ref"),
        ] {
            let (_, op) = parse(text);
            assert_eq!(op.unwrap_err().field.as_deref(), Some(field), "{text}");
        }
    }
}
