//! A relay that shapes: it delays what goes through it, and lets through so much a second, for each connection and
//! direction on its own. It stands between client and server on one machine, where there is no network to be slow.
//!
//! What it models: propagation delay, the rate of an access line, and the handshake's round trip before the first
//! request. What it does not: loss, slow start, queues that connections share.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};

use crate::stats::Latencies;

mod lane;
mod serving;

/// What it does to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// The round-trip time that it adds: half of it each way.
    pub rtt: Duration,
    /// Towards the client, in bits a second; 0 is no limit.
    pub down: f64,
    /// Towards the server.
    pub up: f64,
}

impl Shape {
    /// Whether it does anything.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// A running relay. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
    before: Strain,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    strain: Mutex<Strain>,
}

/// How hard it has it.
#[derive(Clone, Debug, Default)]
pub struct Strain {
    /// How late bytes were passed on.
    pub lag: Latencies,
    /// Processor time of its thread.
    pub cpu_ns: u64,
    /// How long its thread was ready to run and had no core.
    pub waited_ns: u64,
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

impl Relay {
    /// Starts one before a server.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(server: SocketAddr, shape: Shape) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener: OwnedFd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        listen(&listener, BACKLOG)?;
        let addr = SocketAddr::try_from(getsockname(&listener)?).map_err(io::Error::other)?;
        let shared = Arc::new(Shared::default());
        let serving = serving::Serving::new(listener, server, shape, Arc::clone(&shared))?;
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || serving.run())?;
        Ok(Self { addr, shared, thread: Some(thread), before: Strain::default() })
    }

    /// Counts its strain from now.
    pub fn begin(&mut self) {
        let mut strain = self.shared.strain.lock().unwrap_or_else(PoisonError::into_inner);
        strain.lag.clear();
        self.before = strain.clone();
    }

    /// Its strain since then.
    pub fn strain(&self) -> Strain {
        let strain = self.shared.strain.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Strain {
            cpu_ns: strain.cpu_ns - self.before.cpu_ns,
            waited_ns: strain.waited_ns.saturating_sub(self.before.waited_ns),
            lag: strain.lag,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        addr
    }

    fn trip(stream: &mut TcpStream, bytes: usize) -> Duration {
        let start = Instant::now();
        let sent = vec![7; bytes];
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
        let mut got = vec![0; bytes];
        stream.read_exact(&mut got).unwrap();
        writing.join().unwrap();
        assert!(got.iter().all(|byte| *byte == 7));
        start.elapsed()
    }

    #[test]
    fn a_round_trip_takes_what_it_should() {
        let relay =
            Relay::start(echo(), Shape { rtt: Duration::from_millis(80), ..Shape::default() }).unwrap();
        let mut stream = TcpStream::connect(relay.addr).unwrap();
        // The handshake's round trip comes first.
        let first = trip(&mut stream, 100);
        assert!((150..260).contains(&first.as_millis()), "{first:?}");
        let second = trip(&mut stream, 100);
        assert!((79..170).contains(&second.as_millis()), "{second:?}");
        // Told now and then.
        let deadline = Instant::now() + Duration::from_secs(5);
        while relay.strain().lag.count() < 4 {
            assert!(Instant::now() < deadline, "{:?}", relay.strain().lag.count());
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_line_has_its_rate() {
        let relay = Relay::start(echo(), Shape { down: 8e6, ..Shape::default() }).unwrap();
        let mut stream = TcpStream::connect(relay.addr).unwrap();
        // 500,000 bytes at 1,000,000 a second.
        let took = trip(&mut stream, 500_000);
        assert!((490..800).contains(&took.as_millis()), "{took:?}");
    }

    #[test]
    fn an_end_is_passed_on() {
        let relay =
            Relay::start(echo(), Shape { rtt: Duration::from_millis(20), ..Shape::default() }).unwrap();
        let mut stream = TcpStream::connect(relay.addr).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // The server closes when it has read the end; all that it wrote before comes first.
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert!(got.is_empty() || got == b"hello");
    }
}
