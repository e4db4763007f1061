//! What the parts of a connection share that hyper has: its wire, which requests are under way, and what is
//! counted of it.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
};

use http::{Method, Request, response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    booking::{Booking, Speaks},
    wire::Wire,
};
use crate::{
    delivery::{
        audit::{Audit, Metered},
        connections::{End, Figures, Permit},
        takeover::Leave,
        told::{Asked, Tally, Told},
    },
    ledger::{Bill, Direction, Ledger, Payer},
    metrics::{Metrics, Path},
};

/// A connection that hyper has.
#[derive(Debug)]
pub(super) struct Link {
    /// Requests that have arrived.
    arrived: Cell<u32>,
    /// Those of them that are being answered.
    answering: Cell<u32>,
    /// Whether everything that hyper had written was out since the answer came that it is to leave with.
    has_flushed: Cell<bool>,
    speaks: Cell<Speaks>,
    is_listed: Cell<bool>,
    own: RefCell<Own>,
}

#[derive(Debug)]
struct Own {
    wire: Wire,
    /// There until the connection leaves hyper.
    permit: Option<Permit>,
    booking: Booking,
    /// Boxed, so that a connection that stays has no room for it.
    exit: Option<Box<Exit>>,
}

/// The answer that a connection leaves hyper with.
#[derive(Debug)]
pub(super) struct Exit {
    pub(super) head: response::Parts,
    pub(super) goes_to: Leave,
}

/// A request that has arrived.
pub(super) struct Begun {
    /// While it is being answered.
    pub(super) answering: Answering,
    /// Whether it is over the same transport as the last.
    pub(super) again: bool,
    /// Where it is told what hyper sends.
    pub(super) tally: Tally,
}

/// A request that is being answered.
pub(super) struct Answering(Weak<Link>);

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            link.answering.set(link.answering.get() - 1);
        }
    }
}

/// What is left of a connection when it leaves hyper.
pub(super) struct Left {
    pub(super) stream: std::net::TcpStream,
    /// Its place among the connections.
    pub(super) permit: Permit,
    /// How many bytes of its last request were head and body.
    pub(super) asked: (usize, usize),
}

impl Link {
    pub(super) fn new(wire: Wire, permit: Permit) -> Self {
        Self {
            arrived: Cell::default(),
            answering: Cell::default(),
            has_flushed: Cell::default(),
            speaks: Cell::default(),
            is_listed: Cell::default(),
            own: RefCell::new(Own { wire, permit: Some(permit), booking: Booking::default(), exit: None }),
        }
    }

    /// How many requests have arrived.
    pub(super) fn arrived(&self) -> u32 {
        self.arrived.get()
    }

