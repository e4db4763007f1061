//! The request of a publisher, but for its body: while the next one equals the last, no parser is needed.

use http::response::Parts;

use super::question::MAX_REQUEST;
use crate::{
    delivery::takeover::{Media, Offer, PublishHead},
    error::Problem,
    event::{Cursor, Draft},
    ledger::{Bill, Purpose},
    publish::{Content, Publisher},
};

/// The longest body that a hub reads, in bytes: less than it reads at a time.
const MAX_BODY: usize = 8 << 10;

/// What a publisher sends again and again.
#[derive(Debug)]
pub(super) struct Posting {
    /// The head of the request around the value of `Content-Length`.
    before: Box<[u8]>,
    after: Box<[u8]>,
    offer: Offer,
    head: PublishHead,
}

/// What stands at the beginning of what was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The same request, with this body, in so many bytes.
    Same(&'a [u8], usize),
    /// What may become the same request.
    Part,
    /// Another request.
    Other,
}

impl Posting {
    /// The request `request`, if these are the bytes that the offer was read from, answered by a head like `answer`.
    pub(super) fn new(request: Option<&[u8]>, answer: &Parts, offer: Offer) -> Option<Self> {
        let request = request?;
        let end = request.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = &request[..end];
        if end > MAX_REQUEST || !is_head_of(head, &offer) {
            return None;
        }
        let (from, to) = length_in(head)?;
        let (before, after) = (head[..from].into(), head[to..].into());
        Some(Self { before, after, offer, head: PublishHead::new(answer) })
    }

    /// What the bytes begin with.
    pub(super) fn find<'a>(&self, bytes: &'a [u8]) -> Found<'a> {
        let Some(rest) = bytes.strip_prefix(&*self.before) else {
            return if self.before.starts_with(bytes) { Found::Part } else { Found::Other };
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at(digits);
        let length = match digits {
            [] if rest.is_empty() => return Found::Part,
            [b'0'] => 0,
            [b'1'..=b'9', ..] if digits.len() <= 4 => {
                digits.iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0'))
            }
            _ => return Found::Other,
        };
        if length > MAX_BODY {
            return Found::Other;
        }
        match rest.strip_prefix(&*self.after) {
            Some(body) if body.len() >= length => {
                Found::Same(&body[..length], bytes.len() - body.len() + length)
            }
            Some(_) => Found::Part,
            None if self.after.starts_with(rest) => Found::Part,
            None => Found::Other,
        }
    }

    /// The event that is published with this body.
    ///
    /// # Errors
    /// What a client would be told; it is hyper's to read, and will be told so.
    pub(super) fn draft(&self, publisher: &Publisher, body: &[u8]) -> Result<Draft, Problem> {
        let content = match &self.offer.media {
            Media::Json => Content::Json(body),
            Media::Text => Content::Text(body),
            Media::Binary(media_type) => Content::Binary(media_type, body),
        };
        publisher.draft(&self.offer.topic, self.offer.kind.as_deref(), content)
    }

    /// Writes the answer to a request whose event was published.
    pub(super) fn answer(&self, out: &mut Vec<u8>, id: Cursor) -> Bill {
        answer(&self.head, out, id)
    }
}

/// Writes the answer to a publish; what its bytes are for.
pub(super) fn answer(head: &PublishHead, out: &mut Vec<u8>, id: Cursor) -> Bill {
    let begin = out.len();
    let body = format!("{{\"id\":\"{id}\"}}");
    head.write(out, body.len());
    let bill = Bill::of(Purpose::Heads, out.len() - begin);
    out.extend_from_slice(body.as_bytes());
    bill.and(Purpose::Controls, body.len())
}

/// For the fuzzer: what stands at the beginning of `next` is taken for another publish like `request`, if it is, with so
/// long a body and so many bytes in all.
#[cfg(fuzzing)]
pub fn published_again(request: &[u8], next: &[u8]) -> Option<(usize, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut read = httparse::Request::new(&mut fields);
    read.parse(request).ok()?;
    let mut headers = http::HeaderMap::new();
    for field in read.headers.iter() {
        let name = http::HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, http::HeaderValue::from_bytes(field.value).ok()?);
    }
    let offer = Offer {
        id: Cursor { epoch: crate::event::Epoch(1), offset: 1 },
        target: read.path?.to_owned(),
        headers,
        topic: String::new(),
        kind: None,
        media: Media::Text,
    };
    let answer = http::Response::new(()).into_parts().0;
    match Posting::new(Some(request), &answer, offer)?.find(next) {
        Found::Same(body, length) => Some((body.len(), length)),
        Found::Part | Found::Other => None,
    }
}

