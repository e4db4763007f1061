//! The taken path: connections that left hyper, each a small record among those of its core.
//!
//! - `record`: one connection
//! - `door`, `passage`: how it is let in, and how it leaves
//! - `groups`: who listens to what
//! - `piece`, `output`: what is pending at one place, encoded once, and its way to sockets
//! - `input`: what sockets have to say
//! - `requests`: the next poll (`question`) or publish (`posting`) of a connection, and its answer
//! - `frames`, `chair`: the messages of a WebSocket, and what its operations do to it
//! - `accounts`: what is counted, booked and told of all of them
//!
//! A core's loop takes what arrived, marks whom the new events concern, reads what sockets have to say, ends
//! what is due, and then sends to a slice of those that have something pending; then others get a turn, the
//! publishers among them. Nothing here waits for a socket: what the kernel does not take waits for it.

mod accounts;
mod chair;
mod door;
mod frames;
mod groups;
mod input;
mod output;
mod passage;
mod piece;
mod posting;
mod question;
mod record;
mod requests;

use std::{
    collections::{HashSet, VecDeque},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use rustix::event::epoll::{self, EventFlags};
use slab::Slab;
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, mpsc, oneshot},
    task::yield_now,
    time::{Interval, MissedTickBehavior, interval},
};

pub use record::Kind;
#[cfg(fuzzing)]
pub use {posting::published_again, question::asked_anew};

pub(crate) use {
    door::Door,
    passage::{Arrival, Back},
    question::MAX_REQUEST,
};

use self::{
    groups::Groups,
    piece::Pieces,
    question::Questions,
    record::{NEVER, Record, State},
};
use super::{
    audit::{Audit, Metered},
    census::Census,
    connections::End,
};
use crate::{bus::Bus, ledger::Sums, metrics::Metrics, publish::Publisher};

/// How finely deadlines are kept. Heartbeats, time-outs and stalls are all much longer.
const TICK: Duration = Duration::from_millis(50);
/// Connections that are sent to before others get a turn.
const SLICE: usize = 256;
/// Topics that are taken from the log at a time.
const TOPICS: usize = 1024;
/// Connections that enter at a time.
const ARRIVALS: usize = 64;
/// Events of sockets that are looked at before others get a turn.
const EVENTS: usize = 256;
/// Bytes read at a time, into one buffer for all.
const READ: usize = 16 << 10;

/// What a core's hub has to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) bus: Arc<Bus>,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) max_topics: usize,
    pub(crate) max_message: usize,
    pub(crate) retry: Duration,
    pub(crate) write_stall: Duration,
    /// How long a connection may be idle between two requests.
    pub(crate) idle: Duration,
    /// The field of an answer that carries the cursor.
    pub(crate) cursor_field: &'static str,
}

/// The taken connections of one core.
pub(crate) struct Taken {
    settings: Settings,
    epoll: AsyncFd<OwnedFd>,
    events: Vec<epoll::Event>,
    bell: Arc<Notify>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    backs: mpsc::UnboundedSender<Back>,
    census: mpsc::UnboundedReceiver<oneshot::Sender<Census>>,
    audits: mpsc::UnboundedReceiver<Audit>,
    drain: Arc<Notify>,
    tick: Interval,

    records: Slab<Record>,
    /// When each is due, in ticks since the core began: apart, so that a sweep reads nothing else.
    due: Vec<u32>,
    now: u32,
    groups: Groups,
    questions: Questions,
    /// The last offset whose topic was looked at.
    seen: u64,
    /// Those that may have something pending.
    listed: VecDeque<u32>,
    /// Those that have input that was not read.
    unread: VecDeque<u32>,
    pieces: Pieces,
    scratch: Box<[u8]>,
    draining: bool,
    /// Bytes that came in and went out in this turn.
    received: u64,
    sent: u64,
    /// What they were for.
    sums: Sums,
    /// The connections that are on somebody's account, and what looks after those of this core that hyper has.
    accounted: HashSet<u32>,
    hosted: Rc<dyn Metered>,
}

