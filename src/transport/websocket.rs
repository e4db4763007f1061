//! WebSocket: after a handshake over HTTP, frames in both directions on one connection.
//!
//! # On the wire
//! ```text
//! GET /v1/websocket?topic=a/b HTTP/1.1
//! connection: Upgrade
//! upgrade: websocket
//! sec-websocket-version: 13
//! sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
//!
//! HTTP/1.1 101 Switching Protocols
//! connection: Upgrade
//! upgrade: websocket
//! sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//!
//! ← text {"control":"hello","cursor":"3kq9-1041"}
//! ← text {"id":"3kq9-1042","topic":"a/b","time":"…","data":7}
//! → text {"op":"publish","ref":1,"topic":"a/b","data":8}
//! ← text {"control":"ack","ref":1,"id":"3kq9-1043"}
//! ```
//!
//! # Latency
//! Half a round trip, in both directions.
//! # Idle cost
//! An open connection, and a heartbeat and a ping of some 60 bytes in 15 s.
//! # Resume
//! A new connection with `after=` the last id that was processed.
//! # Slow reader
//! Is held back by TCP, then cut; its cursor stays good.
//! # Use when
//! The client sends as much as it hears, or changes what it listens to.

use std::time::Duration;

use super::{Hold, Transport, control::Control};
use crate::{
    event::{Cursor, Event},
    wsframe,
};

/// WebSocket (RFC 6455).
#[derive(Clone, Copy, Debug)]
pub struct Websocket;

impl Transport for Websocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn hold(&self) -> Hold {
        Hold::ForGood
    }

    fn fields(&self) -> &'static [&'static str] {
        &["topic", "after", "last", "heartbeat", "client"]
    }

    fn head(&self) -> &'static [(&'static str, &'static str)] {
        &[("upgrade", "websocket"), ("connection", "Upgrade")]
    }

    fn hello(&self, out: &mut Vec<u8>, cursor: &str, _: Duration) {
        self.control(out, &Control::Hello(cursor));
    }

    fn event(&self, out: &mut Vec<u8>, event: &Event) {
        wsframe::text(out, event.document());
    }

    fn control(&self, out: &mut Vec<u8>, control: &Control<'_>) {
        let mut text = Vec::with_capacity(128);
        control.write(&mut text);
        wsframe::text(out, &text);
    }

    /// The cursor for the client, and a ping that its WebSocket must answer.
    fn heartbeat(&self, out: &mut Vec<u8>, cursor: Cursor) {
        self.control(out, &Control::Cursor(cursor));
        wsframe::ping(out, b"");
    }
}
