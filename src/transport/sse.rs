//! Server-Sent Events: one answer without an end, in the format that browsers read on their own.
//!
//! # On the wire
//! ```text
//! GET /v1/sse?topic=a/b HTTP/1.1
//! last-event-id: 3kq9-1041                         (by the browser, when it reconnects)
//!
//! HTTP/1.1 200 OK
//! content-type: text/event-stream
//! cache-control: no-cache, no-transform
//! x-accel-buffering: no
//! transfer-encoding: chunked
//!
//! retry: 2000
//! id: 3kq9-1041
//! event: control
//! data: {"control":"hello","cursor":"3kq9-1041"}
//!
//! id: 3kq9-1042
//! data: {"id":"3kq9-1042","topic":"a/b","time":"…","data":7}
//! ```
//!
//! # Latency
//! Half a round trip.
//! # Idle cost
//! An open connection, and a heartbeat of some 100 bytes in 15 s.
//! # Resume
//! The browser reconnects by itself and sends the last `id:` it saw, hence one on the hello and on each
//! heartbeat, and none on a gap: a gap that was not read is told again.
//! # Slow reader
//! Is held back by TCP, then cut; its cursor stays good.
//! # Use when
//! Events flow to browsers: no library, plain HTTP, resumes by itself.

use std::time::Duration;

use super::{
    Hold, Transport,
    control::{Control, put},
};
use crate::event::{Cursor, Event};

/// Server-Sent Events (WHATWG HTML, 9.2).
#[derive(Clone, Copy, Debug)]
pub struct Sse;

impl Transport for Sse {
    fn name(&self) -> &'static str {
        "sse"
    }

    fn hold(&self) -> Hold {
        Hold::ForGood
    }

    fn fields(&self) -> &'static [&'static str] {
        &["topic", "after", "last", "heartbeat", "client"]
    }

    fn head(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache, no-transform"),
            ("x-accel-buffering", "no"),
        ]
    }

    fn hello(&self, out: &mut Vec<u8>, cursor: &str, retry: Duration) {
        put(out, format_args!("retry: {}\nid: {cursor}\n", retry.as_millis()));
        self.control(out, &Control::Hello(cursor));
    }

    fn event(&self, out: &mut Vec<u8>, event: &Event) {
        out.extend_from_slice(event.block());
    }

    fn control(&self, out: &mut Vec<u8>, control: &Control<'_>) {
        // An EventSource waits as long as the last `retry:` said, so advice must be one.
        if let Control::Reconnect(after) = control {
            put(out, format_args!("retry: {}\n", after.as_millis()));
        }
        out.extend_from_slice(b"event: control\ndata: ");
        control.write(out);
        out.extend_from_slice(b"\n\n");
    }

    fn heartbeat(&self, out: &mut Vec<u8>, cursor: Cursor) {
        put(out, format_args!("id: {cursor}\n"));
        self.control(out, &Control::Cursor(cursor));
    }
}
