//! The generator: one thread and one epoll instance with any number of subscribers, and publishers that keep to a
//! schedule whatever the server does (an open loop: Schroeder et al., NSDI 2006).

use std::{
    collections::BinaryHeap,
    io,
    time::{Duration, Instant},
};

mod book;
mod connections;
mod load;
mod phases;
mod pressure;
mod publisher;
mod script;
mod session;
pub(crate) mod sockets;
mod subscriber;
mod tally;
mod timer;
mod window;

pub use load::{Goal, Load};
pub(crate) use pressure::{thread_cpu, thread_waited};
pub(crate) use tally::Sums;

use crate::{
    interrupt,
    results::Generator,
    stats::Latencies,
    watch::Watch,
    wire::mark::{Mark, Marks},
};
use pressure::Pressure;
use publisher::{Publisher, Schedule};
use subscriber::Subscriber;
use tally::Tally;
use timer::{Timer, What};
use window::Window;

/// Publishers at most: topics are spread over them.
const PUBLISHERS: usize = 8;
/// Connections that are opened at a time.
const AT_ONCE: usize = 128;
/// Timers that go off between two looks at the schedule.
const SLICE: usize = 64;
/// Marks the key of a publisher's socket.
const PUBLISHER: u64 = 1 << 63;

/// The generator.
pub struct Engine<'a> {
    load: Load,
    goal: Goal,
    watch: &'a Watch,
    marks: Marks,
    topics: Vec<String>,
    /// Events of each topic that were published.
    counts: Vec<u64>,
    sockets: sockets::Watcher,
    found: Vec<(u64, bool)>,
    scratch: Vec<u8>,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Publisher>,
    schedule: Option<Schedule>,
    /// When the events were due that leave now.
    left: Vec<u64>,
    /// Nobody polls for now.
    hold: bool,
    timers: BinaryHeap<Timer>,
    script: script::Script,
    start: Instant,
    /// When the last look at the sockets was over.
    looked: u64,
    random: fastrand::Rng,
    tally: Tally,
    window: Window,
    pressure: Pressure,
    /// Called at each step of the window.
    tell: &'a mut dyn FnMut(Stage),
}

impl std::fmt::Debug for Engine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("load", &self.load).finish_non_exhaustive()
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// So many subscribers are connected.
    Connecting(usize),
    /// So many received a marked event.
    Marking(usize),
    /// Nothing is measured yet.
    WarmUp,
    /// That share of the window is over.
    Measuring(f64),
    /// The last deliveries are awaited.
    Draining,
}

/// What keeps a run from being one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server did.
    #[error("the server refused a subscription: {0}")]
    Refused(String),
    /// Subscribers do not get through.
    #[error("{connected} of {wanted} subscribers connected within {seconds:.0} s{why}")]
    Connecting {
        /// So many did.
        connected: u64,
        /// So many should have.
        wanted: usize,
        /// Within so long.
        seconds: f64,
        /// The first error, in brackets.
        why: String,
    },
    /// Subscribers get nothing.
    #[error(
        "none of {0} subscribers received a marked event within {1:.0} s: they subscribe to something else than is published to{2}"
    )]
    Unmarked(usize, f64, String),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Publishing does not work.
    #[error("publishing: {0}")]
    Publishing(io::Error),
}

/// What was found out.
#[derive(Debug)]
pub struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) published: u64,
    pub(crate) exactly: crate::results::Exactly,
    pub(crate) latency: Latencies,
    pub(crate) exchange: Latencies,
    pub(crate) connecting: Latencies,
    pub(crate) resuming: Latencies,
    pub(crate) broken: u64,
    pub(crate) series: Vec<crate::results::Point>,
    pub(crate) generator: Generator,
    /// Bytes of a connection until it was established.
    pub(crate) opening: Sums,
    /// From then to the end.
    pub(crate) wire: Sums,
    pub(crate) wire_seconds: f64,
    /// Deliveries in the window, by when they came.
    pub(crate) arrived: u64,
    /// The server at the window's begin and end.
    pub(crate) looks: [crate::watch::Look; 2],
    /// The window's length as the looks have it, in seconds.
    pub(crate) looked_seconds: f64,
    /// Processor time for connecting one, where it can be had.
    pub(crate) connect_cpu_ns: Option<u64>,
    /// The server before anyone was connected, and with all of them.
    pub(crate) seen: [Option<crate::watch::Seen>; 2],
    /// The kernel at the same times.
    pub(crate) kernel: [crate::watch::Kernel; 2],
}

