//! A hub: the feeds of one core, indexed by what they listen to, and woken when there is more.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    task::Waker,
    time::Duration,
};

use slab::Slab;
use tokio::sync::Notify;

use super::{
    census::{self, Census, Listeners},
    feed::Encoded,
};
use crate::{
    bus::{
        Bus,
        interest::Interest,
        log::Budget,
        reader::{Batch, Place, Reader},
    },
    metrics::Metrics,
    publish::Publisher,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    topic::{Subscription, Topic},
    transport::Transport,
};

/// Feeds that are woken before others get a turn.
const SLICE: usize = 128;
/// Pieces that are kept for others at the same place.
const PIECES: usize = 8;
/// Topics that are taken from the log at a time.
const TOPICS: usize = 1024;

/// The feeds of one core.
#[derive(Debug)]
pub struct Hub {
    bus: Arc<Bus>,
    publisher: Publisher,
    metrics: Arc<Metrics>,
    bell: Arc<Notify>,
    /// The head when there was no feed yet: whatever comes behind it may concern one.
    began: u64,
    feeds: Mutex<Feeds>,
    shared: Mutex<Shared>,
    draining: AtomicBool,
}

/// What feeds share that listen to the same, or stand at the same place.
#[derive(Debug, Default)]
struct Shared {
    subscriptions: HashMap<Box<str>, Weak<Subscription>>,
    /// Subscriptions after the last look for those that nobody has any more.
    kept: usize,
    pieces: VecDeque<Arc<Piece>>,
}

/// What is pending at one place, encoded for one transport.
#[derive(Debug)]
pub(super) struct Piece {
    version: u64,
    transport: &'static str,
    place: Place,
    pub(super) batch: Batch,
    pub(super) encoded: Encoded,
}

#[derive(Debug, Default)]
struct Feeds {
    interest: Interest<usize>,
    seats: Slab<Seat>,
}

/// A feed as its hub knows it.
#[derive(Debug)]
struct Seat {
    waker: Option<Waker>,
    subscription: Arc<Subscription>,
    /// Where its transport stands among them; an echo has none.
    transport: Option<usize>,
}

impl Hub {
    /// A hub without feeds. Somebody has to [`run`](Self::run) it.
    pub fn new(bus: Arc<Bus>, publisher: Publisher, metrics: Arc<Metrics>) -> Arc<Self> {
        let bell = bus.bell();
        let began = bus.head().offset;
        Arc::new(Self {
            bus,
            publisher,
            metrics,
            bell,
            began,
            feeds: Mutex::default(),
            shared: Mutex::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// The bus that the hub listens to.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Where its feeds are counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The time since the log began.
    pub(super) fn now(&self) -> Duration {
        self.publisher.now()
    }

    /// Wakes the feeds that each publish concerns, for ever.
    pub async fn run(&self) {
        let mut seen = self.began;
        loop {
            self.bell.notified().await;
            loop {
                match self.bus.topics_since(seen, TOPICS) {
                    Some((topics, _)) if topics.is_empty() => break,
                    Some((topics, up_to)) => {
                        self.wake(self.concerned(&topics)).await;
                        seen = up_to;
                    }
                    // Events went before this hub saw them: whom they concerned is not known any more.
                    None => {
                        seen = self.bus.head().offset;
                        self.wake_all().await;
                    }
                }
            }
        }
    }

    /// Tells every feed, present and future, that the gateway goes.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.wake_all().await;
    }

    /// Whether the gateway goes.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// How many feeds there are.
    pub fn len(&self) -> usize {
        self.feeds().seats.len()
    }

    /// Who listens to what.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for (_, seat) in &self.feeds().seats {
            if let Some(at) = seat.transport {
                let mut listeners = Listeners::default();
                listeners[at] = 1;
                census.count(&seat.subscription, listeners);
            }
        }
        census
    }

    /// Whether any feed listens to a topic.
    pub fn is_listened_to(&self, topic: &Topic) -> bool {
        let mut found = false;
        self.feeds().interest.matching(topic, &mut |_| found = true);
        found
    }

