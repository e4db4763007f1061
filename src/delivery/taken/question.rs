//! The request of a long poll, but for its cursor: while the next one equals the last, no parser is needed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::response::Parts;

use crate::{
    bus::{log::Budget, reader::Position},
    delivery::takeover::{AnswerHead, Wait},
    event::Cursor,
};

/// The longest request that is remembered, in bytes.
pub(crate) const MAX_REQUEST: usize = 4 << 10;

/// What a client asks again and again.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) head: AnswerHead,
    pub(super) budget: Budget,
    pub(super) timeout: Duration,
    /// The request around the cursor; `None` if it is not known, and every request is another.
    around: Option<Around>,
    presented: bool,
}

/// A request but for its cursor.
#[derive(Debug)]
struct Around {
    before: Box<[u8]>,
    after: Box<[u8]>,
}

impl Question {
    fn new(request: Option<&[u8]>, answer: &Parts, field: &str, wait: &Wait) -> Self {
        let around = request.and_then(|request| around(request, wait.cursor.as_bytes(), wait.presented));
        Self {
            head: AnswerHead::new(answer, field),
            budget: wait.budget,
            timeout: wait.timeout,
            around: around.map(|(before, after)| Around { before: before.into(), after: after.into() }),
            presented: wait.presented,
        }
    }

    /// Where the next answer begins, if this is the same question.
    pub(super) fn matches(&self, request: &[u8]) -> Option<Position> {
        let Around { before, after } = self.around.as_ref()?;
        let text = request.strip_prefix(&**before)?.strip_suffix(&**after)?;
        let text = str::from_utf8(text).ok()?;
        let cursor: Cursor = text.parse().ok()?;
        Some(if self.presented { Position::Presented(text.to_owned()) } else { Position::After(cursor) })
    }
}

/// The one request head in `request`, split around the only place where the cursor stands: as the value of the
/// field that was read, spelled as it is written here. A cookie or the like may hold the same words.
fn around<'a>(request: &'a [u8], cursor: &[u8], presented: bool) -> Option<(&'a [u8], &'a [u8])> {
    let ends = |window: &[u8]| window == b"\r\n\r\n";
    if request.len() > MAX_REQUEST || request.windows(4).position(ends)? + 4 != request.len() {
        return None;
    }
    let mut places = request.windows(cursor.len()).enumerate().filter(|(_, window)| *window == cursor);
    let (at, _) = places.next()?;
    let (before, after) = (&request[..at], &request[at + cursor.len()..]);
    let is_value = match presented {
        true => is_header(before) && after.starts_with(b"\r\n"),
        false => is_field(before) && matches!(after.first(), Some(b' ' | b'&')),
    };
    (places.next().is_none() && is_value).then_some((before, after))
}

/// Whether what comes next is the value of the header `Last-Event-ID`.
fn is_header(before: &[u8]) -> bool {
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_first = line.len() == before.len();
    line.trim_ascii_end().eq_ignore_ascii_case(b"last-event-id:") && !is_first
}

/// Whether what comes next is the value of `after` in the query.
fn is_field(before: &[u8]) -> bool {
    (before.ends_with(b"?after=") || before.ends_with(b"&after=")) && !before.contains(&b'\n')
}

/// For the fuzzer: where the question that was asked by `request`, at `cursor`, is asked anew by `next`.
#[cfg(fuzzing)]
pub fn asked_anew(request: &[u8], cursor: &str, presented: bool, next: &[u8]) -> Option<Position> {
    let answer = http::Response::new(()).into_parts().0;
    let budget = Budget { events: 1, bytes: 1 };
    let wait = Wait { timeout: Duration::ZERO, budget, cursor: cursor.to_owned(), presented };
    Question::new(Some(request), &answer, "cursor", &wait).matches(next)
}

/// The questions of one core. Equal ones are one.
#[derive(Debug, Default)]
pub(super) struct Questions(HashMap<Box<[u8]>, Arc<Question>>);

