//! What stands on the socket of a connection that hyper has, booked to the requests that it served.
//!
//! hyper says neither how long a head was nor when it has written what, so the bytes themselves are looked at:
//! each is booked as the request's to which the order of messages assigns it (RFC 9112, 9.3.2).

use super::queue::Queue;
use crate::{
    delivery::told::{Asked, Told},
    ledger::{
        Bill, Direction, Ledger, Payer, Purpose, Via,
        scan::{Found, Scanner},
    },
};

/// The bytes of one connection, both ways.
#[derive(Debug)]
pub(super) struct Booking {
    inward: Scanner,
    outward: Scanner,
    /// Requests that came and that hyper has not handed on yet.
    coming: Queue<Received>,
    /// Those that it has, until they are answered.
    exchanges: Queue<Exchange>,
    /// Whether what comes still belongs to the last of those: its body.
    is_claimed: bool,
    /// Whether something else than HTTP is spoken, which its driver books.
    is_other: bool,
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
    pub(super) fn new() -> Self {
        Self {
            inward: Scanner::default(),
            outward: Scanner::default(),
            coming: Queue::default(),
            exchanges: Queue::default(),
            is_claimed: false,
            is_other: false,
        }
    }

    /// Notes what was read.
    pub(super) fn read(&mut self, ledger: &Ledger, mut bytes: &[u8]) {
        if self.is_other {
            return;
        }
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
            if matches!(self.exchanges.back(), Some(Exchange { told: Told::Live(_), .. })) {
                return self.read_past(ledger, count as usize);
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

    /// A request is handed on.
    pub(super) fn begin(&mut self, payer: Payer, is_head: bool) {
        payer.note_request();
        let received = self.coming.pop_front().unwrap_or_default();
        self.is_claimed = self.coming.is_empty();
        self.exchanges.push_back(Exchange {
            payer,
            received,
            is_head,
            is_booked: false,
            asked: Asked::default(),
            told: Told::default(),
            head: 0,
        });
    }

    /// The last request that was handed on has its answer, which hyper will write.
    pub(super) fn answer(&mut self, asked: Asked, told: Told) {
        if let Some(exchange) = self.exchanges.back_mut() {
            exchange.payer.note_events(asked.events as usize);
            (exchange.asked, exchange.told) = (asked, told);
        }
    }

    /// Whether the present answer has no end.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self.exchanges.front(), Some(Exchange { told: Told::Live(_), .. }))
    }

    /// Notes what was written.
    pub(super) fn wrote(&mut self, ledger: &Ledger, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_other {
            let (count, found) = self.outward.step(bytes);
            bytes = &bytes[count..];
            match found {
                Found::Head => self.head(ledger, count),
                Found::EndOfHead => self.end_of_head(ledger, count),
                Found::Framing => self.book_out(ledger, Bill::of(Purpose::Framing, count)),
                Found::Body => self.body(ledger, count),
            }
            let is_interim = (100..=199).contains(&self.outward.status());
            if self.outward.is_between() && !is_interim {
                self.exchanges.pop_front();
            }
        }
    }

    fn head(&mut self, ledger: &Ledger, count: usize) {
        match self.exchanges.front_mut() {
            Some(exchange) => exchange.head = exchange.head.saturating_add(count as u32),
            None => self.book_out(ledger, Bill::of(Purpose::Heads, count)),
        }
    }

    fn end_of_head(&mut self, ledger: &Ledger, count: usize) {
        let status = self.outward.status();
        let Some(exchange) = self.exchanges.front_mut() else {
            return self.book_out(ledger, Bill::of(Purpose::Heads, count));
        };
        if exchange.is_head && status != 101 {
            self.outward.has_no_body();
        } else if let Told::Live(_) = exchange.told {
            // It says itself what each of its bytes is for, its chunks among them.
            self.outward.has_no_end();
        }
        let head = std::mem::take(&mut exchange.head) as usize + count;
        let is_empty = status == 204 && matches!(exchange.payer.via(), Via::Poll | Via::Longpoll);
        let purpose = if is_empty { Purpose::Empty } else { Purpose::Heads };
        if status == 101 || status >= 200 {
            exchange.book_request(ledger, is_empty);
        }
        self.book_out(ledger, Bill::of(purpose, head));
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
        self.book(ledger, Direction::Out, &bill);
    }

    fn book(&self, ledger: &Ledger, direction: Direction, bill: &Bill) {
        match self.exchanges.front() {
            Some(exchange) => ledger.book(&exchange.payer, direction, bill),
            None => ledger.book(&Payer::default(), direction, bill),
        }
    }

    /// Books what came behind a request whose answer has no end, and means nothing.
    pub(super) fn read_past(&self, ledger: &Ledger, count: usize) {
        self.book(ledger, Direction::In, &Bill::of(Purpose::Heads, count));
    }

    /// What follows is not HTTP, and whoever drives it books it. The last request was answered.
    pub(super) fn end_http(&mut self) {
        self.is_other = true;
        (self.coming, self.exchanges) = (Queue::default(), Queue::default());
    }

    /// The connection leaves hyper with its last request, which it answers elsewhere: how much of it came, its head
    /// and its body. What came behind it was not read, and is the next owner's to book.
    pub(super) fn leave(&mut self) -> (usize, usize) {
        let last = self.exchanges.pop_front().map(|exchange| exchange.received).unwrap_or_default();
        self.end_http();
        (last.head as usize, last.body as usize)
    }

    /// Books what was not answered, or not understood.
    pub(super) fn end(&mut self, ledger: &Ledger) {
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
            Told::Nothing => Bill::default(),
            Told::Whole(whole) => {
                let (bill, events) = &mut **whole;
                self.payer.note_events(std::mem::take(events));
                bill.take(count)
            }
            Told::Live(live) => {
                let (bill, events) = live.take(count);
                self.payer.note_events(events);
                bill
            }
        };
        // What nobody said anything of: a page, or a problem.
        let rest = if self.payer.via() == Via::Other { Purpose::Payload } else { Purpose::Controls };
        bill.add(rest, count - bill.total());
        bill
    }
}
