//! Short polling: the client asks on a timer, and is answered at once.
//!
//! # On the wire
//! ```text
//! GET /v1/poll?topic=a/b&after=3kq9-1041 HTTP/1.1
//!
//! HTTP/1.1 200 OK
//! content-type: application/json
//! cache-control: no-store
//! fanlight-cursor: 3kq9-1042
//!
//! {"events":[{"id":"3kq9-1042","topic":"a/b","time":"…","data":7}],"cursor":"3kq9-1042"}
//! ```
//! or, with nothing new, `204 No Content` and the same cursor.
//!
//! # Latency
//! Half the interval on average, the interval at worst, and a round trip.
//! # Idle cost
//! A request and an empty answer per interval and client, some 300 bytes, whether anything happens or not.
//! # Resume
//! Nothing special: each request carries the cursor of the answer before it.
//! # Slow reader
//! Gets more in fewer answers; the gateway holds nothing for it.
//! # Use when
//! Data may be old, clients are few or simple, or a cache stands between.

use std::time::Duration;

use super::{
    Hold, Transport,
    control::{Control, gap_members, put},
};
use crate::{
    bus::reader::{Batch, Gap},
    event::{Cursor, Event},
    ledger::{Bill, Purpose},
};

/// Short polling.
#[derive(Clone, Copy, Debug)]
pub struct Poll;

impl Transport for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn hold(&self) -> Hold {
        Hold::Not
    }

    fn fields(&self) -> &'static [&'static str] {
        &["topic", "after", "last", "limit", "until", "client"]
    }

    fn head(&self) -> &'static [(&'static str, &'static str)] {
        &[("content-type", "application/json"), ("cache-control", "no-store")]
    }

    /// The cursor stands in the head and at the end of the answer.
    fn hello(&self, _: &mut Vec<u8>, _: &str, _: Duration) {}

    fn event(&self, out: &mut Vec<u8>, event: &Event) {
        if !out.ends_with(b"[") {
            out.push(b',');
        }
        out.extend_from_slice(event.document());
    }

    /// An answer has no place for controls but the gap, which [`Self::batch`] tells.
    fn control(&self, _: &mut Vec<u8>, _: &Control<'_>) {}

    /// An answer does not last.
    fn heartbeat(&self, _: &mut Vec<u8>, _: Cursor) {}

    /// The whole answer.
    fn batch(&self, out: &mut Vec<u8>, batch: &Batch) {
        out.extend_from_slice(b"{\"events\":[");
        for event in &batch.events {
            self.event(out, event);
        }
        put(out, format_args!("],\"cursor\":\"{}\"", batch.cursor));
        if batch.more {
            out.extend_from_slice(b",\"more\":true");
        }
        if let Some(gap) = &batch.gap {
            put_gap(out, gap);
        }
        out.push(b'}');
    }

    fn bill(&self, batch: &Batch, bytes: usize) -> Bill {
        let mut gap = Vec::new();
        if let Some(told) = &batch.gap {
            put_gap(&mut gap, told);
        }
        let mut bill = Bill::of(Purpose::Controls, gap.len());
        bill.add_events(&batch.events, bytes - gap.len());
        bill
    }
}

fn put_gap(out: &mut Vec<u8>, gap: &Gap) {
    out.extend_from_slice(b",\"gap\":{");
    gap_members(out, gap);
    out.push(b'}');
}