impl Questions {
    /// The question that is asked by `request`, and answered by a head like `answer` with the cursor in `field`.
    pub(super) fn ask(
        &mut self,
        request: Option<&[u8]>,
        answer: &Parts,
        field: &str,
        wait: &Wait,
    ) -> Arc<Question> {
        let question = Question::new(request, answer, field, wait);
        let Some(key) = key(&question) else { return Arc::new(question) };
        self.0.entry(key).or_insert_with(|| Arc::new(question)).clone()
    }

    /// Forgets a question that nobody else asks.
    pub(super) fn drop(&mut self, question: Arc<Question>) {
        if Arc::strong_count(&question) == 2
            && let Some(key) = key(&question)
        {
            self.0.remove(&key);
        }
    }
}

/// Equal requests get equal heads, and wait equally.
fn key(question: &Question) -> Option<Box<[u8]>> {
    let Around { before, after } = question.around.as_ref()?;
    Some([&**before, b"\0", &**after].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(request: &[u8]) -> Question {
        let answer = http::Response::new(()).into_parts().0;
        let wait = Wait {
            timeout: Duration::from_secs(25),
            budget: Budget { events: 1, bytes: 1 },
            cursor: "z-7".to_owned(),
            presented: false,
        };
        Question::new(Some(request), &answer, "fanlight-cursor", &wait)
    }

    #[test]
    fn the_same_request_with_another_cursor_is_the_same_question() {
        let question = question(b"GET /v1/longpoll?topic=a&after=z-7 HTTP/1.1\r\nhost: h\r\n\r\n");
        let asked = |request: &str| question.matches(request.as_bytes());
        assert_eq!(
            asked("GET /v1/longpoll?topic=a&after=z-12 HTTP/1.1\r\nhost: h\r\n\r\n"),
            Some(Position::After("z-12".parse().unwrap()))
        );
        for other in [
            "",
            "GET /v1/longpoll?topic=a&after=z-12 HTTP/1.1\r\nhost: h\r\n",
            "GET /v1/longpoll?topic=b&after=z-12 HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET /v1/longpoll?topic=a&after=z-12&limit=1 HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET /v1/longpoll?topic=a&after=z-12 HTTP/1.1\r\nhost: i\r\n\r\n",
            "GET /v1/longpoll?topic=a&after=earliest HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET /v1/longpoll?topic=a&after=z-7 HTTP/1.1\r\nhost: h\r\n\r\nGET /v1/longpoll?topic=a&after=z-7 HTTP/1.1\r\nhost: h\r\n\r\n",
        ] {
            assert_eq!(asked(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_request_that_cannot_be_told_apart_is_no_question() {
        for request in [
            &b"GET /v1/longpoll?topic=z-7&after=z-7 HTTP/1.1\r\n\r\n"[..],
            b"GET /v1/longpoll?topic=a&after=az-7 HTTP/1.1\r\n\r\n",
            b"GET /v1/longpoll?topic=a&after=z-77 HTTP/1.1\r\n\r\n",
            b"GET /v1/longpoll?topic=a&after=z%2d7 HTTP/1.1\r\n\r\n",
            b"GET /v1/longpoll?topic=a&after=z-7 HTTP/1.1\r\n\r\nGET",
            b"GET /v1/longpoll?topic=a&after=z%2D7 HTTP/1.1\r\ncookie: last=z-7\r\n\r\n",
            b"GET /v1/longpoll?topic=a&after=z%2D7 HTTP/1.1\r\nlast-event-id: z-7\r\n\r\n",
            b"GET /v1/longpoll?topic=a&after=z%2D7 HTTP/1.1\r\nreferer: /?after=z-7 \r\n\r\n",
            b"GET /v1/longpoll?topic=a&xafter=z-7 HTTP/1.1\r\n\r\n",
        ] {
            assert!(question(request).around.is_none(), "{request:?}");
        }
    }
}