/// What happens between the phases, outside of the generator.
pub trait Beside {
    /// All subscribers are established, and nothing is under way but polls.
    fn established(&mut self) {}
    /// The window begins.
    fn begins(&mut self) {}
    /// The window ends.
    fn ends(&mut self) {}
    /// All that was due has come, or will not come.
    fn drained(&mut self) {}
}

impl<'a> Engine<'a> {
    /// A generator that has done nothing yet.
    ///
    /// # Errors
    /// If the kernel has no more epoll instances.
    pub fn new(load: Load, goal: Goal, watch: &'a Watch, tell: &'a mut dyn FnMut(Stage)) -> io::Result<Self> {
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        Ok(Self {
            marks: Marks::new(load.run),
            topics: (0..load.topics).map(|n| load.topic(n)).collect(),
            counts: vec![0; load.topics],
            sockets: sockets::Watcher::new()?,
            found: Vec::new(),
            scratch: vec![0; 256 << 10],
            subscribers: Vec::with_capacity(load.subscribers),
            publishers: Vec::new(),
            schedule: None,
            left: Vec::new(),
            hold: false,
            timers: BinaryHeap::new(),
            script: script::Script::default(),
            start: Instant::now(),
            looked: 0,
            random: fastrand::Rng::with_seed(load.seed),
            tally: Tally::default(),
            window: Window::new(load.step()),
            pressure: Pressure::new(),
            load,
            goal,
            watch,
            tell,
        })
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Does what is due, and then waits for sockets, at most until `until`.
    fn turn(&mut self, until: u64) -> Result<(), Error> {
        if interrupt::asked() {
            return Err(Error::Interrupted);
        }
        let now = self.now();
        self.publish_due(now)?;
        self.script_due(now)?;
        self.timers_due(now)?;
        for n in 0..self.publishers.len() {
            self.flush_publisher(n)?;
        }
        let now = self.now();
        let next = self.schedule.map_or(u64::MAX, |schedule| schedule.next());
        let timer = self.timers.peek().filter(|_| !self.hold).map_or(u64::MAX, |timer| timer.due);
        let next = next.min(timer).min(self.script.next()).min(until);
        self.pressure.turned(now.saturating_sub(self.looked));
        let wait = Duration::from_nanos(next.saturating_sub(now)).min(Duration::from_millis(100));
        let mut found = std::mem::take(&mut self.found);
        self.sockets.wait(wait, &mut found)?;
        self.looked = self.now();
        for (key, room) in found.drain(..) {
            if key & PUBLISHER != 0 {
                self.hear_publisher((key & !PUBLISHER) as usize)?;
            } else {
                self.hear(key, room);
            }
        }
        self.found = found;
        Ok(())
    }

    /// Publishes all events that are due: what is due at once leaves in one piece.
    fn publish_due(&mut self, now: u64) -> Result<(), Error> {
        let mut left = std::mem::take(&mut self.left);
        while let Some((due, place)) = self.schedule.as_mut().and_then(|schedule| schedule.take(now)) {
            self.publish(place as usize % self.load.topics, due);
            self.window.published(due);
            left.push(due);
        }
        if !left.is_empty() {
            for n in 0..self.publishers.len() {
                self.flush_publisher(n)?;
            }
            let now = self.now();
            left.drain(..).for_each(|due| self.pressure.published(due, now));
        }
        self.left = left;
        Ok(())
    }

    /// Queues an event of a topic.
    fn publish(&mut self, topic: usize, due: u64) {
        let mark = Mark { number: self.counts[topic], due };
        self.counts[topic] += 1;
        let mut data = Vec::with_capacity(self.load.payload);
        self.marks.data(mark, self.load.payload, &mut data);
        let count = self.publishers.len();
        let publisher = &mut self.publishers[topic % count];
        let values = crate::wire::template::Values {
            topic: &self.topics[topic],
            client: &self.load.client,
            data: &data,
            kept: &[],
        };
        self.goal.ready.publish(values, &mut publisher.out);
        publisher.sent += 1;
    }

    fn timers_due(&mut self, now: u64) -> Result<(), Error> {
        for _ in 0..SLICE {
            if self.hold {
                break;
            }
            if self.timers.peek().is_none_or(|timer| timer.due > now) {
                break;
            }
            let Some(timer) = self.timers.pop() else { break };
            let subscriber = &self.subscribers[timer.subscriber as usize];
            if subscriber.generation != timer.generation {
                continue;
            }
            match timer.what {
                What::Ask => self.ask(timer.subscriber as usize),
                What::Connect => self.connect(timer.subscriber as usize),
            }
        }
        Ok(())
    }
}
