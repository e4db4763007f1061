//! Heads, chunks and bodies told apart in the bytes of HTTP/1.1 (RFC 9112), in one direction of a connection.
//!
//! It reads along with the parser that the bytes are for, and decides nothing: whatever it takes a byte for, each
//! is taken for something, so that sums are right even where the two disagree.

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A part of a head.
    Head,
    /// The end of a head. Whether a body follows is known now, but for what only the asker knows: see
    /// [`Scanner::has_no_body`].
    EndOfHead,
    /// Sizes and ends of chunks, and trailers.
    Framing,
    /// A body.
    Body,
}

/// The place in one direction of a connection.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
    /// Of the present head.
    is_chunked: bool,
    has_length: bool,
    begun: bool,
    /// Whether anything of it came, if only a part of its first line.
    came: bool,
    /// The status of the last answer, 0 for a request.
    status: u16,
    /// Bytes of the body, or of the chunk, that are to come.
    left: u32,
    /// The beginning of a line that was cut.
    #[expect(clippy::box_collection, reason = "each connection has two of these, and few have a line")]
    line: Option<Box<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Body,
    Size,
    Chunk,
    EndOfChunk,
    Trailer,
    /// A body that the end of the connection ends, if anything, or another protocol.
    Rest,
}

/// No line that matters is longer.
const LINE: usize = 128;

impl Scanner {
    /// What the bytes begin with, and how many of them are that: at least one, of at least one.
    pub fn step(&mut self, bytes: &[u8]) -> (usize, Found) {
        match self.state {
            State::Head => self.head(bytes),
            State::Body | State::Chunk => {
                let count = bytes.len().min(self.left as usize);
                self.left -= count as u32;
                if self.left == 0 {
                    self.state = if self.state == State::Body { State::Head } else { State::EndOfChunk };
                }
                (count, Found::Body)
            }
            State::Size | State::EndOfChunk | State::Trailer => self.framing(bytes),
            State::Rest => (bytes.len(), Found::Body),
        }
    }

    /// Whether it stands between two messages.
    pub fn is_between(&self) -> bool {
        self.state == State::Head && !self.came
    }

    /// The status of the answer whose head has just ended.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The head that has just ended has no body, whatever it says: it answers a HEAD.
    pub fn has_no_body(&mut self) {
        self.state = State::Head;
        self.left = 0;
    }

    /// Whatever follows the head that has just ended is its body, however that is framed.
    pub fn has_no_end(&mut self) {
        self.state = State::Rest;
    }

    fn head(&mut self, bytes: &[u8]) -> (usize, Found) {
        self.came = true;
        let mut at = 0;
        while let Some(length) = end_of_line(&bytes[at..]) {
            let line = &bytes[at..at + length];
            at += length;
            let ended = match self.line.take() {
                Some(mut whole) => {
                    whole.extend_from_slice(&line[..line.len().min(LINE)]);
                    self.line_of_head(&whole)
                }
                None => self.line_of_head(line),
            };
            if ended {
                return (at, Found::EndOfHead);
            }
        }
        self.keep(&bytes[at..]);
        (bytes.len(), Found::Head)
    }

    /// Reads a line; whether it is the one that ends the head.
    fn line_of_head(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii_end();
        if !self.begun {
            // RFC 9112, 2.2: empty lines before a request are none of it.
            if !line.is_empty() {
                *self = Self { begun: true, came: true, ..Self::default() };
                let status = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
                self.status = status.map_or(0, |digits| number(digits, 10) as u16);
            }
            return false;
        }
        if line.is_empty() {
            self.end_head();
            return true;
        }
        if let Some(value) = value_of(line, b"content-length:") {
            (self.has_length, self.left) = (true, number(value, 10));
        } else if let Some(value) = value_of(line, b"transfer-encoding:") {
            self.is_chunked = value.to_ascii_lowercase().ends_with(b"chunked");
        }
        false
    }

    fn end_head(&mut self) {
        (self.begun, self.came) = (false, false);
        self.state = match self.status {
            101 => State::Rest,
            100..=199 | 204 | 304 => State::Head,
            _ if self.is_chunked => State::Size,
            _ if self.left > 0 => State::Body,
            // RFC 9112, 6.3: a request without a length has no body, an answer ends with the connection.
            0 => State::Head,
            _ if self.has_length => State::Head,
            _ => State::Rest,
        };
    }