    /// Whether one of them is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.get() > 0
    }

    /// What is spoken.
    pub(super) fn speaks(&self) -> Speaks {
        self.speaks.get()
    }

    /// Notes that everything that hyper had written was out.
    pub(super) fn flushed(&self) {
        self.has_flushed.set(true);
    }

    /// Notes that a request has arrived, which somebody pays for.
    pub(super) fn begin<B>(self: &Rc<Self>, request: &Request<B>, payer: Payer, id: Option<&str>) -> Begun {
        self.arrived.set(self.arrived.get().wrapping_add(1));
        self.answering.set(self.answering.get() + 1);
        let Own { wire, permit, booking, .. } = &mut *self.own.borrow_mut();
        let (metrics, figures) = permit.as_mut().expect("there until the connection leaves").parts();
        if let Some(socket) = wire.socket() {
            figures.meter.go_over(&metrics.ledger, &socket, payer.clone());
        }
        booking.begin(figures, payer, request.method() == Method::HEAD);
        Begun {
            again: figures.request(request.uri().path(), id),
            tally: figures.tally().clone(),
            answering: Answering(Rc::downgrade(self)),
        }
    }

    /// The last request has its answer, which hyper will write.
    pub(super) fn answer(&self, asked: Asked, told: Told) {
        let own = &mut *self.own.borrow_mut();
        if let Told::Live = told {
            self.speaks.set(Speaks::Endless);
            own.wire.streams();
        }
        if let Some(permit) = &mut own.permit {
            own.booking.answer(&mut permit.figures, asked, told);
        }
    }

    /// Books bytes that are not HTTP's.
    pub(super) fn book(&self, direction: Direction, bill: &Bill) {
        let own = &mut *self.own.borrow_mut();
        let (metrics, figures) = own.permit();
        metrics.ledger.book(figures.meter.payer(), direction, bill);
    }

    /// Notes events that are sent, but by hyper.
    pub(super) fn note_events(&self, events: usize) {
        let own = &mut *self.own.borrow_mut();
        let figures = own.figures();
        figures.events += events as u64;
        figures.meter.payer().note_events(events);
    }

    /// The connection is to leave hyper once that has written what it has.
    pub(super) fn leave_with(&self, exit: Exit) {
        self.has_flushed.set(false);
        self.own.borrow_mut().exit = Some(Box::new(exit));
    }

    /// What it leaves with, if it does now.
    pub(super) fn take_exit(&self) -> Option<Box<Exit>> {
        if !self.has_flushed.get() {
            return None;
        }
        self.own.borrow_mut().exit.take()
    }

    /// Takes apart a connection that left, and that no line shapes.
    pub(super) fn into_left(mut self) -> io::Result<Left> {
        let Own { wire, permit, booking, .. } = self.own.get_mut();
        let mut permit = permit.take().ok_or(io::ErrorKind::NotConnected)?;
        let stream = std::mem::replace(wire, Wire::Gone).into_std()?;
        let asked = booking.leave(&mut permit.figures);
        permit.figures.leave_hyper();
        Ok(Left { stream, permit, asked })
    }

    /// What follows is not HTTP, and whoever speaks it books it.
    pub(super) fn end_http(&self) {
        self.speaks.set(Speaks::Other);
        let own = &mut *self.own.borrow_mut();
        own.booking = Booking::default();
        own.figures().leave_hyper();
    }

    /// Nothing more is read or written. What was written is still to arrive, if a line shapes it.
    pub(super) fn leave(&self) {
        self.own.borrow().wire.leave();
    }

    /// Notes why it ends, instead of what was noted.
    pub(super) fn ends(&self, end: End) -> End {
        std::mem::replace(&mut self.own.borrow_mut().figures().end, end)
    }

    /// Looks past what a client sends that gets an answer without an end, for the end of the client. What it sent is
    /// thrown away: nothing can follow such a request. (hyper looks for the end as well, but not past what it has in
    /// its buffer.)
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..16 {
            let mut scratch = [0; 1024];
            let mut read = ReadBuf::new(&mut scratch);
            match std::task::ready!(self.poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the peer is gone. What it sent stays where it is, for it may be its next request; then it cannot be
    /// known.
    pub(super) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.own.borrow().wire.poll_end(cx)
    }

    /// Books what was read before hyper had the connection, and is counted already.
    pub(super) fn read_early(&self, bytes: &[u8]) {
        self.own.borrow_mut().book_read(self.speaks.get(), bytes);
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = &mut *self.own.borrow_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut own.wire).poll_read(cx, buf);
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            let (metrics, figures) = own.permit();
            figures.received += bytes.len() as u64;
            metrics.flows.received(Path::Hosted).inc_by(bytes.len() as u64);
            own.book_read(self.speaks.get(), bytes);
        }
        read
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = &mut *self.own.borrow_mut();
        let written = Pin::new(&mut own.wire).poll_write(cx, bytes);
        own.wrote(self.speaks.get(), &written, &[IoSlice::new(bytes)]);
        written
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = &mut *self.own.borrow_mut();
        let written = Pin::new(&mut own.wire).poll_write_vectored(cx, bufs);
        own.wrote(self.speaks.get(), &written, bufs);
        written
    }

    /// Writes what can be written at once.
    pub(super) fn try_write(&self, bytes: &[u8]) {
        let own = &mut *self.own.borrow_mut();
        let written = Poll::Ready(own.wire.try_write(bytes));
        own.wrote(self.speaks.get(), &written, &[IoSlice::new(bytes)]);
    }

    /// Says that nothing more is written.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        self.own.borrow().wire.shut_down()
    }
}

