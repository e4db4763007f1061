//! A reader's place in the log, and what it is told: the exact suffix, or a gap before it.

use std::sync::Arc;

use thiserror::Error;

use super::log::{Budget, Log, Newest, Span};
use crate::{
    event::{Cursor, Epoch, Event},
    topic::{Pattern, Subscription},
};

/// Where a subscriber wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// With the next event.
    Now,
    /// With all that is held.
    Earliest,
    /// With the N newest of each topic.
    Last(usize),
    /// After a place that it knows.
    After(Cursor),
    /// After whatever a client presents on its own account (`Last-Event-ID`): it cannot be told of an
    /// error, so what cannot be read is a gap.
    Presented(String),
}

/// A cursor that lies ahead of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it lies ahead of the log, whose head is {head}")]
pub struct Ahead {
    /// The newest place there is.
    pub head: Cursor,
}

/// A hole that the gateway knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The place up to which the subscriber has everything, as it presented it.
    pub from: String,
    /// The place from which on it has everything again. Held events between the two still follow.
    pub to: Cursor,
    /// Why.
    pub reason: Reason,
}

/// Why there is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The events were no longer held when the subscriber came.
    Evicted,
    /// The log is another one than the cursor's.
    Restarted,
    /// The events were evicted before this connection had taken them.
    Overrun,
    /// It cannot be known whether anything was lost.
    Unknown,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Restarted => "restarted",
            Self::Overrun => "overrun",
            Self::Unknown => "unknown",
        }
    }
}

/// What a reader gets at a time.
#[derive(Debug)]
pub struct Batch {
    /// What it missed, to be told before the events.
    pub gap: Option<Gap>,
    /// The events, in offset order.
    pub events: Vec<Arc<Event>>,
    /// Where it stands after them: the log's head, unless `more`.
    pub cursor: Cursor,
    /// Whether there is more at once.
    pub more: bool,
}

impl Batch {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.gap.is_none() && self.events.is_empty()
    }
}

/// A subscription and its place: all that a connection holds of the log.
#[derive(Debug)]
pub struct Reader {
    subscription: Subscription,
    epoch: Epoch,
    after: u64,
    until: u64,
    newest: Option<Newest>,
    /// The last eviction that is no news.
    told: u64,
    /// A gap that is known from the start.
    gap: Option<Gap>,
    began: bool,
}

impl Reader {
    /// Takes a place in the log. Beside it the cursor that the subscriber is to know before its first event:
    /// the presented one byte for byte, if there was one.
    ///
    /// # Errors
    /// [`Ahead`] for [`Position::After`] a place that the log has not reached.
    pub fn open(log: &Log, subscription: Subscription, position: Position) -> Result<(Self, String), Ahead> {
        let head = log.cursor(log.head());
        let mut reader = Self {
            subscription,
            epoch: head.epoch,
            after: head.offset,
            until: u64::MAX,
            newest: None,
            told: log.evictions(),
            gap: None,
            began: false,
        };
        let hello = match position {
            Position::Now => head.to_string(),
            Position::Earliest => reader.go_to_first(log).to_string(),
            Position::Last(count) => {
                reader.newest = Some(Newest { count, head: head.offset });
                reader.go_to_first(log).to_string()
            }
            Position::After(cursor) => {
                if cursor.epoch == head.epoch && cursor.offset > head.offset {
                    return Err(Ahead { head });
                }
                reader.resume(log, cursor.to_string(), Some(cursor))
            }
            Position::Presented(text) => {
                let cursor = text.parse().ok();
                reader.resume(log, text, cursor)
            }
        };
        Ok((reader, hello))
    }

    /// The same, up to a place.
    pub fn until(mut self, until: u64) -> Self {
        self.until = until;
        self
    }

    /// What comes next. Afterwards the reader stands behind it.
    pub fn read(&mut self, log: &Log, budget: Budget) -> Batch {
        let mut gap = self.gap.take();
        let span = self.span();
        if let Some(loss) = log.lost(span, self.told) {
            let to = log.cursor(loss.to);
            match &mut gap {
                Some(gap) => gap.to = to,
                None => {
                    let reason = match (loss.unknown, self.began) {
                        (true, _) => Reason::Unknown,
                        (false, false) => Reason::Evicted,
                        (false, true) => Reason::Overrun,
                    };
                    gap = Some(Gap { from: log.cursor(self.after).to_string(), to, reason });
                }
            }
        }
        let read = log.read(span, budget);
        self.told = log.evictions();
        self.after = read.position;
        self.newest = self.newest.filter(|newest| self.after < newest.head);
        self.began = true;
        Batch { gap, events: read.events, cursor: log.cursor(self.after), more: read.more }
    }

    /// Where the reader stands.
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, offset: self.after }
    }

    /// What it is subscribed to.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Adds topics, which join at the reader's place.
    pub fn subscribe(&mut self, patterns: impl IntoIterator<Item = Pattern>) {
        patterns.into_iter().for_each(|pattern| {
            self.subscription.insert(pattern);
        });
        // What went of the new topics above that place is news to this reader.
        self.told = 0;
    }

    /// Takes topics out.
    pub fn unsubscribe<'a>(&mut self, patterns: impl IntoIterator<Item = &'a Pattern>) {
        patterns.into_iter().for_each(|pattern| {
            self.subscription.remove(pattern);
        });
    }

    fn span(&self) -> Span<'_> {
        Span { subscription: &self.subscription, after: self.after, until: self.until, newest: self.newest }
    }

    fn go_to_first(&mut self, log: &Log) -> Cursor {
        self.after = 0;
        self.after = log.before_first(self.span());
        log.cursor(self.after)
    }

    /// Goes to a presented cursor, if this log has such a place.
    fn resume(&mut self, log: &Log, presented: String, cursor: Option<Cursor>) -> String {
        let head = log.cursor(log.head());
        let (after, lost) = match cursor {
            Some(cursor) if cursor.epoch == head.epoch && cursor.offset <= head.offset => {
                self.after = cursor.offset;
                self.told = 0;
                return presented;
            }
            // The log lost its newest part: what is published from here on is new to the client.
            Some(cursor) if cursor.epoch == head.epoch => (head.offset, (head.offset, Reason::Unknown)),
            Some(_) => (0, (log.evicted_up_to(&self.subscription), Reason::Restarted)),
            None => (0, (log.evicted_up_to(&self.subscription), Reason::Unknown)),
        };
        self.after = after;
        self.gap = Some(Gap { from: presented.clone(), to: log.cursor(lost.0), reason: lost.1 });
        presented
    }
}
