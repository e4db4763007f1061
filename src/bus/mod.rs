//! The event bus: one log that is appended once and read by all, and bells that say 'there is more'.
//!
//! A publish rings; it hands nothing over. Whoever is rung looks whether its place lies before the
//! log's head, so a wake-up can be spurious and cannot be lost. The bus knows no HTTP and no clock: time
//! comes in as the duration since the log began.

pub mod evicted;
pub mod idempotency;
pub mod interest;
pub mod log;
pub mod reader;
#[cfg(test)]
mod tests;
mod wanted;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::sync::Notify;

use self::{
    idempotency::{Key, Keys, Mismatch},
    log::{Bounds, Budget, Log},
    reader::{Ahead, Batch, Position, Reader},
};
use crate::{
    event::{Cursor, Draft, Epoch},
    sync::{
        Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    topic::{Subscription, Topic},
};

/// The bus. All that publish and all that subscribe share one.
#[derive(Debug)]
pub struct Bus {
    state: RwLock<State>,
    /// Counts whatever changed the log.
    version: AtomicU64,
    bells: Mutex<Vec<Arc<Notify>>>,
}

#[derive(Debug)]
struct State {
    log: Log,
    keys: Keys,
    is_closed: bool,
}

/// Why nothing was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The key was used for another content.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The log takes no more events.
    #[error("the gateway is shutting down")]
    Closed,
}

/// What came of a publish.
#[derive(Clone, Debug)]
pub struct Published {
    /// The places of the events.
    pub cursors: Vec<Cursor>,
    /// Whether they are new; else the key had been answered with them before.
    pub is_new: bool,
}

/// How much a log holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Events.
    pub events: usize,
    /// Topics that have one.
    pub topics: usize,
    /// Bytes of memory.
    pub bytes: u64,
    /// The offset of the newest event.
    pub head: u64,
    /// How many events went.
    pub evictions: u64,
}

impl Bus {
    /// A bus with an empty log.
    pub fn new(epoch: Epoch, bounds: Bounds) -> Self {
        let state = State { log: Log::new(epoch, bounds), keys: Keys::default(), is_closed: false };
        Self { state: RwLock::new(state), version: AtomicU64::new(0), bells: Mutex::new(Vec::new()) }
    }

    /// Appends all the drafts, one after the other, or none. A key that was used for the same content
    /// gets the first answer.
    ///
    /// # Errors
    /// A [`Refusal`]; the log is then as it was.
    pub fn publish(&self, drafts: Vec<Draft>, key: Option<Key>, now: Duration) -> Result<Published, Refusal> {
        let mut state = self.write();
        let cursors = |log: &Log, offsets: RangeInclusive<u64>| offsets.map(|at| log.cursor(at)).collect();
        if let Some(key) = &key
            && let Some(offsets) = state.keys.answer(key, now)?
        {
            return Ok(Published { cursors: cursors(&state.log, offsets), is_new: false });
        }
        if state.is_closed {
            return Err(Refusal::Closed);
        }
        let first = state.log.head() + 1;
        for draft in drafts {
            state.log.append(draft, now);
        }
        let offsets = first..=state.log.head();
        if let Some(key) = key {
            state.keys.keep(key, offsets.clone(), now);
        }
        let cursors = cursors(&state.log, offsets);
        self.version.fetch_add(1, Ordering::AcqRel);
        drop(state);
        self.ring();
        Ok(Published { cursors, is_new: true })
    }

    /// Takes no event from now on: whatever was answered is in the log, and whoever reads to its end has it.
    pub fn close(&self) {
        self.write().is_closed = true;
    }

    /// A number that is another one once the log has changed. What was read between two looks at the same
    /// number is what anyone would read there.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Takes a place in the log; see [`Reader::open`].
    ///
    /// # Errors
    /// [`Ahead`] for a place that the log has not reached.
    pub fn open(
        &self,
        subscription: impl Into<Arc<Subscription>>,
        position: Position,
    ) -> Result<(Reader, String), Ahead> {
        let subscription = subscription.into();
        Reader::open(&self.read_state().log, subscription, position)
    }

    /// What a reader gets next.
    pub fn read(&self, reader: &mut Reader, budget: Budget) -> Batch {
        reader.read(&self.read_state().log, budget)
    }

    /// What a reader gets next, without taking it; see [`Reader::peek`].
    pub fn peek(&self, reader: &Reader, budget: Budget) -> Batch {
        reader.peek(&self.read_state().log, budget)
    }

    /// The newest place there is.
    pub fn head(&self) -> Cursor {
        let state = self.read_state();
        state.log.cursor(state.log.head())
    }

    /// How much is held.
    pub fn held(&self) -> Held {
        let log = &self.read_state().log;
        Held {
            events: log.len(),
            topics: log.topics(),
            bytes: log.bytes(),
            head: log.head(),
            evictions: log.evictions(),
        }
    }

    /// Evicts what has become too old.
    pub fn expire(&self, now: Duration) {
        self.write().log.expire(now);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// The topics published to above `seen`; see [`Log::topics_since`].
    pub fn topics_since(&self, seen: u64, limit: usize) -> Option<(Vec<Topic>, u64)> {
        self.read_state().log.topics_since(seen, limit)
    }

    /// A bell that rings after each publish.
    pub fn bell(&self) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.bells.lock().expect(UNPOISONED).push(bell.clone());
        bell
    }

    fn ring(&self) {
        self.bells.lock().expect(UNPOISONED).iter().for_each(|bell| bell.notify_one());
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect(UNPOISONED)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "nothing panics while it holds the lock";
