use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const MAX: usize = 1 << 20;
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame as a client sends it, with the shortest length.
fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
    out
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, MASK, payload)
}

fn decode_all(decoder: &mut Decoder, input: &mut BytesMut) -> Result<Vec<Incoming>, Violation> {
    let mut all = Vec::new();
    while let Some(incoming) = decoder.decode(input)? {
        all.push(incoming);
    }
    Ok(all)
}

fn decode_once(stream: &[u8]) -> Result<Vec<Incoming>, Violation> {
    decode_all(&mut Decoder::new(MAX), &mut BytesMut::from(stream))
}

/// Reads `stream` in pieces, as from a socket.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Incoming>, Violation> {
    let (mut decoder, mut input, mut all) = (Decoder::new(MAX), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        all.extend(decode_all(&mut decoder, &mut input)?);
        assert!(input.len() < 131, "{} bytes left lying", input.len());
    }
    Ok(all)
}

fn words(text: &'static str) -> Incoming {
    Incoming::Text(Bytes::from_static(text.as_bytes()))
}

fn violation(stream: &[u8]) -> (u16, &'static str) {
    let whole = decode_once(stream).expect_err("accepted");
    let bytewise = decode_pieces(stream.chunks(1)).expect_err("accepted byte by byte");
    assert_eq!(whole, bytewise);
    (whole.code, whole.reason)
}

