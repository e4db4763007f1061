//! One client on one core: any number of subscribers and a few publishers, in one epoll loop.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketType, bind, connect, recv, send, socket, sockopt},
};

use crate::{
    servers::{Server, Target},
    wire::{self, Kind, MARK, Seen},
};

/// Publishers at most.
pub(crate) const PUBLISHERS: usize = 8;
/// Connections from one source address.
const PER_ADDRESS: usize = 25_000;
/// Connections that are opened at a time.
const AT_ONCE: usize = 64;

/// How events are published.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many a second, whatever the answers do.
    Paced(f64),
    /// So many publishers, each as fast as its answers come.
    Waiting(usize),
    /// One publisher that has so many under way.
    Pipelined(usize),
    /// So many publishers, so many a second in all, each waiting for its answers.
    Offered(usize, f64),
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How events are published.
    pub(crate) pace: Pace,
    /// Bytes of data in each.
    pub(crate) size: usize,
    /// For how long it is measured.
    pub(crate) time: Duration,
    /// For how long nothing is measured.
    pub(crate) warm_up: Duration,
    /// Whether latencies are recorded.
    pub(crate) latency: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Events delivered while it was measured.
    pub(crate) deliveries: u64,
    /// Publishes answered while it was measured.
    pub(crate) publishes: u64,
    /// For how long, in seconds.
    pub(crate) seconds: f64,
    /// CPU of the server, in nanoseconds.
    pub(crate) cpu: u64,
    /// CPU of the server in user space, in nanoseconds.
    pub(crate) user: u64,
    /// Share of its core that this client used.
    pub(crate) client: f64,
    /// The largest lag of a paced publish behind its schedule, in milliseconds.
    pub(crate) lag: f64,
    /// Milliseconds from the intended publish to the receipt.
    pub p50: f64,
    /// The same.
    pub p99: f64,
    /// Deliveries that never came, came twice, or came in the wrong order.
    pub(crate) wrong: u64,
}

impl Outcome {
    /// Server CPU per delivery, in microseconds.
    pub(crate) fn cpu_per_delivery(&self) -> f64 {
        self.cpu as f64 / 1000.0 / self.deliveries.max(1) as f64
    }

    /// Deliveries per second.
    pub(crate) fn rate(&self) -> f64 {
        self.deliveries as f64 / self.seconds
    }
}

/// A subscriber.
struct Sub {
    socket: OwnedFd,
    carry: Vec<u8>,
    next: [u64; PUBLISHERS],
    ready: bool,
    reads: bool,
}

struct Publisher {
    socket: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: u64,
    answered: u64,
}

/// The client.
pub(crate) struct Client {
    target: Target,
    addr: SocketAddr,
    kind: Kind,
    receive_buffer: Option<usize>,
    epoll: OwnedFd,
    subs: Vec<Sub>,
    publishers: Vec<Publisher>,
    start: Instant,
    finder: Finder<'static>,
    scratch: Vec<u8>,
    /// Deliveries, right or wrong.
    pub(crate) delivered: u64,
    /// Wrong ones.
    pub(crate) wrong: u64,
    latencies: Histogram<u64>,
    recording: bool,
}

const PUBLISHER: u64 = 1 << 32;

impl Client {
    /// A client of a server, over one transport.
    ///
    /// # Errors
    /// If there is no epoll instance left.
    pub(crate) fn new(server: &Server, kind: Kind) -> io::Result<Self> {
        Ok(Self {
            target: server.target,
            addr: server.addr,
            kind,
            receive_buffer: None,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            subs: Vec::new(),
            publishers: Vec::new(),
            start: Instant::now(),
            finder: Finder::new(MARK),
            scratch: vec![0; 256 << 10],
            delivered: 0,
            wrong: 0,
            latencies: Histogram::new_with_bounds(1, 120_000_000, 3).map_err(io::Error::other)?,
            recording: false,
        })
    }

