//! A feed: one subscriber's place in the log, and its wake-up.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{
    hub::Hub,
    told::{Made, Tally},
};
use crate::{
    bus::{
        log::Budget,
        reader::{Ahead, Batch, Position, Reader},
    },
    event::Cursor,
    ledger::Bill,
    metrics::{Metrics, Path},
    topic::{Pattern, Subscription},
    transport::Transport,
};

/// One subscriber's place in the log.
///
/// It is entered in its hub *before* the log is read, so an event that is published in between wakes it.
#[derive(Debug)]
pub struct Feed {
    hub: Arc<Hub>,
    number: usize,
    reader: Reader,
    /// What it is delivered over; an echo has none.
    transport: Option<&'static dyn Transport>,
    /// Where its connection counts.
    tally: Option<Tally>,
    /// The log's version when there was no more than it was sent.
    quiet: Option<u64>,
    /// Whether it has been sent everything that was there at some time.
    caught_up: bool,
}

/// What a feed delivers.
#[derive(Debug)]
pub enum Delivery {
    /// Events, or a gap, or both.
    Batch(Batch),
    /// The gateway goes, and the subscriber has everything.
    Drain,
}

/// What is pending, as a transport sends it.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    /// What they are for.
    pub(super) made: Arc<Made>,
    /// The same, where they are sent as a chunk of their own.
    pub(super) in_a_chunk: Arc<Made>,
    /// Whether there is more at once.
    pub(super) more: bool,
}

impl Encoded {
    /// A batch, encoded.
    pub(super) fn new(transport: &dyn Transport, batch: &Batch) -> Self {
        let mut bytes = Vec::new();
        if !batch.is_empty() {
            transport.batch(&mut bytes, batch);
        }
        let bill = transport.bill(batch, bytes.len());
        Self { more: batch.more, ..Self::of(bytes, bill, batch.events.len()) }
    }

    /// Bytes with so many events, and what they are for.
    pub(super) fn of(bytes: impl Into<Bytes>, bill: Bill, events: usize) -> Self {
        let (made, in_a_chunk) = (Made::new(bill, events), Made::in_a_chunk(bill, events));
        Self { bytes: bytes.into(), made: made.into(), in_a_chunk: in_a_chunk.into(), more: false }
    }
}

impl Feed {
    /// Enters a reader in a hub.
    pub fn new(hub: Arc<Hub>, mut reader: Reader, transport: Option<&'static dyn Transport>) -> Self {
        let shared = hub.share(reader.subscription());
        reader.share(shared);
        let number = hub.enter(reader.subscription().clone(), transport.map(Transport::name));
        let feed = Self { hub, number, reader, transport, tally: None, quiet: None, caught_up: false };
        if let Some(transport) = transport {
            feed.hub.metrics().flows.of(transport.name(), Path::Hosted).subscribers.inc();
        }
        feed
    }

    /// The same, counted for its connection too.
    pub fn counted(mut self, tally: Option<Tally>) -> Self {
        self.tally = tally;
        self
    }

    /// Where its connection counts, if it is told.
    pub(super) fn tally(&self) -> Option<&Tally> {
        self.tally.as_ref()
    }

    /// What is pending, or a wake-up when something is.
    pub fn poll(&mut self, cx: &Context<'_>, budget: Budget) -> Poll<Delivery> {
        self.hub.arm(self.number, cx.waker());
        // In this order: what was published before the gateway began to go is delivered before it goes.
        let draining = self.hub.is_draining();
        let batch = self.read(budget);
        match (batch.is_empty(), draining) {
            (false, _) => Poll::Ready(Delivery::Batch(batch)),
            (true, true) => Poll::Ready(Delivery::Drain),
            (true, false) => Poll::Pending,
        }
    }