#[test]
fn answers_the_key_of_the_rfc() {
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[rstest]
#[case::empty("")]
#[case::thirteen_bytes("SGVsbG8sIHdvcmxkIQ==")]
#[case::fifteen_bytes("AAAAAAAAAAAAAAAAAAAA")]
#[case::seventeen_bytes("AAAAAAAAAAAAAAAAAAAAAAA=")]
#[case::eighteen_bytes("AAAAAAAAAAAAAAAAAAAAAAAA")]
#[case::long("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case::unpadded("dGhlIHNhbXBsZSBub25jZQ")]
#[case::spaces(" dGhlIHNhbXBsZSBub25jZQ==")]
#[case::not_base64("dGhlIHNhbXBsZSBub25j!Q==")]
#[case::not_ascii("dGhlIHNhbXBsZSBub25jé==")]
fn refuses_a_bad_key(#[case] key: &str) {
    assert_eq!(accept_key(key), None);
}

#[test]
fn encodes_the_examples_of_the_rfc() {
    // §5.7
    let mut out = Vec::new();
    text(&mut out, b"Hello");
    assert_eq!(out, b"\x81\x05Hello");

    out.clear();
    ping(&mut out, b"Hello");
    assert_eq!(out, b"\x89\x05Hello");

    out.clear();
    binary(&mut out, &[7; 256]);
    assert_eq!(out[..4], [0x82, 0x7E, 0x01, 0x00]);
    assert_eq!(out[4..], [7; 256]);

    out.clear();
    binary(&mut out, &[7; 65536]);
    assert_eq!(out[..10], [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(out.len(), 10 + 65536);
}

#[rstest]
#[case(0, &[0x81, 0])]
#[case(125, &[0x81, 125])]
#[case(126, &[0x81, 126, 0, 126])]
#[case(65535, &[0x81, 126, 0xFF, 0xFF])]
#[case(65536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0])]
fn header_is_minimal(#[case] len: usize, #[case] header: &[u8]) {
    let mut out = BytesMut::new();
    text_header(&mut out, len);
    assert_eq!(out, header);
}

#[test]
fn encodes_control_frames() {
    let mut out = Vec::new();
    pong(&mut out, b"");
    close_empty(&mut out);
    close(&mut out, 1012, "drain");
    assert_eq!(out, b"\x8A\x00\x88\x00\x88\x07\x03\xF4drain");

    out.clear();
    ping(&mut out, &[1; 200]);
    assert_eq!((out[1], out.len()), (125, 127));
}

#[test]
fn a_close_reason_is_cut_at_a_character() {
    let mut out = Vec::new();
    close(&mut out, 1000, &"가".repeat(42));
    // 41 characters of 3 bytes are 123.
    assert_eq!((out[1], out.len()), (125, 127));

    out.clear();
    close(&mut out, 1000, &format!("a{}", "가".repeat(42)));
    assert_eq!(out[1], 2 + 1 + 40 * 3);
    assert!(str::from_utf8(&out[4..]).is_ok());
}

#[test]
fn decodes_the_examples_of_the_rfc() {
    // §5.7: one masked text frame; the pong to the ping of the same section.
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(
        decode_once(&[&hello[..], pong].concat()),
        Ok(vec![words("Hello"), Incoming::Pong("Hello".into())])
    );
}

/// Every kind of frame and each form of the length, with controls inside a fragmented message and characters
/// of every width, one of them cut by a frame's end.
fn specimen() -> (Vec<u8>, Vec<Incoming>) {
    let medium = "é".repeat(100);
    let (a, b) = "ß 가 🎏".as_bytes().split_at(4);
    let stream = [
        masked(0x81, b""),
        masked(0x81, b"Hello"),
        masked(0x82, b""),
        masked(0x01, a),
        masked(0x89, b"still there?"),
        masked(0x00, b""),
        masked(0x8A, b""),
        masked(0x80, b),
        masked(0x81, medium.as_bytes()),
        masked(0x02, &[0xFF; 3]),
        masked(0x80, &[0xFE; 130]),
        masked(0x88, b"\x03\xE8bye"),
    ]
    .concat();
    let expected = vec![
        words(""),
        words("Hello"),
        Incoming::Binary(Bytes::new()),
        Incoming::Ping("still there?".into()),
        Incoming::Pong(Bytes::new()),
        words("ß 가 🎏"),
        Incoming::Text(medium.into()),
        Incoming::Binary([vec![0xFF; 3], vec![0xFE; 130]].concat().into()),
        Incoming::Close(Some((1000, "bye".to_owned()))),
    ];
    (stream, expected)
}

#[test]
fn decodes_whatever_the_cuts() {
    let (stream, expected) = specimen();
    assert_eq!(decode_once(&stream).as_ref(), Ok(&expected));
    for size in 1..=16 {
        assert_eq!(decode_pieces(stream.chunks(size)).as_ref(), Ok(&expected), "in pieces of {size}");
    }
    for at in 0..=stream.len() {
        let (a, b) = stream.split_at(at);
        assert_eq!(decode_pieces([a, b]).as_ref(), Ok(&expected), "cut at {at}");
    }
}

#[test]
fn decodes_a_message_of_the_longest_form() {
    let payload: Vec<u8> = (0..70_000_u32).map(|i| i as u8).collect();
    let stream = masked(0x82, &payload);
    let expected = vec![Incoming::Binary(payload.into())];
    assert_eq!(decode_once(&stream).as_ref(), Ok(&expected));
    assert_eq!(decode_pieces(stream.chunks(4096)), Ok(expected));
}

#[rstest]
#[case::rsv1(&[0xC1, 0x80], "reserved_bits")]
#[case::rsv2(&[0xA1, 0x80], "reserved_bits")]
#[case::rsv3(&[0x91, 0x80], "reserved_bits")]
#[case::rsv1_control(&[0xC9, 0x80], "reserved_bits")]
#[case::opcode_3(&[0x83, 0x80], "unknown_opcode")]
#[case::opcode_7(&[0x87, 0x80], "unknown_opcode")]
#[case::opcode_11(&[0x8B, 0x80], "unknown_opcode")]
#[case::opcode_15(&[0x8F, 0x80], "unknown_opcode")]
#[case::unmasked_text(&[0x81, 0x00], "unmasked_frame")]
#[case::unmasked_ping(&[0x89, 0x00], "unmasked_frame")]
#[case::fragmented_ping(&[0x09, 0x80], "fragmented_control")]
#[case::fragmented_pong(&[0x0A, 0x80], "fragmented_control")]
#[case::fragmented_close(&[0x08, 0x80], "fragmented_control")]
#[case::long_ping(&[0x89, 0xFE], "long_control")]
#[case::long_close(&[0x88, 0xFF], "long_control")]
#[case::last_continuation(&[0x80, 0x80], "unexpected_continuation")]
#[case::continuation(&[0x00, 0x80], "unexpected_continuation")]
#[case::length_125_in_16(&[0x81, 0xFE, 0, 125], "length_not_minimal")]
#[case::length_65535_in_64(&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], "length_not_minimal")]
#[case::length_beyond_63(&[0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], "length_out_of_range")]
#[case::close_of_1(&[0x88, 0x81, 0, 0, 0, 0, 3], "invalid_close_payload")]
fn violates_the_protocol(#[case] stream: &[u8], #[case] reason: &'static str) {
    assert_eq!(violation(stream), (1002, reason));
}

#[rstest]
#[case::text_in_text(0x01, 0x81, "unfinished_message")]
#[case::binary_in_text(0x01, 0x82, "unfinished_message")]
#[case::text_in_binary(0x02, 0x01, "unfinished_message")]
#[case::continuation_after_the_last(0x81, 0x80, "unexpected_continuation")]
fn violates_the_order_of_fragments(#[case] a: u8, #[case] b: u8, #[case] reason: &'static str) {
    for payload in [&b""[..], b"abc"] {
        let stream = [masked(a, payload), masked(b, payload)].concat();
        assert_eq!(violation(&stream), (1002, reason));
    }
}

#[test]
fn close_codes() {
    for code in 0..=u16::MAX {
        let decoded = decode_once(&masked(0x88, &code.to_be_bytes()));
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => {
                assert_eq!(decoded, Ok(vec![Incoming::Close(Some((code, String::new())))]));
            }
            _ => assert_eq!(decoded, Err(Violation::protocol("invalid_close_code")), "{code}"),
        }
    }
}

#[test]
fn close_payloads() {
    assert_eq!(decode_once(&masked(0x88, b"")), Ok(vec![Incoming::Close(None)]));
    let longest = format!("{}.", "é".repeat(61));
    let payload = [&[0x03, 0xE9], longest.as_bytes()].concat();
    assert_eq!(decode_once(&masked(0x88, &payload)), Ok(vec![Incoming::Close(Some((1001, longest)))]));
    assert_eq!(violation(&masked(0x88, b"\x03\xE8\xCE")), (1007, "invalid_utf8"));
    assert_eq!(violation(&masked(0x88, b"\x03\xE8\xED\xA0\x80")), (1007, "invalid_utf8"));
}

#[test]
fn nothing_is_decoded_after_the_end() {
    for end in [masked(0x88, b""), masked(0x83, b"")] {
        let mut decoder = Decoder::new(MAX);
        let mut input = BytesMut::from(&[masked(0x01, b"begun"), end, masked(0x89, b"")].concat()[..]);
        assert!(!matches!(decoder.decode(&mut input), Ok(None)));
        assert_eq!(decoder.held(), 0);
        input.extend_from_slice(&masked(0x81, b"more"));
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert!(input.is_empty());
    }
}

#[rstest]
#[case::lone_continuation(b"ab\x80")]
#[case::overlong(b"a\xC0")]
#[case::overlong_3(b"\xE0\x80")]
#[case::surrogate(b"\xED\xA0")]
#[case::beyond_unicode(b"\xF4\x90")]
#[case::no_such_byte(b"\xF5")]
#[case::broken_off(b"\xE2\x82a")]
fn utf8_fails_at_the_first_wrong_byte(#[case] bad: &[u8]) {
    // In the middle of a frame whose rest never comes, whether the bytes come together or one by one.
    let stream = &masked(0x01, &[bad, &[b'x'; 1000]].concat())[..8 + bad.len()];
    assert_eq!(violation(stream), (1007, "invalid_utf8"));
    let before = &stream[..stream.len() - 1];
    assert_eq!(decode_pieces(before.chunks(1)), Ok(vec![]), "too early");

    // Each byte in a frame of its own.
    let mut fragments = vec![masked(0x01, b"")];
    fragments.extend(bad.iter().map(|byte| masked(0x00, &[*byte])));
    assert_eq!(violation(&fragments.concat()), (1007, "invalid_utf8"));
    fragments.pop();
    assert_eq!(decode_once(&fragments.concat()), Ok(vec![]), "too early");

    assert_eq!(violation(&masked(0x81, bad)), (1007, "invalid_utf8"));
    assert_eq!(decode_once(&masked(0x82, bad)), Ok(vec![Incoming::Binary(Bytes::copy_from_slice(bad))]));
}

#[test]
fn text_must_not_end_inside_a_character() {
    for cut in 1.."🎏".len() {
        let open = &"🎏".as_bytes()[..cut];
        assert_eq!(violation(&masked(0x81, open)), (1007, "invalid_utf8"));
        let stream = [masked(0x01, open), masked(0x80, b"")].concat();
        assert_eq!(violation(&stream), (1007, "invalid_utf8"));
    }
}

#[test]
fn a_message_may_be_as_big_as_the_bound() {
    let decode = |stream: &[u8]| decode_all(&mut Decoder::new(300), &mut BytesMut::from(stream));
    let too_big = Err(Violation { code: 1009, reason: "message_too_big" });

    assert_eq!(decode(&masked(0x82, &[1; 300])), Ok(vec![Incoming::Binary(vec![1; 300].into())]));
    assert_eq!(decode(&masked(0x82, &[1; 301])), too_big);
    let begun = masked(0x02, &[1; 200]);
    let whole = Ok(vec![Incoming::Binary(vec![1; 300].into())]);
    assert_eq!(decode(&[&begun[..], &masked(0x80, &[1; 100])].concat()), whole);
    assert_eq!(decode(&[&begun[..], &masked(0x80, &[1; 101])].concat()), too_big);
    // Before the key, and so before any payload.
    assert_eq!(decode(&masked(0x82, &[1; 301])[..4]), too_big);
    let last = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(decode(&last), too_big);
    // A control frame belongs to no message.
    let mut none = Decoder::new(0);
    let ping = decode_all(&mut none, &mut BytesMut::from(&masked(0x89, b"hi")[..]));
    assert_eq!(ping, Ok(vec![Incoming::Ping("hi".into())]));
}

#[test]
fn memory_is_bounded_by_what_has_come() {
    let mut decoder = Decoder::new(MAX);
    let stream = masked(0x82, &vec![1; MAX]);
    let mut input = BytesMut::from(&stream[..14]);
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!(decoder.held(), 0, "a header reserves nothing");

    let mut come = 0;
    for piece in stream[14..stream.len() - 1].chunks(1000) {
        come += piece.len();
        input.extend_from_slice(piece);
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert!(input.is_empty());
        assert!(decoder.held() <= MAX.min(2 * come), "{} held for {come}", decoder.held());
    }
    input.extend_from_slice(&stream[stream.len() - 1..]);
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Incoming::Binary(m))) if m.len() == MAX));
    assert_eq!(decoder.held(), 0);
}

