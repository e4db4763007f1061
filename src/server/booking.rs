//! What stands on the socket of a connection that hyper has, booked to the requests that it served.
//!
//! hyper says neither how long a head was nor when it has written what, so the bytes themselves are looked at:
//! each is booked as the request's to which the order of messages assigns it (RFC 9112, 9.3.2).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::{
    delivery::{
        connections::Figures,
        told::{Asked, Told},
    },
    ledger::{
        Bill, Direction, Ledger, Payer, Purpose, Via,
        scan::{Found, Scanner},
    },
};

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Requests and their answers.
    #[default]
    Http,
    /// An answer without an end: nothing follows it, and nothing can be asked any more.
    Endless,
    /// Another protocol, which whoever speaks it books.
    Other,
}

/// The bytes of one connection, both ways. Where they can be told apart without more than the connection's figures
/// hold, this takes no room: between requests, while one poll waits, in an answer without an end.
#[derive(Debug, Default)]
pub(super) struct Booking(Option<Box<Messages>>);

/// The messages of a connection that are under way.
#[derive(Debug, Default)]
struct Messages {
    inward: Scanner,
    outward: Scanner,
    /// Requests that came and that hyper has not handed on yet.
    coming: VecDeque<Received>,
    /// Those that it has, until they are answered.
    exchanges: VecDeque<Exchange>,
    /// Whether what comes still belongs to the last of those: its body.
    is_claimed: bool,
}

/// What came of one request.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    head: u32,
    body: u32,
}

/// A request and its answer.
#[derive(Debug)]
struct Exchange {
    payer: Payer,
    received: Received,
    is_head: bool,
    /// The request is booked, and what still comes of it is at once.
    is_booked: bool,
    asked: Asked,
    told: Told,
    head: u32,
}

impl Booking {
    /// Notes what was read.
    pub(super) fn read(&mut self, ledger: &Ledger, figures: &mut Figures, speaks: Speaks, bytes: &[u8]) {
        match speaks {
            Speaks::Other => {}
            // It came behind a request whose answer has no end, and means nothing.
            Speaks::Endless if self.0.is_none() => {
                ledger.book(figures.meter.payer(), Direction::In, &Bill::of(Purpose::Heads, bytes.len()));
            }
            Speaks::Http | Speaks::Endless => {
                self.messages(figures).read(ledger, bytes);
                self.rest(figures);
            }
        }
    }

    /// A request is handed on.
    pub(super) fn begin(&mut self, figures: &mut Figures, payer: Payer, is_head: bool) {
        payer.note_request();
        let messages = self.messages(figures);
        let received = messages.coming.pop_front().unwrap_or_default();
        messages.is_claimed = messages.coming.is_empty();
        messages.exchanges.push_back(Exchange { received, is_head, ..Exchange::of(payer) });
        self.rest(figures);
    }

    /// The last request that was handed on has its answer, which hyper will write.
    pub(super) fn answer(&mut self, figures: &mut Figures, asked: Asked, told: Told) {
        if let Some(exchange) = self.messages(figures).exchanges.back_mut() {
            exchange.payer.note_events(asked.events as usize);
            (exchange.asked, exchange.told) = (asked, told);
        }
    }

    /// Notes what was written.
    pub(super) fn wrote(&mut self, ledger: &Ledger, figures: &mut Figures, speaks: Speaks, mut bytes: &[u8]) {
        if speaks == Speaks::Other {
            return;
        }
        if speaks == Speaks::Http || self.0.is_some() {
            let (count, has_no_end) = self.messages(figures).wrote(ledger, bytes);
            if !has_no_end {
                return self.rest(figures);
            }
            self.0 = None;
            bytes = &bytes[count..];
        }
        let made = figures.tally().take(bytes.len());
        let payer = figures.meter.payer();
        if let Some(made) = &made {
            payer.note_events(made.events);
            ledger.book(payer, Direction::Out, &made.bill);
        }
        let rest = bytes.len() - made.map_or(0, |made| made.bytes);
        if rest > 0 {
            ledger.book(payer, Direction::Out, &Bill::of(Purpose::Controls, rest));
        }
    }

