//! What a server sends, taken apart as it comes: answers' heads and bodies, and within a stream its lines or frames.

use serde::{Deserialize, Serialize};

use super::websocket::{self, Opcode};

/// What becomes of bytes. A *unit* is a line of a stream, a WebSocket message, or the whole body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A head has come whole. Its fields are in `head`, as they were sent.
    Head {
        /// The status.
        status: u16,
        /// From the status line to the empty line.
        head: &'a [u8],
    },
    /// A unit.
    Unit(&'a [u8]),
    /// An answer is over.
    End,
    /// A WebSocket ping, to be answered with what it carries.
    Ping(&'a [u8]),
    /// A WebSocket close: its code, or 1005 without one.
    Close(u16),
}

/// How the rest of what comes is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// A head is due.
    Head,
    /// So many bytes of body.
    Length(usize),
    /// A chunk's size line is due.
    Size,
    /// So many bytes of a chunk, and the line break behind it.
    Chunk(usize),
    /// The lines behind the last chunk.
    Trailer,
    /// Until the connection ends.
    Endless,
    /// WebSocket.
    Frames,
}

/// What a body's units are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Its lines.
    #[default]
    Lines,
    /// Its chunks: where a server puts each event into one, and nothing between them.
    Chunks,
    /// The whole of it.
    Whole,
}

/// A connection's incoming side.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    cut: Cut,
    /// Bytes that are not enough for the next step.
    rest: Vec<u8>,
    /// A unit that is not whole.
    unit: Vec<u8>,
}

/// Heads, size lines and trailer lines that are longer are refused.
const LONGEST_HEAD: usize = 64 << 10;

/// Units that are longer are refused, and so are bodies, chunks and frames that are announced as longer: the load test
/// holds what is not whole, and a server could have it hold everything.
pub(crate) const LONGEST_UNIT: usize = 64 << 20;

/// How long something is, if that may be.
fn bounded(what: &str, length: u64) -> Result<usize, String> {
    usize::try_from(length).ok().filter(|length| *length <= LONGEST_UNIT).ok_or_else(|| {
        format!("{what} of {length} bytes: the load test takes {} MiB at most", LONGEST_UNIT >> 20)
    })
}

impl Decoder {
    /// At a connection's begin.
    pub fn new(cut: Cut) -> Self {
        Self { framing: Framing::Head, cut, rest: Vec::new(), unit: Vec::new() }
    }

    /// Whether an answer has begun and is not over.
    pub fn within(&self) -> bool {
        self.framing != Framing::Head || !self.rest.is_empty()
    }

