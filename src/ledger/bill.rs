//! Bytes by what they were for.

use std::{ops::AddAssign, sync::Arc};

use crate::event::Event;

/// What a byte was for. What carries a control or a heartbeat (its chunk, its frame) is booked with it, so
/// that [`Purpose::Framing`] is what events cost on top of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Heads of requests and of answers, and forms that stand for a query.
    Heads,
    /// The value of an event's `data`, or `data_base64`, as it stands in the document.
    Payload,
    /// The rest of the event's document.
    Envelope,
    /// What an event is wrapped in: chunk sizes, fields of Server-Sent Events, headers and masks of frames, the
    /// answer to a poll around its events.
    Framing,
    /// Signs of life, and the answers to them.
    Heartbeats,
    /// Whole exchanges that brought nothing.
    Empty,
    /// Everything else that the two sides say to each other: hello, gaps, acks, problems, operations, closes.
    Controls,
}

impl Purpose {
    /// How many there are.
    pub const COUNT: usize = 7;
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Heads,
        Self::Payload,
        Self::Envelope,
        Self::Framing,
        Self::Heartbeats,
        Self::Empty,
        Self::Controls,
    ];

    /// The word for it: a member of the ledger, the metrics' label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Payload => "payload",
            Self::Envelope => "envelope",
            Self::Framing => "framing",
            Self::Heartbeats => "heartbeats",
            Self::Empty => "empty",
            Self::Controls => "controls",
        }
    }
}

/// Which way a byte went, seen from the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// From the client.
    In,
    /// To it.
    Out,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// What a request was for: one of the transports, publishing, or anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Via {
    /// Short polling.
    Poll,
    /// Long polling.
    Longpoll,
    /// Chunked streaming.
    Chunked,
    /// Server-Sent Events.
    Sse,
    /// WebSocket.
    Websocket,
    /// Publishing over HTTP.
    Publish,
    /// The page, metrics, an echo, what is no request at all. No client has an account of it.
    #[default]
    Other,
}

impl Via {
    /// How many there are.
    pub const COUNT: usize = 7;
    /// How many of them a client has an account of: the first ones.
    pub const ACCOUNTED: usize = 6;
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Poll, Self::Longpoll, Self::Chunked, Self::Sse, Self::Websocket, Self::Publish, Self::Other];

    /// The word for it: the transport's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Longpoll => "longpoll",
            Self::Chunked => "chunked",
            Self::Sse => "sse",
            Self::Websocket => "websocket",
            Self::Publish => "publish",
            Self::Other => "other",
        }
    }

    /// What a request with this path is for.
    pub fn of_path(path: &str) -> Self {
        let name = path.strip_prefix("/v1/").unwrap_or_default();
        Self::ALL[..Self::ACCOUNTED].iter().copied().find(|via| via.as_str() == name).unwrap_or_default()
    }
}

/// Some bytes, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill([u32; Purpose::COUNT]);

impl Bill {
    /// So many bytes for one purpose.
    pub fn of(purpose: Purpose, bytes: usize) -> Self {
        Self::default().and(purpose, bytes)
    }

    /// The same, and so many for another.
    #[must_use]
    pub fn and(mut self, purpose: Purpose, bytes: usize) -> Self {
        self.add(purpose, bytes);
        self
    }

    /// Adds bytes.
    pub fn add(&mut self, purpose: Purpose, bytes: usize) {
        let sum = &mut self.0[purpose as usize];
        *sum = sum.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Adds `bytes` that hold these events whole: what is no document is framing.
    pub fn add_events(&mut self, events: &[Arc<Event>], bytes: usize) {
        let payload: usize = events.iter().map(|event| event.payload()).sum();
        let documents: usize = events.iter().map(|event| event.document().len()).sum();
        self.add(Purpose::Payload, payload);
        self.add(Purpose::Envelope, documents - payload);
        self.add(Purpose::Framing, bytes - documents);
    }

    /// Takes so many bytes off it, in the order of the purposes, whatever their order on the wire: they are
    /// right when all of it has been taken. More than there are is all of them.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> Self {
        let mut left = bytes;
        let mut taken = Self::default();
        for (from, to) in self.0.iter_mut().zip(&mut taken.0) {
            let some = left.min(*from as usize);
            *to = some as u32;
            *from -= some as u32;
            left -= some;
        }
        taken
    }