#[test]
fn idle_costs_little() {
    assert!(size_of::<Decoder>() <= 64, "{}", size_of::<Decoder>());
    let mut decoder = Decoder::new(MAX);
    decode_all(&mut decoder, &mut BytesMut::from(&specimen().0[..])).unwrap();
    assert_eq!(decoder.held(), 0);
}

/// A message to send, or a control frame.
#[derive(Clone, Debug)]
enum Sent {
    /// The payload; where it is cut into frames; the pings that go between these.
    Message {
        is_text: bool,
        payload: Vec<u8>,
        cuts: Vec<prop::sample::Index>,
        pings: Vec<Option<Vec<u8>>>,
    },
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let bytes = |len| prop::collection::vec(any::<u8>(), len);
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<char>(), 0..60).prop_map(|chars| {
            (true, chars.into_iter().collect::<String>().into_bytes())
        }),
        4 => bytes(0..300).prop_map(|payload| (false, payload)),
        1 => bytes(65_000..66_000).prop_map(|payload| (false, payload)),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
    let pings = prop::collection::vec(prop::option::of(bytes(0..126)), 5);
    prop_oneof![
        5 => (payload, cuts, pings).prop_map(|((is_text, payload), cuts, pings)| {
            Sent::Message { is_text, payload, cuts, pings }
        }),
        1 => bytes(0..126).prop_map(Sent::Pong),
    ]
}

