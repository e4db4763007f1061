//! Frames as a server sends them: whole messages in one frame each, never masked (RFC 6455 §5.1).

use bytes::BufMut;

use super::{DEFLATED, FIN, Kind, MAX_SHORT, Opcode, is_sendable};

/// A text message. That `payload` is UTF-8 is the caller's word.
pub fn text(out: &mut impl BufMut, payload: &[u8]) {
    text_header(out, payload.len());
    out.put_slice(payload);
}

/// The header alone of a text message of `len` bytes, which the caller appends.
pub fn text_header(out: &mut impl BufMut, len: usize) {
    header(out, FIN | Opcode::Text as u8, len);
}

/// A binary message.
pub fn binary(out: &mut impl BufMut, payload: &[u8]) {
    header(out, FIN | Opcode::Binary as u8, payload.len());
    out.put_slice(payload);
}

/// The header alone of a message that was compressed to `len` bytes, which the caller appends (RFC 7692 §6).
pub fn deflated_header(out: &mut impl BufMut, kind: Kind, len: usize) {
    let opcode = match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    };
    header(out, FIN | DEFLATED | opcode as u8, len);
}

/// A ping; at most 125 bytes of `payload` are sent (RFC 6455 §5.5).
pub fn ping(out: &mut impl BufMut, payload: &[u8]) {
    control(out, Opcode::Ping, payload);
}

/// A pong; at most 125 bytes of `payload` are sent, more than any ping has (RFC 6455 §5.5).
pub fn pong(out: &mut impl BufMut, payload: &[u8]) {
    control(out, Opcode::Pong, payload);
}

/// A close with a code and a reason (RFC 6455 §5.5.1); the reason is cut at a character to the 123 bytes that
/// there is room for.
pub fn close(out: &mut impl BufMut, code: u16, reason: &str) {
    debug_assert!(is_sendable(code), "{code} must not stand in a frame");
    let reason = &reason[..reason.floor_char_boundary(MAX_SHORT - 2)];
    header(out, FIN | Opcode::Close as u8, 2 + reason.len());
    out.put_u16(code);
    out.put_slice(reason.as_bytes());
}

/// A close that says nothing: the echo of one that said nothing.
pub fn close_empty(out: &mut impl BufMut) {
    control(out, Opcode::Close, &[]);
}

fn control(out: &mut impl BufMut, opcode: Opcode, payload: &[u8]) {
    let payload = &payload[..payload.len().min(MAX_SHORT)];
    header(out, FIN | opcode as u8, payload.len());
    out.put_slice(payload);
}

/// RFC 6455 §5.2: the length in the fewest bytes that hold it.
fn header(out: &mut impl BufMut, first: u8, len: usize) {
    if len <= MAX_SHORT {
        out.put_slice(&[first, len as u8]);
    } else if let Ok(len) = u16::try_from(len) {
        let [a, b] = len.to_be_bytes();
        out.put_slice(&[first, 126, a, b]);
    } else {
        out.put_slice(&[first, 127]);
        out.put_u64(len as u64);
    }
}
