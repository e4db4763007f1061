//! A reader's place in the log, and what it is told: the exact suffix, or a gap before it.

use std::sync::Arc;

use thiserror::Error;

use super::log::{Budget, Log, Newest, Span, Told};
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
    /// The log's last eviction when it was read.
    evictions: u64,
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
    subscription: Arc<Subscription>,
    epoch: Epoch,
    after: u64,
    /// The last eviction that is no news.
    told: u64,
    began: bool,
    rare: Option<Box<Rare>>,
}

/// What few readers have, and none for long.
#[derive(Debug)]
struct Rare {
    until: u64,
    newest: Option<Last>,
    /// A gap that is known from the start.
    gap: Option<Gap>,
    /// What it was subscribed to when it was told, if that has changed since.
    knows: Option<Arc<Subscription>>,
}

/// Of the events up to `head` the `count` newest of each topic of a subscription, and no others of it.
#[derive(Debug)]
struct Last {
    count: usize,
    head: u64,
    of: Arc<Subscription>,
}

impl Default for Rare {
    fn default() -> Self {
        Self { until: u64::MAX, newest: None, gap: None, knows: None }
    }
}

/// What two readers have in common that are told the same next. It holds the subscription, so that no other
/// one can come to have its address.
#[derive(Clone, Debug)]
pub struct Place {
    subscription: Arc<Subscription>,
    after: u64,
    told: u64,
    began: bool,
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        let what = |place: &Self| (Arc::as_ptr(&place.subscription), place.after, place.told, place.began);
        what(self) == what(other)
    }
}

impl Reader {
    /// Takes a place in the log. Beside it the cursor that the subscriber is to know before its first event:
    /// the presented one byte for byte, if there was one.
    ///
    /// # Errors
    /// [`Ahead`] for [`Position::After`] a place that the log has not reached.
    pub fn open(
        log: &Log,
        subscription: Arc<Subscription>,
        position: Position,
    ) -> Result<(Self, String), Ahead> {
        let head = log.cursor(log.head());
        let mut reader = Self {
            subscription,
            epoch: head.epoch,
            after: head.offset,
            told: log.evictions(),
            began: false,
            rare: None,
        };
        let hello = match position {
            Position::Now => head.to_string(),
            Position::Earliest => reader.go_to_first(log).to_string(),
            Position::Last(count) => {
                let of = reader.subscription.clone();
                reader.rare().newest = Some(Last { count, head: head.offset, of });
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
        self.rare().until = until;
        self
    }

    /// What comes next. Afterwards the reader stands behind it.
    pub fn read(&mut self, log: &Log, budget: Budget) -> Batch {
        let batch = self.peek(log, budget);
        self.advance(&batch, batch.cursor.offset);
        batch
    }

    /// What comes next. The reader stays where it is until it is told how much of that was [taken].
    ///
    /// [taken]: Self::advance
    pub fn peek(&self, log: &Log, budget: Budget) -> Batch {
        let mut gap = self.rare.as_ref().and_then(|rare| rare.gap.clone());
        let span = self.span();
        let knows = self.rare.as_ref().and_then(|rare| rare.knows.as_deref());
        if let Some(loss) = log.lost(span, Told { evictions: self.told, of: knows }) {
            let to = log.cursor(loss.to);
            match &mut gap {
                Some(gap) => gap.to.offset = gap.to.offset.max(loss.to),
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
        let cursor = log.cursor(read.position);
        Batch { gap, events: read.events, cursor, more: read.more, evictions: log.evictions() }
    }

    /// Goes to the place `offset`, up to which a batch that was [peeked] at was taken; its gap was.
    ///
    /// [peeked]: Self::peek
    pub fn advance(&mut self, batch: &Batch, offset: u64) {
        // What was evicted up to now lies at or below a place that has nothing more, and is no news there.
        // That so many readers have the same `told` is what lets them share what they are sent.
        let at_end = offset == batch.cursor.offset && !batch.more && self.rare.is_none();
        self.told = if at_end { 0 } else { batch.evictions };
        self.after = offset;
        self.began = true;
        if let Some(rare) = &mut self.rare {
            rare.gap = None;
            rare.knows = None;
            rare.newest.take_if(|newest| offset >= newest.head);
            self.rare.take_if(|rare| rare.newest.is_none() && rare.until == u64::MAX);
        }
    }

    /// Where the reader stands.
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, offset: self.after }
    }

    /// What readers that are told the same have in common; `None` for one that is told something of its own.
    pub fn place(&self) -> Option<Place> {
        self.rare.is_none().then(|| Place {
            subscription: self.subscription.clone(),
            after: self.after,
            told: self.told,
            began: self.began,
        })
    }

    /// What it is subscribed to.
    pub fn subscription(&self) -> &Arc<Subscription> {
        &self.subscription
    }

    /// Has it share an equal subscription with others.
    pub fn share(&mut self, subscription: Arc<Subscription>) {
        debug_assert_eq!(self.subscription.name(), subscription.name());
        self.subscription = subscription;
    }

    /// Adds topics, which join at the reader's place.
    pub fn subscribe(&mut self, patterns: impl IntoIterator<Item = Pattern>) {
        // What went of the new topics above that place is news to this reader; what went of the others is not.
        self.remember();
        let subscription = Arc::make_mut(&mut self.subscription);
        patterns.into_iter().for_each(|pattern| {
            subscription.insert(pattern);
        });
    }

    /// Takes topics out.
    pub fn unsubscribe<'a>(&mut self, patterns: impl IntoIterator<Item = &'a Pattern>) {
        // One that leaves and joins again before the next read was never away.
        self.remember();
        let subscription = Arc::make_mut(&mut self.subscription);
        let rare = self.rare.get_or_insert_default();
        patterns.into_iter().for_each(|pattern| {
            subscription.remove(pattern);
            // Unless its newest were all that was wanted: if it joins again, it joins at the reader's place.
            if let Some(newest) = &mut rare.newest {
                Arc::make_mut(&mut newest.of).remove(pattern);
                rare.knows.as_mut().map(|knows| Arc::make_mut(knows).remove(pattern));
            }
        });
    }

    /// Remembers of which topics it was told what went, before they change.
    fn remember(&mut self) {
        let subscription = self.subscription.clone();
        self.rare().knows.get_or_insert(subscription);
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn span(&self) -> Span<'_> {
        let mut span =
            Span { subscription: &self.subscription, after: self.after, until: u64::MAX, newest: None };
        if let Some(rare) = &self.rare {
            span.until = rare.until;
            span.newest = rare.newest.as_ref().map(|Last { count, head, of }| Newest {
                count: *count,
                head: *head,
                of,
            });
        }
        span
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
        self.rare().gap = Some(Gap { from: presented.clone(), to: log.cursor(lost.0), reason: lost.1 });
        presented
    }
}