    /// The same, with receive buffers of so many bytes: left to itself the kernel would give each stalled
    /// reader of a fast stream megabytes.
    pub(crate) fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Opens subscribers, and waits until each has what shows that it is one. `topic` names the topic of the
    /// n-th.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(crate) fn subscribe(
        &mut self,
        count: usize,
        mut topic: impl FnMut(usize) -> String,
        position: &str,
    ) -> io::Result<()> {
        let first = self.subs.len();
        for n in first..first + count {
            let socket = self.connect(n)?;
            let request = wire::subscribe(self.target, self.kind, &topic(n), position);
            send_all(&socket, request.as_bytes())?;
            epoll::add(&self.epoll, &socket, EventData::new_u64(n as u64), EventFlags::IN)?;
            self.subs.push(Sub {
                socket,
                carry: Vec::new(),
                next: [0; PUBLISHERS],
                ready: false,
                reads: true,
            });
            if n % AT_ONCE == AT_ONCE - 1 || n + 1 == first + count {
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Waits until every subscriber is one.
    fn settle(&mut self) -> io::Result<()> {
        // Others than Fanlight say nothing to a long poll until there is something.
        let silent = self.kind == Kind::Longpoll && !matches!(self.target, Target::Taken | Target::Hosted);
        if silent {
            std::thread::sleep(Duration::from_millis(5));
            self.subs.iter_mut().for_each(|sub| sub.ready = true);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        let waiting = self.subs.len().saturating_sub(AT_ONCE);
        while self.subs[waiting..].iter().any(|sub| !sub.ready) {
            if Instant::now() > deadline {
                return Err(io::Error::other("a subscriber was not answered"));
            }
            self.turn(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn connect(&self, n: usize) -> io::Result<OwnedFd> {
        let plain = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        if n >= PER_ADDRESS {
            let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, (n / PER_ADDRESS) as u8), 0);
            bind(&plain, &SocketAddr::V4(source))?;
        }
        if let Some(bytes) = self.receive_buffer {
            sockopt::set_socket_recv_buffer_size(&plain, bytes)?;
        }
        connect(&plain, &self.addr)?;
        sockopt::set_tcp_nodelay(&plain, true)?;
        Ok(plain)
    }

    /// Where the server is.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Has every `step`-th subscriber read nothing any more.
    ///
    /// # Errors
    /// If the kernel does not know the socket.
    pub(crate) fn stall(&mut self, step: usize) -> io::Result<()> {
        for sub in self.subs.iter_mut().step_by(step) {
            epoll::delete(&self.epoll, &sub.socket)?;
            sub.reads = false;
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Waits for sockets, at most so long, and reads what they have.
    fn turn(&mut self, at_most: Duration) -> io::Result<()> {
        let mut events = Vec::with_capacity(512);
        let spare = rustix::buffer::spare_capacity(&mut events);
        let timeout = rustix::event::Timespec {
            tv_sec: at_most.as_secs() as i64,
            tv_nsec: at_most.subsec_nanos().into(),
        };
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let key = event.data.u64();
            if key >= PUBLISHER {
                self.hear_publisher((key - PUBLISHER) as usize)?;
            } else {
                self.hear(key as usize)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, n: usize) -> io::Result<()> {
        let now = self.now();
        let sub = &mut self.subs[n];
        let (_, count) = match recv(&sub.socket, &mut *self.scratch, RecvFlags::DONTWAIT) {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            return Err(io::Error::other("the server closed a subscriber's connection"));
        }
        sub.ready = true;
        let (delivered, wrong, latencies, recording) =
            (&mut self.delivered, &mut self.wrong, &mut self.latencies, self.recording);
        let (next, name) = (&mut sub.next, self.target.name());
        let visit = |seen: Seen| {
            *delivered += 1;
            let due = &mut next[seen.publisher];
            if seen.number != *due {
                *wrong += 1;
                if *wrong <= 3 {
                    eprintln!("{name}: subscriber {n} got number {} where {due} was due", seen.number);
                }
            }
            *due = seen.number + 1;
            if recording {
                latencies.saturating_record(now.saturating_sub(seen.time) / 1000);
            }
        };
        if self.kind == Kind::Longpoll {
            sub.carry.extend_from_slice(&self.scratch[..count]);
            let (count, length, head) = wire::answers(&sub.carry);
            if count > 0 {
                let position = wire::position(self.target, head.unwrap_or_default());
                wire::scan(&sub.carry[..length], &self.finder, visit);
                sub.carry.drain(..length);
                let request = wire::subscribe(self.target, self.kind, "bench", &position);
                send_all(&sub.socket, request.as_bytes())?;
            }
            return Ok(());
        }
        if sub.carry.is_empty() {
            let keep = wire::scan(&self.scratch[..count], &self.finder, visit);
            sub.carry.extend_from_slice(&self.scratch[count - keep..count]);
        } else {
            sub.carry.extend_from_slice(&self.scratch[..count]);
            let keep = wire::scan(&sub.carry, &self.finder, visit);
            sub.carry.drain(..sub.carry.len() - keep);
        }
        if sub.carry.is_empty() && sub.carry.capacity() > 4096 {
            sub.carry = Vec::new();
        }
        Ok(())
    }

    fn hear_publisher(&mut self, n: usize) -> io::Result<()> {
        let publisher = &mut self.publishers[n];
        let (_, count) = match recv(&publisher.socket, &mut *self.scratch, RecvFlags::DONTWAIT) {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            return Err(io::Error::other("the server closed a publisher's connection"));
        }
        publisher.input.extend_from_slice(&self.scratch[..count]);
        let (answers, length, head) = wire::answers(&publisher.input);
        if let Some(head) = head
            && !head.starts_with("HTTP/1.1 2")
        {
            return Err(io::Error::other(format!("a publish was refused: {head}")));
        }
        publisher.answered += answers as u64;
        publisher.input.drain(..length);
        Ok(())
    }

    /// Publishers to come.
    ///
    /// # Errors
    /// If one cannot connect.
    pub(crate) fn publishers(&mut self, count: usize) -> io::Result<()> {
        while self.publishers.len() < count {
            let socket = self.connect(0)?;
            let key = PUBLISHER + self.publishers.len() as u64;
            epoll::add(&self.epoll, &socket, EventData::new_u64(key), EventFlags::IN)?;
            self.publishers.push(Publisher {
                socket,
                input: Vec::new(),
                output: Vec::new(),
                sent: 0,
                answered: 0,
            });
        }
        Ok(())
    }

    fn queue(&mut self, n: usize, topic: &str, size: usize, time: u64) {
        let publisher = &mut self.publishers[n];
        let data = wire::data(n, publisher.sent, time, size);
        wire::publish(self.target, topic, &data, &mut publisher.output);
        publisher.sent += 1;
    }

    fn flush(&mut self, n: usize) -> io::Result<()> {
        let publisher = &mut self.publishers[n];
        if publisher.output.is_empty() {
            return Ok(());
        }
        match send(&publisher.socket, &publisher.output, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => drop(publisher.output.drain(..sent)),
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Publishes as told while the subscribers receive, and waits until they have everything.
    ///
    /// # Errors
    /// If a connection ends, or a publish is refused.
    pub(crate) fn run(&mut self, server: &Server, topic: &str, load: Load) -> io::Result<Outcome> {
        let count = match load.pace {
            Pace::Paced(_) | Pace::Pipelined(_) => 1,
            Pace::Waiting(count) | Pace::Offered(count, _) => count,
        };
        self.publishers(count)?;
        let began = self.now();
        let measured_from = began + load.warm_up.as_nanos() as u64;
        let ends = measured_from + load.time.as_nanos() as u64;
        let interval = match load.pace {
            Pace::Paced(rate) | Pace::Offered(_, rate) => 1e9 / rate,
            _ => 0.0,
        };
        let (mut scheduled, mut lag) = (0_u64, 0_u64);
        let mut before = None;
        self.latencies.reset();
        loop {
            let now = self.now();
            if now >= measured_from && before.is_none() {
                self.recording = load.latency;
                before = Some((server.cpu(), server.user(), own_cpu(), now, self.delivered, self.answered()));
            }
            if now >= ends {
                break;
            }
            let due = |scheduled: u64| began + (scheduled as f64 * interval) as u64;
            let mut wait = Duration::from_millis(20);
            match load.pace {
                Pace::Paced(_) => {
                    while due(scheduled) <= now {
                        lag = lag.max(now - due(scheduled));
                        self.queue(0, topic, load.size, due(scheduled));
                        scheduled += 1;
                    }
                    wait = Duration::from_nanos(due(scheduled).saturating_sub(self.now())).min(wait);
                }
                Pace::Offered(..) => {
                    for n in 0..count {
                        if due(scheduled) <= now && self.is_free(n) {
                            self.queue(n, topic, load.size, due(scheduled));
                            scheduled += 1;
                        }
                    }
                    if (0..count).any(|n| self.is_free(n)) {
                        wait = Duration::from_nanos(due(scheduled).saturating_sub(self.now())).min(wait);
                    }
                }
                Pace::Waiting(_) => {
                    for n in 0..count {
                        if self.is_free(n) {
                            self.queue(n, topic, load.size, now);
                        }
                    }
                }
                Pace::Pipelined(depth) => {
                    while self.publishers[0].sent - self.publishers[0].answered < depth as u64 {
                        self.queue(0, topic, load.size, now);
                    }
                }
            }
            for n in 0..count {
                self.flush(n)?;
                if !self.publishers[n].output.is_empty() {
                    wait = Duration::ZERO;
                }
            }
            self.turn(wait)?;
        }
        let after = (server.cpu(), server.user(), own_cpu(), self.now(), self.delivered, self.answered());
        let before = before.expect("it was measured");
        self.drain()?;
        self.recording = false;
        let seconds = (after.3 - before.3) as f64 / 1e9;
        Ok(Outcome {
            deliveries: after.4 - before.4,
            publishes: after.5 - before.5,
            seconds,
            cpu: after.0 - before.0,
            user: after.1 - before.1,
            client: (after.2 - before.2) as f64 / (after.3 - before.3) as f64,
            lag: lag as f64 / 1e6,
            p50: self.latencies.value_at_quantile(0.5) as f64 / 1000.0,
            p99: self.latencies.value_at_quantile(0.99) as f64 / 1000.0,
            wrong: self.wrong,
        })
    }

    /// Waits until everything that was published has been answered and received; what does not come is wrong.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        let owed = |client: &Self| {
            let missing = |sub: &Sub| {
                client.publishers.iter().zip(&sub.next).map(|(p, next)| p.sent - next).sum::<u64>()
            };
            client.subs.iter().filter(|sub| sub.reads).map(missing).sum::<u64>()
        };
        loop {
            for n in 0..self.publishers.len() {
                self.flush(n)?;
            }
            let open = self.publishers.iter().any(|publisher| publisher.answered < publisher.sent);
            if !open && owed(self) == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                let missing = owed(self);
                let behind: Vec<usize> = (0..self.subs.len())
                    .filter(|n| {
                        self.publishers.iter().zip(&self.subs[*n].next).any(|(p, next)| p.sent > *next)
                    })
                    .collect();
                eprintln!(
                    "{missing} deliveries to {} subscribers did not come, the first of them number {:?}",
                    behind.len(),
                    behind.first()
                );
                self.wrong += missing;
                return Ok(());
            }
            self.turn(Duration::from_millis(20))?;
        }
    }

    fn is_free(&self, n: usize) -> bool {
        self.publishers[n].answered == self.publishers[n].sent
    }

    fn answered(&self) -> u64 {
        self.publishers.iter().map(|publisher| publisher.answered).sum()
    }

    /// Lets time pass while the subscribers read.
    ///
    /// # Errors
    /// If a connection ends.
    pub(crate) fn idle(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(Duration::from_millis(50))?;
        }
        Ok(())
    }
}

fn send_all(socket: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(&socket, bytes, SendFlags::NOSIGNAL)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// CPU time of this thread, in nanoseconds.
fn own_cpu() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Asks `request` again and again for so long, `depth` under way on each of `connections`: answers per second.
///
/// # Errors
/// If a connection ends.
pub(crate) fn hammer(addr: SocketAddr, request: &str, connections: usize, time: Duration) -> io::Result<f64> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        send_all(&stream, request.as_bytes())?;
        streams.push((stream, Vec::new()));
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (n, (stream, _)) in streams.iter().enumerate() {
        epoll::add(&epoll, stream, EventData::new_u64(n as u64), EventFlags::IN)?;
    }
    let mut scratch = vec![0; 64 << 10];
    let (mut count, start) = (0_u64, Instant::now());
    while start.elapsed() < time {
        let mut events = Vec::with_capacity(256);
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let (stream, input) = &mut streams[event.data.u64() as usize];
            let (_, read) = recv(&*stream, &mut *scratch, RecvFlags::empty())?;
            if read == 0 {
                return Err(io::Error::other("the server closed a connection"));
            }
            input.extend_from_slice(&scratch[..read]);
            let (answers, length, _) = wire::answers(input);
            input.drain(..length);
            for _ in 0..answers {
                send_all(&*stream, request.as_bytes())?;
            }
            count += answers as u64;
        }
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
