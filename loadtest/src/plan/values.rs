//! What may stand in a plan: one value or several, and what is wrong with those that may not.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        Error, SeqAccess, Unexpected, Visitor,
        value::{BoolDeserializer, F64Deserializer, I64Deserializer, SeqAccessDeserializer, StrDeserializer},
    },
};

use crate::results::{Pattern, Transport};

/// One value, or several.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    /// All of them.
    pub(super) fn list(&self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value.clone()],
            Self::Many(values) => values.clone(),
        }
    }
}

/// A duration as `40ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(#[serde(with = "humantime_serde")] pub Duration);

/// What a plan's value may be.
pub trait Allowed {
    /// The same in words, for who wrote something else.
    const WORDS: &'static str;
}

impl Allowed for usize {
    const WORDS: &'static str = "a whole number that is not negative";
}

impl Allowed for f64 {
    const WORDS: &'static str = "a number";
}

impl Allowed for String {
    const WORDS: &'static str = "a name";
}

impl Allowed for Transport {
    const WORDS: &'static str = "a transport (poll, longpoll, chunked, sse, websocket)";
}

impl Allowed for Pattern {
    const WORDS: &'static str = "a pattern of load (steady, burst, idle, storm, slow, churn)";
}

impl Allowed for Time {
    const WORDS: &'static str = "a time such as \"40ms\" or \"1s\"";
}

/// An untagged enumeration would forget what was wrong with either.
impl<'de, T: Deserialize<'de> + Allowed> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either(PhantomData))
    }
}

struct Either<T>(PhantomData<T>);

impl<T: Allowed> Either<T> {
    fn allowed<E: Error>(error: &E) -> E {
        let error = error.to_string();
        let error = error.trim_end();
        // Of an enumeration serde says it already.
        if error.contains("expected one of") {
            return E::custom(error);
        }
        E::custom(format_args!("{error}: what may stand here is {}, or a list of such", T::WORDS))
    }
}

impl<'de, T: Deserialize<'de> + Allowed> Visitor<'de> for Either<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, or a list of such", T::WORDS)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        let one = T::deserialize(BoolDeserializer::<E>::new(value));
        one.map(OneOrMany::One).map_err(|_| E::invalid_type(Unexpected::Bool(value), &self))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        T::deserialize(I64Deserializer::<E>::new(value)).map(OneOrMany::One).map_err(|e| Self::allowed(&e))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        T::deserialize(F64Deserializer::<E>::new(value)).map(OneOrMany::One).map_err(|e| Self::allowed(&e))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        T::deserialize(StrDeserializer::<E>::new(value)).map(OneOrMany::One).map_err(|e| Self::allowed(&e))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        let many = Vec::deserialize(SeqAccessDeserializer::new(values));
        many.map(OneOrMany::Many).map_err(|e| Self::allowed(&e))
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Plan;

    /// What is said of a line in a matrix.
    fn said(line: &str) -> String {
        Plan::parse(&format!("[[cells]]\n{line}\n")).unwrap_err()
    }

    #[test]
    fn a_value_that_may_not_be_is_named_and_what_may_be_too() {
        for (line, wrong, allowed) in [
            ("subscribers = -1", "integer `-1`", "a whole number that is not negative, or a list of such"),
            (
                "subscribers = [10, -1]",
                "integer `-1`",
                "a whole number that is not negative, or a list of such",
            ),
            ("subscribers = 1.5", "floating point `1.5`", "a whole number that is not negative"),
            ("payload = -5", "integer `-5`", "a whole number that is not negative"),
            ("rtt = \"1e99s\"", "1e99s", "a time such as \"40ms\" or \"1s\", or a list of such"),
            ("rtt = 40", "integer `40`", "a time such as \"40ms\""),
            ("transport = \"smoke\"", "`smoke`", "one of `poll`, `longpoll`, `chunked`, `sse`, `websocket`"),
            (
                "transport = [\"sse\", \"smoke\"]",
                "`smoke`",
                "one of `poll`, `longpoll`, `chunked`, `sse`, `websocket`",
            ),
            ("pattern = \"calm\"", "`calm`", "one of `steady`, `burst`, `idle`, `storm`, `slow`, `churn`"),
            (
                "transport = 3",
                "integer `3`",
                "a transport (poll, longpoll, chunked, sse, websocket), or a list of such",
            ),
            ("rate = \"fast\"", "\"fast\"", "a number, or a list of such"),
            ("rate = true", "boolean `true`", "a number, or a list of such"),
            ("rate = { a = 1 }", "map", "a number, or a list of such"),
            ("server = 3", "integer `3`", "a name, or a list of such"),
        ] {
            let error = said(line);
            let key = line.split(' ').next().unwrap();
            assert!(
                error.contains(wrong)
                    && error.contains(allowed)
                    && error.contains(key)
                    && error.contains("line 2"),
                "{line}: {error}"
            );
            assert!(!error.contains("untagged"), "{line}: {error}");
        }
    }

    #[test]
    fn words_name_all_that_there_is() {
        use super::{Allowed, Pattern, Transport};
        for transport in Transport::ALL {
            assert!(Transport::WORDS.contains(transport.name()), "{transport:?}");
        }
        let other = serde_json::from_value::<Pattern>("calm".into()).unwrap_err().to_string();
        let names = other.split('`').skip(3).step_by(2);
        assert!(
            names.clone().count() > 3 && names.clone().all(|name| Pattern::WORDS.contains(name)),
            "{other}"
        );
    }
}