    /// The connection leaves hyper with its last request, which it answers elsewhere: how much of it came, its head
    /// and its body. What came behind it was not read, and is the next owner's to book.
    pub(super) fn leave(&mut self, figures: &mut Figures) -> (usize, usize) {
        let mut messages = std::mem::take(self.messages(figures));
        self.0 = None;
        let last = messages.exchanges.pop_front().map(|exchange| exchange.received).unwrap_or_default();
        (last.head as usize, last.body as usize)
    }

    /// Books what was not answered, or not understood.
    pub(super) fn end(&mut self, ledger: &Ledger, figures: &mut Figures) {
        self.messages(figures).end(ledger);
        self.0 = None;
    }

    /// The messages that are under way.
    fn messages(&mut self, figures: &mut Figures) -> &mut Messages {
        self.0.get_or_insert_with(|| {
            let mut messages = Box::<Messages>::default();
            let head = std::mem::take(&mut figures.meter.asked);
            if head > 0 {
                let received = Received { head, body: 0 };
                let exchange = Exchange { received, ..Exchange::of(figures.meter.payer().clone()) };
                messages.exchanges.push_back(exchange);
            }
            messages
        })
    }

    /// Gives its room back, if nothing is under way but a poll that waits: all of one is booked as the same.
    fn rest(&mut self, figures: &mut Figures) {
        let Some(messages) = &self.0 else { return };
        let Messages { inward, outward, coming, exchanges, .. } = &**messages;
        if !inward.is_between() || !outward.is_between() || !coming.is_empty() || exchanges.len() > 1 {
            return;
        }
        if let Some(exchange) = exchanges.front() {
            if !exchange.is_poll_that_waits() {
                return;
            }
            let Received { head, body } = exchange.received;
            figures.meter.asked = head.saturating_add(body);
        }
        self.0 = None;
    }
}

impl Messages {
    fn read(&mut self, ledger: &Ledger, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.inward.is_between() {
                self.next_comes();
            }
            let (count, found) = self.inward.step(bytes);
            bytes = &bytes[count..];
            self.came(ledger, count as u32, matches!(found, Found::Head | Found::EndOfHead));
        }
    }

    /// A message begins.
    fn next_comes(&mut self) {
        self.is_claimed = false;
        if self.coming.back().is_none_or(|last| last.head > 0) {
            self.coming.push_back(Received::default());
        }
    }

    fn came(&mut self, ledger: &Ledger, count: u32, is_head: bool) {
        if !self.is_claimed {
            // Nothing can follow a request whose answer has no end.
            if let Some(Exchange { told: Told::Live, payer, .. }) = self.exchanges.back() {
                return ledger.book(payer, Direction::In, &Bill::of(Purpose::Heads, count as usize));
            }
            let Some(last) = self.coming.back_mut() else { return };
            let sum = if is_head { &mut last.head } else { &mut last.body };
            *sum = sum.saturating_add(count);
            return;
        }
        match self.exchanges.back_mut() {
            Some(exchange) if !exchange.is_booked => {
                exchange.received.body = exchange.received.body.saturating_add(count);
            }
            Some(exchange) => {
                let bill = Bill::of(Purpose::Controls, count as usize);
                ledger.book(&exchange.payer, Direction::In, &bill);
            }
            None => {
                ledger.book(&Payer::default(), Direction::In, &Bill::of(Purpose::Controls, count as usize));
            }
        }
    }

    /// Notes what was written, up to the end of the head of an answer without an end; how much that is, and whether
    /// it came to that.
    fn wrote(&mut self, ledger: &Ledger, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            let (count, found) = self.outward.step(&bytes[at..]);
            at += count;
            match found {
                Found::Head => self.head(ledger, count),
                Found::EndOfHead if self.end_of_head(ledger, count) => return (at, true),
                Found::EndOfHead => {}
                Found::Framing => self.book_out(ledger, Bill::of(Purpose::Framing, count)),
                Found::Body => self.body(ledger, count),
            }
            let is_interim = (100..=199).contains(&self.outward.status());
            if self.outward.is_between() && !is_interim {
                self.exchanges.pop_front();
            }
        }
        (at, false)
    }

    fn head(&mut self, ledger: &Ledger, count: usize) {
        match self.exchanges.front_mut() {
            Some(exchange) => exchange.head = exchange.head.saturating_add(count as u32),
            None => self.book_out(ledger, Bill::of(Purpose::Heads, count)),
        }
    }

    /// Whether it is the head of an answer without an end.
    fn end_of_head(&mut self, ledger: &Ledger, count: usize) -> bool {
        let status = self.outward.status();
        let Some(exchange) = self.exchanges.front_mut() else {
            self.book_out(ledger, Bill::of(Purpose::Heads, count));
            return false;
        };
        if exchange.is_head && status != 101 {
            self.outward.has_no_body();
        }
        let head = std::mem::take(&mut exchange.head) as usize + count;
        let is_empty = status == 204 && matches!(exchange.payer.via(), Via::Poll | Via::Longpoll);
        let purpose = if is_empty { Purpose::Empty } else { Purpose::Heads };
        if status == 101 || status >= 200 {
            exchange.book_request(ledger, is_empty);
        }
        let has_no_end = matches!(exchange.told, Told::Live) && status >= 200;
        self.book_out(ledger, Bill::of(purpose, head));
        if has_no_end {
            self.end(ledger);
        }
        has_no_end
    }

    fn body(&mut self, ledger: &Ledger, count: usize) {
        let bill = match self.exchanges.front_mut() {
            Some(exchange) => exchange.take_body(count),
            None => Bill::of(Purpose::Controls, count),
        };
        self.book_out(ledger, bill);
    }

    /// Books what went out to whoever is answered.
    fn book_out(&self, ledger: &Ledger, bill: Bill) {
        match self.exchanges.front() {
            Some(exchange) => ledger.book(&exchange.payer, Direction::Out, &bill),
            None => ledger.book(&Payer::default(), Direction::Out, &bill),
        }
    }

    /// Books what was not answered, or not understood.
    fn end(&mut self, ledger: &Ledger) {
        let payer = self.exchanges.back().map(|exchange| exchange.payer.clone()).unwrap_or_default();
        while let Some(mut exchange) = self.exchanges.pop_front() {
            exchange.book_request(ledger, false);
            let head = Bill::of(Purpose::Heads, exchange.head as usize);
            ledger.book(&exchange.payer, Direction::Out, &head);
        }
        while let Some(received) = self.coming.pop_front() {
            let bill = Bill::of(Purpose::Heads, received.head as usize + received.body as usize);
            ledger.book(&payer, Direction::In, &bill);
        }
    }
}

