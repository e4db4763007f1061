//! One line.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use super::{
    conditions::{Conditions, Source, Wanted},
    flight::Direction,
    link::Link,
    own_topic,
    ports::Ports,
};

/// A listener of its own whose connections are shaped.
#[derive(Debug)]
pub struct Line {
    id: String,
    ports: Ports,
    state: watch::Sender<State>,
    /// Whether somebody listens on its port, once that is decided.
    listens: watch::Sender<Option<bool>>,
    up: Mutex<Link>,
    down: Mutex<Link>,
    connections: AtomicUsize,
    lost: AtomicU64,
    used: Mutex<Instant>,
}

/// What a line is like at present.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// What its connections go through.
    pub conditions: Conditions,
    /// What it is fed with.
    pub source: Option<Source>,
    /// Whether it has ended.
    pub ended: bool,
}

impl State {
    /// Whether nothing gets through.
    pub fn is_cut(&self) -> bool {
        self.ended || self.conditions.cut
    }
}

/// A line as its clients are told of it.
#[derive(Serialize)]
struct Described<'a> {
    id: &'a str,
    port: u16,
    conditions: Conditions,
    source: Option<&'a Source>,
    connections: usize,
    lost: u64,
}

/// A connection of a line, for as long as it is held.
#[derive(Debug)]
pub struct Guest(Arc<Line>);

impl Line {
    /// A line on these ports.
    pub fn new(id: &str, ports: Ports, wanted: &Wanted, now: Instant) -> Self {
        let mut state = State::default();
        wanted.apply(&mut state.conditions, &mut state.source, &own_topic(id));
        Self {
            id: id.to_owned(),
            ports,
            state: watch::Sender::new(state),
            listens: watch::Sender::new(None),
            up: Mutex::new(Link::new(now)),
            down: Mutex::new(Link::new(now)),
            connections: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            used: Mutex::new(now),
        }
    }

    /// Its port.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What it is like, and what it becomes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Changes it, at once and for every connection.
    pub fn change(&self, wanted: &Wanted, now: Instant) {
        self.touch(now);
        self.state.send_if_modified(|state| {
            let before = state.clone();
            wanted.apply(&mut state.conditions, &mut state.source, &own_topic(&self.id));
            if state.conditions != before.conditions {
                // The connections give it again what has not left.
                locked(&self.up).clear(now);
                locked(&self.down).clear(now);
            }
            *state != before
        });
    }

    /// Ends it.
    pub fn end(&self) {
        self.state.send_modify(|state| state.ended = true);
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.state.borrow().ended
    }

    /// Notes whether somebody listens.
    pub fn listens(&self, listens: bool) {
        self.listens.send_replace(Some(listens));
    }

    /// Waits until its port takes connections, or refuses them, as it was told last.
    pub async fn settled(&self) {
        let (mut states, mut listens) = (self.watch(), self.listens.subscribe());
        loop {
            let state = states.borrow_and_update().clone();
            let wanted = Some(!state.is_cut());
            if state.ended || *listens.borrow_and_update() == wanted {
                return;
            }
            // Both senders are the line's own.
            tokio::select! {
                _ = states.changed() => {}
                _ = listens.changed() => {}
            }
        }
    }

    /// A connection comes.
    pub fn join(self: &Arc<Self>) -> Guest {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Guest(self.clone())
    }

    /// Notes that somebody wants it.
    pub fn touch(&self, now: Instant) {
        let mut used = locked(&self.used);
        *used = now.max(*used);
    }

    /// Whether nobody has wanted it for so long.
    pub fn is_idle(&self, now: Instant, after: Duration) -> bool {
        self.connections.load(Ordering::Relaxed) == 0
            && now.saturating_duration_since(*locked(&self.used)) >= after
    }

    /// What all its connections share in this direction.
    pub fn link(&self, direction: Direction) -> MutexGuard<'_, Link> {
        locked(match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        })
    }

    /// Counts segments that were lost.
    pub fn lose(&self, segments: u64) {
        self.lost.fetch_add(segments, Ordering::Relaxed);
    }

    /// What it is, for its clients: a JSON object.
    pub fn describe(&self) -> String {
        let state = self.state.borrow();
        let described = Described {
            id: &self.id,
            port: self.ports.number(),
            conditions: state.conditions,
            source: state.source.as_ref(),
            connections: self.connections.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        };
        serde_json::to_string(&described).expect("it has no keys but strings")
    }
}

impl Guest {
    /// Whose it is.
    pub fn line(&self) -> &Arc<Line> {
        &self.0
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // In this order: a line is not idle for a moment in between.
        self.0.touch(Instant::now());
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds the lock")
}