    /// So many bytes in the proportions of this bill, to the byte: what it came to once it was compressed.
    #[must_use]
    pub fn scaled_to(&self, bytes: usize) -> Self {
        let total = self.total() as u64;
        let mut scaled = Self::default();
        let (mut sum, mut given) = (0_u64, 0_u64);
        for (from, to) in self.0.iter().zip(&mut scaled.0) {
            sum += u64::from(*from);
            let due = (sum * bytes as u64).checked_div(total).unwrap_or_default();
            *to = (due - given) as u32;
            given = due;
        }
        scaled
    }

    /// How many bytes are for a purpose.
    pub fn get(&self, purpose: Purpose) -> u32 {
        self.0[purpose as usize]
    }

    /// How many bytes there are.
    pub fn total(&self) -> usize {
        self.0.iter().map(|bytes| *bytes as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; Purpose::COUNT]
    }

    /// The bytes, in the order of [`Purpose::ALL`].
    pub(super) fn bytes(&self) -> &[u32; Purpose::COUNT] {
        &self.0
    }
}

impl AddAssign for Bill {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }
}

/// A bill of what waits to be written, which mostly is nothing, and then takes little room.
#[derive(Debug, Default)]
pub struct Owed(Option<Box<Bill>>);

impl Owed {
    /// Adds bytes.
    pub fn add(&mut self, purpose: Purpose, bytes: usize) {
        *self += Bill::of(purpose, bytes);
    }

    /// Takes so many bytes off it, as [`Bill::take`] does.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> Bill {
        let Some(bill) = &mut self.0 else { return Bill::default() };
        let taken = bill.take(bytes);
        self.0.take_if(|bill| bill.is_empty());
        taken
    }

    /// Makes it so many bytes in the same proportions.
    pub fn scale_to(&mut self, bytes: usize) {
        if let Some(bill) = &mut self.0 {
            **bill = bill.scaled_to(bytes);
        }
    }
}

impl AddAssign<Bill> for Owed {
    fn add_assign(&mut self, bill: Bill) {
        if !bill.is_empty() {
            **self.0.get_or_insert_default() += bill;
        }
    }
}

/// A ping or a pong of a client: its payload, and the 6 bytes of a masked header (RFC 6455, 5.2).
pub fn control_frame(payload: usize) -> Bill {
    Bill::of(Purpose::Heartbeats, payload + 6)
}

/// A message that carries data, and the bytes that it came in or goes out in: frames, the message, the data
/// within it. Compressed, it may be less than it says.
pub fn message(bytes: usize, message: usize, data: usize) -> Bill {
    let bill = Bill::of(Purpose::Payload, data).and(Purpose::Envelope, message - data);
    match bytes.checked_sub(message) {
        Some(framing) => bill.and(Purpose::Framing, framing),
        None => bill.scaled_to(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_for_what_it_names() {
        assert_eq!(Via::of_path("/v1/sse"), Via::Sse);
        assert_eq!(Via::of_path("/v1/publish"), Via::Publish);
        for path in ["/", "/v1/", "/v1/echo", "/v1/other", "/v1/sse/", "/sse", "/v2/v1/sse"] {
            assert_eq!(Via::of_path(path), Via::Other, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_made(kinds: [u16; Purpose::COUNT], some: u16, scaled: u16) {
            let whole = Bill(kinds.map(u32::from));
            let mut rest = whole;
            let taken = rest.take(some.into());
            prop_assert_eq!(taken.total(), whole.total().min(some.into()));
            let mut again = taken;
            again += rest;
            prop_assert_eq!(again, whole);
            let expected = if whole.is_empty() { 0 } else { usize::from(scaled) };
            prop_assert_eq!(whole.scaled_to(scaled.into()).total(), expected);
        }

        #[test]
        fn what_is_owed_is_a_bill(kinds: [u16; Purpose::COUNT], some: u16, scaled: u16) {
            let mut whole = Bill(kinds.map(u32::from));
            let mut owed = Owed::default();
            owed += whole;
            prop_assert_eq!(owed.take(some.into()), whole.take(some.into()));
            owed.scale_to(scaled.into());
            prop_assert_eq!(owed.take(usize::MAX), whole.scaled_to(scaled.into()));
            prop_assert!(owed.0.is_none());
        }
    }
}
