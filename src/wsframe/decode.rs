//! Frames from a client, checked and put together to messages.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::{DEFLATED, FIN, Incoming, Kind, MAX_SHORT, Opcode, Violation, is_sendable};

/// The receiving half of one connection: takes frames off the front of what was read.
///
/// Its memory is bounded by what the client has really sent, and by `max_message`; a header alone reserves
/// nothing. Between messages it holds nothing on the heap.
#[derive(Debug)]
pub struct Decoder {
    max_message: usize,
    /// What has come of the message so far, unmasked; a message that is read whole never passes here.
    message: Vec<u8>,
    /// The message that is under way, from its first frame to its last.
    kind: Option<Kind>,
    /// Whether that message is compressed.
    deflated: bool,
    /// Payload bytes of the present data frame that are still to come.
    remaining: usize,
    /// The key of the present data frame, turned so that it begins at the next byte.
    mask: [u8; 4],
    /// Whether the present data frame is its message's last.
    fin: bool,
    /// Bytes at the end of `message` that begin a character and leave it open: at most 3.
    open_char: u8,
    /// Compression was negotiated.
    deflate: bool,
    /// A close or a violation was seen.
    over: bool,
}

/// RFC 6455 §5.2; `size` is that of the header itself.
struct Header {
    fin: bool,
    deflated: bool,
    opcode: Opcode,
    mask: [u8; 4],
    len: usize,
    size: usize,
}

