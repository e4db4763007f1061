//! What goes over the wire: how to subscribe to each server over each transport, how to publish, and how to
//! find events in what comes.

use std::fmt::Write as _;

use memchr::memmem;

use crate::servers::Target;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Server-Sent Events.
    Sse,
    /// Chunked streaming.
    Chunked,
    /// WebSocket.
    Websocket,
    /// Long polling.
    Longpoll,
}

impl Kind {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Chunked => "chunked",
            Self::Websocket => "websocket",
            Self::Longpoll => "longpoll",
        }
    }
}

/// What stands before an event's number: 2 digits for the publisher, 10 for the number, then the time.
pub(crate) const MARK: &[u8] = b"\"n\":\"";
/// Digits of publisher and number.
pub(crate) const NUMBER: usize = 12;
/// What stands between number and time.
const BETWEEN: &[u8] = b"\",\"t\":\"";
/// Digits of the time, in nanoseconds.
const TIME: usize = 15;
/// From the mark to behind the time.
pub(crate) const MARKED: usize = MARK.len() + NUMBER + BETWEEN.len() + TIME;

/// One event in what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Who published it.
    pub(crate) publisher: usize,
    /// As its how-manyeth, from 0.
    pub(crate) number: u64,
    /// When it was to be published.
    pub(crate) time: u64,
}

/// The data of an event: `size` bytes of JSON.
pub(crate) fn data(publisher: usize, number: u64, time: u64, size: usize) -> String {
    let mut data = format!("{{\"n\":\"{publisher:02}{number:010}\",\"t\":\"{time:015}\",\"p\":\"");
    let pad = size.saturating_sub(data.len() + 2);
    data.extend(std::iter::repeat_n('x', pad));
    data.push_str("\"}");
    data
}

/// Visits every event that `bytes` has whole; how many bytes at the end may begin another.
pub(crate) fn scan(bytes: &[u8], finder: &memmem::Finder<'_>, mut visit: impl FnMut(Seen)) -> usize {
    let mut at = 0;
    while let Some(found) = finder.find(&bytes[at..]) {
        let start = at + found;
        let Some(marked) = bytes.get(start..start + MARKED) else { return bytes.len() - start };
        let digits = |from: usize, count: usize| {
            marked[from..from + count]
                .iter()
                .fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'))
        };
        visit(Seen {
            publisher: digits(MARK.len(), 2) as usize,
            number: digits(MARK.len() + 2, NUMBER - 2),
            time: digits(MARK.len() + NUMBER + BETWEEN.len(), TIME),
        });
        at = start + MARKED;
    }
    // What is left may end within a mark.
    let tail = &bytes[at.max(bytes.len().saturating_sub(MARK.len() - 1))..];
    (0..tail.len()).find(|from| MARK.starts_with(&tail[*from..])).map_or(0, |from| tail.len() - from)
}

/// The request that opens a subscription; for a long poll the first of many.
pub(crate) fn subscribe(target: Target, kind: Kind, topic: &str, position: &str) -> String {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (path, headers) = match (target, kind) {
        (Target::Taken | Target::Hosted, kind) => {
            let headers = if kind == Kind::Websocket { upgrade } else { "" };
            (format!("/v1/{}?topic={topic}{position}", kind.name()), headers.to_owned())
        }
        (Target::Nchan, Kind::Sse) => ("/sub".to_owned(), "Accept: text/event-stream\r\n".to_owned()),
        (Target::Nchan, Kind::Chunked) => ("/sub".to_owned(), "TE: chunked\r\n".to_owned()),
        (Target::Nchan, Kind::Websocket) => ("/sub".to_owned(), upgrade.to_owned()),
        (Target::Nchan, Kind::Longpoll) => ("/sub".to_owned(), position.to_owned()),
        (Target::Floor, Kind::Sse) => ("/sse".to_owned(), String::new()),
        (Target::Floor, Kind::Chunked) => ("/stream".to_owned(), String::new()),
        (Target::Floor, Kind::Websocket) => ("/ws".to_owned(), upgrade.to_owned()),
        (Target::Floor, Kind::Longpoll) => (format!("/lp{position}"), String::new()),
    };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// Where the next long poll begins, from the head of an answer.
pub(crate) fn position(target: Target, head: &str) -> String {
    let field = |name: &str| {
        let lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    };
    match target {
        Target::Taken | Target::Hosted => format!("&after={}", field("fanlight-cursor")),
        Target::Floor => format!("?after={}", field("x-cursor")),
        Target::Nchan => {
            let mut lines = String::new();
            let _ = write!(lines, "If-Modified-Since: {}\r\n", field("last-modified"));
            let _ = write!(lines, "If-None-Match: {}\r\n", field("etag"));
            lines
        }
    }
}

/// The request that publishes an event.
pub(crate) fn publish(target: Target, topic: &str, data: &str, out: &mut Vec<u8>) {
    let path = match target {
        Target::Taken | Target::Hosted => format!("/v1/publish?topic={topic}"),
        Target::Nchan | Target::Floor => "/pub".to_owned(),
    };
    let length = data.len();
    out.extend_from_slice(
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{data}"
        )
        .as_bytes(),
    );
}

/// Takes whole answers off the front of `bytes`: how many, how many bytes, and the last one's head.
pub(crate) fn answers(bytes: &[u8]) -> (usize, usize, Option<&str>) {
    let (mut count, mut at, mut last) = (0, 0, None);
    while let Some(end) = memmem::find(&bytes[at..], b"\r\n\r\n") {
        let head = std::str::from_utf8(&bytes[at..at + end]).unwrap_or_default();
        let length = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        let whole = end + 4 + length.unwrap_or(0);
        if bytes.len() < at + whole {
            break;
        }
        (count, at, last) = (count + 1, at + whole, Some(head));
    }
    (count, at, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_they_are_cut() {
        let finder = memmem::Finder::new(MARK);
        let events = [data(3, 7, 42, 200), data(12, 123_456, 999_999_999_999_999, 80)].join("\n");
        let expected = [(3, 7, 42), (12, 123_456, 999_999_999_999_999)]
            .map(|(publisher, number, time)| Seen { publisher, number, time });
        for cut in 0..events.len() {
            let (mut seen, mut carry) = (Vec::new(), Vec::new());
            for part in [&events.as_bytes()[..cut], &events.as_bytes()[cut..]] {
                carry.extend_from_slice(part);
                let keep = scan(&carry, &finder, |event| seen.push(event));
                carry.drain(..carry.len() - keep);
            }
            assert_eq!(seen, expected, "cut at {cut}");
        }
        assert_eq!(data(3, 7, 42, 200).len(), 200);
    }

    #[test]
    fn answers_are_counted_whole() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 204 No Content\r\nx-cursor: 7\r\n\r\nHTTP";
        let (count, length, head) = answers(two);
        assert_eq!((count, length), (2, two.len() - 4));
        assert_eq!(position(Target::Floor, head.unwrap()), "?after=7");
        assert_eq!(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{").0, 0);
    }
}
