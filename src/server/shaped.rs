//! A connection of a line: a socket whose bytes are under way for a while.
//!
//! What reads and writes has one end of two flights; a task has the other, and the socket. What is written counts
//! as sent once it is under way, as it does for a kernel; there is room for a bounded amount, so whoever writes
//! too much waits.

use std::{
    cell::{Cell, RefCell},
    future::{Future as _, poll_fn},
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::spawn_local,
    time::{Instant, Sleep, sleep_until},
};

use crate::lab::{
    conditions::Conditions,
    flight::{Cargo, Direction, Flight},
    line::Guest,
};

/// Bytes read at a time.
const READ: usize = 16 << 10;
/// Reads before others get a turn.
const READS: usize = 8;
/// What a buffering proxy waits for (nginx: a page).
const BUFFER: usize = 4 << 10;
/// The end of a chunked body (RFC 9112, 7.1). No event ends in it: none has a carriage return.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// How long a peer may take nothing of what is still under way to it once nobody writes any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// One end of a shaped connection: what the gateway reads and writes.
#[derive(Debug)]
pub(super) struct Shaped(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    guest: Guest,
    conditions: Conditions,
    up: Flight,
    down: Flight,
    /// What a buffering proxy has of an answer.
    held: Vec<u8>,
    /// Whether what is written is an answer without an end.
    streams: Rc<Cell<bool>>,
    /// Nothing more is written.
    shut: bool,
    /// Nothing more is read or written.
    left: bool,
    /// The connection is gone without a word.
    dead: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    task: Option<Waker>,
}

impl Shaped {
    /// Shapes an accepted connection as its line says. `keep` is held until the last byte has arrived, and
    /// `streams` says whether what is written is an answer without an end. Needs a local task set.
    pub(super) fn new(
        stream: Rc<TcpStream>,
        guest: Guest,
        streams: Rc<Cell<bool>>,
        keep: impl Sized + 'static,
    ) -> Self {
        let socket = Tcp(stream);
        let tcp = socket.clone();
        let reset = move || _ = socket2::SockRef::from(&*tcp.0).set_linger(Some(Duration::ZERO));
        let (shaped, task) = Self::over(socket, guest, streams, fastrand::Rng::new(), reset);
        spawn_local(async move {
            task.await;
            drop(keep);
        });
        shaped
    }

    /// The same over anything, and the task that moves its bytes. `reset` is called before it is dropped without a
    /// word.
    fn over<S: AsyncRead + AsyncWrite + Unpin>(
        socket: S,
        guest: Guest,
        streams: Rc<Cell<bool>>,
        random: fastrand::Rng,
        reset: impl FnOnce(),
    ) -> (Self, impl Future<Output = ()>) {
        let now = Instant::now();
        let mut states = guest.line().watch();
        let first = states.borrow_and_update().clone();
        let mut seeds = random;
        let mut flight = |direction| Flight::new(direction, now, seeds.fork());
        let state = Rc::new(RefCell::new(State {
            conditions: first.conditions,
            up: flight(Direction::Up),
            down: flight(Direction::Down),
            guest,
            held: Vec::new(),
            streams,
            shut: false,
            left: false,
            dead: false,
            reader: None,
            writer: None,
            task: None,
        }));
        let mut mover = Mover::new(socket, state.clone());
        let task = async move {
            let mut cut = first.is_cut();
            while !cut {
                tokio::select! {
                    // The sender is the line's own, which the state keeps.
                    _ = states.changed() => {
                        let next = states.borrow_and_update().clone();
                        mover.state.borrow_mut().change(next.conditions);
                        cut = next.is_cut();
                    }
                    () = poll_fn(|cx| mover.poll(cx)) => return,
                }
            }
            reset();
            mover.state.borrow_mut().die();
        };
        (Self(state), task)
    }

    /// Writes what there is room for.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.borrow_mut().write(bytes)? {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            written => Ok(written),
        }
    }

    /// Says that nothing more is written, behind what was.
    pub(super) fn shut_down(&self) {
        self.0.borrow_mut().shut_down();
    }
}

