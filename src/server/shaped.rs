//! A connection of a line: a socket whose bytes are under way for a while.
//!
//! What reads and writes has one end of two flights; a task has the other, and the socket. What is written counts
//! as sent once it is under way, as it does for a kernel; there is room for a bounded amount, so whoever writes
//! too much waits.

mod mover;
mod state;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use self::{
    mover::{Mover, Tcp},
    state::State,
};
use crate::lab::{
    flight::{Direction, Flight},
    line::Guest,
};

/// One end of a shaped connection: what the gateway reads and writes.
#[derive(Debug)]
pub(super) struct Shaped(Rc<RefCell<State>>);

impl Shaped {
    /// Shapes an accepted connection as its line says. Beside it the task that moves its bytes, until the last one
    /// has arrived.
    pub(super) fn new(stream: Rc<TcpStream>, guest: Guest) -> (Self, impl Future<Output = ()>) {
        let socket = Tcp(stream);
        let tcp = socket.clone();
        let reset = move || _ = socket2::SockRef::from(&*tcp.0).set_linger(Some(Duration::ZERO));
        Self::over(socket, guest, fastrand::Rng::new(), reset)
    }

    /// The same over anything, and the task that moves its bytes. `reset` is called before it is dropped without a
    /// word.
    fn over<S: AsyncRead + AsyncWrite + Unpin>(
        socket: S,
        guest: Guest,
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
            streams: false,
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
        self.leave();
    }
}

impl Shaped {
    /// What is written from now on is an answer without an end.
    pub(super) fn streams(&self) {
        self.0.borrow_mut().streams = true;
    }

    /// Nothing more is read or written.
    pub(super) fn leave(&self) {
        let mut state = self.0.borrow_mut();
        state.shut_down();
        state.left = true;
        state.wake_task();
    }

    /// Whether nothing more comes.
    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        if state.has_ended() {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
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
