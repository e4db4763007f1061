//! What hyper refuses by itself: requests that it cannot read never reach the application, and hyper answers
//! them with a status and nothing else. Here the client gets the problem that it gets everywhere.

use std::time::SystemTime;

use crate::error::{Code, Problem};

/// The answer to a request that could not be read, if `written`, the last that hyper writes, ends with one of
/// its own; and where that begins.
pub(super) fn instead_of(written: &[u8]) -> Option<(usize, Code, Vec<u8>)> {
    // Every answer of ours has fields that hyper's do not have, and no event has an empty line in it.
    let head = written.strip_suffix(b"\r\n\r\n")?;
    let tail = &head[head.len().saturating_sub(200)..];
    let at = tail.windows(9).rposition(|window| window == b"HTTP/1.1 ")?;
    let mut lines = tail[at..].split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let status: u16 = str::from_utf8(lines.next()?.get(9..12)?).ok()?.parse().ok()?;
    let known = |line: &[u8]| {
        line == b"content-length: 0" || line == b"connection: close" || line.starts_with(b"date: ")
    };
    let is_own = (400..500).contains(&status) && lines.all(known);
    is_own.then(|| {
        let problem = problem(status);
        (written.len() - 4 - tail.len() + at, problem.code, answer(&problem))
    })
}

/// The answer to a request whose head did not come in time.
pub(super) fn too_slow() -> Vec<u8> {
    answer(&Problem::new(Code::RequestTimeout, "the request head did not come in time"))
}

fn problem(status: u16) -> Problem {
    match status {
        414 => Problem::new(Code::UriTooLong, "the request target is too long: send the fields as a POST"),
        431 => Problem::new(Code::HeadTooLarge, "the request head is too large, or has too many fields"),
        _ => Problem::new(
            Code::InvalidRequest,
            "this is no request of HTTP/1.1 (RFC 9112): its first line or a header is malformed",
        ),
    }
}

fn answer(problem: &Problem) -> Vec<u8> {
    let status = http::StatusCode::from_u16(problem.code.kind().status).expect("a status of the list");
    let body = problem.document();
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         connection: close\r\ncontent-length: {}\r\ndate: {date}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_says_by_itself_is_replaced() {
        let own = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let (at, _, answer) = instead_of(format!("{before}{own}").as_bytes()).unwrap();
        assert_eq!(at, before.len());
        assert!(answer.starts_with(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
        ));
        for ours in [
            before,
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\ndate: now\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: 0\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(instead_of(ours.as_bytes()), None, "{ours}");
        }
    }
}
