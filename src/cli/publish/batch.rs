//! What a line is published as, and how many go together.

use serde_json::value::RawValue;

use super::{
    As,
    lines::{Line, Unfit},
};

/// Events in one batch. More would gain nothing, and a topic's history holds a thousand by default.
pub(crate) const EVENTS: usize = 1000;
/// Bytes in one batch: half of what a gateway takes by default.
pub(crate) const BYTES: usize = 512 * 1024;

/// A line, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The line's number.
    pub(crate) number: u64,
    /// The event's data as JSON, without a line break.
    pub(crate) json: String,
}

/// What a line is published as: nothing for a line that is no event, or why it cannot be one.
pub(crate) fn encode(line: Line, form: As) -> Result<Option<Entry>, String> {
    let text = line.text.map_err(|unfit| match unfit {
        Unfit::TooLong(bytes) => format!("{bytes} bytes are more than --max-line"),
        Unfit::NotUtf8(byte) => format!("not UTF-8 from byte {byte} on"),
    })?;
    let json = match form {
        As::Text => string(&text),
        As::Auto => match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => raw(&text).unwrap_or_else(|_| string(&text)),
            _ => string(&text),
        },
        As::Json if text.trim().is_empty() => return Ok(None),
        As::Json => raw(&text).map_err(|error| format!("not JSON: {error}"))?,
    };
    Ok(Some(Entry { number: line.number, json }))
}

/// The text itself, if it is JSON: every byte of it as it came, however deeply nested.
fn raw(text: &str) -> serde_json::Result<String> {
    let raw: &RawValue = serde_json::from_str(text)?;
    // The batch is divided at line feeds. The reader left none, and a carriage return within is white
    // space where JSON allows it at all.
    Ok(raw.get().to_owned())
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The body of a batch: a line an event.
pub(crate) fn body(entries: &[Entry]) -> String {
    let mut body = String::with_capacity(size(entries));
    for entry in entries {
        body.push_str(&entry.json);
        body.push('\n');
    }
    body
}

/// How long the body is.
pub(crate) fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.json.len() + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, form: As) -> Result<Option<String>, String> {
        let line = Line { number: 7, text: Ok(text.to_owned()) };
        encode(line, form).map(|entry| entry.map(|entry| entry.json))
    }

    fn some(json: &str) -> Result<Option<String>, String> {
        Ok(Some(json.to_owned()))
    }

    #[test]
    fn auto_sends_objects_and_arrays_as_they_are_and_the_rest_as_strings() {
        let same = [r#"{"b":1.0,"a":"\ud800", "b":2}"#, "[]", "[1e400]"];
        for text in same {
            assert_eq!(encoded(text, As::Auto), some(text));
        }
        assert_eq!(encoded(" {\"a\":1} ", As::Auto), some("{\"a\":1}"));
        let strings = [("12", "\"12\""), ("{a", "\"{a\""), ("", "\"\""), ("\"x\"", r#""\"x\"""#)];
        for (text, expected) in strings {
            assert_eq!(encoded(text, As::Auto), some(expected));
        }
    }

    #[test]
    fn nesting_is_no_matter_of_depth() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        assert_eq!(encoded(&deep, As::Auto), some(&deep));
        assert_eq!(encoded(&deep, As::Json), some(&deep));
    }

    #[test]
    fn json_takes_any_json_skips_blank_lines_and_refuses_the_rest() {
        assert_eq!(encoded("12", As::Json), some("12"));
        assert_eq!(encoded(" \t", As::Json), Ok(None));
        assert!(encoded("{a", As::Json).unwrap_err().starts_with("not JSON: "));
    }

    #[test]
    fn text_is_always_a_string() {
        let cases = [("{}", "\"{}\""), ("a\rb\u{0}\u{2028}", "\"a\\rb\\u0000\u{2028}\"")];
        for (text, expected) in cases {
            assert_eq!(encoded(text, As::Text), some(expected));
        }
    }

    #[test]
    fn a_line_that_could_not_be_read_says_why() {
        let line = |unfit| encode(Line { number: 1, text: Err(unfit) }, As::Auto).unwrap_err();
        assert_eq!(line(Unfit::TooLong(99)), "99 bytes are more than --max-line");
        assert_eq!(line(Unfit::NotUtf8(3)), "not UTF-8 from byte 3 on");
    }

    #[test]
    fn the_size_is_that_of_the_body() {
        let entries = [1, 2].map(|number| Entry { number, json: "\"½\"".to_owned() });
        assert_eq!(body(&entries), "\"½\"\n\"½\"\n");
        assert_eq!(size(&entries), body(&entries).len());
    }
}
