//! The hosted path: feeds behind the bodies of HTTP answers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{
    feed::{Delivery, Feed},
    told::Live,
};
use crate::{
    bus::{log::Budget, reader::Batch},
    ledger::{Bill, Purpose},
    transport::{Transport, control::Control},
};

/// What goes out at a time: much in one write, and not so much that one reader holds up the next.
pub const TURN: Budget = Budget { events: usize::MAX, bytes: 64 << 10 };

/// An answer without an end.
#[derive(Debug)]
pub struct Stream {
    transport: &'static dyn Transport,
    /// `None` once the stream has ended.
    feed: Option<Feed>,
    /// The opening, until it is sent.
    opening: Vec<u8>,
    heartbeat: Duration,
    retry: Duration,
    due: Pin<Box<Sleep>>,
    spoke: Instant,
    live: Live,
}

impl Stream {
    /// A stream of what a feed delivers, opened with a hello.
    pub fn new(
        transport: &'static dyn Transport,
        feed: Feed,
        hello: &str,
        heartbeat: Duration,
        retry: Duration,
    ) -> Self {
        let mut opening = Vec::with_capacity(128);
        transport.hello(&mut opening, hello, retry);
        let live = Live::default();
        live.made(Bill::of(Purpose::Controls, opening.len()), 0);
        let spoke = Instant::now();
        let due = Box::pin(sleep_until(spoke + heartbeat));
        Self { transport, feed: Some(feed), opening, heartbeat, retry, due, spoke, live }
    }

    /// What is told of the bytes that it makes.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// What is to be sent now: everything that is pending, in one piece.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(feed) = &mut self.feed else { return Poll::Ready(None) };
        let mut piece = std::mem::take(&mut self.opening);
        match feed.poll_encoded(cx, TURN, self.transport, &self.live) {
            Poll::Ready(Some(bytes)) if piece.is_empty() => return Poll::Ready(Some(bytes)),
            Poll::Ready(Some(bytes)) => piece.extend_from_slice(&bytes),
            Poll::Ready(None) => {
                let after = spread(self.retry);
                let before = piece.len();
                self.transport.control(&mut piece, &Control::Reconnect(after));
                self.live.made(Bill::of(Purpose::Controls, piece.len() - before), 0);
                self.feed = None;
            }
            Poll::Pending if piece.is_empty() => {
                std::task::ready!(self.poll_due(cx));
                return self.beat();
            }
            Poll::Pending => {}
        }
        Poll::Ready(Some(piece.into()))
    }

    /// Waits until the stream has been silent for a heartbeat. The timer is not moved at each event, but
    /// looks at its end how long the silence was.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.due.as_mut().poll(cx));
            let due = self.spoke + self.heartbeat;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.due.as_mut().reset(due);
        }
    }

    /// A heartbeat, or what came in the meantime.
    fn beat(&mut self) -> Poll<Option<Bytes>> {
        let Some(feed) = &mut self.feed else { return Poll::Ready(None) };
        let mut piece = Vec::with_capacity(128);
        let batch = feed.read(TURN);
        if batch.is_empty() {
            self.transport.heartbeat(&mut piece, batch.cursor);
            self.live.made(Bill::of(Purpose::Heartbeats, piece.len()), 0);
        } else {
            self.transport.batch(&mut piece, &batch);
            self.live.made(self.transport.bill(&batch, piece.len()), batch.events.len());
        }
        self.due.as_mut().reset(Instant::now() + self.heartbeat);
        Poll::Ready(Some(piece.into()))
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = std::task::ready!(self.poll_piece(cx)) else { return Poll::Ready(None) };
        self.spoke = Instant::now();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.feed.is_none()
    }
}

/// Waits until a feed has something, the time is up, or the gateway goes; beside it whether it goes.
pub async fn wait(feed: &mut Feed, budget: Budget, timeout: Duration) -> (Batch, bool) {
    let delivery = tokio::select! {
        delivery = feed.next(budget) => Some(delivery),
        () = sleep(timeout) => None,
    };
    match delivery {
        Some(Delivery::Batch(batch)) => (batch, false),
        Some(Delivery::Drain) => (feed.read(budget), true),
        None => (feed.read(budget), false),
    }
}

/// A pause of between one and two times `least`, so that those who are told it do not come back at once
/// and together.
pub fn spread(least: Duration) -> Duration {
    least.mul_f64(1.0 + fastrand::f64())
}
