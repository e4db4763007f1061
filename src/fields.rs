//! The fields of a request: its query, and its form if it has one.

use std::{borrow::Cow, fmt::Display, ops::RangeInclusive, time::Duration};

use percent_encoding::percent_decode_str;

use crate::error::Problem;

/// The field that may be given more than once.
const REPEATABLE: &str = "topic";

/// The fields of one request, decoded, in the order in which they stand.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// Splits the parts of a request to `endpoint`, which takes only the `known` fields.
    ///
    /// # Errors
    /// A [`Problem`] naming the field that is unknown, repeated or broken.
    pub fn split(endpoint: &str, known: &[&str], parts: [&'a str; 2]) -> Result<Self, Problem> {
        let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for pair in parts.into_iter().flat_map(|part| part.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let broken = |name: &str, part| {
                Problem::invalid(printable(name), format!("this {part} is not percent-encoded UTF-8"))
            };
            let name = decode(name).ok_or_else(|| broken(name, "name"))?;
            let value = decode(value).ok_or_else(|| broken(&name, "value"))?;
            if !known.contains(&&*name) {
                let detail = format!("{endpoint} takes only {}", known.join(", "));
                return Err(Problem::invalid(printable(&name), detail));
            }
            if name != REPEATABLE && fields.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid(printable(&name), "it may be given once only"));
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    /// Takes every value of a field.
    pub fn take_all(&mut self, name: &str) -> Vec<Cow<'a, str>> {
        self.0.extract_if(.., |(held, _)| held == name).map(|(_, value)| value).collect()
    }

    /// Takes the value of a field.
    pub fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.take_all(name).pop()
    }

    /// Takes a whole number.
    ///
    /// # Errors
    /// A [`Problem`] with this field.
    pub fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(Problem::invalid(name, out_of(range))),
        }
    }

    /// Takes a number of seconds, which may have a fraction.
    ///
    /// # Errors
    /// A [`Problem`] with this field.
    pub fn seconds(
        &mut self,
        name: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match text.parse() {
            Ok(seconds) if plain && range.contains(&seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
            _ => Err(Problem::invalid(name, out_of(range) + " of seconds")),
        }
    }
}

/// What is said of a number outside its range.
pub fn out_of<T: Display>(range: RangeInclusive<T>) -> String {
    format!("it must be a number from {} to {}", range.start(), range.end())
}

/// Decodes a name or a value (WHATWG URL, `application/x-www-form-urlencoded`), unless its escapes are
/// broken or hide something that is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let whole =
        |escape: &str| escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(whole) {
        return None;
    }
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// A name from outside, as it may be repeated in an answer.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
