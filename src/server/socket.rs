//! A connection's socket, with the two deadlines that a peer cannot talk its way around: for sending a
//! request head, and for taking what it is sent.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::spawn_local,
    time::{Sleep, sleep},
};

use super::{
    booking::Speaks,
    link::{Left, Link},
    refusal,
    shaped::Shaped,
    wire::Wire,
};
use crate::{
    app::Gateway,
    delivery::{
        connections::{End, Permit},
        duplex::Booked,
        taken::MAX_REQUEST,
    },
    error::Code,
    lab::line::Guest,
    ledger::{Bill, Direction},
    metrics::Metrics,
};

/// Up to so many bytes it is cheaper to copy pieces together than to have the kernel do it.
const COALESCED: usize = 16 << 10;

thread_local! {
    static COALESCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection's socket.
#[derive(Debug)]
pub(super) struct Socket {
    link: Rc<Link>,
    metrics: Arc<Metrics>,
    /// What was read before hyper had the connection, until it is read.
    #[expect(clippy::box_collection, reason = "each connection has one, and few have read anything before")]
    read: Option<Box<VecDeque<u8>>>,
    /// The bytes of the last request and what follows, while requests follow; a request that is too
    /// long to be remembered leaves more than [`MAX_REQUEST`].
    request: Option<Vec<u8>>,
    requests_kept: u32,
    /// Runs from the first byte of a head until the request is there. The first head is due from the start.
    head_due: Option<Pin<Box<Sleep>>>,
    /// `None` where no head follows any more.
    head_timeout: Option<Duration>,
    heads_seen: u32,
    /// What is written instead of hyper's own refusal, and how much of it was.
    refusal: Option<Box<(Vec<u8>, usize)>>,
    /// Runs while the peer takes nothing.
    stall_due: Option<(Pin<Box<Sleep>>, Stalled)>,
    write_stall: Duration,
}

/// A socket that takes nothing, counted.
#[derive(Debug)]
struct Stalled(Arc<Metrics>);

impl Stalled {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.stalled.inc();
        Self(metrics.clone())
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.0.stalled.dec();
    }
}

/// A connection that leaves hyper.
pub(super) struct Apart {
    pub(super) left: Left,
    /// The last request, if it was kept.
    pub(super) request: Option<Vec<u8>>,
    /// What a hub read before hyper had the connection, and hyper has not read.
    pub(super) behind: Vec<u8>,
}

