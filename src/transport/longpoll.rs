//! Long polling: the client asks, and the gateway answers when there is something.
//!
//! # On the wire
//! ```text
//! GET /v1/longpoll?topic=a/b&after=3kq9-1041 HTTP/1.1
//!                                                  … up to 25 s …
//! HTTP/1.1 200 OK
//! content-type: application/json
//! cache-control: no-store
//! fanlight-cursor: 3kq9-1042
//!
//! {"events":[{"id":"3kq9-1042","topic":"a/b","time":"…","data":7}],"cursor":"3kq9-1042"}
//! ```
//! or, after the time-out, `204 No Content` and the cursor to go on with.
//!
//! # Latency
//! Half a round trip for an event that finds a request waiting; one and a half for one that comes while
//! the client is asking again.
//! # Idle cost
//! An open connection, and a request with an empty answer per time-out.
//! # Resume
//! Nothing special: each request carries the cursor of the answer before it.
//! # Slow reader
//! Gets more in fewer answers; the gateway holds nothing for it.
//! # Use when
//! Events are rare, and something on the way breaks streams.

use std::time::Duration;

use super::{Hold, Transport, control::Control, poll::Poll};
use crate::{
    bus::reader::Batch,
    event::{Cursor, Event},
    ledger::Bill,
};

/// Long polling.
#[derive(Clone, Copy, Debug)]
pub struct Longpoll;

impl Transport for Longpoll {
    fn name(&self) -> &'static str {
        "longpoll"
    }

    fn hold(&self) -> Hold {
        Hold::UntilSomething
    }

    fn fields(&self) -> &'static [&'static str] {
        &["topic", "after", "last", "limit", "timeout", "client"]
    }

    fn head(&self) -> &'static [(&'static str, &'static str)] {
        Poll.head()
    }

    /// The cursor stands in the head and at the end of the answer.
    fn hello(&self, _: &mut Vec<u8>, _: &str, _: Duration) {}

    fn event(&self, out: &mut Vec<u8>, event: &Event) {
        Poll.event(out, event);
    }

    /// An answer has no place for controls but the gap, which [`Self::batch`] tells.
    fn control(&self, _: &mut Vec<u8>, _: &Control<'_>) {}

    /// A waiting request stays silent: its time-out is its sign of life.
    fn heartbeat(&self, _: &mut Vec<u8>, _: Cursor) {}

    /// The whole answer: the same as to a short poll.
    fn batch(&self, out: &mut Vec<u8>, batch: &Batch) {
        Poll.batch(out, batch);
    }

    fn bill(&self, batch: &Batch, bytes: usize) -> Bill {
        Poll.bill(batch, bytes)
    }
}