impl Sent {
    fn encode(self, mask: [u8; 4], stream: &mut Vec<u8>, expected: &mut Vec<Incoming>) {
        match self {
            Self::Message { is_text, payload, cuts, pings } => {
                let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
                cuts.sort_unstable();
                cuts.push(payload.len());
                let mut start = 0;
                for (i, end) in cuts.iter().copied().enumerate() {
                    let opcode = match (i, is_text) {
                        (0, true) => 0x1,
                        (0, false) => 0x2,
                        _ => 0x0,
                    };
                    let fin = if i + 1 == cuts.len() { 0x80 } else { 0 };
                    stream.extend(frame(fin | opcode, mask, &payload[start..end]));
                    if let Some(ping) = &pings[i]
                        && fin == 0
                    {
                        stream.extend(frame(0x89, mask, ping));
                        expected.push(Incoming::Ping(ping.clone().into()));
                    }
                    start = end;
                }
                let whole = if is_text { Incoming::Text } else { Incoming::Binary };
                expected.push(whole(payload.into()));
            }
            Self::Pong(payload) => {
                stream.extend(frame(0x8A, mask, &payload));
                expected.push(Incoming::Pong(payload.into()));
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_decoded(
        sent in prop::collection::vec((sent(), any::<[u8; 4]>()), 0..8),
        sizes in prop::collection::vec(1_usize..3000, 1..20),
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (sent, mask) in sent {
            sent.encode(mask, &mut stream, &mut expected);
        }
        let mut rest = &stream[..];
        let pieces = sizes.iter().cycle().map_while(|size| {
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            rest = more;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(decode_pieces(pieces), Ok(expected));
    }

    /// Whatever comes, it is an answer and no panic, and the same one byte by byte.
    #[test]
    fn noise_does_no_harm(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(decode_once(&noise), decode_pieces(noise.chunks(1)));
    }
}
