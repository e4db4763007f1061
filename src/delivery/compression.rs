//! Compressed WebSockets (RFC 7692): what the codec has written is compressed on its way out, frame by frame.

use std::cell::RefCell;

use crate::wsframe::{
    Incoming, Kind, Violation,
    deflate::{Deflater, Inflater, Params},
    deflated_header,
};

thread_local! {
    /// One for each window, whoever uses it: none keeps anything from message to message.
    static DEFLATERS: RefCell<[Option<Deflater>; 16]> = const { RefCell::new([const { None }; 16]) };
}

/// What one connection negotiated.
#[derive(Debug)]
pub(super) struct Compression {
    window_bits: u8,
    inflater: Inflater,
    max_message: usize,
}

impl Compression {
    pub(super) fn new(params: &Params, max_message: usize) -> Self {
        let window_bits = params.server_max_window_bits;
        Self { window_bits, inflater: Inflater::new(params), max_message }
    }

    /// A message as it was before the client compressed it.
    pub(super) fn inflate(&mut self, kind: Kind, payload: &[u8]) -> Result<Incoming, Violation> {
        self.inflater.decompress(kind, payload, self.max_message)
    }

    /// Appends whole frames of ours to `out`, the messages among them compressed.
    pub(super) fn deflate(&self, mut frames: &[u8], out: &mut Vec<u8>) {
        DEFLATERS.with_borrow_mut(|deflaters| {
            let deflater = deflaters[usize::from(self.window_bits)]
                .get_or_insert_with(|| Deflater::new(self.window_bits));
            let mut compressed = Vec::new();
            while let Some((header, payload)) = first(frames) {
                let whole = header + payload;
                let kind = match frames[0] & 0x0F {
                    1 => Some(Kind::Text),
                    2 => Some(Kind::Binary),
                    _ => None,
                };
                match kind {
                    Some(kind) => {
                        compressed.clear();
                        deflater.compress(&frames[header..whole], &mut compressed);
                        deflated_header(out, kind, compressed.len());
                        out.extend_from_slice(&compressed);
                    }
                    None => out.extend_from_slice(&frames[..whole]),
                }
                frames = &frames[whole..];
            }
        });
    }
}

/// The length of the first frame's header and of its payload (RFC 6455, 5.2); ours are never masked.
fn first(frames: &[u8]) -> Option<(usize, usize)> {
    match *frames.get(1)? {
        126 => Some((4, u16::from_be_bytes(*frames[2..].first_chunk()?).into())),
        127 => Some((10, u64::from_be_bytes(*frames[2..].first_chunk()?) as usize)),
        short => Some((2, short.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wsframe::{self, deflate::negotiate};

    #[test]
    fn messages_are_compressed_and_controls_are_not() {
        let (params, _) = negotiate(["permessage-deflate"], false).unwrap();
        let compression = Compression::new(&params, 100_000);
        for length in [1, 125, 126, 65_535, 65_536] {
            let text = "a".repeat(length);
            let (mut frames, mut out) = (Vec::new(), Vec::new());
            wsframe::ping(&mut frames, b"p");
            wsframe::text(&mut frames, text.as_bytes());
            wsframe::close(&mut frames, 1000, "done");
            compression.deflate(&frames, &mut out);
            assert_eq!(out[..3], [0x89, 1, b'p']);
            assert_eq!(out[3], 0xC1);
            let (header, payload) = first(&out[3..]).unwrap();
            let payload = &out[3 + header..][..payload];
            let mut inflater = Inflater::new(&params);
            let inflated = inflater.decompress(Kind::Text, payload, length).unwrap();
            assert_eq!(inflated, Incoming::Text(text.into()));
            assert!(out.ends_with(b"\x88\x06\x03\xe8done"));
        }
    }
}
