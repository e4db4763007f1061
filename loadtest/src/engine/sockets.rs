//! Sockets that never block, and the epoll instance that watches them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, Event, EventData, EventFlags},
        poll,
    },
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
        sockopt,
    },
};

/// Connections from one source address: Linux has 28,232 ports for them, by default.
const PER_ADDRESS: usize = 25_000;

/// Sockets that one look finds at most: what is due is looked at in between, and 64 answers of long polls take half a
/// millisecond.
const AT_ONCE: usize = 64;

/// Begins a connection, the `n`-th of its kind. On loopback many of them come from several addresses.
///
/// # Errors
/// If it fails at once.
pub(crate) fn begin(addr: SocketAddr, n: usize, receive_buffer: Option<usize>) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    if n >= PER_ADDRESS && addr.ip().is_loopback() && addr.is_ipv4() {
        let source = Ipv4Addr::new(127, 0, 1, (n / PER_ADDRESS) as u8);
        bind(&fd, &SocketAddr::V4(SocketAddrV4::new(source, 0)))?;
    }
    if let Some(bytes) = receive_buffer {
        sockopt::set_socket_recv_buffer_size(&fd, bytes)?;
    }
    sockopt::set_tcp_nodelay(&fd, true)?;
    match connect(&fd, &addr) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// Sends what the socket takes off the front of `out`; how many bytes. `false` as long as some are left.
///
/// # Errors
/// If the connection broke, or could not be made.
pub(crate) fn flush(fd: impl AsFd, out: &mut Vec<u8>) -> io::Result<(usize, bool)> {
    let mut sent = 0;
    while sent < out.len() {
        match send(&fd, &out[sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(count) => sent += count,
            // Not yet connected is a full buffer, too.
            Err(Errno::AGAIN | Errno::NOTCONN) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    out.drain(..sent);
    if out.is_empty() && out.capacity() > 4096 {
        *out = Vec::new();
    }
    Ok((sent, out.is_empty()))
}

/// Receives what is there, once: `None` if there is nothing, 0 at the end.
///
/// # Errors
/// If the connection broke.
pub(crate) fn receive(fd: impl AsFd, into: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        return match recv(&fd, &mut *into, RecvFlags::DONTWAIT) {
            Ok((_, count)) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::INTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// Ends a connection at once, so that nothing of it is left in the kernel.
pub(crate) fn abort(fd: OwnedFd) {
    let _ = sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
}

/// Watches sockets.
#[derive(Debug)]
pub(crate) struct Watcher {
    epoll: OwnedFd,
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// If the kernel has no more of them.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Watches a socket, for room to write too or not.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn add(&self, fd: impl AsFd, key: u64, write: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(key), flags(write))?)
    }

    /// Watches it for something else.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn change(&self, fd: impl AsFd, key: u64, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(key), flags(write))?)
    }

    /// Watches it for something to read, for room to write, for both, or for its end alone.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn set(&self, fd: impl AsFd, key: u64, read: bool, write: bool) -> io::Result<()> {
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, read);
        wanted.set(EventFlags::OUT, write);
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(key), wanted)?)
    }

    /// Watches it no more, though it stays open.
    ///
    /// # Errors
    /// If it was not watched.
    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits at most so long: the key of each socket that has something, and whether it may be written to.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn wait(&self, at_most: Duration, found: &mut Vec<(u64, bool)>) -> io::Result<()> {
        found.clear();
        let mut events: Vec<Event> = Vec::with_capacity(AT_ONCE);
        // epoll's own time-outs are whole milliseconds, and events are due in between: it is waited for the instance.
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&Timespec::default()),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        found.extend(events.iter().map(|event| {
            // Packed: copied before it is looked at.
            let (data, flags) = (event.data, event.flags);
            (data.u64(), flags.contains(EventFlags::OUT))
        }));
        Ok(())
    }
}

fn flags(write: bool) -> EventFlags {
    if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn many_connections_come_from_several_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        for (n, source) in
            [(0, "127.0.0.1"), (24_999, "127.0.0.1"), (25_000, "127.0.1.1"), (60_000, "127.0.1.2")]
        {
            let _held = begin(addr, n, None).unwrap();
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer.ip().to_string(), source, "number {n}");
        }
    }

    #[test]
    fn a_wait_is_as_long_as_it_is_said() {
        let watcher = Watcher::new().unwrap();
        let start = std::time::Instant::now();
        let mut found = Vec::new();
        for _ in 0..20 {
            watcher.wait(Duration::from_micros(100), &mut found).unwrap();
        }
        // Whole milliseconds would be 20 ms at least; a busy machine may take longer than 2 ms.
        assert!(start.elapsed() >= Duration::from_millis(2), "{:?}", start.elapsed());
        assert!(found.is_empty());
    }
}