impl Exchange {
    fn of(payer: Payer) -> Self {
        Self {
            payer,
            received: Received::default(),
            is_head: false,
            is_booked: false,
            asked: Asked::default(),
            told: Told::default(),
            head: 0,
        }
    }

    /// Whether it is a poll of which nothing but its request is there.
    fn is_poll_that_waits(&self) -> bool {
        let is_poll = matches!(self.payer.via(), Via::Poll | Via::Longpoll);
        is_poll && !self.is_head && !self.is_booked && self.head == 0 && matches!(self.told, Told::Nothing)
    }

    /// Books the request, now that it is known what came of it.
    fn book_request(&mut self, ledger: &Ledger, is_empty: bool) {
        if std::mem::replace(&mut self.is_booked, true) {
            return;
        }
        let Received { head, body } = std::mem::take(&mut self.received);
        let (head, body) = (head as usize, body as usize);
        let bill = match (is_empty, self.payer.via()) {
            (true, _) => Bill::of(Purpose::Empty, head + body),
            (false, Via::Publish) => self.asked.bill(body).and(Purpose::Heads, head),
            // A form stands for a query.
            (false, _) => Bill::of(Purpose::Heads, head + body),
        };
        ledger.book(&self.payer, Direction::In, &bill);
    }

    /// What the next bytes of the body are for.
    fn take_body(&mut self, count: usize) -> Bill {
        let mut bill = match &mut self.told {
            Told::Nothing | Told::Live => Bill::default(),
            Told::Whole(whole) => {
                let (bill, events) = &mut **whole;
                self.payer.note_events(std::mem::take(events));
                bill.take(count)
            }
        };
        // What nobody said anything of: a page, or a problem.
        let rest = if self.payer.via() == Via::Other { Purpose::Payload } else { Purpose::Controls };
        bill.add(rest, count - bill.total());
        bill
    }
}
