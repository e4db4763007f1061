//! Sockets that listen.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use fanlight::{config::Config, server::Listeners};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds until they are accepted: a wave of reconnects fits. The system's
/// own bound (`net.core.somaxconn`, usually 4096) still applies.
const BACKLOG: i32 = 4096;

/// Binds every address of the configuration.
///
/// # Errors
/// What cannot be bound, why, and what to do.
pub(crate) fn bind(config: &Config) -> Result<Listeners, String> {
    let gateway = config.listen.iter().map(|addr| listen("listen", *addr)).collect::<Result<_, _>>()?;
    let publish = config.publish_listen.map(|addr| listen("publish-listen", addr)).transpose()?;
    Ok(Listeners { gateway, publish })
}

fn listen(flag: &str, addr: SocketAddr) -> Result<TcpListener, String> {
    open(addr).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{addr} is in use by another program; give another address, such as \
             --{flag} {}, or end that program",
            SocketAddr::new(addr.ip(), addr.port().checked_add(1).unwrap_or(0)),
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{addr} is no address of this machine; give one that is with --{flag}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "{addr} may not be bound by this user: ports below 1024 need CAP_NET_BIND_SERVICE; \
             give another with --{flag}"
        ),
        _ => format!("cannot listen on {addr} (--{flag}): {error}"),
    })
}

fn open(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A gateway that was restarted must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The addresses that are really listened on, ports that were 0 filled in.
pub(crate) fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_named_with_the_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = listen("listen", addr).unwrap_err();
        assert!(error.starts_with(&format!("{addr} is in use")), "{error}");
        assert!(error.contains("--listen 127.0.0.1:"), "{error}");
    }

    #[test]
    fn port_0_is_any_free_port() {
        let listeners = bind(&Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() });
        assert_ne!(addresses(&listeners.unwrap().gateway)[0].port(), 0);
    }
}