impl Own {
    fn permit(&mut self) -> (&Metrics, &mut Figures) {
        self.permit.as_mut().expect("there until the connection leaves").parts()
    }

    fn figures(&mut self) -> &mut Figures {
        self.permit().1
    }

    fn book_read(&mut self, speaks: Speaks, bytes: &[u8]) {
        let Self { permit: Some(permit), booking, .. } = self else { return };
        let (metrics, figures) = permit.parts();
        booking.read(&metrics.ledger, figures, speaks, bytes);
    }

    /// Counts what the kernel took of these.
    fn wrote(&mut self, speaks: Speaks, written: &Poll<io::Result<usize>>, bufs: &[IoSlice<'_>]) {
        let Self { permit: Some(permit), booking, .. } = self else { return };
        let (metrics, figures) = permit.parts();
        match written {
            Poll::Ready(Ok(count)) => {
                figures.sent += *count as u64;
                metrics.flows.sent(Path::Hosted).inc_by(*count as u64);
                let mut left = *count;
                for buf in bufs {
                    let taken = left.min(buf.len());
                    booking.wrote(&metrics.ledger, figures, speaks, &buf[..taken]);
                    left -= taken;
                }
            }
            Poll::Ready(Err(_)) => figures.end = End::Failed,
            Poll::Pending => {}
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Own { wire, permit: Some(permit), booking, .. } = self.own.get_mut() else { return };
        let (metrics, figures) = permit.parts();
        booking.end(&metrics.ledger, figures);
        if let Some(socket) = wire.socket() {
            let is_closed = figures.end == End::Closed;
            figures.meter.settle_to_the_end(&metrics.ledger, &socket, is_closed);
        }
    }
}

/// The connections of a core that hyper has and that are on somebody's account, or were.
#[derive(Debug, Default)]
pub(super) struct Links(RefCell<Vec<Weak<Link>>>);

impl Links {
    /// Has a connection looked after, if it is on an account.
    pub(super) fn list(&self, link: &Rc<Link>) {
        if link.is_listed.get() || !link.own.borrow_mut().figures().meter.payer().has_account() {
            return;
        }
        link.is_listed.set(true);
        let mut listed = self.0.borrow_mut();
        if listed.len() == listed.capacity() {
            listed.retain(|link| link.strong_count() > 0);
            // Little by little: a place that is free is a place that a connection takes.
            let more = listed.len() / 16 + 8;
            listed.reserve_exact(more);
        }
        listed.push(Rc::downgrade(link));
    }
}

impl Metered for Links {
    fn settle(&self, audit: &Audit, ledger: &Ledger) {
        for link in self.0.borrow().iter().filter_map(Weak::upgrade) {
            let Own { wire, permit, .. } = &mut *link.own.borrow_mut();
            if let (Some(permit), Some(socket)) = (permit, wire.socket())
                && audit.concerns(permit.figures.meter.payer())
            {
                permit.figures.meter.settle(ledger, &socket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::told,
        ledger::{Meter, Owed},
    };

    /// What the ledger takes of a connection that hyper has: its meter, its booking, and its place in the list of those
    /// on an account; and of a stream what its tally holds besides its events, of a WebSocket what it owes and has heard.
    #[test]
    fn the_ledger_takes_little_of_a_connection() {
        let carried = size_of::<Meter>() + size_of::<Booking>() + size_of::<Weak<Link>>();
        let stream = carried + told::UNWRITTEN;
        let websocket = carried + size_of::<Owed>() + size_of::<u32>();
        assert!(stream <= 64 && websocket <= 64, "{stream}, {websocket} bytes");
    }
}
