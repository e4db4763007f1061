use bytes::BytesMut;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::wsframe::{Decoder, deflated_header};

const MAX: usize = 1 << 16;

fn inflater(client_no_context_takeover: bool) -> Inflater {
    Inflater::new(&Params { server_max_window_bits: 15, client_no_context_takeover })
}

fn hello() -> Result<Incoming, Violation> {
    Ok(Incoming::Text("Hello".into()))
}

fn compress(deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    deflater.compress(message, &mut out);
    out
}

/// A client's frame with the key 0, which changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    deflated_header(&mut out, Kind::Text, payload.len());
    out[0] = first;
    out[1] |= 0x80;
    out.extend([0; 4]);
    out.extend(payload);
    out
}

fn decode(decoder: &mut Decoder, stream: &[u8]) -> Result<Vec<Incoming>, Violation> {
    let (mut input, mut all) = (BytesMut::new(), Vec::new());
    for byte in stream.chunks(1) {
        input.extend_from_slice(byte);
        all.extend(decoder.decode(&mut input)?);
    }
    Ok(all)
}

#[rstest]
#[case::plain("permessage-deflate", "")]
#[case::chromium("permessage-deflate; client_max_window_bits", "")]
#[case::no_context(
    "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
    "; client_no_context_takeover"
)]
#[case::client_window("permessage-deflate; client_max_window_bits=8", "")]
#[case::server_window("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9")]
#[case::server_window_full("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15")]
#[case::quoted("permessage-deflate; server_max_window_bits = \"10\"", "; server_max_window_bits=10")]
#[case::other_first("x-webkit-deflate-frame, permessage-deflate", "")]
#[case::quoted_comma("foo; bar=\"\\\", permessage-deflate; nonsense\" , permessage-deflate", "")]
#[case::second_offer("permessage-deflate; server_max_window_bits=8, permessage-deflate", "")]
#[case::first_of_two(
    "permessage-deflate; server_max_window_bits=12, permessage-deflate",
    "; server_max_window_bits=12"
)]
fn accepts(#[case] offer: &str, #[case] answer: &str) {
    let (params, response) = negotiate([offer], true).expect("declined");
    assert_eq!(response, format!("permessage-deflate; server_no_context_takeover{answer}"));
    assert_eq!(params.client_no_context_takeover, answer.contains("client_no"));
}

#[rstest]
#[case::nothing("")]
#[case::other("permessage-bzip2")]
#[case::case("Permessage-Deflate")]
#[case::inside_quotes("foo; bar=\", permessage-deflate\"")]
#[case::unknown("permessage-deflate; level=9")]
#[case::unknown_bare("permessage-deflate; fast")]
#[case::empty("permessage-deflate;")]
#[case::twice("permessage-deflate; client_max_window_bits; client_max_window_bits")]
#[case::twice_flag("permessage-deflate; server_no_context_takeover; server_no_context_takeover")]
#[case::flag_with_value("permessage-deflate; server_no_context_takeover=10")]
#[case::client_flag_with_value("permessage-deflate; client_no_context_takeover=\"\"")]
#[case::server_window_without_value("permessage-deflate; server_max_window_bits")]
#[case::server_window_of_zlib("permessage-deflate; server_max_window_bits=8")]
#[case::too_small("permessage-deflate; client_max_window_bits=7")]
#[case::too_large("permessage-deflate; client_max_window_bits=16")]
#[case::leading_zero("permessage-deflate; server_max_window_bits=09")]
#[case::sign("permessage-deflate; server_max_window_bits=+9")]
#[case::no_number("permessage-deflate; client_max_window_bits=")]
fn declines(#[case] offer: &str) {
    assert_eq!(negotiate([offer], true), None);
}

#[test]
fn negotiates_over_several_headers() {
    let headers = ["permessage-deflate; a", "permessage-deflate; server_max_window_bits=11"];
    let (params, _) = negotiate(headers, true).unwrap();
    assert_eq!(params, Params { server_max_window_bits: 11, client_no_context_takeover: false });
    assert_eq!(negotiate([], true), None);
}

