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
pub struct Live(Arc<Mutex<(Bill, usize)>>);

impl Live {
    /// Notes what was made, with so many events.
    pub fn made(&self, bill: Bill, events: usize) {
        let mut made = self.made_so_far();
        made.0 += bill;
        made.1 += events;
    }

    /// Takes so many bytes that were written, and every event.
    pub fn take(&self, bytes: usize) -> (Bill, usize) {
        let mut made = self.made_so_far();
        (made.0.take(bytes), std::mem::take(&mut made.1))
    }

    /// What carries that which comes next is for.
    pub fn purpose(&self) -> Option<Purpose> {
        let bill = self.made_so_far().0;
        let carried = |purpose| bill.get(purpose) > 0;
        match () {
            () if carried(Purpose::Payload) => Some(Purpose::Framing),
            () if carried(Purpose::Heartbeats) => Some(Purpose::Heartbeats),
            () if carried(Purpose::Controls) => Some(Purpose::Controls),
            () => None,
        }
    }

    fn made_so_far(&self) -> MutexGuard<'_, (Bill, usize)> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}
