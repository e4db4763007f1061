//! The hosted path for WebSocket: a feed, or an echo, behind an upgraded connection.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::{
    compression::Compression,
    feed::{Encoded, Feed},
    hosted::{TURN, spread},
    session::{self, Rights},
    silence::Silence,
};
use crate::{
    error::Problem,
    ledger::{Bill, Direction, Owed, Purpose, bill},
    publish::Publisher,
    transport::{Transport, control::Control, websocket::Websocket},
    wsframe::{self, Decoder, Incoming, Violation, deflate::Params},
};

/// Bytes read at a time.
const READ: usize = 8 << 10;
/// Answers that may wait to be sent before no more operations are read.
const ANSWERS: usize = 64 << 10;
/// How long a peer may take to answer our close.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a WebSocket is spoken over, and where that is written down, if it is.
pub trait Booked: AsyncRead + AsyncWrite + Unpin {
    /// Books bytes.
    fn book(&self, _: Direction, _: &Bill) {}

    /// Notes events that are sent.
    fn note_events(&self, _: usize) {}
}

/// Another application's connection.
impl Booked for TokioIo<Upgraded> {}

/// What answers on a WebSocket.
#[derive(Debug)]
pub enum Peer {
    /// A subscriber.
    Subscriber(Box<Subscriber>),
    /// Whatever comes goes back. Its feed has no topics, and tells it when the gateway goes.
    Echo(Feed),
    /// A client that is told why it is not served.
    Refused(Problem),
}

/// A subscriber on a WebSocket.
#[derive(Debug)]
pub struct Subscriber {
    /// Its place in the log.
    pub feed: Feed,
    /// The cursor it is told first.
    pub hello: String,
    /// What carries out its publishes, if it may.
    pub publisher: Option<Publisher>,
    /// The most topics it may have.
    pub max_topics: usize,
    /// Whether its first subscription is still to come, and may say where to begin.
    pub fresh: bool,
}

/// The times that a connection keeps.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Silence before a heartbeat.
    pub heartbeat: Duration,
    /// The least pause before a client is to reconnect.
    pub retry: Duration,
}

/// What the messages of a connection may be.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    /// The largest that is taken, in bytes.
    pub max: usize,
    /// How they are compressed, if that was negotiated.
    pub deflate: Option<Params>,
}

/// Serves one WebSocket to its end. `early` is what the client sent before it had our answer.
pub async fn serve(io: impl Booked, early: BytesMut, peer: Peer, times: Times, messages: Messages) {
    let decoder = Decoder::new(messages.max);
    let mut socket = Socket {
        io,
        peer,
        input: early,
        output: Vec::new(),
        owed: Owed::default(),
        heard: 0,
        decoder: if messages.deflate.is_some() { decoder.with_deflate() } else { decoder },
        compression: messages.deflate.map(|params| Compression::new(&params, messages.max)),
        state: State::Open,
        unanswered: 0,
        silence: Silence::new(times.heartbeat),
        retry: times.retry,
    };
    // An error of the socket is the end of the connection, and nobody is left to tell.
    _ = socket.run().await;
    socket.book_rest();
}

struct Socket<S> {
    io: S,
    peer: Peer,
    input: BytesMut,
    output: Vec<u8>,
    /// What the output is for.
    owed: Owed,
    /// Bytes of a message that is not whole yet, which the decoder has.
    heard: u32,
    decoder: Decoder,
    compression: Option<Compression>,
    state: State,
    /// Pings since the peer was last heard of.
    unanswered: u8,
    silence: Silence,
    /// The least pause before a client is to reconnect.
    retry: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// We closed, and the peer has not answered yet.
    Closing,
    /// Both have closed.
    Closed,
}

impl<S: Booked> Socket<S> {
    async fn run(&mut self) -> io::Result<()> {
        self.say(Self::open);
        self.say(Self::take_input);
        while self.state == State::Open {
            poll_fn(|cx| self.poll_turn(cx)).await?;
        }
        timeout(GOODBYE, self.say_goodbye()).await?
    }