    fn framing(&mut self, bytes: &[u8]) -> (usize, Found) {
        let Some(length) = end_of_line(bytes) else {
            self.keep(bytes);
            return (bytes.len(), Found::Framing);
        };
        let mut line = self.line.take().map(|line| *line).unwrap_or_default();
        line.extend_from_slice(&bytes[..length.min(LINE)]);
        self.state = match self.state {
            State::Size => {
                self.left = number(&line, 16);
                if self.left > 0 { State::Chunk } else { State::Trailer }
            }
            State::Trailer if line.trim_ascii_end().is_empty() => State::Head,
            State::Trailer => State::Trailer,
            _ => State::Size,
        };
        (length, Found::Framing)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let line = self.line.get_or_insert_default();
        let room = LINE.saturating_sub(line.len());
        line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// How long the first line is, with its end.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|at| at + 1)
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The number that a text begins with; the largest there is, if it is too large.
fn number(text: &[u8], radix: u32) -> u32 {
    let digits = text.iter().map_while(|byte| char::from(*byte).to_digit(radix));
    digits.fold(0_u32, |sum, digit| sum.saturating_mul(radix).saturating_add(digit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream of bytes is, cut into pieces of these lengths: heads, framing, bodies, and the ends of heads.
    fn scanned(bytes: &[u8], cuts: &[usize], no_body: bool) -> (Vec<(Found, String)>, bool) {
        let mut scanner = Scanner::default();
        let mut found: Vec<(Found, String)> = Vec::new();
        let (mut rest, mut cuts) = (bytes, cuts.iter().copied().cycle());
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(cuts.next().unwrap_or(rest.len()).clamp(1, rest.len()));
            rest = after;
            while !piece.is_empty() {
                let (count, what) = scanner.step(piece);
                if what == EndOfHead && no_body {
                    scanner.has_no_body();
                }
                let text = str::from_utf8(&piece[..count]).unwrap();
                piece = &piece[count..];
                let of = if what == EndOfHead { Head } else { what };
                match found.last_mut() {
                    Some((last, before)) if *last == of => before.push_str(text),
                    _ => found.push((of, text.to_owned())),
                }
                if what == EndOfHead {
                    found.push((EndOfHead, scanner.status().to_string()));
                }
            }
        }
        (found, scanner.is_between())
    }

    fn expect(bytes: &str, expected: &[(Found, &str)], between: bool) {
        let expected: Vec<_> = expected.iter().map(|(found, text)| (*found, (*text).to_owned())).collect();
        for cut in [bytes.len(), 1, 2, 3, 7] {
            assert_eq!(scanned(bytes.as_bytes(), &[cut], false), (expected.clone(), between), "{cut}");
        }
    }

    use Found::{Body, EndOfHead, Framing, Head};

    #[test]
    fn requests_follow_each_other() {
        let (get, post) =
            ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST /x HTTP/1.1\r\nCONTENT-length:  3\r\n\r\n");
        let text = format!("\r\n{get}{post}abc{get}");
        let first = format!("\r\n{get}");
        expect(
            &text,
            &[
                (Head, &first),
                (EndOfHead, "0"),
                (Head, post),
                (EndOfHead, "0"),
                (Body, "abc"),
                (Head, get),
                (EndOfHead, "0"),
            ],
            true,
        );
        expect(
            "GET / HTTP/1.1\nHost: h\n\nGET",
            &[(Head, "GET / HTTP/1.1\nHost: h\n\n"), (EndOfHead, "0"), (Head, "GET")],
            false,
        );
    }

    #[test]
    fn a_message_that_has_begun_goes_on_in_the_next_piece() {
        let whole = b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
        for cut in 0..=whole.len() {
            let mut scanner = Scanner::default();
            let mut rest = &whole[..cut];
            while !rest.is_empty() {
                let (count, _) = scanner.step(rest);
                rest = &rest[count..];
            }
            assert_eq!(scanner.is_between(), cut == 0 || cut == whole.len(), "{cut}");
        }
    }

    #[test]
    fn chunks_are_told_from_what_they_hold() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let text = format!(
            "{head}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
        );
        expect(
            &text,
            &[
                (Head, head),
                (EndOfHead, "200"),
                (Framing, "3;x=y\r\n"),
                (Body, "abc"),
                (Framing, "\r\nA\r\n"),
                (Body, "0123456789"),
                (Framing, "\r\n0\r\nx: y\r\n\r\n"),
                (Head, "HTTP/1.1 204 No Content\r\n\r\n"),
                (EndOfHead, "204"),
            ],
            true,
        );
    }

    #[test]
    fn an_answer_without_a_length_has_no_end() {
        let (go_on, head) = ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
        let text = format!("{go_on}{head}abc");
        expect(
            &text,
            &[(Head, go_on), (EndOfHead, "100"), (Head, head), (EndOfHead, "200"), (Body, "abc")],
            false,
        );
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
        let (found, between) = scanned(head.repeat(2).as_bytes(), &[1], true);
        assert_eq!((found.len(), between), (4, true));
        let head = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        expect(&format!("{head}\r\n\r\n"), &[(Head, head), (EndOfHead, "101"), (Body, "\r\n\r\n")], false);
    }

    proptest! {
        #[test]
        fn every_byte_is_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut scanner = Scanner::default();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (count, _) = scanner.step(rest);
                prop_assert!((1..=rest.len()).contains(&count));
                rest = &rest[count..];
            }
        }
    }
}
