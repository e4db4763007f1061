//! Compression of messages: permessage-deflate (RFC 7692), between the handshake and the codec.
//!
//! The server never keeps a context between messages, so that one compressed event serves all connections
//! with the same window, and a [`Deflater`] belongs to a thread, not to a connection. Where the client keeps
//! none either, the same holds for the [`Inflater`], and a compressed connection costs no memory.

use std::fmt::Write;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Incoming, Kind, Violation};

#[cfg(test)]
mod tests;

const NAME: &str = "permessage-deflate";

/// The end of a flushed block, which is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// DEFLATE's own window is 2 to the power of 15 bytes.
const MAX_WINDOW_BITS: u8 = 15;

/// zlib does not speak raw DEFLATE with a smaller window.
const MIN_WINDOW_BITS: u8 = 9;

/// What was agreed with one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The [`Deflater`]'s window, 9 to 15.
    pub server_max_window_bits: u8,
    /// Whether each of the client's messages can be inflated by itself.
    pub client_no_context_takeover: bool,
}

/// Accepts the first offer that can be met among those in the `Sec-WebSocket-Extensions` headers, in their
/// order; returns what was agreed and the answer's `Sec-WebSocket-Extensions`.
///
/// The answer always has `server_no_context_takeover` (RFC 7692 §7.1.1.1). It has
/// `client_no_context_takeover`, which is the server's to demand (§7.1.1.2), where it was offered and, unless
/// `keep_client_context`, in any case: a context costs some 40 KiB for as long as the connection lives. A
/// `server_max_window_bits` is met to the letter; one of 8 is declined, zlib has none so small. A
/// `client_max_window_bits` is a hint (§7.1.2.2) that needs no answer, as an [`Inflater`] has the full window.
pub fn negotiate<'a>(
    headers: impl IntoIterator<Item = &'a str>,
    keep_client_context: bool,
) -> Option<(Params, String)> {
    let mut offers = headers.into_iter().flat_map(|header| split(header, ','));
    let offer = offers.find_map(Offer::parse)?;

    let params = Params {
        server_max_window_bits: offer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS),
        client_no_context_takeover: offer.client_no_context_takeover || !keep_client_context,
    };
    let mut answer = format!("{NAME}; server_no_context_takeover");
    if params.client_no_context_takeover {
        answer.push_str("; client_no_context_takeover");
    }
    if let Some(bits) = offer.server_max_window_bits {
        let _ = write!(answer, "; server_max_window_bits={bits}");
    }
    Some((params, answer))
}

/// RFC 7692 §7.1.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// May stand without a value, and then says only that the client understands it in the answer.
    client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// `None` for another extension, and for what must be declined (§7.1): an unknown parameter, one given
    /// twice, a value that is wrong or cannot be met.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';');
        if parts.next()? != NAME {
            return None;
        }
        let mut offer = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(window_bits(value.trim_start())?)),
                None => (part, None),
            };
            let is_first = match (name, value) {
                ("server_no_context_takeover", None) => set(&mut offer.server_no_context_takeover, true),
                ("client_no_context_takeover", None) => set(&mut offer.client_no_context_takeover, true),
                ("server_max_window_bits", Some(bits @ MIN_WINDOW_BITS..)) => {
                    set(&mut offer.server_max_window_bits, Some(bits))
                }
                ("client_max_window_bits", value) => set(&mut offer.client_max_window_bits, Some(value)),
                _ => false,
            };
            if !is_first {
                return None;
            }
        }
        Some(offer)
    }
}

/// Whether `slot` was still as it is by default.
fn set<T: Default + PartialEq>(slot: &mut T, value: T) -> bool {
    std::mem::replace(slot, value) == T::default()
}

/// A number from 8 to 15 without leading zeros (§7.1.2), as a token or quoted (RFC 6455 §9.1).
fn window_bits(value: &str) -> Option<u8> {
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    (8..=MAX_WINDOW_BITS).find(|bits| bits.to_string() == bare)
}

/// The trimmed parts between `separator`s, save those inside quoted strings (RFC 6455 §9.1).
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        let ends = c == separator && !is_quoted;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        ends
    })
    .map(str::trim)
}

/// Compresses messages, each by itself; one serves any number of connections that agreed on its window.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
}

impl Deflater {
    /// A compressor with a window of 2 to the power of `window_bits` bytes.
    ///
    /// # Panics
    /// Unless `window_bits` is from 9 to 15.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        Self { stream: Compress::new_with_window_bits(Compression::default(), false, window_bits) }
    }

    /// Appends the compressed payload of `message` to `out` (RFC 7692 §7.2.1). Its header is
    /// [`deflated_header`](super::deflated_header). Where it came out longer, `message` may as well be sent as
    /// it is (§6).
    pub fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) {
        loop {
            // Documents shrink to a half and less. Room for a whole end marker, or it comes out twice.
            out.reserve(message.len() / 2 + 64);
            let read = self.stream.total_in() as usize;
            self.stream
                .compress_vec(&message[read..], out, FlushCompress::Sync)
                .expect("a fresh stream with room for output cannot fail");
            if out.len() < out.capacity() {
                break;
            }
        }
        self.stream.reset();
        debug_assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
    }
}

/// Inflates a client's messages. Where [`Params::client_no_context_takeover`], one serves any number of
/// connections, and no message can see another's bytes; otherwise each connection needs its own.
///
/// It takes memory, some 40 KiB, with the first message.
#[derive(Debug)]
pub struct Inflater {
    stream: Option<Decompress>,
    keeps_context: bool,
}

impl Inflater {
    /// An inflater for what was agreed.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        Self { stream: None, keeps_context: !params.client_no_context_takeover }
    }

    /// The message that was sent as `payload` (RFC 7692 §7.2.2), at most `max_message` bytes.
    ///
    /// # Errors
    /// 1009 at the first byte beyond `max_message`, and nothing more is inflated; 1007 for what is not DEFLATE,
    /// or should be UTF-8 and is not.
    pub fn decompress(
        &mut self,
        kind: Kind,
        payload: &[u8],
        max_message: usize,
    ) -> Result<Incoming, Violation> {
        let mut out = Vec::new();
        // A smaller window than the full one cannot be reset, only made anew: too dear for a message of a
        // thousand last blocks.
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let inflated = inflate(stream, payload, &mut out, max_message)
            .and_then(|ended| Ok(inflate(stream, &TAIL, &mut out, max_message)? || ended));
        // After a last block (§7.2.3.4) the client begins anew as well.
        if !self.keeps_context || inflated != Ok(false) {
            stream.reset(false);
        }
        inflated?;
        Incoming::message(kind, Bytes::from(out))
    }
}

/// Inflates the whole of `input`; whether there was a last block in it.
fn inflate(
    stream: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    max: usize,
) -> Result<bool, Violation> {
    let mut ended = false;
    loop {
        if out.len() == out.capacity() {
            // The byte beyond the bound is the one that tells a message that is too big.
            let wanted = (2 * out.len()).max(4 * input.len()).max(64).min(max.saturating_add(1));
            out.reserve_exact(wanted - out.len());
        }
        let before = stream.total_in();
        let status = stream
            .decompress_vec(input, out, FlushDecompress::Sync)
            .map_err(|_| Violation::INVALID_DEFLATE)?;
        input = &input[(stream.total_in() - before) as usize..];
        if out.len() > max {
            return Err(Violation::TOO_BIG);
        }
        if status == Status::StreamEnd {
            ended = true;
            stream.reset(false);
        }
        if input.is_empty() && out.len() < out.capacity() {
            return Ok(ended);
        }
    }
}