impl Taken {
    /// The taken connections of the core that runs this, the way to them, and the way back from them. `hosted`
    /// are the core's other ones.
    ///
    /// # Errors
    /// If the kernel has no epoll instance left.
    pub(crate) fn new(
        settings: Settings,
        hosted: Rc<dyn Metered>,
    ) -> io::Result<(Self, Door, mpsc::UnboundedReceiver<Back>)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; an OwnedFd is open for as long as it lives"
        )]
        let epoll = AsyncFd::with_interest(epoll, Interest::READABLE)?;
        let (door, arrivals) = mpsc::unbounded_channel();
        let (backs, back) = mpsc::unbounded_channel();
        let (ask, census) = mpsc::unbounded_channel();
        let (order, audits) = mpsc::unbounded_channel();
        let drain = Arc::new(Notify::new());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let taken = Self {
            bell: settings.bus.bell(),
            seen: settings.bus.head().offset,
            settings,
            epoll,
            events: Vec::with_capacity(EVENTS),
            arrivals,
            backs,
            census,
            audits,
            drain: drain.clone(),
            tick,
            records: Slab::new(),
            due: Vec::new(),
            now: 0,
            groups: Groups::default(),
            questions: Questions::default(),
            listed: VecDeque::new(),
            unread: VecDeque::new(),
            pieces: Pieces::default(),
            scratch: vec![0; READ].into(),
            draining: false,
            received: 0,
            sent: 0,
            sums: Sums::default(),
            accounted: HashSet::new(),
            hosted,
        };
        Ok((taken, Door { arrivals: door, census: ask, audits: order, drain }, back))
    }

    /// Serves them for as long as the core runs.
    pub(crate) async fn run(mut self) {
        loop {
            let mut arrived = None;
            let mut ticked = false;
            if self.listed.is_empty() && self.unread.is_empty() {
                let occupied = !self.records.is_empty();
                tokio::select! {
                    biased;
                    arrival = self.arrivals.recv() => match arrival {
                        Some(arrival) => arrived = Some(arrival),
                        None => return,
                    },
                    () = self.drain.notified() => self.begin_to_drain(),
                    // Whoever else publishes in this turn goes out with it.
                    () = self.bell.notified() => { yield_now().await; self.list_concerned(); }
                    _ = self.epoll.readable() => {}
                    Some(asked) = self.census.recv() => { _ = asked.send(self.take_census()); }
                    Some(audit) = self.audits.recv() => self.audit(audit),
                    _ = self.tick.tick(), if occupied => ticked = true,
                }
            } else {
                yield_now().await;
                if self.drain.notified().now_or_never().is_some() {
                    self.begin_to_drain();
                }
                if self.bell.notified().now_or_never().is_some() {
                    self.list_concerned();
                }
                ticked = self.tick.tick().now_or_never().is_some();
                if let Ok(asked) = self.census.try_recv() {
                    _ = asked.send(self.take_census());
                }
                if let Ok(audit) = self.audits.try_recv() {
                    self.audit(audit);
                }
            }
            self.now = ticks(self.settings.publisher.now());
            let more = std::iter::from_fn(|| self.arrivals.try_recv().ok()).take(ARRIVALS);
            let arrived: Vec<Arrival> = arrived.into_iter().chain(more).collect();
            arrived.into_iter().for_each(|arrival| self.enter(arrival));
            self.hear();
            if ticked {
                self.sweep();
            }
            self.send_slice();
            self.count();
        }
    }

    /// Lists whom the events concern that were published since the last look.
    fn list_concerned(&mut self) {
        if self.records.is_empty() {
            self.seen = self.settings.bus.head().offset;
            return;
        }
        loop {
            match self.settings.bus.topics_since(self.seen, TOPICS) {
                Some((topics, _)) if topics.is_empty() => return,
                Some((topics, up_to)) => {
                    self.seen = up_to;
                    let topics: HashSet<_> = topics.into_iter().collect();
                    for topic in &topics {
                        self.groups.matching(topic, |key| list(&mut self.records, &mut self.listed, key));
                    }
                }
                // Events went before this core saw them: whom they concerned is not known any more.
                None => {
                    self.seen = self.settings.bus.head().offset;
                    return self.list_all();
                }
            }
        }
    }

    fn list_all(&mut self) {
        let keys: Vec<u32> = self.records.iter().map(|(key, _)| key as u32).collect();
        keys.into_iter().for_each(|key| self.list(key));
    }

    /// Has a connection looked at in this turn or the next.
    fn list(&mut self, key: u32) {
        list(&mut self.records, &mut self.listed, key);
    }

    fn begin_to_drain(&mut self) {
        self.draining = true;
        let keys: Vec<u32> = self.records.iter().map(|(key, _)| key as u32).collect();
        for key in keys {
            let record = &self.records[key as usize];
            match record.state {
                // Nobody waits for an answer, unless one is still on its way.
                State::Asking if !record.blocked => self.give_up(key),
                _ => self.list(key),
            }
        }
    }

    /// Looks at what the sockets have to say.
    fn hear(&mut self) {
        while let Some(Ok(mut ready)) = self.epoll.readable().now_or_never() {
            self.events.clear();
            let spare = rustix::buffer::spare_capacity(&mut self.events);
            let heard = epoll::wait(self.epoll.get_ref(), spare, Some(&rustix::event::Timespec::default()));
            if heard.unwrap_or(0) < EVENTS {
                // Cleared, so that the next event wakes this core again; what came in between is looked at.
                ready.clear_ready();
            }
            drop(ready);
            if self.events.is_empty() {
                break;
            }
            let events = std::mem::take(&mut self.events);
            for event in &events {
                self.react(event.data.u64() as u32, event.flags);
            }
            let full = events.len() == EVENTS;
            self.events = events;
            if full {
                break;
            }
        }
        for _ in 0..self.unread.len() {
            if let Some(key) = self.unread.pop_front()
                && self.records.contains(key as usize)
            {
                self.read(key);
            }
        }
    }

    fn react(&mut self, key: u32, flags: EventFlags) {
        if !self.records.contains(key as usize) {
            return;
        }
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            return self.remove(key, End::Failed);
        }
        if flags.contains(EventFlags::OUT) && self.records[key as usize].blocked {
            self.unblock(key);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP) && self.records.contains(key as usize) {
            self.records[key as usize].unread = true;
            if flags.contains(EventFlags::RDHUP) { self.hang_up(key) } else { self.read(key) }
        }
    }

    /// Ends what is due.
    fn sweep(&mut self) {
        for key in 0..self.due.len() {
            if self.due[key] <= self.now {
                self.due[key] = NEVER;
                if self.records.contains(key) {
                    self.expire(key as u32);
                }
            }
        }
    }

    /// Sends to a slice of those that are listed.
    fn send_slice(&mut self) {
        self.pieces.clear();
        for _ in 0..self.listed.len().min(SLICE) {
            if let Some(key) = self.listed.pop_front()
                && let Some(record) = self.records.get_mut(key as usize)
            {
                record.listed = false;
                self.deliver(key);
            }
        }
    }

    /// Has a connection due after a while, never sooner.
    fn due_in(&mut self, key: u32, ticks: u32) {
        self.due[key as usize] = self.now.saturating_add(ticks).saturating_add(1);
    }
}

fn list(records: &mut Slab<Record>, listed: &mut VecDeque<u32>, key: u32) {
    let record = &mut records[key as usize];
    if !record.listed && !record.blocked {
        record.listed = true;
        listed.push_back(key);
    }
}

fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX / 2)
}
