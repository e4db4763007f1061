//! A connection's socket, with the two deadlines that a peer cannot talk its way around: for sending a
//! request head, and for taking what it is sent.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::connections::Permit;
use crate::config::Config;

/// A connection's socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    _permit: Permit,
    /// Runs from the first byte of a head until the request is there. The first head is due from the start.
    head_due: Option<Pin<Box<Sleep>>>,
    head_timeout: Duration,
    heads: Heads,
    heads_seen: usize,
    /// Runs while the peer takes nothing.
    stall_due: Option<Pin<Box<Sleep>>>,
    write_stall: Duration,
}

/// Which requests of a connection have arrived, and whether one is being answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<(AtomicUsize, AtomicUsize)>);

/// A request that is being answered.
pub(super) struct Answering(Heads);

impl Heads {
    /// Notes that a request has arrived.
    pub(super) fn begin(&self) -> Answering {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    /// Prepares an accepted connection. Needs a runtime.
    pub(super) fn new(stream: std::net::TcpStream, permit: Permit, config: &Config) -> io::Result<Self> {
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        // Left to itself the kernel would hold on to a dead peer for a quarter of an hour (RFC 5482).
        _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(config.write_stall));
        Ok(Self {
            stream,
            _permit: permit,
            head_due: Some(Box::pin(sleep(config.head_timeout))),
            head_timeout: config.head_timeout,
            heads: Heads::default(),
            heads_seen: 0,
            stall_due: None,
            write_stall: config.write_stall,
        })
    }

    /// Where the service notes its requests.
    pub(super) fn heads(&self) -> Heads {
        self.heads.clone()
    }

    /// Fails once a head has been under way for too long.
    fn poll_head(&mut self, cx: &mut Context<'_>, got_bytes: bool) -> io::Result<()> {
        let (arrived, answering) =
            (self.heads.0.0.load(Ordering::Relaxed), self.heads.0.1.load(Ordering::Relaxed));
        if arrived != self.heads_seen || answering > 0 {
            self.heads_seen = arrived;
            self.head_due = None;
        }
        if got_bytes && answering == 0 && self.head_due.is_none() {
            self.head_due = Some(Box::pin(sleep(self.head_timeout)));
        }
        match self.head_due.as_mut().map(|due| due.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    /// Fails once the peer has taken nothing for too long.
    fn stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall_due = None;
            return written;
        }
        let due = self.stall_due.get_or_insert_with(|| Box::pin(sleep(self.write_stall)));
        due.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let got_bytes = buf.filled().len() > before;
        self.poll_head(cx, got_bytes)?;
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
