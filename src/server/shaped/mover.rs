//! The socket's end of a shaped connection.

use std::{
    cell::RefCell,
    future::Future as _,
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::state::State;
use crate::lab::flight::{Cargo, Direction};

/// Bytes read at a time.
const READ: usize = 16 << 10;
/// Reads before others get a turn.
const READS: usize = 8;
/// How long a peer may take nothing of what is still under way to it once nobody writes any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What moves the bytes between the socket and the flights.
pub(super) struct Mover<S> {
    socket: S,
    pub(super) state: Rc<RefCell<State>>,
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
    pub(super) fn new(socket: S, state: Rc<RefCell<State>>) -> Self {
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
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
pub(super) struct Tcp(pub(super) Rc<TcpStream>);

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
