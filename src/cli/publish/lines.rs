//! Lines out of bytes, with bounded memory whatever comes.

/// One line of the input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its text without the line break, or why it cannot be an event.
    pub(crate) text: Result<String, Unfit>,
}

/// Why a line cannot be an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unfit {
    /// So many bytes, which is more than may be.
    TooLong(u64),
    /// The byte, from 1, at which it stops being UTF-8.
    NotUtf8(usize),
}

/// Splits what it is fed into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    most: usize,
    number: u64,
    line: Vec<u8>,
    /// The length of the line that is being read, of which `line` keeps no more than it has to.
    length: u64,
}

impl Lines {
    /// Lines of at most `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, number: 0, line: Vec::new(), length: 0 }
    }

    /// Takes some bytes and hands on the lines that end in them.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            each(self.complete());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// The line that was begun and has no end.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        (self.length > 0).then(|| self.complete())
    }

    /// Bytes of the line that was begun.
    pub(crate) fn begun(&self) -> u64 {
        self.length
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        // One byte more than fits, as a carriage return at the end does not count.
        let room = (self.most + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn complete(&mut self) -> Line {
        self.number += 1;
        let length = std::mem::take(&mut self.length);
        let mut line = std::mem::take(&mut self.line);
        if length == line.len() as u64 && line.ends_with(b"\r") {
            line.pop();
        }
        let text = if line.len() > self.most {
            Err(Unfit::TooLong(length))
        } else {
            String::from_utf8(line).map_err(|error| Unfit::NotUtf8(error.utf8_error().valid_up_to() + 1))
        };
        Line { number: self.number, text }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(most: usize, pieces: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::new(most);
        let mut read = Vec::new();
        for piece in pieces {
            lines.feed(piece, |line| read.push(line));
            assert!(lines.line.capacity() <= 4 * (most + 8), "{} bytes kept", lines.line.capacity());
        }
        read.extend(lines.finish());
        read
    }

    fn text(number: u64, text: &str) -> Line {
        Line { number, text: Ok(text.to_owned()) }
    }

    #[test]
    fn line_breaks_of_both_kinds_and_a_last_line_without_one() {
        let lines = read(80, &[b"a\n\nb\r\nc\rd\n", b"e"]);
        assert_eq!(lines, [text(1, "a"), text(2, ""), text(3, "b"), text(4, "c\rd"), text(5, "e")]);
        assert_eq!(read(80, &[b""]), []);
        assert_eq!(read(80, &[b"\n"]), [text(1, "")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_measured_and_the_next_is_read() {
        let long = [b"x".repeat(1_000_000), b"\nabcd\r\nabcde\r\nab\n".to_vec()].concat();
        let pieces: Vec<_> = long.chunks(7).collect();
        let lines = read(4, &pieces);
        let too_long = |number, length| Line { number, text: Err(Unfit::TooLong(length)) };
        assert_eq!(lines, [too_long(1, 1_000_000), text(2, "abcd"), too_long(3, 6), text(4, "ab")]);
    }

    #[test]
    fn what_is_not_utf8_is_told_with_its_place() {
        let lines = read(80, &[b"ok\xff\n", "½".as_bytes()]);
        assert_eq!(lines, [Line { number: 1, text: Err(Unfit::NotUtf8(3)) }, text(2, "½")]);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_makes_no_difference(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), Just(0xC3)], 0..40),
            cut in 0usize..40,
        ) {
            let (head, tail) = input.split_at(cut.min(input.len()));
            prop_assert_eq!(read(5, &[head, tail]), read(5, &[&input]));
        }
    }
}