impl Socket {
    /// Prepares an accepted connection, which a line may shape. Needs a local task set.
    pub(super) fn new(
        stream: std::net::TcpStream,
        permit: Permit,
        read: Vec<u8>,
        guest: Option<Guest>,
        gateway: &Gateway,
    ) -> io::Result<Self> {
        let config = gateway.config();
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        // Left to itself the kernel would hold on to a dead peer for a quarter of an hour (RFC 5482).
        _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(config.write_stall));
        let link = match guest {
            None => Rc::new(Link::new(Wire::Plain(stream), permit)),
            Some(guest) => {
                let stream = Rc::new(stream);
                let (shaped, task) = Shaped::new(stream.clone(), guest);
                let link = Rc::new(Link::new(Wire::Shaped(shaped, stream), permit));
                // A connection is there until its last byte has arrived.
                let kept = link.clone();
                spawn_local(async move {
                    task.await;
                    drop(kept);
                });
                link
            }
        };
        Ok(Self {
            link,
            metrics: gateway.metrics().clone(),
            read: (!read.is_empty()).then(|| Box::new(read.into())),
            request: Some(Vec::new()),
            requests_kept: 0,
            head_due: Some(Box::pin(sleep(config.head_timeout))),
            head_timeout: Some(config.head_timeout),
            heads_seen: 0,
            refusal: None,
            stall_due: None,
            write_stall: config.write_stall,
        })
    }

    /// What the others know of the connection.
    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// What follows is not HTTP.
    pub(super) fn end_http(&mut self) {
        self.head_due = None;
        self.head_timeout = None;
        self.request = None;
    }

    /// Takes the connection apart, of which hyper read `unread` bytes that it did not understand yet.
    pub(super) fn into_parts(self, unread: usize) -> io::Result<Apart> {
        let request = self.request.and_then(|mut request| {
            let length = request.len().checked_sub(unread)?;
            request.truncate(length);
            Some(request)
        });
        let link = Rc::into_inner(self.link).ok_or(io::ErrorKind::ResourceBusy)?;
        let behind = self.read.map(|read| (*read).into()).unwrap_or_default();
        Ok(Apart { left: link.into_left()?, request, behind })
    }

    /// Forgets the last request once it is answered without an end: nobody will ask for it.
    fn forget_request(&mut self) {
        if self.link.speaks() == Speaks::Endless {
            self.request = None;
        }
    }

    /// Remembers what was read if it belongs to the present request.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(request) = &mut self.request else { return };
        let arrived = self.link.arrived();
        if arrived != self.requests_kept {
            self.requests_kept = arrived;
            request.clear();
        }
        let room = (MAX_REQUEST + 1).saturating_sub(request.len());
        request.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Fails once a head has been under way for too long.
    fn poll_head(&mut self, cx: &mut Context<'_>, got_bytes: bool) -> io::Result<()> {
        let (arrived, is_answering) = (self.link.arrived(), self.link.is_answering());
        if arrived != self.heads_seen || is_answering {
            self.heads_seen = arrived;
            self.head_due = None;
        }
        if let Some(timeout) = self.head_timeout
            && got_bytes
            && !is_answering
            && self.head_due.is_none()
        {
            self.head_due = Some(Box::pin(sleep(timeout)));
        }
        match self.head_due.as_mut().map(|due| due.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => {
                // A client that began a request is told, as far as it takes that.
                if self.request.as_ref().is_none_or(|request| !request.is_empty()) {
                    self.link.try_write(&refusal::too_slow());
                    self.metrics.refused(Code::RequestTimeout);
                }
                Err(io::ErrorKind::TimedOut.into())
            }
            _ => Ok(()),
        }
    }

    /// Writes what hyper wrote last, if that is a refusal of its own: what comes before it as it is, and then
    /// the problem.
    fn poll_refusal(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.refusal.is_none() {
            match refusal::instead_of(buf) {
                Some((0, code, answer)) => {
                    self.refusal = Some(Box::new((answer, 0)));
                    self.metrics.refused(code);
                }
                Some((before, ..)) => return self.link.poll_write(cx, &buf[..before]),
                None => return self.link.poll_write(cx, buf),
            }
        }
        while let Some((answer, sent)) = self.refusal.as_deref_mut()
            && *sent < answer.len()
        {
            *sent += std::task::ready!(self.link.poll_write(cx, &answer[*sent..]))?;
        }
        Poll::Ready(Ok(buf.len()))
    }

    /// Fails once the peer has taken nothing for too long.
    fn stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall_due = None;
            return written;
        }
        let (due, _) = self
            .stall_due
            .get_or_insert_with(|| (Box::pin(sleep(self.write_stall)), Stalled::new(&self.metrics)));
        std::task::ready!(due.as_mut().poll(cx));
        if self.link.ends(End::Stalled) != End::Stalled {
            self.metrics.cut.inc();
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.read {
            None => self.link.poll_read(cx, buf),
            Some(early) => {
                let count = early.len().min(buf.remaining());
                let bytes: Vec<u8> = early.drain(..count).collect();
                buf.put_slice(&bytes);
                self.link.read_early(&bytes);
                self.read.take_if(|early| early.is_empty());
                Poll::Ready(Ok(()))
            }
        };
        let got_bytes = buf.filled().len() > before;
        if got_bytes {
            self.keep(&buf.filled()[before..]);
        }
        if self.head_timeout.is_some() {
            self.poll_head(cx, got_bytes)?;
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.head_timeout {
            Some(_) => self.poll_refusal(cx, buf),
            // It is not hyper that writes.
            None => self.link.poll_write(cx, buf),
        };
        self.forget_request();
        self.stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match bufs {
            // A refusal is all that hyper has left to write.
            [only] => self.poll_refusal(cx, only),
            bufs => match bufs.iter().map(|buf| buf.len()).sum::<usize>() {
                0..=COALESCED => COALESCE.with_borrow_mut(|whole| {
                    whole.clear();
                    bufs.iter().for_each(|buf| whole.extend_from_slice(buf));
                    self.link.poll_write(cx, whole)
                }),
                _ => self.link.poll_write_vectored(cx, bufs),
            },
        };
        self.forget_request();
        self.stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.link.shut_down())
    }
}

impl Booked for Socket {
    fn book(&self, direction: Direction, bill: &Bill) {
        self.link.book(direction, bill);
    }

    fn note_events(&self, events: usize) {
        self.link.note_events(events);
    }
}
