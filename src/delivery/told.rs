//! What an answer says of the bytes that hyper writes of it, for the ledger.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_utils::atomic::AtomicCell;

use crate::ledger::{Bill, Purpose};

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
    /// What the connection's [`Tally`] is told as it is made. It has no end: nothing that the client sends after its
    /// request means anything.
    Live,
}

/// What a hosted connection is sent: a request carries it to whatever sends that. Its clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Sums>);

#[derive(Default)]
struct Sums {
    /// Events in all.
    events: AtomicU64,
    /// What was made of an answer without an end and has not been written yet, if that is anything. Who makes and who
    /// writes take turns: they are of one task.
    made: AtomicCell<Option<Arc<Made>>>,
}

/// What the bytes of some pieces are for.
#[derive(Debug)]
pub struct Made {
    /// Bytes by purpose.
    pub bill: Bill,
    /// How many bytes there are.
    pub bytes: usize,
    /// How many events.
    pub events: usize,
}

impl Made {
    /// Pieces of this bill, with so many events.
    pub fn new(bill: Bill, events: usize) -> Self {
        Self { bill, bytes: bill.total(), events }
    }

    /// The same, sent as a chunk of its own (RFC 9112, 7.1).
    pub fn in_a_chunk(mut piece: Bill, events: usize) -> Self {
        // What carries that which says no event is for the same.
        let purpose = match () {
            () if events > 0 => Purpose::Framing,
            () if piece.get(Purpose::Heartbeats) > 0 => Purpose::Heartbeats,
            () => Purpose::Controls,
        };
        piece.add(purpose, chunk_framing(piece.total()));
        Self::new(piece, events)
    }
}

/// Bytes of that which the last takes.
#[cfg(test)]
pub const UNWRITTEN: usize = size_of::<AtomicCell<Option<Arc<Made>>>>();

impl Tally {
    /// Counts so many events more.
    pub fn count(&self, events: usize) {
        self.0.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.0.events.load(Ordering::Relaxed)
    }

    /// Notes a piece that was made of an answer without an end. Many connections are sent the same.
    pub fn made(&self, piece: Arc<Made>) {
        let all = match self.0.made.take() {
            None => piece,
            Some(before) => {
                let mut bill = before.bill;
                bill += piece.bill;
                Arc::new(Made::new(bill, before.events + piece.events))
            }
        };
        self.0.made.store(Some(all));
    }

    /// Takes so many bytes of that which were written, and every event.
    pub fn take(&self, bytes: usize) -> Option<Arc<Made>> {
        let made = self.0.made.take()?;
        if made.bytes <= bytes {
            return Some(made);
        }
        let mut rest = made.bill;
        let written = Made::new(rest.take(bytes), made.events);
        self.0.made.store(Some(Arc::new(Made::new(rest, 0))));
        Some(Arc::new(written))
    }
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sums").field("events", &self.events).finish_non_exhaustive()
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
    fn what_was_made_is_taken_once_and_then_takes_no_room() {
        let tally = Tally::default();
        let made = |purpose, bytes, events| tally.made(Arc::new(Made::new(Bill::of(purpose, bytes), events)));
        made(Purpose::Payload, 10, 1);
        made(Purpose::Framing, 5, 2);
        let take = |bytes| tally.take(bytes).map(|made| (made.bill, made.bytes, made.events));
        assert_eq!(take(12), Some((Bill::of(Purpose::Payload, 10).and(Purpose::Framing, 2), 12, 3)));
        assert_eq!(take(12), Some((Bill::of(Purpose::Framing, 3), 3, 0)));
        assert_eq!(take(12), None);
        assert!(AtomicCell::<Option<Arc<Made>>>::is_lock_free());
    }

    #[test]
    fn a_chunk_is_as_long_as_it_is_written() {
        for bytes in [1, 9, 15, 16, 255, 256, 4095, 4096, 65_535, 65_536, 1 << 20] {
            assert_eq!(chunk_framing(bytes), format!("{bytes:X}\r\n\r\n").len(), "{bytes}");
        }
    }
}
