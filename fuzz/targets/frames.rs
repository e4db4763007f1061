//! What a WebSocket client sends. The first byte says in which pieces it comes, and whether compression was
//! agreed: the pieces make no difference, and nothing passes the bound.

#![no_main]

use bytes::BytesMut;
use fanlight::wsframe::{
    Decoder, Incoming, Kind, Violation,
    deflate::{Deflater, Inflater, Params},
};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let deflate = how & 1 == 1;
    let whole = decoded(bytes, bytes.len().max(1), deflate);
    let pieces = decoded(bytes, usize::from(how >> 1) % 37 + 1, deflate);
    assert_eq!(whole, pieces);
    let params = Params { server_max_window_bits: 15, client_no_context_takeover: how & 2 == 0 };
    let mut inflater = Inflater::new(&params);
    for message in whole.iter().flatten() {
        match message {
            Incoming::Text(text) => assert!(text.len() <= MAX && str::from_utf8(text).is_ok()),
            Incoming::Binary(bytes) => assert!(bytes.len() <= MAX),
            Incoming::Deflated(kind, bytes) => {
                assert!(deflate && bytes.len() <= MAX);
                if let Ok(inflated) = inflater.decompress(*kind, bytes, MAX) {
                    match inflated {
                        Incoming::Text(text) => assert!(text.len() <= MAX && str::from_utf8(&text).is_ok()),
                        Incoming::Binary(bytes) => assert!(bytes.len() <= MAX),
                        other => panic!("no message: {other:?}"),
                    }
                } else {
                    break;
                }
            }
            Incoming::Ping(bytes) | Incoming::Pong(bytes) => assert!(bytes.len() <= 125),
            Incoming::Close(reason) => {
                assert!(reason.as_ref().is_none_or(|(_, text)| text.len() <= 123));
            }
        }
    }
    echoed(bytes, params);
});

/// Everything in `bytes`, of which `step` come at a time.
fn decoded(bytes: &[u8], step: usize, deflate: bool) -> Vec<Result<Incoming, Violation>> {
    let mut decoder = Decoder::new(MAX);
    if deflate {
        decoder = decoder.with_deflate();
    }
    let (mut input, mut all) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(message)) => all.push(Ok(message)),
                Ok(None) => break,
                Err(violation) => all.push(Err(violation)),
            }
        }
        assert!(step > 200 || input.len() < 131 + step, "{} bytes are held", input.len());
    }
    all
}

/// What is compressed inflates to the same, and not beyond the bound.
fn echoed(bytes: &[u8], params: Params) {
    let mut packed = Vec::new();
    Deflater::new(15).compress(bytes, &mut packed);
    let message = Inflater::new(&params).decompress(Kind::Binary, &packed, MAX);
    match message {
        Ok(Incoming::Binary(unpacked)) => assert_eq!(unpacked, bytes),
        Err(violation) => assert!(bytes.len() > MAX && violation.code == 1009),
        other => panic!("no message: {other:?}"),
    }
}