    /// The connection ended: an answer without a length is whole then.
    ///
    /// # Errors
    /// If an answer had begun and is not over.
    pub fn finish(&mut self, item: &mut impl FnMut(Item<'_>)) -> Result<(), String> {
        match self.framing {
            Framing::Head if self.rest.is_empty() => {}
            Framing::Endless => {
                self.unit(&[], item);
                self.framing = Framing::Head;
                item(Item::End);
            }
            _ => return Err("the server closed the connection within an answer".to_owned()),
        }
        Ok(())
    }

    /// Takes what came, and tells what it was.
    ///
    /// # Errors
    /// What is wrong with it. The connection is of no more use then.
    pub fn take(&mut self, bytes: &[u8], item: &mut impl FnMut(Item<'_>)) -> Result<(), String> {
        if self.rest.is_empty() {
            let used = self.steps(bytes, item)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.rest);
        whole.extend_from_slice(bytes);
        let used = self.steps(&whole, item)?;
        whole.drain(..used);
        if !whole.is_empty() {
            self.rest = whole;
        }
        Ok(())
    }

    /// Goes on for as long as there is enough; how many bytes were used.
    fn steps(&mut self, bytes: &[u8], item: &mut impl FnMut(Item<'_>)) -> Result<usize, String> {
        let mut at = 0;
        while at < bytes.len() {
            let used = match self.framing {
                Framing::Head => self.head(&bytes[at..], item)?,
                Framing::Length(left) => {
                    let part = left.min(bytes.len() - at);
                    self.body(&bytes[at..at + part], part == left, item)?;
                    self.framing = if part == left { Framing::Head } else { Framing::Length(left - part) };
                    if part == left {
                        item(Item::End);
                    }
                    part
                }
                Framing::Size => self.size(&bytes[at..])?,
                Framing::Chunk(left) => {
                    // The two bytes behind a chunk belong to it here.
                    let part = left.min(bytes.len() - at);
                    let data = part.min(left.saturating_sub(2));
                    let whole = self.cut == Cut::Chunks && part == left;
                    self.body(&bytes[at..at + data], whole, item)?;
                    self.framing = if part == left { Framing::Size } else { Framing::Chunk(left - part) };
                    part
                }
                Framing::Trailer => self.trailer(&bytes[at..], item)?,
                Framing::Endless => {
                    self.body(&bytes[at..], false, item)?;
                    bytes.len() - at
                }
                Framing::Frames => self.frame(&bytes[at..], item)?,
            };
            if used == 0 {
                break;
            }
            at += used;
        }
        Ok(at)
    }

    fn head(&mut self, bytes: &[u8], item: &mut impl FnMut(Item<'_>)) -> Result<usize, String> {
        let mut fields = [httparse::EMPTY_HEADER; 48];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST_HEAD => return Ok(0),
            Ok(httparse::Status::Partial) => return Err("a head does not end".to_owned()),
            Err(error) => return Err(format!("no answer of HTTP/1.1: {error}")),
        };
        let status = response.code.unwrap_or(0);
        let field = |name: &str| {
            let mut held = response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            held.next().map(|field| String::from_utf8_lossy(field.value).to_ascii_lowercase())
        };
        self.framing = match status {
            101 => Framing::Frames,
            // RFC 9112, 6.3: these have no body, whatever their fields say.
            100..200 | 204 | 304 => Framing::Head,
            _ if field("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) => Framing::Size,
            _ => match field("content-length") {
                Some(length) => match length.trim().parse() {
                    Ok(0) => Framing::Head,
                    Ok(length) => Framing::Length(bounded("a Content-Length", length)?),
                    Err(_) => return Err(format!("Content-Length is {length:?}")),
                },
                None => Framing::Endless,
            },
        };
        item(Item::Head { status, head: &bytes[..length] });
        if self.framing == Framing::Head && status >= 200 {
            item(Item::End);
        }
        Ok(length)
    }

    fn size(&mut self, bytes: &[u8]) -> Result<usize, String> {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((length, 0))) => {
                self.framing = Framing::Trailer;
                Ok(length)
            }
            Ok(httparse::Status::Complete((length, size))) => {
                self.framing = Framing::Chunk(bounded("a chunk", size)? + 2);
                Ok(length)
            }
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST_HEAD => Ok(0),
            _ => Err("a chunk's size cannot be read".to_owned()),
        }
    }

    fn trailer(&mut self, bytes: &[u8], item: &mut impl FnMut(Item<'_>)) -> Result<usize, String> {
        let end = match memchr::memchr(b'\n', bytes) {
            Some(end) => end,
            None if bytes.len() < LONGEST_HEAD => return Ok(0),
            None => return Err("a line behind the last chunk does not end".to_owned()),
        };
        if bytes[..end].trim_ascii().is_empty() {
            self.body(&[], true, item)?;
            self.framing = Framing::Head;
            item(Item::End);
        }
        Ok(end + 1)
    }

    /// A part of a body.
    fn body(&mut self, mut bytes: &[u8], last: bool, item: &mut impl FnMut(Item<'_>)) -> Result<(), String> {
        if self.cut == Cut::Lines {
            while let Some(end) = memchr::memchr(b'\n', bytes) {
                self.unit(&bytes[..end], item);
                bytes = &bytes[end + 1..];
            }
        }
        if last {
            self.unit(bytes, item);
            Ok(())
        } else {
            self.part(bytes)
        }
    }

    /// A part of a unit that is not its end.
    fn part(&mut self, bytes: &[u8]) -> Result<(), String> {
        bounded("a body, line or message", (self.unit.len() + bytes.len()) as u64)?;
        self.unit.extend_from_slice(bytes);
        Ok(())
    }

    /// The end of a unit.
    fn unit(&mut self, end: &[u8], item: &mut impl FnMut(Item<'_>)) {
        if self.unit.is_empty() {
            if !end.is_empty() {
                item(Item::Unit(end));
            }
            return;
        }
        self.unit.extend_from_slice(end);
        item(Item::Unit(&self.unit));
        self.unit.clear();
        // Thousands of subscribers: what one long unit took is not kept.
        if self.unit.capacity() > 16 << 10 {
            self.unit = Vec::new();
        }
    }

    fn frame(&mut self, bytes: &[u8], item: &mut impl FnMut(Item<'_>)) -> Result<usize, String> {
        let Some(header) = websocket::header(bytes)? else { return Ok(0) };
        let whole = header.length + bounded("a WebSocket frame", header.payload)?;
        let Some(payload) = bytes.get(header.length..whole) else { return Ok(0) };
        match header.opcode {
            Opcode::Data | Opcode::Continuation if header.last => self.unit(payload, item),
            Opcode::Data | Opcode::Continuation => self.part(payload)?,
            Opcode::Ping => item(Item::Ping(payload)),
            Opcode::Pong => {}
            Opcode::Close => {
                item(Item::Close(payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code))));
            }
        }
        Ok(whole)
    }
}

/// A field's value in a head, if it is there.
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let head = std::str::from_utf8(head).ok()?;
    let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a text, cut in two at each place, and byte by byte.
    fn told(text: &[u8], cut: Cut) -> Vec<String> {
        let run = |parts: &[&[u8]]| {
            let (mut decoder, mut told) = (Decoder::new(cut), Vec::new());
            for part in parts {
                let mut item = |item: Item<'_>| {
                    told.push(match item {
                        Item::Head { status, .. } => format!("head {status}"),
                        Item::Unit(bytes) => format!("unit {}", String::from_utf8_lossy(bytes)),
                        Item::End => "end".to_owned(),
                        Item::Ping(bytes) => format!("ping {}", String::from_utf8_lossy(bytes)),
                        Item::Close(code) => format!("close {code}"),
                    });
                };
                decoder.take(part, &mut item).expect("it can be read");
            }
            told
        };
        let whole = run(&[text]);
        for cut in 0..text.len() {
            assert_eq!(run(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(run(&bytes), whole);
        whole
    }

    #[test]
    fn answers_one_after_the_other() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\"}HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            told(text, Cut::Whole),
            ["head 200", "unit {\"a\"}", "end", "head 204", "end", "head 200", "end"]
        );
    }

    #[test]
    fn a_chunked_stream_is_lines_wherever_its_chunks_are_cut() {
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\n\r\n6;x=y\r\nde\nf\ng\r\n2\r\nh\n\r\n0\r\n\r\n";
        assert_eq!(told(text, Cut::Lines), ["head 200", "unit abc", "unit de", "unit f", "unit gh", "end"]);
    }

    #[test]
    fn a_chunk_may_be_a_unit() {
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n";
        assert_eq!(told(text, Cut::Chunks), ["head 200", "unit abc", "unit de"]);
    }

    #[test]
    fn a_chunked_body_is_one_unit() {
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\n\r\n2\r\nde\r\n0\r\nA: b\r\n\r\nHTTP/1.1 204 None\r\n\r\n";
        assert_eq!(told(text, Cut::Whole), ["head 200", "unit abc\nde", "end", "head 204", "end"]);
    }

    #[test]
    fn frames_and_what_is_between_them() {
        let mut text = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        text.extend_from_slice(&[0x81, 2, b'h', b'i', 0x01, 1, b'a', 0x89, 1, b'p', 0x80, 1, b'b']);
        text.extend_from_slice(&[0x88, 2, 3, 232, 0x88, 0]);
        assert_eq!(
            told(&text, Cut::Lines),
            ["head 101", "unit hi", "ping p", "unit ab", "close 1000", "close 1005"]
        );
    }

    #[test]
    fn fields_are_found_whatever_their_case() {
        let head = b"HTTP/1.1 200 OK\r\nFanlight-Cursor: a-7\r\nETag:  3\r\n\r\n";
        assert_eq!(field(head, "fanlight-cursor"), Some("a-7"));
        assert_eq!(field(head, "etag"), Some("3"));
        assert_eq!(field(head, "last-modified"), None);
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let mut decoder = Decoder::new(Cut::Whole);
        assert!(decoder.take(b"SSH-2.0-OpenSSH\r\n\r\n", &mut |_| {}).is_err());
    }

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn what_is_announced_as_too_long_is_refused_before_it_comes() {
        let huge = u64::MAX.to_be_bytes();
        for (text, said) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"[..], "a Content-Length"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "Content-Length is"),
            (&[CHUNKED, b"ffffffffffffffff\r\n"].concat(), "a chunk of 18446744073709551615 bytes"),
            (&[b"HTTP/1.1 101 Yes\r\n\r\n\x82\x7f", &huge[..]].concat(), "a WebSocket frame of"),
            (b"HTTP/1.1 101 Yes\r\n\r\n\x89\x7e\x01\x00", "a control frame"),
        ] {
            let error = Decoder::new(Cut::Lines).take(text, &mut |_| {}).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_never_ends_is_refused_at_some_time() {
        let part = vec![b'x'; 1 << 20];
        let frame = [&[0x02, 127, 0, 0, 0, 0, 0, 0x10, 0, 0][..], &part].concat();
        for (begin, part) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], &part),
            (&[CHUNKED, b"0\r\n"].concat(), &part),
            (b"HTTP/1.1 101 Yes\r\n\r\n", &frame),
        ] {
            let mut decoder = Decoder::new(Cut::Lines);
            decoder.take(begin, &mut |_| {}).expect("it begins well");
            assert!((0..70).any(|_| decoder.take(part, &mut |_| {}).is_err()), "{begin:?}");
            assert!(decoder.unit.capacity().max(decoder.rest.capacity()) <= 2 * LONGEST_UNIT);
        }
    }

    #[test]
    fn an_answer_without_a_length_ends_with_its_connection() {
        let mut told = Vec::new();
        let mut item = |item: Item<'_>| match item {
            Item::Unit(unit) => told.push(String::from_utf8_lossy(unit).into_owned()),
            Item::End => told.push("end".to_owned()),
            _ => {}
        };
        let mut decoder = Decoder::new(Cut::Whole);
        decoder.take(b"HTTP/1.1 200 OK\r\n\r\nabc", &mut item).unwrap();
        decoder.finish(&mut item).unwrap();
        assert_eq!(told, ["abc", "end"]);
        decoder.take(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", &mut |_| {}).unwrap();
        assert!(decoder.finish(&mut |_| {}).unwrap_err().contains("within an answer"));
    }
}
