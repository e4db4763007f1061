//! A publish that the hub reads without a parser. The first line is what stands for the length of the body in the next
//! request, the rest is the first request, which said `: 7`, and whatever follows. Whatever the hub takes for another
//! publish must be, to a parser, the same request but for the length, and its body what follows the head.

#![no_main]

use fanlight::delivery::taken::published_again;
use libfuzzer_sys::fuzz_target;

const LENGTH: &[u8] = b": 7\r\n";

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (text, first) = (&bytes[..end], &bytes[end + 1..]);
    let Some(at) = first.windows(LENGTH.len()).position(|window| window == LENGTH) else { return };
    let next = [&first[..at], b": ", text, b"\r\n", &first[at + LENGTH.len()..]].concat();
    let Some((body, length)) = published_again(first, &next) else { return };
    let (before, after) = (Published::read(first), Published::read(&next));
    let (before, after) = (before.expect("it was read once"), after.expect("a parser reads it too"));
    assert_eq!((&before.method, &before.target), (&after.method, &after.target));
    assert_eq!(after.method, "POST");
    assert_eq!(before.headers, after.headers, "all but the length");
    let digits = std::str::from_utf8(&after.length).expect("digits");
    assert_eq!(digits.parse(), Ok(body), "the length is that of the body");
    assert_eq!(length, after.head + body, "the body follows the head");
    assert!(length <= next.len());
});

/// A request as a parser reads it, the length of its body apart from the rest.
#[derive(Debug)]
struct Published {
    method: String,
    target: String,
    length: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    head: usize,
}

impl Published {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(bytes).ok()? else { return None };
        let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
        let mut lengths = request.headers.iter().filter(|header| is_length(header.name));
        let length = lengths.next()?.value.to_vec();
        assert!(lengths.next().is_none(), "one length");
        Some(Self {
            method: request.method?.to_owned(),
            target: request.path?.to_owned(),
            length,
            headers: request
                .headers
                .iter()
                .filter(|header| !is_length(header.name))
                .map(|header| (header.name.to_owned(), header.value.to_vec()))
                .collect(),
            head,
        })
    }
}
