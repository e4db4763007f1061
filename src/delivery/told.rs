//! What an answer says of the bytes that hyper writes of it, for the ledger.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::{
    ledger::{Bill, Direction, Payer, Purpose},
    metrics::Metrics,
};

/// Who pays for a connection whose driver books what it moves, and where that is written down.
#[derive(Clone, Debug)]
pub struct Tab {
    /// Where.
    pub metrics: Arc<Metrics>,
    /// Who.
    pub payer: Payer,
}

impl Tab {
    /// Books some bytes.
    pub fn book(&self, direction: Direction, bill: &Bill) {
        self.metrics.ledger.book(&self.payer, direction, bill);
    }
}

/// What the body of a request came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Bytes of data that were published.
    pub payload: u32,
    /// Bytes of the rest of what was read.
    pub envelope: u32,
    /// Events that were published.
    pub events: u32,
}

impl Asked {
    /// What a body is for that took so many bytes on the socket: chunks, if there are any, are more than what
    /// they hold. One that brought nothing was refused.
    pub fn bill(&self, bytes: usize) -> Bill {
        if self.events == 0 {
            return Bill::of(Purpose::Controls, bytes);
        }
        let known =
            Bill::of(Purpose::Payload, self.payload as usize).and(Purpose::Envelope, self.envelope as usize);
        match bytes.checked_sub(known.total()) {
            Some(framing) => known.and(Purpose::Framing, framing),
            None => known.scaled_to(bytes),
        }
    }
}

/// What the body of an answer is for.
#[derive(Clone, Debug, Default)]
pub enum Told {
    /// Nothing was said.
    #[default]
    Nothing,
    /// All of it, and how many events that is.
    Whole(Box<(Bill, usize)>),
    /// What is said as it is made.
    Live(Live),
}

/// What was made of a body and has not been written yet. Its clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<Made>>);

#[derive(Debug, Default)]
struct Made {
    bill: Bill,
    events: usize,
    in_chunks: bool,
}

impl Live {
    /// Says that each piece is sent as a chunk of its own, before the first one is made.
    pub fn goes_in_chunks(&self) {
        self.made_so_far().in_chunks = true;
    }

    /// Notes a piece that was made, with so many events.
    pub fn made(&self, mut bill: Bill, events: usize) {
        let mut made = self.made_so_far();
        if made.in_chunks {
            // What carries that which says no event is for the same.
            let purpose = match () {
                () if events > 0 => Purpose::Framing,
                () if bill.get(Purpose::Heartbeats) > 0 => Purpose::Heartbeats,
                () => Purpose::Controls,
            };
            bill.add(purpose, chunk_framing(bill.total()));
        }
        made.bill += bill;
        made.events += events;
    }

    /// Takes so many bytes that were written, and every event.
    pub fn take(&self, bytes: usize) -> (Bill, usize) {
        let mut made = self.made_so_far();
        (made.bill.take(bytes), std::mem::take(&mut made.events))
    }

    fn made_so_far(&self) -> MutexGuard<'_, Made> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}

/// What a chunk of so many bytes takes on top of them: its size in hexadecimal digits, and two ends of lines
/// (RFC 9112, 7.1).
fn chunk_framing(bytes: usize) -> usize {
    (usize::BITS - bytes.leading_zeros()).div_ceil(4) as usize + 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_as_long_as_it_is_written() {
        for bytes in [1, 9, 15, 16, 255, 256, 4095, 4096, 65_535, 65_536, 1 << 20] {
            assert_eq!(chunk_framing(bytes), format!("{bytes:X}\r\n\r\n").len(), "{bytes}");
        }
    }
}
