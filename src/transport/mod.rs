//! The transports: what stands on the wire, and nothing that moves it there.
//!
//! Each file under here has the same items in the same order, so that two of them read side by side
//! show the difference between two techniques. What they send is always a [`Batch`] of the same
//! events, whose documents were encoded when they were published.

pub mod chunked;
pub mod control;
pub mod longpoll;
pub mod op;
pub mod poll;
pub mod query;
pub mod sse;
pub mod websocket;

use std::{fmt::Debug, time::Duration};

use self::control::Control;
use crate::{
    bus::reader::Batch,
    event::{Cursor, Event},
    ledger::{Bill, Purpose},
};

/// A way from the bus to a subscriber.
pub trait Transport: Debug + Sync {
    /// Its name: the path, the metric's label, the page's lane.
    fn name(&self) -> &'static str;

    /// How long a request for events is held open.
    fn hold(&self) -> Hold;

    /// The fields that its requests may have.
    fn fields(&self) -> &'static [&'static str];

    /// The head of its answer; the first field is the content type.
    fn head(&self) -> &'static [(&'static str, &'static str)];

    /// The opening, from which a subscriber learns its cursor before its first event.
    fn hello(&self, out: &mut Vec<u8>, cursor: &str, retry: Duration);

    /// One event.
    fn event(&self, out: &mut Vec<u8>, event: &Event);

    /// A message of the gateway's own.
    fn control(&self, out: &mut Vec<u8>, control: &Control<'_>);

    /// A sign of life, which moves the cursor of a subscriber that has everything.
    fn heartbeat(&self, out: &mut Vec<u8>, cursor: Cursor);

    /// Everything that is pending, in one piece.
    fn batch(&self, out: &mut Vec<u8>, batch: &Batch) {
        if let Some(gap) = &batch.gap {
            self.control(out, &Control::Gap(gap));
        }
        for event in &batch.events {
            self.event(out, event);
        }
    }

    /// What the bytes of a [`Self::batch`] are for, of which there are so many.
    fn bill(&self, batch: &Batch, bytes: usize) -> Bill {
        let mut gap = Vec::new();
        if let Some(told) = &batch.gap {
            self.control(&mut gap, &Control::Gap(told));
        }
        let mut bill = Bill::of(Purpose::Controls, gap.len());
        bill.add_events(&batch.events, bytes - gap.len());
        bill
    }
}

/// How long a request for events is held open: the heart of the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is answered at once.
    Not,
    /// Until there is something to answer, or a time-out.
    UntilSomething,
    /// For good: the answer has no end.
    ForGood,
}

/// Every transport, in the order in which people meet them.
pub const ALL: [&dyn Transport; 5] =
    [&poll::Poll, &longpoll::Longpoll, &chunked::Chunked, &sse::Sse, &websocket::Websocket];
