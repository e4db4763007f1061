//! What a connection's bytes go over: a socket as it is, or one that a line shapes.

use std::{
    io,
    net::Shutdown,
    os::fd::{AsFd as _, BorrowedFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::shaped::Shaped;

/// A socket, shaped or not.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    /// The socket is there for what the kernel says of its segments.
    Shaped(Shaped, Rc<TcpStream>),
    /// It was given away.
    Gone,
}

impl Wire {
    /// The kernel's socket.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(stream) => Some(stream.as_fd()),
            Self::Shaped(_, stream) => Some(stream.as_fd()),
            Self::Gone => None,
        }
    }

    /// Notes that what is written from now on is an answer without an end.
    pub(super) fn streams(&self) {
        if let Self::Shaped(shaped, _) = self {
            shaped.streams();
        }
    }

    /// Nothing more is read or written.
    pub(super) fn leave(&self) {
        if let Self::Shaped(shaped, _) = self {
            shaped.leave();
        }
    }

    /// Writes what can be written at once.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(bytes),
            Self::Shaped(shaped, _) => shaped.try_write(bytes),
            Self::Gone => gone(),
        }
    }

    /// Whether nothing more comes. Bytes that have come stay where they are.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => {
                let mut scratch = [0; 1];
                match std::task::ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut scratch))) {
                    Ok(1..) => Poll::Pending,
                    Ok(0) | Err(_) => Poll::Ready(()),
                }
            }
            Self::Shaped(shaped, _) => shaped.poll_end(cx),
            Self::Gone => Poll::Ready(()),
        }
    }

    /// Says that nothing more is written.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
            Self::Shaped(shaped, _) => {
                shaped.shut_down();
                Ok(())
            }
            Self::Gone => gone(),
        }
    }

    /// The socket. One that is shaped stays where it is.
    pub(super) fn into_std(self) -> io::Result<std::net::TcpStream> {
        match self {
            Self::Plain(stream) => stream.into_std(),
            Self::Shaped(..) | Self::Gone => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// What nothing can be done with any more.
fn gone<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotConnected.into())
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Shaped(shaped, _) => Pin::new(shaped).poll_read(cx, buf),
            Self::Gone => Poll::Ready(gone()),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Shaped(shaped, _) => Pin::new(shaped).poll_write(cx, buf),
            Self::Gone => Poll::Ready(gone()),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Shaped(shaped, _) => Pin::new(shaped).poll_write_vectored(cx, bufs),
            Self::Gone => Poll::Ready(gone()),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Shaped(shaped, _) => Pin::new(shaped).poll_flush(cx),
            Self::Gone => Poll::Ready(gone()),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_down())
    }
}