    /// Delivers what is pending, once what was said before has gone out; moves bytes; breaks a silence that is too
    /// long. A peer that sends without a pause keeps no event from itself, nor does a flood of events keep it from
    /// being heard.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut more = false;
        if self.output.is_empty()
            && let Poll::Ready(pending) = self.poll_pending(cx)
        {
            more = pending.as_ref().is_none_or(|pending| pending.more);
            self.silence.is_broken();
            match pending {
                Some(pending) => self.deliver(cx, &pending)?,
                None => self.say(Self::drain),
            }
        }
        if let Poll::Ready(moved) = poll_exchange(&mut self.io, cx, &mut self.output, &mut self.input) {
            if self.moved(moved?) {
                self.unanswered = 0;
                self.say(Self::take_input);
            }
            return Poll::Ready(Ok(()));
        }
        if more {
            return Poll::Ready(Ok(()));
        }
        if self.output.is_empty() {
            std::task::ready!(self.silence.poll_too_long(cx));
            self.say(Self::keep_alive);
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_pending(&mut self, cx: &Context<'_>) -> Poll<Option<Encoded>> {
        match &mut self.peer {
            Peer::Subscriber(subscriber) => subscriber.feed.poll_encoded(cx, TURN, &Websocket),
            Peer::Echo(feed) => feed.poll_encoded(cx, TURN, &Websocket),
            Peer::Refused(_) => Poll::Pending,
        }
    }

    /// Does what writes output, which is compressed where that was negotiated.
    fn say(&mut self, write: impl FnOnce(&mut Self)) {
        let before = self.output.len();
        let mut owed = std::mem::take(&mut self.owed);
        write(self);
        if let Some(compression) = &self.compression {
            let frames = self.output.split_off(before);
            compression.deflate(&frames, &mut self.output);
            self.owed.scale_to(self.output.len() - before);
        }
        self.owed += owed.take(usize::MAX);
    }

    /// Writes output for a purpose.
    fn put(&mut self, purpose: Purpose, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.output.len();
        write(&mut self.output);
        self.owed.add(purpose, self.output.len() - before);
    }

    /// Books what went out; whether it came in instead.
    fn moved(&mut self, moved: Moved) -> bool {
        if let Moved::Out(bytes) = moved {
            let sent = self.owed.take(bytes);
            self.io.book(Direction::Out, &sent);
        }
        matches!(moved, Moved::In(_))
    }

    /// Books what came and was not understood, or is not looked at any more.
    fn book_rest(&mut self) {
        let rest = std::mem::take(&mut self.heard) as usize + self.input.len();
        self.io.book(Direction::In, &Bill::of(Purpose::Controls, rest));
        self.input.clear();
    }

    fn open(&mut self) {
        let before = self.output.len();
        let mut close = None;
        match &self.peer {
            Peer::Subscriber(subscriber) => {
                Websocket.hello(&mut self.output, &subscriber.hello, self.retry);
            }
            Peer::Echo(_) => {}
            Peer::Refused(problem) => {
                Websocket.control(&mut self.output, &Control::Error(None, problem));
                close = Some(problem.code.kind().close);
            }
        }
        self.owed.add(Purpose::Controls, self.output.len() - before);
        if let Some((code, reason)) = close {
            self.close(code, reason);
        }
    }

    /// Sends events as far as the socket takes them at once; the rest is output.
    fn deliver(&mut self, cx: &mut Context<'_>, pending: &Encoded) -> io::Result<()> {
        self.io.note_events(pending.made.events);
        if let Some(compression) = &self.compression {
            compression.deflate(&pending.bytes, &mut self.output);
            self.owed += pending.made.bill.scaled_to(self.output.len());
            return Ok(());
        }
        let sent = match Pin::new(&mut self.io).poll_write(cx, &pending.bytes) {
            Poll::Ready(sent) => gone(sent?)?,
            Poll::Pending => 0,
        };
        if sent == pending.bytes.len() {
            self.io.book(Direction::Out, &pending.made.bill);
            return Ok(());
        }
        let mut rest = pending.made.bill;
        self.io.book(Direction::Out, &rest.take(sent));
        self.owed += rest;
        self.output.extend_from_slice(&pending.bytes[sent..]);
        Ok(())
    }

    /// The gateway goes, and the peer has everything.
    fn drain(&mut self) {
        if let Peer::Subscriber(_) = self.peer {
            let after = spread(self.retry);
            self.put(Purpose::Controls, |out| Websocket.control(out, &Control::Reconnect(after)));
        }
        self.close(1012, "drain");
    }

    /// A heartbeat, unless the peer has answered none of the last two. Its feed was just asked, and has nothing.
    fn keep_alive(&mut self) {
        match &self.peer {
            Peer::Subscriber(subscriber) => {
                let cursor = subscriber.feed.cursor();
                self.ping(|out| Websocket.heartbeat(out, cursor));
            }
            Peer::Echo(_) | Peer::Refused(_) => self.ping(|out| wsframe::ping(out, b"")),
        }
    }

    fn ping(&mut self, ping: impl FnOnce(&mut Vec<u8>)) {
        if self.unanswered == 2 {
            return self.close(1011, "ping_timeout");
        }
        self.unanswered += 1;
        self.put(Purpose::Heartbeats, ping);
    }

    fn take_input(&mut self) {
        while self.state == State::Open {
            let before = self.input.len();
            let decoded = self.decoder.decode(&mut self.input);
            self.heard += (before - self.input.len()) as u32;
            match decoded {
                Ok(Some(incoming)) => {
                    let bill = self.take(incoming, self.heard as usize);
                    self.io.book(Direction::In, &bill);
                    self.heard -= bill.total() as u32;
                }
                Ok(None) => break,
                Err(violation) => self.violated(violation),
            }
        }
    }

    /// Carries out what was decoded from so many bytes; what they were for. Of those of a message that is under way
    /// around it, nothing is known yet.
    fn take(&mut self, incoming: Incoming, bytes: usize) -> Bill {
        let before = self.output.len();
        match (incoming, &mut self.peer) {
            (Incoming::Ping(payload), _) => {
                self.put(Purpose::Heartbeats, |out| wsframe::pong(out, &payload));
                return bill::control_frame(payload.len());
            }
            (Incoming::Pong(payload), _) => return bill::control_frame(payload.len()),
            (Incoming::Close(reason), _) => {
                self.put(Purpose::Controls, |out| match reason {
                    Some((code, reason)) => wsframe::close(out, code, &reason),
                    None => wsframe::close_empty(out),
                });
                self.state = State::Closed;
            }
            (Incoming::Text(text), Peer::Echo(_)) => {
                wsframe::text(&mut self.output, &text);
                self.owed += bill::message(self.output.len() - before, text.len(), text.len());
                return bill::message(bytes, text.len(), text.len());
            }
            (Incoming::Binary(data), Peer::Echo(_)) => {
                wsframe::binary(&mut self.output, &data);
                self.owed += bill::message(self.output.len() - before, data.len(), data.len());
                return bill::message(bytes, data.len(), data.len());
            }
            (Incoming::Text(text), Peer::Subscriber(subscriber)) => {
                let text = std::str::from_utf8(&text).expect("a decoded text is UTF-8");
                let metrics = subscriber.feed.metrics();
                let rights = Rights {
                    publisher: subscriber.publisher.as_ref(),
                    max_topics: subscriber.max_topics,
                    metrics: &metrics,
                };
                let output = &mut self.output;
                let published =
                    session::operate(text, &mut subscriber.feed, rights, &mut subscriber.fresh, output);
                self.owed.add(Purpose::Controls, self.output.len() - before);
                if let Some(data) = published {
                    return bill::message(bytes, text.len(), data);
                }
            }
            (Incoming::Binary(_), Peer::Subscriber(_)) => self.close(1003, "text_only"),
            (_, Peer::Refused(_)) => {}
            (Incoming::Deflated(kind, payload), _) => {
                let inflated = self.compression.as_mut().map(|held| held.inflate(kind, &payload));
                match inflated {
                    Some(Ok(incoming)) => return self.take(incoming, bytes),
                    Some(Err(violation)) => self.violated(violation),
                    None => {}
                }
            }
        }
        Bill::of(Purpose::Controls, bytes)
    }

    fn violated(&mut self, Violation { code, reason }: Violation) {
        self.close(code, reason);
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.put(Purpose::Controls, |out| wsframe::close(out, code, reason));
        self.state = State::Closing;
    }

    /// Sends what is left, then waits for the peer's close, or its end, so that ours is not lost in a reset.
    async fn say_goodbye(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let sent = gone(self.io.write(&self.output).await?)?;
            self.output.drain(..sent);
            self.moved(Moved::Out(sent));
        }
        if self.state == State::Closed {
            return self.io.shutdown().await;
        }
        let mut decoder = Decoder::new(READ);
        let mut input = self.input.split();
        let rest = std::mem::take(&mut self.heard) as usize + input.len();
        self.io.book(Direction::In, &Bill::of(Purpose::Controls, rest));
        loop {
            let moved = poll_fn(|cx| poll_exchange(&mut self.io, cx, &mut self.output, &mut input)).await?;
            if let Moved::In(bytes) = moved {
                self.io.book(Direction::In, &Bill::of(Purpose::Controls, bytes));
            }
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(Incoming::Close(_))) => return self.io.shutdown().await,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => input.clear(),
                }
            }
        }
    }
}

/// Bytes that were moved.
enum Moved {
    In(usize),
    Out(usize),
}

/// Moves bytes in one direction, whichever is ready.
fn poll_exchange(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    output: &mut Vec<u8>,
    input: &mut BytesMut,
) -> Poll<io::Result<Moved>> {
    if !output.is_empty()
        && let Poll::Ready(written) = Pin::new(&mut *io).poll_write(cx, output)
    {
        let written = gone(written?)?;
        output.drain(..written);
        if output.is_empty() {
            // An idle connection holds no buffer.
            *output = Vec::new();
        }
        return Poll::Ready(Ok(Moved::Out(written)));
    }
    if output.len() >= ANSWERS {
        return Poll::Pending;
    }
    let mut scratch = [MaybeUninit::uninit(); READ];
    let mut read = ReadBuf::uninit(&mut scratch);
    std::task::ready!(Pin::new(&mut *io).poll_read(cx, &mut read))?;
    gone(read.filled().len())?;
    input.extend_from_slice(read.filled());
    Poll::Ready(Ok(Moved::In(read.filled().len())))
}

/// How many bytes went through, none meaning that the peer is gone.
fn gone(bytes: usize) -> io::Result<usize> {
    if bytes == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}