/// Whether a parser reads in these bytes what the offer was made of. What was kept of a connection may begin
/// elsewhere, such as in a body that looks like a head.
fn is_head_of(head: &[u8], offer: &Offer) -> bool {
    let mut fields = vec![httparse::EMPTY_HEADER; offer.headers.len() + 1];
    let mut request = httparse::Request::new(&mut fields);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(length)) if length == head.len()) {
        return false;
    }
    let (method, target, count) = (request.method, request.path, request.headers.len());
    let same = |field: &httparse::Header<'_>| {
        let mut held = offer.headers.get_all(field.name).iter();
        held.next().is_some_and(|value| value.as_bytes() == field.value) && held.next().is_none()
    };
    method == Some("POST")
        && target == Some(&*offer.target)
        && count == offer.headers.len()
        && request.headers.iter().all(same)
}

/// Where the only value of `Content-Length` stands.
fn length_in(head: &[u8]) -> Option<(usize, usize)> {
    let mut found = None;
    let mut at = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if let Some((name, value)) = line.split_first_chunk::<15>()
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            let space = value.iter().take_while(|byte| **byte == b' ').count();
            let digits = value[space..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if found.is_some() || digits == 0 || &value[space + digits..] != b"\r\n" {
                return None;
            }
            found = Some((at + 15 + space, at + 15 + space + digits));
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::*;

    const HEAD: &str =
        "POST /v1/publish?topic=a HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: ";

    fn offer() -> Offer {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("h"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("2"));
        Offer {
            id: "z-1".parse().unwrap(),
            target: "/v1/publish?topic=a".to_owned(),
            headers,
            topic: "a".to_owned(),
            kind: None,
            media: Media::Text,
        }
    }

    fn posting(request: &str) -> Option<Posting> {
        let answer = http::Response::new(()).into_parts().0;
        Posting::new(Some(request.as_bytes()), &answer, offer())
    }

    #[test]
    fn the_same_request_with_another_body_is_the_same() {
        let posting = posting(&format!("{HEAD}2\r\n\r\nxy")).expect("a request that is known");
        let found = |text: String| match posting.find(text.as_bytes()) {
            Found::Same(body, length) => Some((str::from_utf8(body).unwrap().to_owned(), length)),
            _ => None,
        };
        let length = HEAD.len() + 5;
        assert_eq!(found(format!("{HEAD}2\r\n\r\nxyPOST")), Some(("xy".to_owned(), length + 2)));
        assert_eq!(found(format!("{HEAD}0\r\n\r\n")), Some((String::new(), length)));
        assert_eq!(
            found(format!("{HEAD}12\r\n\r\nabcdefghijkl")),
            Some(("abcdefghijkl".to_owned(), length + 13))
        );
        let whole = format!("{HEAD}2\r\n\r\nxy");
        for end in 0..whole.len() {
            assert_eq!(posting.find(&whole.as_bytes()[..end]), Found::Part, "{end}");
        }
        for other in [
            "02\r\n\r\nxy",
            "-1\r\n\r\n",
            "99999\r\n\r\n",
            "9999\r\n\r\n",
            "2 \r\n\r\nxy",
            "2\r\nX: y\r\n\r\nxy",
        ] {
            assert_eq!(posting.find(format!("{HEAD}{other}").as_bytes()), Found::Other, "{other}");
        }
        assert_eq!(posting.find(HEAD.replace("topic=a", "topic=b").as_bytes()), Found::Other);
    }

    #[test]
    fn what_was_not_read_as_this_request_is_none() {
        for request in [
            // The rest of a body, which looks like a head: another target, other headers, one more of them.
            format!("{}2\r\n\r\nxy", HEAD.replace("topic=a", "topic=b")),
            format!("{}2\r\n\r\nxy", HEAD.replace("text/plain", "application/json")),
            format!("{}2\r\n\r\nxy", HEAD.replace("Host: h\r\n", "Host: h\r\nX: y\r\n")),
            format!("{}2\r\n\r\nxy", HEAD.replace("Host: h\r\n", "")),
            format!("xy{HEAD}2\r\n\r\nxy"),
            format!("{HEAD}3\r\n\r\nxyz"),
            "xy".to_owned(),
        ] {
            assert!(posting(&request).is_none(), "{request}");
        }
    }
}
