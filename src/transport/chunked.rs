//! Chunked streaming: one answer without an end, a line of JSON for each event.
//!
//! # On the wire
//! ```text
//! GET /v1/chunked?topic=a/b HTTP/1.1
//!
//! HTTP/1.1 200 OK
//! content-type: application/x-ndjson
//! cache-control: no-cache, no-transform
//! x-accel-buffering: no
//! transfer-encoding: chunked
//!
//! 2d\r\n{"control":"hello","cursor":"3kq9-1041"}\n\r\n
//! 48\r\n{"id":"3kq9-1042","topic":"a/b","time":"…","data":7}\n\r\n
//! ```
//!
//! # Latency
//! Half a round trip.
//! # Idle cost
//! An open connection, and a heartbeat of some 60 bytes in 15 s.
//! # Resume
//! A new request with `after=` the last id that was processed.
//! # Slow reader
//! Is held back by TCP, then cut; its cursor stays good.
//! # Use when
//! The client reads a response as it comes (`fetch`, any HTTP library) and wants to send headers.

use std::time::Duration;

use super::{Hold, Transport, control::Control};
use crate::event::{Cursor, Event};

/// Chunked streaming.
#[derive(Clone, Copy, Debug)]
pub struct Chunked;

impl Transport for Chunked {
    fn name(&self) -> &'static str {
        "chunked"
    }

    fn hold(&self) -> Hold {
        Hold::ForGood
    }

    fn fields(&self) -> &'static [&'static str] {
        &["topic", "after", "last", "heartbeat", "client"]
    }

    fn head(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("content-type", "application/x-ndjson"),
            ("cache-control", "no-cache, no-transform"),
            ("x-accel-buffering", "no"),
        ]
    }

    fn hello(&self, out: &mut Vec<u8>, cursor: &str, _: Duration) {
        self.control(out, &Control::Hello(cursor));
    }

    fn event(&self, out: &mut Vec<u8>, event: &Event) {
        out.extend_from_slice(event.line());
    }

    fn control(&self, out: &mut Vec<u8>, control: &Control<'_>) {
        control.write(out);
        out.push(b'\n');
    }

    fn heartbeat(&self, out: &mut Vec<u8>, cursor: Cursor) {
        self.control(out, &Control::Cursor(cursor));
    }
}
