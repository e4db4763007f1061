//! A connection's socket, with the two deadlines that a peer cannot talk its way around: for sending a
//! request head, and for taking what it is sent.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    rc::{Rc, Weak},
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

use super::{booking::Booking, refusal, shaped::Shaped, wire::Wire};
use crate::{
    app::Gateway,
    delivery::{
        audit::{Audit, Metered},
        connections::{End, Permit},
        taken::MAX_REQUEST,
    },
    error::Code,
    lab::line::Guest,
    ledger::{Ledger, Payer},
    metrics::{Metrics, Path},
};

/// Up to so many bytes it is cheaper to copy pieces together than to have the kernel do it.
const COALESCED: usize = 16 << 10;

thread_local! {
    static COALESCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection's socket.
#[derive(Debug)]
pub(super) struct Socket {
    /// Before the stream, which it asks once more when it goes.
    counted: Rc<RefCell<Counted>>,
    stream: Rc<RefCell<Wire>>,
    metrics: Arc<Metrics>,
    /// What was read before hyper had the connection, until it is read.
    read: VecDeque<u8>,
    /// The bytes of the last request and what follows, while requests follow; a request that is too
    /// long to be remembered leaves more than [`MAX_REQUEST`].
    request: Option<Vec<u8>>,
    requests_kept: usize,
    /// Runs from the first byte of a head until the request is there. The first head is due from the start.
    head_due: Option<Pin<Box<Sleep>>>,
    /// `None` where no head follows any more.
    head_timeout: Option<Duration>,
    heads: Heads,
    heads_seen: usize,
    /// What is written instead of hyper's own refusal, and how much of it was.
    refusal: Option<(Vec<u8>, usize)>,
    /// Runs while the peer takes nothing.
    stall_due: Option<(Pin<Box<Sleep>>, Stalled)>,
    write_stall: Duration,
}

/// Which requests of a connection have arrived, whether one is being answered, and how often all that was
/// written had gone out.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<(AtomicUsize, AtomicUsize, AtomicUsize)>);

/// The kernel's socket, for what it says of its segments; it is kept open for that only where a line shapes it.
#[derive(Debug)]
enum Tap {
    Plain(Weak<RefCell<Wire>>),
    Shaped(Rc<TcpStream>),
}

impl Tap {
    /// Asks the socket, while there is one.
    fn ask(&self, question: impl FnOnce(BorrowedFd<'_>)) {
        match self {
            Self::Shaped(stream) => question(stream.as_fd()),
            Self::Plain(wire) => {
                if let Some(wire) = wire.upgrade()
                    && let Wire::Plain(stream) = &*wire.borrow()
                {
                    question(stream.as_fd());
                }
            }
        }
    }
}

/// What is counted of a connection.
#[derive(Debug)]
pub(super) struct Counted {
    socket: Tap,
    /// There until the connection leaves hyper.
    permit: Option<Permit>,
    pub(super) booking: Booking,
    metrics: Arc<Metrics>,
    is_listed: bool,
}

impl Counted {
    /// What became of the connection so far.
    pub(super) fn permit(&mut self) -> &mut Permit {
        self.permit.as_mut().expect("there until the connection leaves")
    }

    /// Goes over to who pays for a request that has arrived.
    pub(super) fn begin(&mut self, payer: Payer, is_head: bool) {
        let Some(permit) = &mut self.permit else { return };
        self.socket.ask(|socket| permit.figures.meter.go_over(&self.metrics.ledger, &socket, payer.clone()));
        self.booking.begin(payer, is_head);
    }

    fn received(&mut self, count: usize) {
        self.permit().figures.received += count as u64;
        self.metrics.flows.received(Path::Hosted).inc_by(count as u64);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(permit) = &mut self.permit {
            self.booking.end(&self.metrics.ledger);
            let (ledger, figures) = (&self.metrics.ledger, &mut permit.figures);
            let is_closed = figures.end == End::Closed;
            self.socket.ask(|socket| figures.meter.settle_to_the_end(ledger, &socket, is_closed));
        }
    }
}

/// The connections of a core that hyper has and that are on somebody's account, or were.
#[derive(Debug, Default)]
pub(super) struct Sockets(RefCell<Vec<Weak<RefCell<Counted>>>>);

impl Sockets {
    /// Has a connection looked after, if it is on an account.
    pub(super) fn list(&self, counted: &Rc<RefCell<Counted>>) {
        let mut own = counted.borrow_mut();
        if !own.is_listed && own.permit().figures.meter.payer().has_account() {
            own.is_listed = true;
            let mut listed = self.0.borrow_mut();
            if listed.len() == listed.capacity() {
                listed.retain(|counted| counted.strong_count() > 0);
            }
            listed.push(Rc::downgrade(counted));
        }
    }
}

impl Metered for Sockets {
    fn settle(&self, audit: &Audit, ledger: &Ledger) {
        for counted in self.0.borrow().iter().filter_map(Weak::upgrade) {
            let Counted { socket, permit, .. } = &mut *counted.borrow_mut();
            if let Some(permit) = permit
                && audit.concerns(permit.figures.meter.payer())
            {
                socket.ask(|socket| permit.figures.meter.settle(ledger, &socket));
            }
        }
    }
}

/// Looks past what a client sends that gets an answer without an end, for the end of the client.
#[derive(Clone, Debug)]
pub(super) struct Watch(Rc<RefCell<Wire>>, Weak<RefCell<Counted>>);

impl Watch {
    /// Whether the peer is gone. What it sent stays where it is, for it may be its next request; then it cannot be
    /// known.
    pub(super) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.borrow().poll_end(cx)
    }

    /// Whether the peer is gone. What it sent is thrown away: nothing can follow such a request. (hyper looks
    /// for the end as well, but not past what it has in its buffer.)
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut stream = self.0.borrow_mut();
        for _ in 0..16 {
            let mut scratch = [0; 1024];
            let mut read = ReadBuf::new(&mut scratch);
            match std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => {
                    if let Some(counted) = self.1.upgrade() {
                        let count = read.filled().len();
                        counted.borrow_mut().received(count);
                        let counted = counted.borrow();
                        counted.booking.read_past(&counted.metrics.ledger, count);
                    }
                }
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
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
    pub(super) stream: std::net::TcpStream,
    /// Its place among the connections.
    pub(super) permit: Permit,
    /// The last request, if it was kept.
    pub(super) request: Option<Vec<u8>>,
    /// How many bytes of it were its head and its body.
    pub(super) asked: (usize, usize),
    /// What a hub read before hyper had the connection, and hyper has not read.
    pub(super) behind: Vec<u8>,
}

/// A request that is being answered.
pub(super) struct Answering(Heads);

impl Heads {
    /// Notes that a request has arrived.
    pub(super) fn begin(&self) -> Answering {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// How often everything that hyper had written was out.
    pub(super) fn flushes(&self) -> usize {
        self.0.2.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    /// Prepares an accepted connection, which a line may shape (what is written has no end while the cell is
    /// true). Needs a local task set.
    pub(super) fn new(
        stream: std::net::TcpStream,
        permit: Permit,
        read: Vec<u8>,
        shape: Option<(Guest, Rc<Cell<bool>>)>,
        gateway: &Gateway,
    ) -> io::Result<Self> {
        let config = gateway.config();
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        // Left to itself the kernel would hold on to a dead peer for a quarter of an hour (RFC 5482).
        _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(config.write_stall));
        let metrics = gateway.metrics().clone();
        let counted = |socket| {
            Rc::new(RefCell::new(Counted {
                socket,
                permit: Some(permit),
                booking: Booking::new(),
                metrics: metrics.clone(),
                is_listed: false,
            }))
        };
        let (stream, counted) = match shape {
            None => {
                let stream = Rc::new(RefCell::new(Wire::Plain(stream)));
                (stream.clone(), counted(Tap::Plain(Rc::downgrade(&stream))))
            }
            Some((guest, endless)) => {
                let stream = Rc::new(stream);
                let counted = counted(Tap::Shaped(stream.clone()));
                // A connection is there until its last byte has arrived.
                let shaped = Shaped::new(stream, guest, endless, counted.clone());
                (Rc::new(RefCell::new(Wire::Shaped(shaped))), counted)
            }
        };
        Ok(Self {
            stream,
            counted,
            metrics,
            read: read.into(),
            request: Some(Vec::new()),
            requests_kept: 0,
            head_due: Some(Box::pin(sleep(config.head_timeout))),
            head_timeout: Some(config.head_timeout),
            heads: Heads::default(),
            heads_seen: 0,
            refusal: None,
            stall_due: None,
            write_stall: config.write_stall,
        })
    }

    /// Where the service notes its requests.
    pub(super) fn heads(&self) -> Heads {
        self.heads.clone()
    }

    /// Where the service notes what the connection comes to.
    pub(super) fn counted(&self) -> Weak<RefCell<Counted>> {
        Rc::downgrade(&self.counted)
    }

    /// What notices that the peer is gone.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.stream.clone(), self.counted())
    }

    /// What follows is not HTTP; who pays for it.
    pub(super) fn end_http(&mut self) -> Payer {
        let mut counted = self.counted.borrow_mut();
        counted.booking.end_http();
        counted.permit().figures.meter.payer().clone()
    }

    /// What follows are no requests.
    pub(super) fn expect_no_head(&mut self) {
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
        let counted = Rc::into_inner(self.counted).ok_or(io::ErrorKind::ResourceBusy)?;
        let mut counted = counted.into_inner();
        let asked = counted.booking.leave();
        let permit = counted.permit.take().ok_or(io::ErrorKind::ResourceBusy)?;
        drop(counted);
        let stream = Rc::into_inner(self.stream).ok_or(io::ErrorKind::ResourceBusy)?;
        let stream = stream.into_inner().into_std()?;
        Ok(Apart { stream, permit, request, asked, behind: self.read.into() })
    }

    /// Forgets the last request once it is answered without an end: nobody will ask for it.
    fn forget_request(&mut self) {
        if self.request.is_some() && self.counted.borrow().booking.is_endless() {
            self.request = None;
        }
    }

    /// Remembers what was read if it belongs to the present request.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(request) = &mut self.request else { return };
        let arrived = self.heads.0.0.load(Ordering::Relaxed);
        if arrived != self.requests_kept {
            self.requests_kept = arrived;
            request.clear();
        }
        let room = (MAX_REQUEST + 1).saturating_sub(request.len());
        request.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Fails once a head has been under way for too long.
    fn poll_head(&mut self, cx: &mut Context<'_>, got_bytes: bool) -> io::Result<()> {
        let (arrived, answering) =
            (self.heads.0.0.load(Ordering::Relaxed), self.heads.0.1.load(Ordering::Relaxed));
        if arrived != self.heads_seen || answering > 0 {
            self.heads_seen = arrived;
            self.head_due = None;
        }
        if let Some(timeout) = self.head_timeout
            && got_bytes
            && answering == 0
            && self.head_due.is_none()
        {
            self.head_due = Some(Box::pin(sleep(timeout)));
        }
        match self.head_due.as_mut().map(|due| due.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => {
                // A client that began a request is told, as far as it takes that.
                if self.request.as_ref().is_none_or(|request| !request.is_empty()) {
                    let answer = refusal::too_slow();
                    let written = self.stream.borrow().try_write(&answer);
                    _ = self.sent(Poll::Ready(written), &[io::IoSlice::new(&answer)]);
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
                    self.refusal = Some((answer, 0));
                    self.metrics.refused(code);
                }
                Some((before, ..)) => return self.poll_send(cx, &buf[..before]),
                None => return self.poll_send(cx, buf),
            }
        }
        while let Some((answer, sent)) = &self.refusal
            && *sent < answer.len()
        {
            let written = std::task::ready!(self.poll_send(cx, &answer[*sent..]))?;
            if let Some((_, sent)) = &mut self.refusal {
                *sent += written;
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes);
        self.sent(written, &[io::IoSlice::new(bytes)])
    }

    /// Counts what the kernel took of these.
    fn sent(&self, written: Poll<io::Result<usize>>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(count)) => {
                let counted = &mut *self.counted.borrow_mut();
                counted.permit().figures.sent += *count as u64;
                self.metrics.flows.sent(Path::Hosted).inc_by(*count as u64);
                let mut left = *count;
                for buf in bufs {
                    let taken = left.min(buf.len());
                    counted.booking.wrote(&self.metrics.ledger, &buf[..taken]);
                    left -= taken;
                }
            }
            Poll::Ready(Err(_)) => self.counted.borrow_mut().permit().figures.end = End::Failed,
            Poll::Pending => {}
        }
        written
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
        let mut counted = self.counted.borrow_mut();
        let end = &mut counted.permit().figures.end;
        if *end != End::Stalled {
            *end = End::Stalled;
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
        let is_early = !self.read.is_empty();
        let read = if !is_early {
            Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buf)
        } else {
            let count = self.read.len().min(buf.remaining());
            let early: Vec<u8> = self.read.drain(..count).collect();
            buf.put_slice(&early);
            Poll::Ready(Ok(()))
        };
        let got_bytes = buf.filled().len() > before;
        if got_bytes {
            let counted = &mut *self.counted.borrow_mut();
            if !is_early {
                // What was read before is counted where it was read.
                counted.received(buf.filled().len() - before);
            }
            counted.booking.read(&counted.metrics.ledger, &buf.filled()[before..]);
        }
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
            None => self.poll_send(cx, buf),
        };
        self.forget_request();
        self.stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match bufs {
            // A refusal is all that hyper has left to write.
            [only] => self.poll_refusal(cx, only),
            bufs => match bufs.iter().map(|buf| buf.len()).sum::<usize>() {
                0..=COALESCED => COALESCE.with_borrow_mut(|whole| {
                    whole.clear();
                    bufs.iter().for_each(|buf| whole.extend_from_slice(buf));
                    self.poll_send(cx, whole)
                }),
                _ => {
                    let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, bufs);
                    self.sent(written, bufs)
                }
            },
        };
        self.forget_request();
        self.stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.heads.0.2.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.borrow().shut_down())
    }
}
