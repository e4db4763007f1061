//! The WebSocket protocol (RFC 6455) as a server speaks it, without I/O: bytes in, messages out, and back.
//!
//! A driver reads into a [`BytesMut`](bytes::BytesMut), some KiB at a time, and calls [`Decoder::decode`]
//! until it returns `None`; what it answers it writes with [`text`], [`pong`], [`close`] and the like into a
//! buffer of its own. An event that many connections receive is encoded once: [`text_header`], then the
//! shared bytes. Nothing here knows a socket, a clock or a task.
//!
//! # Layout
//! - `handshake`: the key of the opening handshake (§4.2)
//! - `decode`: frames from a client, checked and put together to messages (§5)
//! - `encode`: frames to a client
//! - [`deflate`]: compression (RFC 7692), for who wants it

mod decode;
pub mod deflate;
mod encode;
mod handshake;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use decode::Decoder;
pub use encode::{binary, close, close_empty, deflated_header, ping, pong, text, text_header};
pub use handshake::accept_key;

/// What a client said: a whole message or a control frame.
///
/// The bytes may share the memory of the buffer they were decoded from; what is kept for long is better
/// copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message; always valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A compressed message, for [`deflate::Inflater`]; only from a decoder [`with_deflate`].
    ///
    /// [`with_deflate`]: Decoder::with_deflate
    Deflated(Kind, Bytes),
    /// A ping, to be answered by a [`pong`] with the same payload (§5.5.2).
    Ping(Bytes),
    /// A pong, asked for or not (§5.5.3).
    Pong(Bytes),
    /// The closing handshake, with code and reason where the client gave any (§5.5.1); nothing follows it.
    /// The code is one that may be sent, so it can be echoed as it is.
    Close(Option<(u16, String)>),
}

/// The two kinds of messages (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a client did that ends its connection (§7.1.7): the close frame to send before hanging up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct Violation {
    /// The close code: 1002, 1007 or 1009 (§7.4.1).
    pub code: u16,
    /// One fixed word.
    pub reason: &'static str,
}

impl Violation {
    const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }

    const INVALID_UTF8: Self = Self { code: 1007, reason: "invalid_utf8" };
    const INVALID_DEFLATE: Self = Self { code: 1007, reason: "invalid_deflate" };
    const TOO_BIG: Self = Self { code: 1009, reason: "message_too_big" };
}

impl Incoming {
    /// A message as it is handed on: text only if it is UTF-8 (§8.1).
    fn message(kind: Kind, payload: Bytes) -> Result<Self, Violation> {
        match kind {
            Kind::Text if str::from_utf8(&payload).is_err() => Err(Violation::INVALID_UTF8),
            Kind::Text => Ok(Self::Text(payload)),
            Kind::Binary => Ok(Self::Binary(payload)),
        }
    }
}

/// §5.2, §11.8.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

/// The bit of a frame's first byte that marks the last frame of a message.
const FIN: u8 = 0x80;

/// RSV1: the bit that marks the first frame of a compressed message (RFC 7692 §6).
const DEFLATED: u8 = 0x40;

/// The longest payload of a control frame, and the longest whose length takes no further bytes (§5.2, §5.5).
const MAX_SHORT: usize = 125;

/// Whether a close code may stand in a frame (§7.4, and IANA's register for 1012 to 1014): not those that
/// are reserved for local use (1005, 1006, 1015), nor those that nobody has defined.
fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