impl Decoder {
    /// A decoder for one connection that accepts messages of up to `max_message` bytes.
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self {
            max_message,
            message: Vec::new(),
            kind: None,
            deflated: false,
            remaining: 0,
            mask: [0; 4],
            fin: false,
            open_char: 0,
            deflate: false,
            over: false,
        }
    }

    /// Accepts compressed messages too, as negotiated (RFC 7692).
    #[must_use]
    pub fn with_deflate(mut self) -> Self {
        self.deflate = true;
        self
    }

    /// The next message or control frame in `input`; `None` when it takes more bytes to know.
    ///
    /// What was understood is taken off the front of `input`, data frames also in part, so that what remains
    /// after `None` is less than a header (14 bytes) or a control frame (131 bytes). After a close, or an
    /// error, all that follows is thrown away and the answer is `None` (RFC 6455 §5.5.1).
    ///
    /// # Errors
    /// A [`Violation`] as early as the bytes betray it: of the framing (1002), of UTF-8 (1007, inside a frame
    /// already: §8.1), or of the bound (1009, before any of the frame's payload is taken).
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        if self.over {
            input.clear();
            return Ok(None);
        }
        let decoded = self.step(input);
        if matches!(decoded, Err(_) | Ok(Some(Incoming::Close(_)))) {
            self.over = true;
            self.message = Vec::new();
            input.clear();
        }
        decoded
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        loop {
            if self.remaining == 0 {
                let Some(header) = self.header(input)? else { return Ok(None) };
                let whole = input.len() - header.size >= header.len;
                let begun = match header.opcode {
                    Opcode::Close | Opcode::Ping | Opcode::Pong if !whole => return Ok(None),
                    Opcode::Close => return close(&take(input, &header)).map(Some),
                    Opcode::Ping => return Ok(Some(Incoming::Ping(take(input, &header)))),
                    Opcode::Pong => return Ok(Some(Incoming::Pong(take(input, &header)))),
                    Opcode::Text => Some(Kind::Text),
                    Opcode::Binary => Some(Kind::Binary),
                    Opcode::Continuation => None,
                };
                if let Some(kind) = begun {
                    if whole && header.fin {
                        let payload = take(input, &header);
                        return match header.deflated {
                            true => Ok(Some(Incoming::Deflated(kind, payload))),
                            false => Incoming::message(kind, payload).map(Some),
                        };
                    }
                    self.kind = Some(kind);
                    self.deflated = header.deflated;
                }
                input.advance(header.size);
                self.remaining = header.len;
                self.mask = header.mask;
                self.fin = header.fin;
            }
            self.take_payload(input)?;
            if self.remaining > 0 {
                return Ok(None);
            }
            if self.fin
                && let Some(kind) = self.kind.take()
            {
                return self.finish(kind).map(Some);
            }
        }
    }

    /// The header at the front of `input`, checked against §5.2 to §5.5 and the message that is under way.
    fn header(&self, input: &[u8]) -> Result<Option<Header>, Violation> {
        let &[first, second, ref rest @ ..] = input else { return Ok(None) };
        let (fin, deflated) = (first & FIN != 0, first & DEFLATED != 0);
        let opcode = match first & 0x0F {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return Err(Violation::protocol("unknown_opcode")),
        };
        let may_be_deflated = self.deflate && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & 0x30 != 0 || (deflated && !may_be_deflated) {
            return Err(Violation::protocol("reserved_bits"));
        }
        let short = usize::from(second & 0x7F);
        match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                if !fin {
                    return Err(Violation::protocol("fragmented_control"));
                }
                if short > MAX_SHORT {
                    return Err(Violation::protocol("long_control"));
                }
            }
            Opcode::Continuation if self.kind.is_none() => {
                return Err(Violation::protocol("unexpected_continuation"));
            }
            Opcode::Text | Opcode::Binary if self.kind.is_some() => {
                return Err(Violation::protocol("unfinished_message"));
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
        }
        if second & 0x80 == 0 {
            return Err(Violation::protocol("unmasked_frame"));
        }
        let (len, rest) = match short {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from(u16::from_be_bytes(*len));
                if len <= MAX_SHORT as u64 {
                    return Err(Violation::protocol("length_not_minimal"));
                }
                (len, rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from_be_bytes(*len);
                if len >> 63 != 0 {
                    return Err(Violation::protocol("length_out_of_range"));
                }
                if len <= u64::from(u16::MAX) {
                    return Err(Violation::protocol("length_not_minimal"));
                }
                (len, rest)
            }
            short => (short as u64, rest),
        };
        let len = usize::try_from(len).map_err(|_| Violation::TOO_BIG)?;
        let is_data = matches!(opcode, Opcode::Continuation | Opcode::Text | Opcode::Binary);
        if is_data && len > self.max_size(deflated).saturating_sub(self.message.len()) {
            return Err(Violation::TOO_BIG);
        }
        let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
        Ok(Some(Header { fin, deflated, opcode, mask: *mask, len, size: input.len() - rest.len() }))
    }

    /// What a message may measure on the wire. Data that cannot be compressed grows by a few bytes in each
    /// block, and must not fail for that; the bound on what it is inflated to is the exact one.
    fn max_size(&self, begins_deflated: bool) -> usize {
        let deflated = begins_deflated || (self.kind.is_some() && self.deflated);
        if deflated { self.max_message.saturating_add(self.max_message / 256 + 64) } else { self.max_message }
    }

    /// Moves what has come of the present data frame into `message`.
    fn take_payload(&mut self, input: &mut BytesMut) -> Result<(), Violation> {
        let len = self.remaining.min(input.len());
        let start = self.message.len();
        self.make_room(len);
        self.message.extend_from_slice(&input[..len]);
        input.advance(len);
        unmask(&mut self.message[start..], self.mask);
        self.mask.rotate_left(len % 4);
        self.remaining -= len;
        if self.kind == Some(Kind::Text) && !self.deflated { self.check_text(start) } else { Ok(()) }
    }

    /// Grows `message` for `len` more bytes: by doubling, but not beyond the end of the present frame, so that
    /// a message costs at most twice what has come and never more than its own size.
    fn make_room(&mut self, len: usize) {
        let (used, capacity) = (self.message.len(), self.message.capacity());
        if capacity - used < len {
            let wanted = (used + len).max(2 * capacity).min(used + self.remaining);
            self.message.reserve_exact(wanted - used);
        }
    }

    /// Checks what is new in a text message, together with the character that was left open before it.
    fn check_text(&mut self, start: usize) -> Result<(), Violation> {
        let unchecked = &self.message[start - usize::from(self.open_char)..];
        self.open_char = match str::from_utf8(unchecked) {
            Ok(_) => 0,
            Err(e) if e.error_len().is_some() => return Err(Violation::INVALID_UTF8),
            Err(e) => (unchecked.len() - e.valid_up_to()) as u8,
        };
        Ok(())
    }

    fn finish(&mut self, kind: Kind) -> Result<Incoming, Violation> {
        let message = Bytes::from(mem::take(&mut self.message));
        match kind {
            Kind::Text | Kind::Binary if self.deflated => Ok(Incoming::Deflated(kind, message)),
            Kind::Text if self.open_char > 0 => Err(Violation::INVALID_UTF8),
            Kind::Text => Ok(Incoming::Text(message)),
            Kind::Binary => Ok(Incoming::Binary(message)),
        }
    }

    /// Whether it is between messages, and nothing of it has to be kept.
    pub fn is_idle(&self) -> bool {
        self.kind.is_none() && self.remaining == 0 && !self.over
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.message.capacity()
    }
}

/// The payload of a frame that is in `input` to its end, unmasked where it lies.
fn take(input: &mut BytesMut, header: &Header) -> Bytes {
    input.advance(header.size);
    if header.len == 0 {
        return Bytes::new();
    }
    let mut payload = input.split_to(header.len);
    unmask(&mut payload, header.mask);
    payload.freeze()
}

/// RFC 6455 §5.5.1, §7.4.
fn close(payload: &[u8]) -> Result<Incoming, Violation> {
    if payload.is_empty() {
        return Ok(Incoming::Close(None));
    }
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Err(Violation::protocol("invalid_close_payload"));
    };
    let code = u16::from_be_bytes(*code);
    if !is_sendable(code) {
        return Err(Violation::protocol("invalid_close_code"));
    }
    let reason = str::from_utf8(reason).map_err(|_| Violation::INVALID_UTF8)?;
    Ok(Incoming::Close(Some((code, reason.to_owned()))))
}

/// RFC 6455 §5.3, eight bytes at a time.
fn unmask(data: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = data.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}