#[test]
fn the_client_can_be_told_to_keep_nothing() {
    let (params, answer) = negotiate(["permessage-deflate"], false).unwrap();
    assert!(params.client_no_context_takeover);
    assert_eq!(answer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

/// The examples of RFC 7692 §7.2.3, by their numbers.
#[rstest]
#[case::one_block(b"\xf2\x48\xcd\xc9\xc9\x07\x00")]
#[case::stored_3(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")]
#[case::last_block_4(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")]
#[case::two_blocks_5(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")]
fn inflates_the_examples_of_the_rfc(#[case] payload: &[u8]) {
    for no_context in [true, false] {
        let mut inflater = inflater(no_context);
        for _ in 0..3 {
            assert_eq!(inflater.decompress(Kind::Text, payload, MAX), hello());
        }
    }
}

/// RFC 7692 §7.2.3.2: the second message refers to the first.
#[test]
fn a_context_is_kept_only_where_agreed() {
    let (first, second) = (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00");
    let mut kept = inflater(false);
    assert_eq!(kept.decompress(Kind::Text, first, MAX), hello());
    assert_eq!(kept.decompress(Kind::Text, second, MAX), hello());

    let mut shared = inflater(true);
    assert_eq!(shared.decompress(Kind::Text, first, MAX), hello());
    assert_eq!(shared.decompress(Kind::Text, second, MAX), Err(Violation::INVALID_DEFLATE));
    assert_eq!(shared.decompress(Kind::Text, first, MAX), hello());
}

/// A shared inflater must not serve one client's bytes to the next, wherever in the window they lie.
#[test]
fn messages_see_nothing_of_each_other() {
    let mut shared = inflater(true);
    let mut secret = vec![0x00, 0x00, 0x80, 0xFF, 0x7F];
    secret.extend([b's'; 1 << 15]);
    secret.push(0x00);
    let told = shared.decompress(Kind::Binary, &secret, MAX);
    assert_eq!(told, Ok(Incoming::Binary(vec![b's'; 1 << 15].into())));
    // One match, 258 bytes long, from 32768 bytes ago.
    let spy = [0x1B, 0xBD, 0xFF, 0x1F, 0x00, 0x00];
    assert_eq!(shared.decompress(Kind::Binary, &spy, MAX), Err(Violation::INVALID_DEFLATE));
}

#[test]
fn compresses_as_the_examples_of_the_rfc() {
    let mut deflater = Deflater::new(15);
    for _ in 0..2 {
        // §7.2.3.1, §7.2.3.6
        assert_eq!(compress(&mut deflater, b"Hello"), b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        assert_eq!(compress(&mut deflater, b""), b"\x00");
    }
    assert_eq!(inflater(true).decompress(Kind::Text, b"\x00", MAX), Ok(Incoming::Text(Bytes::new())));

    let mut out = Vec::new();
    deflated_header(&mut out, Kind::Text, 7);
    deflated_header(&mut out, Kind::Binary, 300);
    assert_eq!(out, [0xC1, 7, 0xC2, 126, 1, 44]);
}

#[test]
fn keeps_to_a_small_window() {
    // What repeats only after 600 bytes is beyond a window of 512.
    let mut noise = 1_u32;
    let block: Vec<u8> = (0..600)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    let message = block.repeat(4);
    let mut small = Deflater::new(9);
    for _ in 0..2 {
        assert!(compress(&mut small, &message).len() > message.len() * 9 / 10);
    }
    assert!(compress(&mut Deflater::new(10), &message).len() < message.len() / 2);
}

#[test]
fn a_bomb_ends_at_the_bound() {
    let bomb = compress(&mut Deflater::new(15), &vec![0; 20 << 20]);
    assert!(bomb.len() < 25_000);
    let mut shared = inflater(true);
    assert_eq!(shared.decompress(Kind::Binary, &bomb, MAX), Err(Violation::TOO_BIG));
    assert_eq!(shared.decompress(Kind::Binary, &bomb, 0), Err(Violation::TOO_BIG));

    let mut out = Vec::new();
    let inflated = inflate(&mut Decompress::new(false), &bomb, &mut out, MAX);
    assert_eq!(inflated, Err(Violation::TOO_BIG));
    assert_eq!(out.capacity(), MAX + 1);
}

#[test]
fn a_message_may_be_as_big_as_the_bound() {
    let mut deflater = Deflater::new(15);
    let mut shared = inflater(true);
    for size in [1, 63, 64, 65, 1000, MAX] {
        let payload = compress(&mut deflater, &vec![7; size]);
        let whole = Ok(Incoming::Binary(vec![7; size].into()));
        assert_eq!(shared.decompress(Kind::Binary, &payload, size), whole);
        assert_eq!(shared.decompress(Kind::Binary, &payload, size - 1), Err(Violation::TOO_BIG));
    }
}

/// On the wire it may be longer than what it stands for.
#[test]
fn the_bound_is_on_what_is_inflated() {
    let noise: Vec<u8> = (0..MAX).map(|_| fastrand::u8(..)).collect();
    let payload = compress(&mut Deflater::new(15), &noise);
    assert!(payload.len() > MAX);
    let mut decoder = Decoder::new(MAX).with_deflate();
    let mut input = BytesMut::from(&frame(0xC2, &payload)[..]);
    assert_eq!(decoder.decode(&mut input), Ok(Some(Incoming::Deflated(Kind::Binary, payload.into()))));
    for first in [0xC2, 0x42] {
        let mut input = BytesMut::from(&frame(first, &vec![0; 2 * MAX])[..14]);
        assert_eq!(Decoder::new(MAX).with_deflate().decode(&mut input), Err(Violation::TOO_BIG));
    }
}

#[test]
fn nonsense_is_told() {
    let mut shared = inflater(true);
    for nonsense in [&b"\x07"[..], b"\xff\xff\xff", b"\x00\x05\x00\x00\x00Hello"] {
        assert_eq!(shared.decompress(Kind::Binary, nonsense, MAX), Err(Violation::INVALID_DEFLATE));
    }
    let bad_text = compress(&mut Deflater::new(15), b"\xED\xA0\x80");
    assert_eq!(shared.decompress(Kind::Text, &bad_text, MAX), Err(Violation::INVALID_UTF8));
    assert!(shared.decompress(Kind::Binary, &bad_text, MAX).is_ok());
}

#[test]
fn last_blocks_without_end_do_no_harm() {
    // Each is an empty last block.
    let payload = [0x03, 0x00].repeat(MAX / 2);
    for no_context in [true, false] {
        let mut inflater = inflater(no_context);
        assert_eq!(inflater.decompress(Kind::Binary, &payload, MAX), Ok(Incoming::Binary(Bytes::new())));
        assert_eq!(inflater.decompress(Kind::Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00", MAX), hello());
    }
}

#[test]
fn decodes_compressed_messages() {
    let mut decoder = Decoder::new(MAX).with_deflate();
    // RFC 7692 §7.2.3.1, in one frame and in two with a ping between; then one that is not compressed.
    let payload = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let stream = [
        frame(0xC1, payload),
        frame(0x41, &payload[..3]),
        frame(0x89, b""),
        frame(0x80, &payload[3..]),
        frame(0x81, b"Hello"),
        frame(0x02, b"Hel"),
        frame(0x80, b"lo"),
    ];
    let deflated = Incoming::Deflated(Kind::Text, Bytes::from_static(payload));
    let expected = vec![
        deflated.clone(),
        Incoming::Ping(Bytes::new()),
        deflated,
        Incoming::Text("Hello".into()),
        Incoming::Binary("Hello".into()),
    ];
    let decoded = decode(&mut decoder, &stream.concat()).unwrap();
    assert_eq!(decoded, expected);
}

#[rstest]
#[case::not_negotiated(false, &[0xC1])]
#[case::control(true, &[0xC9])]
#[case::rsv2(true, &[0xE1])]
#[case::rsv3(true, &[0x91])]
#[case::continuation(true, &[0x41, 0xC0])]
fn the_bit_stands_only_where_it_may(#[case] deflate: bool, #[case] frames: &[u8]) {
    let mut decoder = Decoder::new(MAX);
    if deflate {
        decoder = decoder.with_deflate();
    }
    let stream: Vec<u8> = frames.iter().flat_map(|first| frame(*first, b"")).collect();
    let mut input = BytesMut::from(&stream[..]);
    assert_eq!(decoder.decode(&mut input), Err(Violation::protocol("reserved_bits")));
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        // Repeats itself, near and far.
        (prop::collection::vec(any::<u8>(), 1..50), 0..1200_usize).prop_map(|(part, n)| part.repeat(n)),
    ]
}

proptest! {
    #[test]
    fn what_is_compressed_is_what_is_inflated(
        messages in prop::collection::vec(message(), 1..6),
        window_bits in 9..=15_u8,
    ) {
        let (mut deflater, mut shared) = (Deflater::new(window_bits), inflater(true));
        for message in messages {
            let payload = compress(&mut deflater, &message);
            let inflated = shared.decompress(Kind::Binary, &payload, message.len());
            prop_assert_eq!(inflated, Ok(Incoming::Binary(message.into())));
        }
    }

    /// A client that keeps its context, which each message adds to.
    #[test]
    fn contexts_go_on(messages in prop::collection::vec(message(), 1..6), window_bits in 9..=15_u8) {
        let mut client = Compress::new_with_window_bits(Compression::default(), false, window_bits);
        let mut kept = inflater(false);
        for message in messages {
            let mut payload = Vec::with_capacity(2 * message.len() + 100);
            if message.is_empty() {
                // What a second flush in a row has nothing to say about (RFC 7692, 7.2.3.6).
                payload.push(0);
            } else {
                client.compress_vec(&message, &mut payload, FlushCompress::Sync).unwrap();
                prop_assert!(payload.ends_with(&TAIL));
                payload.truncate(payload.len() - TAIL.len());
            }
            let inflated = kept.decompress(Kind::Binary, &payload, message.len());
            prop_assert_eq!(inflated, Ok(Incoming::Binary(message.into())));
        }
    }

    #[test]
    fn noise_does_no_harm(noise in prop::collection::vec(any::<u8>(), 0..500)) {
        if let Ok(Incoming::Binary(inflated)) = inflater(true).decompress(Kind::Binary, &noise, 1000) {
            prop_assert!(inflated.len() <= 1000);
        }
    }
}
