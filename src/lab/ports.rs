//! The port of a line: the same on 127.0.0.1 and on `[::1]`, so that a browser's `localhost` finds it on both.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;
/// How many ports are tried until one is free on both addresses.
const ATTEMPTS: usize = 32;

/// A port that is the line's while it is held, whether somebody listens on it or not: the sockets here are bound
/// and do not listen, so that a line that is cut refuses connections as a host does where nobody listens, and
/// finds its port again.
#[derive(Debug)]
pub struct Ports {
    port: u16,
    keepers: Vec<(SocketAddr, Socket)>,
}

impl Ports {
    /// A free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve() -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let v4 = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            let address = v4.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
            let v6_address = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
            let mut keepers = vec![(address, v4)];
            match bound(v6_address) {
                Ok(v6) => keepers.push((v6_address, v6)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue,
                // This host has no IPv6.
                Err(_) => {}
            }
            return Ok(Self { port: address.port(), keepers });
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.port
    }

    /// Listens on it.
    ///
    /// # Errors
    /// When another program has taken it while nobody listened.
    pub fn listen(&self) -> io::Result<Vec<TcpListener>> {
        let listen = |address: SocketAddr| {
            let socket = bound(address)?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        self.keepers.iter().map(|(address, _)| listen(*address)).collect()
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Several may be bound to a port as long as no other listens.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_port_refuses_until_somebody_listens_again() {
        let ports = Ports::reserve().unwrap();
        let refused = || {
            let attempt = TcpStream::connect((Ipv4Addr::LOCALHOST, ports.number()));
            attempt.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        assert!(refused());
        for _ in 0..3 {
            let listeners = ports.listen().unwrap();
            for listener in &listeners {
                drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            }
            // Nobody else can have it.
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, ports.number())).is_err());
            drop(listeners);
            assert!(refused());
        }
    }
}
