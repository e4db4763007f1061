//! One taken connection: what stays of it while nothing happens.

use std::{os::fd::OwnedFd, sync::Arc};

use bytes::BytesMut;

use super::{posting::Posting, question::Question};
use crate::{
    bus::reader::Reader,
    delivery::connections::Permit,
    ledger::{Bill, Payer},
    transport::{
        Transport, chunked::Chunked, longpoll::Longpoll, poll::Poll, sse::Sse, websocket::Websocket,
    },
    wsframe::Decoder,
};

/// How a connection is delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Chunked streaming.
    Chunked,
    /// Server-Sent Events.
    Sse,
    /// Short polling: the same, but for the waiting.
    Poll,
    /// Long polling.
    Longpoll,
    /// WebSocket.
    Websocket,
    /// WebSocket: whatever comes goes back.
    Echo,
    /// No subscriber: one request after the other publishes.
    Publish,
}

impl Kind {
    /// By the transport's name, if it can be taken.
    pub fn of(transport: &str) -> Option<Self> {
        [Self::Chunked, Self::Sse, Self::Poll, Self::Longpoll, Self::Websocket]
            .into_iter()
            .find(|kind| kind.transport().name() == transport)
    }

    pub(super) fn transport(self) -> &'static dyn Transport {
        match self {
            Self::Chunked => &Chunked,
            Self::Sse => &Sse,
            // A publisher is told nothing that a transport would have to say.
            Self::Poll | Self::Publish => &Poll,
            Self::Longpoll => &Longpoll,
            Self::Websocket | Self::Echo => &Websocket,
        }
    }

    /// The transport that it is counted under as a subscriber: an echo and a publisher are none, and who polls has no
    /// subscription between two requests.
    pub(super) fn counted(self) -> Option<&'static str> {
        (!matches!(self, Self::Echo | Self::Poll | Self::Publish)).then(|| self.transport().name())
    }

    /// Whether it speaks in frames, in both directions.
    pub(super) fn is_framed(self) -> bool {
        matches!(self, Self::Websocket | Self::Echo)
    }
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Events, for good.
    Open,
    /// Events, for one answer.
    Waiting,
    /// The next request.
    Asking,
    /// The peer's close, after ours.
    Closing,
    /// That the last bytes go out.
    Ending,
}

/// No tick.
pub(super) const NEVER: u32 = u32::MAX;

/// A taken connection.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) socket: OwnedFd,
    pub(super) reader: Reader,
    pub(super) kind: Kind,
    pub(super) state: State,
    /// It stands in the list of those that may have something pending.
    pub(super) listed: bool,
    /// The kernel took less than it was given, and has not asked for more yet.
    pub(super) blocked: bool,
    /// Since which tick the kernel has taken nothing, [`NEVER`] if it takes what it is given.
    pub(super) stalled: u32,
    /// There is input that was not read.
    pub(super) unread: bool,
    /// The peer has shut its sending side.
    pub(super) half_closed: bool,
    /// Its first subscription is still to come.
    pub(super) fresh: bool,
    /// It has been sent everything that was there at some time.
    pub(super) caught_up: bool,
    pub(super) publishes: bool,
    /// Pings since the peer was last heard of.
    pub(super) unanswered: u8,
    /// Ticks of silence before a heartbeat.
    pub(super) heartbeat: u32,
    /// Its group, and its place among the members.
    pub(super) group: u32,
    pub(super) seat: u32,
    pub(super) question: Option<Arc<Question>>,
    pub(super) posting: Option<Box<Posting>>,
    pub(super) backlog: Option<Box<Backlog>>,
    pub(super) permit: Permit,
}

/// What a connection has only for moments: bytes that did not go out, and bytes that are no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) output: Vec<u8>,
    pub(super) sent: usize,
    /// What the bytes that did not go out are for.
    pub(super) owed: Bill,
    /// Bytes of a message that is not whole yet, which the decoder has.
    pub(super) heard: usize,
    pub(super) input: BytesMut,
    pub(super) decoder: Option<Decoder>,
}

impl Record {
    pub(super) fn backlog(&mut self) -> &mut Backlog {
        self.backlog.get_or_insert_default()
    }

    /// Who pays for what it does.
    pub(super) fn payer(&self) -> &Payer {
        self.permit.figures.meter.payer()
    }

    /// Bytes that wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.output.len() - backlog.sent)
    }

    /// Frees what an idle connection does not need.
    pub(super) fn tidy(&mut self) {
        self.backlog.take_if(|backlog| {
            backlog.output.is_empty() && backlog.input.is_empty() && backlog.decoder.is_none()
        });
    }
}
