//! The relay's thread.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{SocketFlags, accept_with, sockopt},
};

use super::{Shape, Shared, lane::Lane};
use crate::{
    engine::{
        sockets::{self, Watcher},
        thread_cpu, thread_waited,
    },
    stats::Latencies,
};

/// Towards the server, and towards the client: also the side that bytes come from.
const UP: usize = 0;
const DOWN: usize = 1;
const LISTENER: u64 = u64::MAX;
/// How often its strain is told.
const TELL: u64 = 20_000_000;

struct Pair {
    /// The client's and the server's socket.
    sides: [OwnedFd; 2],
    lanes: [Lane; 2],
    /// What each side is watched for: to read, and to write.
    watched: [(bool, bool); 2],
    /// Whether a side has room, as far as is known.
    blocked: [bool; 2],
    generation: u32,
}

pub(super) struct Serving {
    listener: OwnedFd,
    server: SocketAddr,
    shape: Shape,
    shared: Arc<Shared>,
    watcher: Watcher,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    accepted: usize,
    timers: BinaryHeap<Reverse<(u64, usize, u32, usize)>>,
    start: Instant,
    lag: Latencies,
    told: u64,
    scratch: Vec<u8>,
}

impl Serving {
    pub(super) fn new(
        listener: OwnedFd,
        server: SocketAddr,
        shape: Shape,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let watcher = Watcher::new()?;
        watcher.add(&listener, LISTENER, false)?;
        Ok(Self {
            listener,
            server,
            shape,
            shared,
            watcher,
            pairs: Vec::new(),
            free: Vec::new(),
            accepted: 0,
            timers: BinaryHeap::new(),
            start: Instant::now(),
            lag: Latencies::default(),
            told: 0,
            scratch: vec![0; 64 << 10],
        })
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut found = Vec::new();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.now();
            while let Some(Reverse((due, n, generation, lane))) = self.timers.peek().copied() {
                if due > now {
                    break;
                }
                self.timers.pop();
                if self.pairs[n].as_ref().is_some_and(|pair| pair.generation == generation) {
                    self.pass(n, lane);
                }
            }
            self.tell();
            let next = self.timers.peek().map_or(u64::MAX, |Reverse((due, ..))| *due);
            let wait = Duration::from_nanos(next.saturating_sub(self.now())).min(Duration::from_millis(20));
            self.watcher.wait(wait, &mut found)?;
            for (key, room) in found.drain(..) {
                if key == LISTENER {
                    self.accept();
                    continue;
                }
                let (n, side) = ((key >> 1 & 0x3fff_ffff) as usize, (key & 1) as usize);
                let held = self.pairs[n].as_ref().is_some_and(|pair| pair.generation == (key >> 32) as u32);
                if !held {
                    continue;
                }
                if room {
                    // What waits for room on this side comes from the other one.
                    if let Some(pair) = &mut self.pairs[n] {
                        pair.blocked[side] = false;
                    }
                    self.pass(n, 1 - side);
                }
                self.read(n, side);
            }
        }
        Ok(())
    }

    fn tell(&mut self) {
        let now = self.now();
        if now < self.told + TELL && self.lag.count() < 1000 {
            return;
        }
        self.told = now;
        let mut strain = self.shared.strain.lock().unwrap_or_else(PoisonError::into_inner);
        strain.lag.merge(&self.lag);
        strain.cpu_ns = thread_cpu();
        strain.waited_ns = thread_waited();
        drop(strain);
        self.lag.clear();
    }

    fn accept(&mut self) {
        // Some at a time, so that bytes on their way are not late.
        for _ in 0..64 {
            let client = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(client) => client,
                Err(Errno::AGAIN) => return,
                // Broken before it was accepted, or no descriptor left: the client sees it end, or wait.
                Err(_) => return,
            };
            let _ = sockopt::set_tcp_nodelay(&client, true);
            let Ok(server) = sockets::begin(self.server, self.accepted, None) else { continue };
            self.accepted += 1;
            let now = self.now();
            let delay = self.shape.rtt / 2;
            // The handshake's round trip passes before the client may send.
            let open = now + self.shape.rtt.as_nanos() as u64;
            let lanes = [Lane::new(delay, self.shape.up, open), Lane::new(delay, self.shape.down, open)];
            let n = self.free.pop().unwrap_or_else(|| {
                self.pairs.push(None);
                self.pairs.len() - 1
            });
            let pair = Pair {
                sides: [client, server],
                lanes,
                watched: [(true, false); 2],
                blocked: [false; 2],
                generation: self.accepted as u32,
            };
            let added =
                [UP, DOWN].map(|side| self.watcher.add(&pair.sides[side], key(n, &pair, side), false));
            if added.iter().all(Result::is_ok) {
                self.pairs[n] = Some(pair);
            } else {
                self.free.push(n);
            }
        }
    }

    /// Reads what a side has sent.
    fn read(&mut self, n: usize, side: usize) {
        let now = self.now();
        let Some(pair) = &mut self.pairs[n] else { return };
        if pair.lanes[side].end.is_some() {
            // Its end is on its way; what it is watched for now is an error.
            return self.close(n);
        }
        // A lane that holds something has its timer.
        let timed = pair.lanes[side].next().is_some();
        let due = match sockets::receive(&pair.sides[side], &mut self.scratch) {
            Ok(None) => return,
            Ok(Some(0)) => Some(pair.lanes[side].finish(now)),
            Ok(Some(count)) => Some(pair.lanes[side].take(&self.scratch[..count], now)).filter(|_| !timed),
            Err(_) => return self.close(n),
        };
        if let Some(due) = due {
            self.timers.push(Reverse((due, n, pair.generation, side)));
        }
        self.watch(n, side);
    }

    /// Passes on what has arrived of what `from` sent.
    fn pass(&mut self, n: usize, from: usize) {
        let now = self.now();
        let Some(pair) = &mut self.pairs[n] else { return };
        let to = 1 - from;
        while !pair.blocked[to]
            && let Some((due, bytes)) = pair.lanes[from].arrived(now)
        {
            let sent = rustix::net::send(
                &pair.sides[to],
                bytes,
                rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT,
            );
            match sent {
                Ok(count) => {
                    if pair.lanes[from].passed(count) {
                        self.lag.record_ns(now - due);
                    }
                }
                Err(Errno::AGAIN | Errno::NOTCONN) => pair.blocked[to] = true,
                Err(Errno::INTR) => {}
                Err(_) => return self.close(n),
            }
        }
        if pair.lanes[from].is_over(now) {
            // Whoever closes here closes both ways.
            return self.close(n);
        }
        if let (Some(due), false) = (pair.lanes[from].next(), pair.blocked[to]) {
            self.timers.push(Reverse((due, n, pair.generation, from)));
        }
        self.watch(n, to);
        self.watch(n, from);
    }

    /// Watches a side for what it is needed for.
    fn watch(&mut self, n: usize, side: usize) {
        let Some(pair) = &mut self.pairs[n] else { return };
        let lane = &pair.lanes[side];
        let wanted = (lane.has_room() && lane.end.is_none(), pair.blocked[side]);
        if pair.watched[side] != wanted {
            pair.watched[side] = wanted;
            if self.watcher.set(&pair.sides[side], key(n, pair, side), wanted.0, wanted.1).is_err() {
                self.close(n);
            }
        }
    }

    fn close(&mut self, n: usize) {
        if self.pairs[n].take().is_some() {
            self.free.push(n);
        }
    }
}

fn key(n: usize, pair: &Pair, side: usize) -> u64 {
    u64::from(pair.generation) << 32 | (n as u64) << 1 | side as u64
}