impl Drop for Shaped {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.shut_down();
        state.left = true;
        state.wake_task();
    }
}

impl State {
    /// Sends over one of the two links.
    fn send(&mut self, direction: Direction, bytes: Bytes) {
        let line = self.guest.line().clone();
        let flight = if direction == Direction::Up { &mut self.up } else { &mut self.down };
        let lost = flight.send(Instant::now(), bytes, &mut line.link(direction), &self.conditions);
        line.lose(lost);
    }

    fn end(&mut self, direction: Direction, end: Cargo) {
        let line = self.guest.line().clone();
        let flight = if direction == Direction::Up { &mut self.up } else { &mut self.down };
        flight.end(Instant::now(), end, &mut line.link(direction), &self.conditions);
    }

    fn change(&mut self, conditions: Conditions) {
        if conditions == self.conditions {
            return;
        }
        self.conditions = conditions;
        if !conditions.buffering {
            self.release();
        }
        let (line, now) = (self.guest.line().clone(), Instant::now());
        self.up.change(now, &mut line.link(Direction::Up), &conditions);
        self.down.change(now, &mut line.link(Direction::Down), &conditions);
        // There may be more room.
        self.wake_writer();
    }

    /// Takes what there is room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.dead || self.shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.down.room(&self.conditions).saturating_sub(self.held.len());
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.conditions.buffering && self.streams.get() {
            self.held.extend_from_slice(bytes);
            if self.held.len() >= BUFFER || self.held.ends_with(LAST_CHUNK) {
                self.release();
            }
        } else {
            self.release();
            self.send(Direction::Down, Bytes::copy_from_slice(bytes));
        }
        self.wake_task();
        Ok(bytes.len())
    }

    /// Sends what was held back.
    fn release(&mut self) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.send(Direction::Down, held.into());
        }
    }

    fn shut_down(&mut self) {
        if !self.shut && !self.dead {
            self.release();
            self.end(Direction::Down, Cargo::End);
            self.shut = true;
            self.wake_task();
        }
    }

    /// What has arrived at the gateway; how many bytes, none being the end.
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<usize>> {
        if self.dead {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let (before, now) = (buf.filled().len(), Instant::now());
        let mut ended = false;
        while buf.remaining() > 0 {
            match self.up.arrived(now) {
                Some(Cargo::Bytes(bytes)) => {
                    let count = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes[..count]);
                    self.up.take(count);
                }
                // They stay, so that whoever asks again is told again.
                Some(Cargo::End) => {
                    ended = true;
                    break;
                }
                Some(Cargo::Reset) if buf.filled().len() == before => {
                    return Some(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Some(Cargo::Reset) | None => break,
            }
        }
        let count = buf.filled().len() - before;
        if count > 0 {
            // There is room, and another to wait for.
            self.wake_task();
        }
        (count > 0 || ended).then_some(Ok(count))
    }

    /// The peer is gone: what was under way to it is lost.
    fn broken(&mut self) {
        self.down.clear();
        self.held.clear();
        self.shut = true;
        self.end(Direction::Up, Cargo::Reset);
        self.wake_writer();
    }

    fn die(&mut self) {
        self.up.clear();
        self.down.clear();
        self.held.clear();
        self.dead = true;
        self.wake_writer();
        self.wake_reader();
    }

    fn wake_task(&mut self) {
        self.task.take().into_iter().for_each(Waker::wake);
    }

    fn wake_writer(&mut self) {
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    fn wake_reader(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for Shaped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        match state.read(buf) {
            Some(read) => Poll::Ready(read.map(drop)),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Shaped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        match state.write(buf) {
            Ok(0) if !buf.is_empty() => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down();
        Poll::Ready(Ok(()))
    }
}

/// What moves the bytes between the socket and the flights.
struct Mover<S> {
    socket: S,
    state: Rc<RefCell<State>>,
    /// The peer sends no more, or is gone.
    heard_all: bool,
    /// The peer knows that nothing more comes, or is gone.
    said_all: bool,
    up_due: Pin<Box<Sleep>>,
    down_due: Pin<Box<Sleep>>,
    gives_up: Pin<Box<Sleep>>,
    moved: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Mover<S> {
    fn new(socket: S, state: Rc<RefCell<State>>) -> Self {
        let now = Instant::now();
        let timer = || Box::pin(sleep_until(now));
        Self {
            socket,
            state,
            heard_all: false,
            said_all: false,
            up_due: timer(),
            down_due: timer(),
            gives_up: timer(),
            moved: now,
        }
    }

    /// Moves what can be moved. Ready once nothing more can be.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.state.clone();
        let state = &mut *shared.borrow_mut();
        state.task = Some(cx.waker().clone());
        self.poll_up(cx, state);
        loop {
            let blocked = self.poll_down(cx, state);
            if state.up.arrived(Instant::now()).is_some() {
                state.wake_reader();
            } else if is_due(&mut self.up_due, state.up.due(), cx) {
                continue;
            }
            // The socket wakes the task if it takes no more, the timer if nothing more has arrived.
            if blocked || !is_due(&mut self.down_due, state.down.due(), cx) {
                break;
            }
        }
        if !state.left {
            self.moved = Instant::now();
            return Poll::Pending;
        }
        if self.said_all {
            return Poll::Ready(());
        }
        let gives_up = Some(self.moved + PATIENCE);
        if is_due(&mut self.gives_up, gives_up, cx) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// From the socket into the flight.
    fn poll_up(&mut self, cx: &mut Context<'_>, state: &mut State) {
        for _ in 0..READS {
            let room = if state.left { READ } else { state.up.room(&state.conditions).min(READ) };
            if self.heard_all || room == 0 {
                return;
            }
            let mut scratch = [MaybeUninit::uninit(); READ];
            let mut buf = ReadBuf::uninit(&mut scratch[..room]);
            match Pin::new(&mut self.socket).poll_read(cx, &mut buf) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                    self.heard_all = true;
                    state.end(Direction::Up, Cargo::End);
                }
                // Nobody reads it any more; but unread it would turn the end that is under way into a reset.
                Poll::Ready(Ok(())) if state.left => {}
                Poll::Ready(Ok(())) => state.send(Direction::Up, Bytes::copy_from_slice(buf.filled())),
                Poll::Ready(Err(_)) => return self.broken(state),
            }
        }
        cx.waker().wake_by_ref();
    }

    /// From the flight into the socket; whether that takes no more.
    fn poll_down(&mut self, cx: &mut Context<'_>, state: &mut State) -> bool {
        let now = Instant::now();
        let (mut moved, mut blocked) = (false, false);
        loop {
            let written = match state.down.arrived(now) {
                Some(Cargo::Bytes(bytes)) => Pin::new(&mut self.socket).poll_write(cx, bytes),
                Some(Cargo::End | Cargo::Reset) => {
                    Pin::new(&mut self.socket).poll_shutdown(cx).map_ok(|()| 0)
                }
                None => break,
            };
            match written {
                Poll::Pending => {
                    blocked = true;
                    break;
                }
                Poll::Ready(Ok(count)) => {
                    self.said_all |= count == 0;
                    state.down.take(count);
                    moved = true;
                }
                Poll::Ready(Err(_)) => {
                    self.broken(state);
                    break;
                }
            }
        }
        if moved {
            self.moved = now;
            state.wake_writer();
        }
        blocked
    }

    fn broken(&mut self, state: &mut State) {
        if !self.heard_all || !self.said_all {
            state.broken();
        }
        self.heard_all = true;
        self.said_all = true;
    }
}

/// Whether that time has come; if not, the task is woken then.
fn is_due(timer: &mut Pin<Box<Sleep>>, due: Option<Instant>, cx: &mut Context<'_>) -> bool {
    let Some(due) = due else { return false };
    if timer.deadline() != due {
        timer.as_mut().reset(due);
    }
    timer.as_mut().poll(cx).is_ready()
}

/// A socket that several hold. Each direction has one who waits for it.
#[derive(Clone, Debug)]
struct Tcp(Rc<TcpStream>);

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests;
