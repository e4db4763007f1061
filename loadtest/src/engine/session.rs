//! What a subscriber knows: where it is, what it has, and what its connection just said.

use super::{
    book::{Book, Came},
    tally::Tally,
    window::Window,
};
use crate::wire::{
    adapter::{Ready, Source},
    decode::{self, Item},
    mark::Marks,
    template::Values,
    websocket::{self, Opcode},
};

/// A subscriber, across all its connections.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Which topic is its.
    pub(super) topic: usize,
    pub(super) book: Book,
    /// What the next request is filled with.
    pub(super) kept: Vec<String>,
    /// A line that stands before its event: kept once that has come.
    pub(super) staged: Vec<(usize, String)>,
    /// When the last attempt to connect began.
    pub(super) began: u64,
    /// When the last request left.
    pub(super) asked: u64,
    /// Whether the present connection had an answer.
    pub(super) answered: bool,
    /// Since when it waits for the first event after its connection broke.
    pub(super) resuming: Option<u64>,
    /// Whether it is one that does not read: its latencies are its own fault.
    pub(super) slow: bool,
    /// What to say to the server.
    pub(super) replies: Vec<u8>,
    /// An exchange is over.
    pub(super) ended: bool,
    /// The next is to follow at once.
    pub(super) more: bool,
    /// The server said that it closes.
    pub(super) closed: Option<u16>,
    /// The server refused: status and the answer's begin.
    pub(super) refused: Option<(u16, String)>,
    /// Events in this exchange.
    pub(super) events: u64,
}

/// What all sessions share.
pub(super) struct Shared<'a> {
    pub(super) ready: &'a Ready,
    pub(super) marks: &'a Marks,
    pub(super) tally: &'a mut Tally,
    pub(super) window: &'a mut Window,
    pub(super) now: u64,
    /// Whether one exchange is all there is.
    pub(super) streams: bool,
    pub(super) topics: &'a [String],
    pub(super) client: &'a str,
}

impl Session {
    /// Takes note of what a connection said.
    pub(super) fn take(&mut self, item: Item<'_>, shared: &mut Shared<'_>) {
        match item {
            Item::Head { status, head } => self.head(status, head, shared),
            Item::Unit(unit) => self.unit(unit, shared),
            Item::End => {
                self.ended = true;
                if !shared.streams {
                    shared.window.exchange(self.asked, shared.now);
                    shared.tally.empty += u64::from(self.events == 0);
                }
                self.events = 0;
            }
            Item::Ping(payload) => websocket::frame(Opcode::Pong, payload, &mut self.replies),
            Item::Close(code) => self.closed = Some(code),
        }
    }

    fn head(&mut self, status: u16, head: &[u8], shared: &mut Shared<'_>) {
        if !self.answered {
            self.answered = true;
            shared.tally.connected(shared.now.saturating_sub(self.began));
        }
        match status {
            101 => {
                for text in &shared.ready.say {
                    let mut message = Vec::new();
                    let values = Values {
                        topic: &shared.topics[self.topic],
                        client: shared.client,
                        ..Values::default()
                    };
                    text.render(values, &mut message);
                    websocket::frame(Opcode::Data, &message, &mut self.replies);
                }
            }
            // 304 is how nchan says that a poll brought nothing.
            200..300 | 304 => {}
            _ => {
                self.refused =
                    Some((status, String::from_utf8_lossy(head).lines().next().unwrap_or("").to_owned()));
            }
        }
        for (place, sources) in shared.ready.keep.iter().enumerate() {
            let held = sources.iter().find_map(|source| match source {
                Source::Header(name) => decode::field(head, name),
                Source::Json(_) | Source::Line(_) => None,
            });
            if let Some(value) = held {
                replace(&mut self.kept[place], value);
            }
        }
    }

