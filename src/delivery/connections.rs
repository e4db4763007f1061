//! How many connections there are, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{config::Config, error::Code};

/// Connections beyond the limit that are accepted all the same, so that they can be told why they are
/// refused. What comes on top of those is closed without a word.
const REFUSALS: usize = 256;

/// The connections of a server.
#[derive(Debug)]
pub(crate) struct Connections {
    counts: Mutex<Counts>,
    max: usize,
    max_per_address: usize,
    none: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    crowded: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place among them, given back when the socket closes.
#[derive(Debug)]
pub(crate) struct Permit {
    connections: Arc<Connections>,
    address: IpAddr,
    crowded: Option<Code>,
    load: Option<Arc<AtomicUsize>>,
}

impl Connections {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            counts: Mutex::default(),
            max: config.max_connections,
            max_per_address: config.max_connections_per_address,
            none: Notify::new(),
        }
    }

    /// A place for a connection, if need be one that only serves to be refused.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let mut counts = self.counts();
        let from_address = counts.by_address.get(&address).copied().unwrap_or_default();
        let crowded = match counts.all - counts.crowded >= self.max {
            true => Some(Code::Unavailable),
            false => (from_address >= self.max_per_address).then_some(Code::TooManyRequests),
        };
        if crowded.is_some() {
            if counts.crowded >= REFUSALS {
                return None;
            }
            counts.crowded += 1;
        }
        counts.all += 1;
        *counts.by_address.entry(address).or_default() += 1;
        Some(Permit { connections: self.clone(), address, crowded, load: None })
    }

    pub(crate) fn len(&self) -> usize {
        self.counts().all
    }

    /// Waits until there is no connection.
    pub(crate) async fn ended(&self) {
        loop {
            let none = self.none.notified();
            if self.len() == 0 {
                return;
            }
            none.await;
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().expect("nothing panics while it holds the lock")
    }
}

impl Permit {
    /// Why the connection is one too many, if it is.
    pub(crate) fn crowded(&self) -> Option<Code> {
        self.crowded
    }

    /// Counts the connection among those of a core.
    pub(crate) fn load_on(&mut self, load: Arc<AtomicUsize>) {
        load.fetch_add(1, Ordering::Relaxed);
        self.load = Some(load);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(load) = &self.load {
            load.fetch_sub(1, Ordering::Relaxed);
        }
        let mut counts = self.connections.counts();
        counts.all -= 1;
        counts.crowded -= usize::from(self.crowded.is_some());
        if let Some(from_address) = counts.by_address.get_mut(&self.address) {
            *from_address -= 1;
            if *from_address == 0 {
                counts.by_address.remove(&self.address);
            }
        }
        if counts.all == 0 {
            self.connections.none.notify_waiters();
        }
    }
}
