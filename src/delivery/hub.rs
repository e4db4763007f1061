//! A hub: the feeds of one core, indexed by what they listen to, and woken when there is more.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use slab::Slab;
use tokio::sync::Notify;

use crate::{
    bus::{Bus, interest::Interest},
    topic::{Subscription, Topic},
};

/// Feeds that are woken before others get a turn.
const SLICE: usize = 128;
/// Topics that are taken from the log at a time.
const TOPICS: usize = 1024;

/// The feeds of one core.
#[derive(Debug)]
pub struct Hub {
    bus: Arc<Bus>,
    bell: Arc<Notify>,
    feeds: Mutex<Feeds>,
    draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Feeds {
    interest: Interest<usize>,
    wakers: Slab<Option<Waker>>,
    subscribers: usize,
}

impl Hub {
    /// A hub without feeds. Somebody has to [`run`](Self::run) it.
    pub fn new(bus: Arc<Bus>) -> Arc<Self> {
        let bell = bus.bell();
        Arc::new(Self { bus, bell, feeds: Mutex::default(), draining: AtomicBool::new(false) })
    }

    /// The bus that the hub listens to.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Wakes the feeds that each publish concerns, for ever.
    pub async fn run(&self) {
        let mut seen = self.bus.head().offset;
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
        self.feeds().subscribers
    }

    /// Whether there is no feed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Enters a feed, under a number that is its own until it leaves.
    pub(super) fn enter(&self, subscription: &Subscription) -> usize {
        let mut feeds = self.feeds();
        let number = feeds.wakers.insert(None);
        feeds.interest.insert(subscription, number);
        feeds.subscribers += 1;
        number
    }

    /// Has a feed woken at the next publish that concerns it.
    pub(super) fn arm(&self, number: usize, waker: &Waker) {
        match &mut self.feeds().wakers[number] {
            Some(armed) => armed.clone_from(waker),
            unarmed => *unarmed = Some(waker.clone()),
        }
    }

    /// Changes what a feed listens to.
    pub(super) fn change(&self, number: usize, from: &Subscription, to: &Subscription) {
        let mut feeds = self.feeds();
        feeds.interest.remove(from, number);
        feeds.interest.insert(to, number);
    }

    /// Takes a feed out.
    pub(super) fn leave(&self, number: usize, subscription: &Subscription) {
        let mut feeds = self.feeds();
        feeds.interest.remove(subscription, number);
        feeds.wakers.remove(number);
        feeds.subscribers -= 1;
    }

    fn concerned(&self, topics: &[Topic]) -> Vec<Waker> {
        let feeds = &mut *self.feeds();
        let mut wakers = Vec::new();
        for topic in topics {
            feeds.interest.matching(topic, &mut |number| wakers.extend(feeds.wakers[number].take()));
        }
        wakers
    }

    async fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.feeds().wakers.iter_mut().filter_map(|(_, waker)| waker.take()).collect();
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

    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().expect("nothing panics while it holds the lock")
    }
}
