//! What the kernel says of a connection's segments.

use std::os::fd::AsFd;

use nix::sys::socket::{GetSockOpt, sockopt::GetStruct};

/// So much of `struct tcp_info` (linux/tcp.h) as is read here; a kernel before 4.6 has less.
const LENGTH: usize = 160;
/// `TCPI_OPT_TIMESTAMPS`.
const TIMESTAMPS: u8 = 1;

/// States of a connection (net/tcp_states.h).
const ESTABLISHED: u8 = 1;
const FIN_WAIT_1: u8 = 4;
const FIN_WAIT_2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;

#[derive(Clone, Copy, Debug)]
struct Info;

// As bytes, of which every pattern is one, and of which a newer kernel has more.
nix::getsockopt_impl!(Info, libc::IPPROTO_TCP, libc::TCP_INFO, [u8; LENGTH], GetStruct<[u8; LENGTH]>);

/// What a connection came to so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp {
    state: u8,
    pub(super) segments_in: u32,
    pub(super) segments_out: u32,
    pub(super) retransmits: u32,
    /// The smoothed round-trip time, in microseconds.
    pub(super) rtt: u32,
    /// Whether each segment carries timestamps (RFC 7323): 12 bytes.
    pub(super) timestamps: bool,
    /// Whether they are IPv6's.
    pub(super) ipv6: bool,
}

impl Tcp {
    /// Segments in and out that follow when a socket is closed that is in this state: the ends that were not sent, and
    /// the acknowledgements of both (RFC 9293, 3.6). A peer that is gone answers nothing.
    pub(super) fn still_to_pass(self) -> [u32; 2] {
        match self.state {
            ESTABLISHED => [2, 2],
            CLOSE_WAIT => [1, 1],
            FIN_WAIT_1 => [2, 1],
            FIN_WAIT_2 => [1, 1],
            LAST_ACK => [1, 0],
            _ => [0, 0],
        }
    }

    /// `None` where the kernel does not say.
    pub(super) fn of(socket: &impl AsFd) -> Option<Self> {
        let info = Info.get(socket).ok()?;
        let local = socket2::SockRef::from(socket).local_addr().ok().and_then(|local| local.as_socket());
        let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
        Some(Self {
            state: info[0],
            segments_in: word(140),
            segments_out: word(136),
            retransmits: word(100),
            rtt: word(68),
            timestamps: info[5] & TIMESTAMPS != 0,
            ipv6: local.is_some_and(|local| local.ip().to_canonical().is_ipv6()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn segments_are_counted_as_they_pass() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let before = Tcp::of(&server).expect("a kernel that says");
        for _ in 0..20 {
            client.write_all(b"ask").unwrap();
            server.read_exact(&mut [0; 3]).unwrap();
            server.write_all(b"answer").unwrap();
            client.read_exact(&mut [0; 6]).unwrap();
        }
        let after = Tcp::of(&server).expect("a kernel that says");
        let (came, went) = (after.segments_in - before.segments_in, after.segments_out - before.segments_out);
        assert!((20..=40).contains(&came) && (20..=40).contains(&went), "{came} in, {went} out");
        assert!(after.rtt > 0 && after.rtt < 1_000_000, "{} µs on loopback", after.rtt);
        assert_eq!(after.retransmits, 0);
    }
}