    /// Whether there is no feed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Enters a feed, under a number that is its own until it leaves.
    pub(super) fn enter(&self, subscription: Arc<Subscription>, transport: Option<&str>) -> usize {
        let feeds = &mut *self.feeds();
        let seat = feeds.seats.vacant_entry();
        let number = seat.key();
        feeds.interest.insert(&subscription, number);
        seat.insert(Seat { waker: None, subscription, transport: transport.map(census::index) });
        number
    }

    /// One subscription for all that ask for the same.
    pub(super) fn share(&self, subscription: &Arc<Subscription>) -> Arc<Subscription> {
        let shared = &mut *self.shared();
        let name = subscription.name();
        if let Some(held) = shared.subscriptions.get(&name).and_then(Weak::upgrade) {
            return held;
        }
        if shared.subscriptions.len() >= 2 * shared.kept + 64 {
            shared.subscriptions.retain(|_, held| held.strong_count() > 0);
            shared.kept = shared.subscriptions.len();
        }
        shared.subscriptions.insert(name, Arc::downgrade(subscription));
        subscription.clone()
    }

    /// What is pending for a reader, if it is told what others are told: read and encoded once for all of them.
    pub(super) fn piece(
        &self,
        reader: &Reader,
        budget: Budget,
        transport: &'static dyn Transport,
    ) -> Option<Arc<Piece>> {
        let place = reader.place()?;
        let (version, transport_name) = (self.bus.version(), transport.name());
        let known = |piece: &&Arc<Piece>| {
            piece.version == version && piece.place == place && piece.transport == transport_name
        };
        if let Some(piece) = self.shared().pieces.iter().find(known) {
            return Some(piece.clone());
        }
        let batch = self.bus.peek(reader, budget);
        let encoded = Encoded::new(transport, &batch);
        let piece = Piece { version, transport: transport_name, place, batch, encoded };
        let piece = Arc::new(piece);
        // If the log moved on meanwhile it is true, but not for whoever looks next.
        if self.bus.version() == version {
            let pieces = &mut self.shared().pieces;
            pieces.truncate(PIECES - 1);
            pieces.push_front(piece.clone());
        }
        Some(piece)
    }

    /// Has a feed woken at the next publish that concerns it.
    pub(super) fn arm(&self, number: usize, waker: &Waker) {
        match &mut self.feeds().seats[number].waker {
            Some(armed) => armed.clone_from(waker),
            unarmed => *unarmed = Some(waker.clone()),
        }
    }

    /// Changes what a feed listens to.
    pub(super) fn change(&self, number: usize, to: Arc<Subscription>) {
        let feeds = &mut *self.feeds();
        let seat = &mut feeds.seats[number];
        feeds.interest.remove(&seat.subscription, number);
        feeds.interest.insert(&to, number);
        seat.subscription = to;
    }

    /// Takes a feed out.
    pub(super) fn leave(&self, number: usize) {
        let mut feeds = self.feeds();
        let seat = feeds.seats.remove(number);
        feeds.interest.remove(&seat.subscription, number);
    }

    fn concerned(&self, topics: &[Topic]) -> Vec<Waker> {
        let feeds = &mut *self.feeds();
        let mut wakers = Vec::new();
        for topic in topics {
            feeds.interest.matching(topic, &mut |number| wakers.extend(feeds.seats[number].waker.take()));
        }
        wakers
    }

    async fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.feeds().seats.iter_mut().filter_map(|(_, seat)| seat.waker.take()).collect();
        self.wake(wakers).await;
    }

    /// Wakes in slices, so that a publisher waits for a slice of the subscribers and not for all.
    async fn wake(&self, wakers: Vec<Waker>) {
        for (n, waker) in wakers.into_iter().enumerate() {
            waker.wake();
            if n % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
        }
        tokio::task::yield_now().await;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("nothing panics while it holds the lock")
    }

    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().expect("nothing panics while it holds the lock")
    }
}
