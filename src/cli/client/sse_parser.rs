//! The event stream format, by the rules of WHATWG HTML, section 9.2.6, over bytes.

use std::time::Duration;

use bytes::Bytes;

use super::MOST;
use crate::cli::http::Failure;

/// What a stream said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// A block's data.
    Data(Bytes),
    /// What to wait before coming again.
    Retry(Duration),
}

/// Takes a stream apart, wherever its parts are cut.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The line that was begun.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_return: bool,
    /// The first line is over: no byte order mark can come any more.
    begun: bool,
    /// The block's data, each of its lines ended by a line feed.
    data: Vec<u8>,
}

impl Parser {
    /// Takes some bytes and gives what they complete.
    ///
    /// # Errors
    /// When a line or a block grows beyond what any event can be.
    pub(super) fn feed(&mut self, mut part: &[u8]) -> Result<Vec<Said>, Failure> {
        let mut said = Vec::new();
        while !part.is_empty() {
            if std::mem::take(&mut self.after_return) && part[0] == b'\n' {
                part = &part[1..];
                continue;
            }
            let end = part.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.line.extend_from_slice(&part[..end.unwrap_or(part.len())]);
            if self.line.len() + self.data.len() > MOST {
                return Err(Failure::Lost(format!("a block longer than {MOST} bytes")));
            }
            let Some(end) = end else { break };
            self.after_return = part[end] == b'\r';
            part = &part[end + 1..];
            said.extend(self.end_of_line());
        }
        Ok(said)
    }

    fn end_of_line(&mut self) -> Option<Said> {
        let line = std::mem::take(&mut self.line);
        let bom: &[u8] = b"\xEF\xBB\xBF";
        let line = if std::mem::replace(&mut self.begun, true) {
            &line[..]
        } else {
            line.strip_prefix(bom).unwrap_or(&line)
        };
        if line.is_empty() {
            let mut data = std::mem::take(&mut self.data);
            // A block without a data line is none; one with an empty data line is one.
            data.pop()?;
            return Some(Said::Data(data.into()));
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
                None
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                let wait = std::str::from_utf8(value).ok()?.parse().ok()?;
                Some(Said::Retry(Duration::from_millis(wait)))
            }
            // `id` and `event` only repeat what the document holds; comments have no name.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Said {
        Said::Data(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn retry(ms: u64) -> Said {
        Said::Retry(Duration::from_millis(ms))
    }

    /// Feeds the text whole, cut in two at every place, and byte by byte; each has to say the same.
    fn said(text: &[u8]) -> Vec<Said> {
        let whole = Parser::default().feed(text).unwrap();
        let fed = |parts: &mut dyn Iterator<Item = &[u8]>| {
            let mut parser = Parser::default();
            parts.flat_map(|part| parser.feed(part).unwrap()).collect::<Vec<_>>()
        };
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(fed(&mut [head, tail].into_iter()), whole, "cut at {cut}");
        }
        assert_eq!(fed(&mut text.chunks(1)), whole, "byte by byte");
        whole
    }

    #[test]
    fn what_a_gateway_sends() {
        let text = b"retry: 2000\nid: e-0\nevent: control\ndata: {\"control\":\"hello\"}\n\nid: e-1\ndata: {\"a\":\"\xC2\xBD\"}\n\n";
        assert_eq!(said(text), [retry(2000), data("{\"control\":\"hello\"}"), data("{\"a\":\"½\"}")]);
    }

    #[test]
    fn every_line_break_counts_once() {
        for text in ["data: a\n\ndata: b\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n"] {
            assert_eq!(said(text.as_bytes()), [data("a"), data("b")], "{text:?}");
        }
        assert_eq!(said(b"data: a\r\n\rdata: b\n\r\n"), [data("a"), data("b")]);
    }

    #[test]
    fn data_lines_are_joined_and_one_space_is_dropped() {
        assert_eq!(said(b"data: a\ndata:  b\ndata:c\ndata\n\n"), [data("a\n b\nc\n")]);
        assert_eq!(said(b"data\n\n"), [data("")]);
    }

    #[test]
    fn blocks_without_data_comments_and_unknown_fields_say_nothing() {
        assert_eq!(said(b"id: 1\n\n: comment\n\n:\nfoo: bar\ndata2: x\nevent: x\n\n\n\n"), []);
        assert_eq!(said(b"event: x\n\ndata: a\n\n"), [data("a")]);
    }

    #[test]
    fn a_block_that_was_not_ended_is_dropped() {
        assert_eq!(said(b"data: a\n"), []);
        assert_eq!(said(b"data: a\n\ndata: b"), [data("a")]);
    }

    #[test]
    fn one_byte_order_mark_at_the_very_start_is_skipped() {
        assert_eq!(said(b"\xEF\xBB\xBFdata: a\n\n"), [data("a")]);
        assert_eq!(said(b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n"), []);
        assert_eq!(said(b"data: a\n\n\xEF\xBB\xBFdata: b\n\n"), [data("a")]);
    }

    #[test]
    fn only_digits_are_a_retry() {
        assert_eq!(said(b"retry: 10\nretry:20\nretry: 1s\nretry: -1\nretry:\n"), [retry(10), retry(20)]);
    }
}