    fn unit(&mut self, unit: &[u8], shared: &mut Shared<'_>) {
        if let Some((status, said)) = &mut self.refused {
            // Its begin says enough, however much follows.
            if said.len() < 1000 {
                *said = format!("{said}: {}", String::from_utf8_lossy(&unit[..unit.len().min(200)]));
            }
            debug_assert!(*status >= 300);
            return;
        }
        let mut marked = false;
        let (book, now, resuming) = (&mut self.book, shared.now, &mut self.resuming);
        let (tally, window, slow) = (&mut *shared.tally, &mut *shared.window, self.slow);
        shared.marks.visit(unit, |mark| {
            marked = true;
            self.events += 1;
            if book.enter(mark.number) == Came::Again {
                return;
            }
            tally.deliveries += 1;
            if !slow {
                window.delivered(mark.due, now);
            }
            if let Some(since) = resuming.take() {
                tally.resumed(now.saturating_sub(since));
            }
        });
        if shared.streams && !marked {
            self.reply(unit, shared.ready);
        }
        self.keep(unit, marked, shared);
        // A stream's events hold no gap; a poll's answer is one unit, with both.
        if (!marked || !shared.streams)
            && let Some(gap) = &shared.ready.gap
            && memchr::memmem::find(unit, gap).is_some()
        {
            shared.tally.gaps += 1;
        }
        if shared.ready.single && !shared.streams {
            self.more = marked;
        }
        if let Some(more) = &shared.ready.more
            && !shared.streams
        {
            // It stands at the end, behind events that may be long.
            self.more = memchr::memmem::rfind(&unit[unit.len().saturating_sub(256)..], more).is_some();
        }
    }

    fn reply(&mut self, unit: &[u8], ready: &Ready) {
        if let Some((_, answer)) = ready.answer.iter().find(|(from, _)| from == unit) {
            websocket::frame(Opcode::Data, answer, &mut self.replies);
        }
    }

    fn keep(&mut self, unit: &[u8], marked: bool, shared: &Shared<'_>) {
        for (place, sources) in shared.ready.keep.iter().enumerate() {
            for source in sources {
                match source {
                    Source::Header(_) => {}
                    Source::Json(before) => {
                        let Some(start) = memchr::memmem::find(unit, before) else { continue };
                        let rest = &unit[start + before.len()..];
                        let Some(end) = memchr::memchr(b'"', rest) else { continue };
                        if let Ok(value) = std::str::from_utf8(&rest[..end]) {
                            replace(&mut self.kept[place], value);
                        }
                        break;
                    }
                    Source::Line(prefix) => {
                        if let Some(value) = unit.strip_prefix(prefix.as_slice()) {
                            let value = String::from_utf8_lossy(value.trim_ascii()).into_owned();
                            // The last of them counts: a server that sends nothing else has nothing grow.
                            self.staged.retain(|(held, _)| *held != place);
                            self.staged.push((place, value));
                        }
                    }
                }
            }
        }
        if marked {
            for (place, value) in self.staged.drain(..) {
                self.kept[place] = value;
            }
        }
    }
}

fn replace(held: &mut String, value: &str) {
    held.clear();
    held.push_str(value);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{results::Transport, wire::adapter::Adapter};

    #[test]
    fn a_server_that_tells_no_event_has_nothing_grow() {
        let ready = Adapter::named("nchan").unwrap().ready(Transport::Sse, "", "").unwrap();
        let marks = Marks::new(1);
        let (mut tally, mut window) = (Tally::default(), Window::new(Duration::from_secs(1)));
        let mut session = Session { kept: vec![String::new(); ready.keep.len()], ..Session::default() };
        let mut shared = Shared {
            ready: &ready,
            marks: &marks,
            tally: &mut tally,
            window: &mut window,
            now: 1,
            streams: true,
            topics: &[],
            client: "",
        };
        for n in 0..1000 {
            session.take(Item::Unit(format!("id: {n}").as_bytes()), &mut shared);
        }
        assert_eq!(session.staged, [(0, "999".to_owned())], "the last one counts");
        session.take(Item::Head { status: 503, head: b"HTTP/1.1 503 No\r\n\r\n" }, &mut shared);
        for _ in 0..1000 {
            session.take(Item::Unit(b"not now, not now, not now"), &mut shared);
        }
        let (_, said) = session.refused.expect("it was");
        assert!(said.starts_with("HTTP/1.1 503 No: not now") && said.len() < 2000, "{}", said.len());
    }
}