    /// What is pending, encoded for a transport, or a wake-up when something is; `None` once the gateway goes
    /// and the subscriber has everything. The wake-up is there too when something was pending and there is no more;
    /// when nothing is, the feed stands at the log's head.
    pub(super) fn poll_encoded(
        &mut self,
        cx: &Context<'_>,
        budget: Budget,
        transport: &'static dyn Transport,
    ) -> Poll<Option<Encoded>> {
        self.hub.arm(self.number, cx.waker());
        let draining = self.hub.is_draining();
        let version = self.hub.bus().version();
        if self.quiet == Some(version) && !draining {
            return Poll::Pending;
        }
        let encoded = match self.hub.piece(&self.reader, budget, transport) {
            Some(piece) => {
                self.reader.advance(&piece.batch, piece.batch.cursor.offset);
                self.count(&piece.batch);
                piece.encoded.clone()
            }
            None => Encoded::new(transport, &self.read(budget)),
        };
        self.quiet = (!encoded.more).then_some(version);
        match (encoded.bytes.is_empty(), draining) {
            (false, _) => Poll::Ready(Some(encoded)),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }

    /// Waits until something is pending.
    ///
    /// # Cancel safety
    /// Nothing is taken from the log before it is returned.
    pub async fn next(&mut self, budget: Budget) -> Delivery {
        poll_fn(|cx| self.poll(cx, budget)).await
    }

    /// What is pending now, which may be nothing; the feed then stands at the log's head.
    pub fn read(&mut self, budget: Budget) -> Batch {
        let batch = self.hub.bus().read(&mut self.reader, budget);
        self.count(&batch);
        batch
    }

    /// Counts what is about to be sent.
    fn count(&mut self, batch: &Batch) {
        let Some(transport) = self.transport else { return };
        let metrics = self.hub.metrics();
        if !batch.is_empty() {
            metrics.delivered(transport.name(), Path::Hosted, batch, 1);
            if let Some(tally) = &self.tally {
                tally.count(batch.events.len());
            }
        }
        // What somebody who comes back has missed is no measure of how fast we are.
        if let Some(first) = batch.events.first()
            && self.caught_up
        {
            metrics.flows.lag(Path::Hosted).observe(self.hub.now().saturating_sub(first.published()));
        }
        self.caught_up = !batch.more;
    }

    /// Where it is counted.
    pub(super) fn metrics(&self) -> Arc<Metrics> {
        self.hub.metrics().clone()
    }

    /// What the feed listens to.
    pub fn subscription(&self) -> &Subscription {
        self.reader.subscription()
    }

    /// Begins anew, with another subscription at another place.
    ///
    /// # Errors
    /// [`Ahead`] for a place that the log has not reached; the feed is then as it was.
    pub fn restart(&mut self, subscription: Subscription, position: Position) -> Result<(), Ahead> {
        // The new topics are entered before the log is read, and the old ones left after.
        let subscription = Arc::new(subscription);
        self.quiet = None;
        self.hub.change(self.number, subscription.clone());
        match self.hub.bus().open(subscription, position) {
            Ok((reader, _)) => {
                self.reader = reader;
                Ok(())
            }
            Err(ahead) => {
                self.hub.change(self.number, self.reader.subscription().clone());
                Err(ahead)
            }
        }
    }

    /// Adds topics, which join at the feed's place.
    pub fn subscribe(&mut self, patterns: Vec<Pattern>) {
        self.change(|reader| reader.subscribe(patterns));
    }

    /// Takes topics out.
    pub fn unsubscribe(&mut self, patterns: &[Pattern]) {
        self.change(|reader| reader.unsubscribe(patterns));
    }

    /// The place that the feed has reached.
    pub fn cursor(&self) -> Cursor {
        self.reader.cursor()
    }

    fn change(&mut self, change: impl FnOnce(&mut Reader)) {
        change(&mut self.reader);
        self.quiet = None;
        self.hub.change(self.number, self.reader.subscription().clone());
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(transport) = self.transport {
            self.hub.metrics().flows.of(transport.name(), Path::Hosted).subscribers.dec();
        }
        self.hub.leave(self.number);
    }
}
