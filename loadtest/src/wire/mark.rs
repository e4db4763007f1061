//! The mark in an event's data: which run published it, as the how-manyeth of its topic, and when it was due.
//!
//! `flt1.` run (8 hexadecimal digits) `.` number (10) `.` nanoseconds since the generator's start (16). No character of it
//! is escaped in JSON or in a form, so that it is found in whatever a server wraps around it.

use memchr::memmem::Finder;

const NUMBER: usize = 10;
const TIME: usize = 16;
/// Behind the run's name.
const REST: usize = NUMBER + 1 + TIME;
/// The data around a mark.
const OPEN: &str = "{\"m\":\"";
const PAD: &str = "\",\"p\":\"";
const CLOSE: &str = "\"}";

/// The least bytes that the data of an event may have.
pub const LEAST: usize = OPEN.len() + "flt1.00000000.".len() + REST + PAD.len() + CLOSE.len();

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The how-manyeth of its topic, from 0.
    pub number: u64,
    /// When it was to be published, in nanoseconds since the generator's start.
    pub due: u64,
}

/// Makes and finds the marks of one run.
#[derive(Debug)]
pub struct Marks {
    prefix: String,
    finder: Finder<'static>,
}

impl Marks {
    /// Those of the run with this name.
    pub fn new(run: u32) -> Self {
        let prefix = format!("flt1.{run:08x}.");
        let finder = Finder::new(prefix.as_bytes()).into_owned();
        Self { prefix, finder }
    }

    /// The data of an event: `size` bytes of JSON, at least [`LEAST`].
    pub fn data(&self, mark: Mark, size: usize, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(OPEN.as_bytes());
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(format!("{:010x}.{:016x}", mark.number, mark.due).as_bytes());
        out.extend_from_slice(PAD.as_bytes());
        let pad = size.saturating_sub(out.len() - from + CLOSE.len());
        // Letters that a compressor cannot fold away, and that JSON does not escape.
        let mut state = mark.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for n in 0..pad {
            if n % 12 == 0 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
            }
            out.push(b'a' + ((state >> (n % 12 * 5)) & 15) as u8);
        }
        out.extend_from_slice(CLOSE.as_bytes());
    }

    /// Visits each mark in `bytes`.
    pub fn visit(&self, bytes: &[u8], mut found: impl FnMut(Mark)) {
        let mut at = 0;
        while let Some(start) = self.finder.find(&bytes[at..]) {
            at += start + self.prefix.len();
            let Some(rest) = bytes.get(at..at + REST) else { return };
            let number = hexadecimal(&rest[..NUMBER]);
            let due = hexadecimal(&rest[NUMBER + 1..]);
            if let (Some(number), Some(due)) = (number, due) {
                found(Mark { number, due });
            }
        }
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_as_it_was_made() {
        let (marks, others) = (Marks::new(7), Marks::new(8));
        let wanted = [Mark { number: 0, due: 0 }, Mark { number: 0xff_ffff_ffff, due: u64::MAX }];
        for size in [LEAST, LEAST + 1, 200, 4096] {
            let mut text = b"[".to_vec();
            for mark in wanted {
                let from = text.len();
                marks.data(mark, size, &mut text);
                assert_eq!(text.len() - from, size);
                others.data(mark, size, &mut text);
                text.push(b',');
            }
            let mut seen = Vec::new();
            marks.visit(&text, |mark| seen.push(mark));
            assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn the_data_is_json() {
        let mut data = Vec::new();
        Marks::new(1).data(Mark { number: 5, due: 6 }, 300, &mut data);
        let value: serde_json::Value = serde_json::from_slice(&data).expect("it is JSON");
        assert!(value["m"].is_string() && value["p"].is_string());
    }

    #[test]
    fn half_a_mark_is_none() {
        Marks::new(7).visit(b"flt1.00000007.000000", |_| panic!("it is not whole"));
        Marks::new(7).visit(b"flt1.00000007.00000000zz.0000000000000000", |_| panic!("it is no number"));
    }
}
