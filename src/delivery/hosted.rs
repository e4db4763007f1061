//! The hosted path: feeds behind the bodies of HTTP answers.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::sleep;

use super::{
    feed::{Delivery, Encoded, Feed},
    silence::Silence,
    told::Made,
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
    retry: Duration,
    silence: Silence,
    /// Whether each piece is sent as a chunk of its own.
    in_chunks: bool,
}

impl Stream {
    /// A stream of what a feed delivers, opened with a hello. `in_chunks` says that each piece is sent as a chunk.
    pub fn new(
        transport: &'static dyn Transport,
        feed: Feed,
        hello: &str,
        heartbeat: Duration,
        retry: Duration,
        in_chunks: bool,
    ) -> Self {
        let mut opening = Vec::with_capacity(128);
        transport.hello(&mut opening, hello, retry);
        let silence = Silence::new(heartbeat);
        Self { transport, feed: Some(feed), opening, retry, silence, in_chunks }
    }

    /// What is to be sent now: everything that is pending, in one piece.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(feed) = &mut self.feed else { return Poll::Ready(None) };
        let mut opening = std::mem::take(&mut self.opening);
        let mut encoded = match feed.poll_encoded(cx, TURN, self.transport) {
            Poll::Ready(Some(encoded)) => encoded,
            Poll::Ready(None) => {
                self.feed = None;
                let control = Control::Reconnect(spread(self.retry));
                own(Purpose::Controls, |out| self.transport.control(out, &control))
            }
            Poll::Pending if opening.is_empty() => {
                std::task::ready!(self.silence.poll_too_long(cx));
                let cursor = feed.cursor();
                own(Purpose::Heartbeats, |out| self.transport.heartbeat(out, cursor))
            }
            Poll::Pending => Encoded::of(Bytes::new(), Bill::default(), 0),
        };
        if !opening.is_empty() {
            let Made { bill, events, .. } = *encoded.made;
            let bill = bill.and(Purpose::Controls, opening.len());
            opening.extend_from_slice(&encoded.bytes);
            encoded = Encoded::of(opening, bill, events);
        }
        // The last one needs no word: what nothing is known of is a control.
        if let Some(tally) = self.feed.as_ref().and_then(Feed::tally) {
            tally.made(if self.in_chunks { encoded.in_a_chunk } else { encoded.made });
        }
        Poll::Ready(Some(encoded.bytes))
    }
}

/// What the gateway says of itself.
fn own(purpose: Purpose, write: impl FnOnce(&mut Vec<u8>)) -> Encoded {
    let mut bytes = Vec::with_capacity(128);
    write(&mut bytes);
    let bill = Bill::of(purpose, bytes.len());
    Encoded::of(bytes, bill, 0)
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = std::task::ready!(self.poll_piece(cx)) else { return Poll::Ready(None) };
        self.silence.is_broken();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.feed.is_none()
    }
}

/// Waits until a feed has something, the time is up, or the gateway goes; beside it whether it goes.
pub fn wait(mut feed: Feed, budget: Budget, timeout: Duration) -> impl Future<Output = (Batch, bool)> {
    let mut due = Box::pin(sleep(timeout));
    poll_fn(move |cx| {
        Poll::Ready(match feed.poll(cx, budget) {
            Poll::Ready(Delivery::Batch(batch)) => (batch, false),
            Poll::Ready(Delivery::Drain) => (feed.read(budget), true),
            Poll::Pending => {
                std::task::ready!(due.as_mut().poll(cx));
                (feed.read(budget), false)
            }
        })
    })
}

/// A pause of between one and two times `least`, so that those who are told it do not come back at once
/// and together.
pub fn spread(least: Duration) -> Duration {
    least.mul_f64(1.0 + fastrand::f64())
}
