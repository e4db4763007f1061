//! The log in memory: every held event in the order of its offset, and per topic a chain of its own.
//!
//! It is bounded three ways: events per topic, age, and bytes in all. Eviction leaves holes in the
//! order (a busy topic loses its old events before a quiet one does), so the log keeps, per topic, the
//! last offset that went: that is what makes a gap exact.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, VecDeque},
    ops::{Bound, Range},
    sync::Arc,
    time::Duration,
};

use super::{
    evicted::{Evicted, Mark},
    wanted::Wanted,
};
use crate::{
    event::{Cursor, Draft, Epoch, Event},
    topic::{Pattern, Subscription, Topic},
};

/// Memory for the record of evictions, in bytes: some hundred thousand topics.
const EVICTED_BYTES: usize = 32 << 20;
/// Up to so many places in the order, walking them is cheaper than merging chains.
const SHORT_WALK: usize = if cfg!(test) { 8 } else { 64 };
/// So many are walked before the chains of patterns are merged: often they hold all that is asked for at once, and a
/// log of very many topics has as many chains.
const TRIED_WALK: usize = if cfg!(test) { 16 } else { 1024 };

/// Events that are held of each of the gateway's own topics, which tell a state: each makes those before it worth
/// nothing, so that those which went are no loss, and they take no room from what others published.
const OWN: usize = 4;

/// What bounds a log.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Events held per topic.
    pub events: usize,
    /// How long an event is held.
    pub age: Duration,
    /// Memory for all held events, in bytes.
    pub bytes: u64,
}

/// The stretch of the log that a reader wants next.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// On which topics.
    pub subscription: &'a Subscription,
    /// Only events above this offset.
    pub after: u64,
    /// Only events up to this offset.
    pub until: u64,
    /// Of the events up to a head only each topic's newest.
    pub newest: Option<Newest<'a>>,
}

/// 'The N newest of each topic, then everything': how `last=N` is read without remembering a list.
#[derive(Clone, Copy, Debug)]
pub struct Newest<'a> {
    /// How many of each topic.
    pub count: usize,
    /// The log's head when that was asked.
    pub head: u64,
    /// Of which topics that was asked: of those that joined since, everything is wanted.
    pub of: &'a Subscription,
}

impl<'a> Span<'a> {
    /// What is wanted of a topic, if it is not everything.
    fn newest_of(&self, topic: &Topic) -> Option<Newest<'a>> {
        self.newest.filter(|newest| std::ptr::eq(newest.of, self.subscription) || newest.of.matches(topic))
    }
}

/// How much is read at a time. At least one event is, whatever its size.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Events.
    pub events: usize,
    /// Bytes of their documents.
    pub bytes: usize,
}

/// What a read found.
#[derive(Debug, Default)]
pub struct Read {
    /// The events, in offset order.
    pub events: Vec<Arc<Event>>,
    /// Where the reader stands after them: at the last one if `more`, else at the end of the span.
    pub position: u64,
    /// Whether the budget cut it.
    pub more: bool,
}

/// Events that a span should have held and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The last offset that may be lost.
    pub to: u64,
    /// Whether the record of evictions was itself dropped, so that the loss may not be one.
    pub unknown: bool,
}

/// Which evictions are no news to a reader.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Those up to this number,
    pub evictions: u64,
    /// as far as they are of these topics; `None` for all.
    pub of: Option<&'a Subscription>,
}

impl Told<'_> {
    const NOTHING: Self = Self { evictions: 0, of: None };

    fn least(self) -> u64 {
        if self.of.is_some() { 0 } else { self.evictions }
    }

    fn of_topic(self, topic: &Topic) -> u64 {
        if self.of.is_none_or(|of| of.matches(topic)) { self.evictions } else { 0 }
    }

    fn of_pattern(self, pattern: &Pattern) -> u64 {
        if self.of.is_none_or(|of| of.contains(pattern)) { self.evictions } else { 0 }
    }
}

/// The log in memory.
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    bounds: Bounds,
    head: u64,
    bytes: u64,
    /// Every held event by offset; `None` where one was evicted out of turn.
    order: VecDeque<(u64, Option<Arc<Event>>)>,
    holes: usize,
    chains: HashMap<Topic, Chain>,
    /// The names of the chains, sorted: where a pattern finds its topics.
    names: BTreeSet<Topic>,
    evicted: Evicted,
    last: Mark,
}

/// The held events of one topic.
#[derive(Debug, Default)]
struct Chain {
    events: VecDeque<Arc<Event>>,
    evicted: Mark,
    /// What the record of evictions may have forgotten of this topic.
    forgotten: Mark,
}

impl Log {
    /// An empty log.
    pub fn new(epoch: Epoch, bounds: Bounds) -> Self {
        Self::remembering(epoch, bounds, EVICTED_BYTES)
    }

    /// The same, with so much memory for the record of evictions.
    pub(super) fn remembering(epoch: Epoch, bounds: Bounds, evicted_bytes: usize) -> Self {
        Self {
            epoch,
            bounds,
            head: 0,
            bytes: 0,
            order: VecDeque::new(),
            holes: 0,
            chains: HashMap::new(),
            names: BTreeSet::new(),
            evicted: Evicted::new(evicted_bytes),
            last: Mark::default(),
        }
    }

    /// The place `offset` in this log.
    pub fn cursor(&self, offset: u64) -> Cursor {
        Cursor { epoch: self.epoch, offset }
    }

    /// The offset of the newest event; 0 while there was none.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Bytes of memory that the held events take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many events are held.
    pub fn len(&self) -> usize {
        self.order.len() - self.holes
    }

    /// How many topics have an event that is held.
    pub fn topics(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the last eviction: what a reader that asks for what is held starts from.
    pub fn evictions(&self) -> u64 {
        self.last.serial
    }

    /// Appends an event at `now`, the monotonic time since the log began, and evicts what exceeds the bounds.
    pub fn append(&mut self, draft: Draft, now: Duration) -> u64 {
        self.head += 1;
        let event = Arc::new(Event::new(self.cursor(self.head), draft, now));
        self.bytes += event.footprint();
        let chain = self.chains.entry(event.topic().clone()).or_insert_with(|| {
            self.names.insert(event.topic().clone());
            let evicted = self.evicted.remove(event.topic());
            let forgotten = if evicted.is_some() { Mark::default() } else { self.evicted.watermark() };
            self.bytes += footprint(event.topic());
            Chain { events: VecDeque::new(), evicted: evicted.unwrap_or_default(), forgotten }
        });
        chain.events.push_back(event.clone());
        let most = if event.topic().is_reserved() { self.bounds.events.min(OWN) } else { self.bounds.events };
        let topic_is_full = chain.events.len() > most;
        self.order.push_back((self.head, Some(event.clone())));
        if topic_is_full {
            self.evict_oldest_of(event.topic());
        }
        while self.bytes > self.bounds.bytes && !self.is_empty() {
            self.evict_oldest();
        }
        self.head
    }

    /// Evicts what is older at `now` than the log holds events.
    pub fn expire(&mut self, now: Duration) {
        while let Some((_, Some(event))) = self.order.front()
            && event.published() + self.bounds.age < now
        {
            self.evict_oldest();
        }
    }

    /// Reads the next events of a span. Costs what it delivers, or what was published since, whichever is less.
    pub fn read(&self, span: Span<'_>, budget: Budget) -> Read {
        let from = self.order.partition_point(|(offset, _)| *offset <= span.after);
        let walk = self.order.len() - from;
        let by_name = span.subscription.patterns().is_empty();
        let merge = walk > SHORT_WALK && (by_name || walk > self.chains.len());
        let wanted = Wanted::new(span.subscription);
        let mut taken = Taken { events: Vec::new(), bytes: 0, budget, more: false };
        if !merge {
            self.walk_order(from..self.order.len(), span, &wanted, &mut taken);
        } else if by_name {
            self.merge_chains(span, &wanted, &mut taken);
        } else {
            self.walk_order(from..from + walk.min(TRIED_WALK), span, &wanted, &mut taken);
            if !taken.more && walk > TRIED_WALK {
                taken = Taken { events: Vec::new(), bytes: 0, budget, more: false };
                self.merge_chains(span, &wanted, &mut taken);
            }
        }
        let position = match taken.events.last() {
            Some(last) if taken.more => last.offset(),
            _ => self.head.min(span.until).max(span.after),
        };
        Read { events: taken.events, position, more: taken.more }
    }

    /// What of a span went, and is news to a reader who was told so much.
    pub fn lost(&self, span: Span<'_>, told: Told<'_>) -> Option<Loss> {
        if !self.last.is_loss(span.after, told.least()) {
            return None;
        }
        let mut known = Mark::default();
        let mut unknown = Mark::default();
        let mut note = |mark: Mark, told: u64, into_unknown: bool| {
            if mark.is_loss(span.after, told) {
                // What went last lies behind the span; whether something went before it is not known any more.
                let into_unknown = into_unknown || mark.offset > span.until;
                let mark_set = if into_unknown { &mut unknown } else { &mut known };
                *mark_set = mark_set.join(mark);
            }
        };
        for topic in span.subscription.exact().filter(|topic| !topic.is_reserved()) {
            let told = told.of_topic(topic);
            match (self.chains.get(topic), self.evicted.mark(topic)) {
                (Some(chain), _) => {
                    note(chain.loss(span.newest_of(topic)), told, false);
                    note(chain.forgotten, told, true);
                }
                (None, Some(mark)) => note(mark, told, false),
                (None, None) => note(self.evicted.watermark(), told, true),
            }
        }
        let wanted = Wanted::new(span.subscription);
        let of = told.of.map(Wanted::new);
        let told_of = |topic: &Topic| match &of {
            Some(of) if !of.matches(topic) => 0,
            _ => told.evictions,
        };
        for prefix in wanted.prefixes() {
            for topic in
                self.names_below(prefix).filter(|topic| !topic.is_reserved() && wanted.matches(topic))
            {
                note(self.chains[topic].loss(span.newest_of(topic)), told_of(topic), false);
            }
            for (topic, mark) in self.evicted.below(prefix).filter(|(topic, _)| wanted.matches(topic)) {
                note(mark, told_of(topic), false);
            }
        }
        for pattern in span.subscription.patterns().iter().filter(|pattern| !pattern.is_reserved()) {
            note(self.evicted.watermark(), told.of_pattern(pattern), true);
        }
        let all = known.join(unknown);
        (all.serial > 0).then(|| Loss { to: all.offset.min(span.until), unknown: unknown.serial > 0 })
    }

    /// The place just before the first event of a span, or the head if there is none.
    pub fn before_first(&self, span: Span<'_>) -> u64 {
        let first = self.read(span, Budget { events: 1, bytes: 0 });
        first.events.first().map_or(self.head, |event| event.offset() - 1)
    }

    /// The highest offset of a subscription that is no longer held, 0 if none.
    pub fn evicted_up_to(&self, subscription: &Subscription) -> u64 {
        let everything = Span { subscription, after: 0, until: u64::MAX, newest: None };
        self.lost(everything, Told::NOTHING).map_or(0, |loss| loss.to)
    }

    /// The topics published to above `seen`, at most `limit` of them, and the offset up to which they are
    /// told; `None` if some of those events are gone already.
    pub fn topics_since(&self, seen: u64, limit: usize) -> Option<(Vec<Topic>, u64)> {
        if self.last.offset > seen {
            return None;
        }
        let from = self.order.partition_point(|(offset, _)| *offset <= seen);
        let to = self.order.len().min(from.saturating_add(limit));
        let mut slice = self.order.range(from..to);
        let topics = slice.clone().filter_map(|(_, event)| Some(event.as_ref()?.topic().clone())).collect();
        Some((topics, slice.next_back().map_or(seen, |(offset, _)| *offset)))
    }

    fn walk_order(&self, places: Range<usize>, span: Span<'_>, wanted: &Wanted<'_>, taken: &mut Taken) {
        for (offset, event) in self.order.range(places) {
            if *offset > span.until || taken.more {
                return;
            }
            let Some(event) = event else { continue };
            let wanted = wanted.matches(event.topic())
                && span
                    .newest_of(event.topic())
                    .is_none_or(|newest| self.chains[event.topic()].admits(*offset, newest));
            if wanted {
                taken.push(event);
            }
        }
    }

    fn merge_chains(&self, span: Span<'_>, wanted: &Wanted<'_>, taken: &mut Taken) {
        let mut chains: Vec<&Chain> =
            span.subscription.exact().filter_map(|topic| self.chains.get(topic)).collect();
        for prefix in wanted.prefixes() {
            let named = self.names_below(prefix);
            let named = named.filter(|topic| wanted.matches(topic) && !span.subscription.names(topic));
            chains.extend(named.map(|topic| &self.chains[topic]));
        }
        let next = chains.iter().enumerate().filter_map(|(which, chain)| {
            let at = chain.start(span);
            chain.events.get(at).map(|event| Reverse((event.offset(), which, at)))
        });
        let mut next: BinaryHeap<_> = next.collect();
        while let Some(Reverse((offset, which, at))) = next.pop()
            && offset <= span.until
        {
            taken.push(&chains[which].events[at]);
            if taken.more {
                return;
            }
            if let Some(event) = chains[which].events.get(at + 1) {
                next.push(Reverse((event.offset(), which, at + 1)));
            }
        }
    }

    fn names_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Topic> + 'a {
        self.names
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |topic| topic.as_str().starts_with(prefix))
    }

    fn evict_oldest(&mut self) {
        let Some((_, Some(event))) = self.order.front() else { return };
        let topic = event.topic().clone();
        self.evict_oldest_of(&topic);
    }

    /// Evicts the first event of a topic's chain, which the log's order then has a hole for.
    fn evict_oldest_of(&mut self, topic: &Topic) {
        let Some(chain) = self.chains.get_mut(topic) else { return };
        let Some(event) = chain.events.pop_front() else { return };
        if !topic.is_reserved() {
            self.last = Mark { offset: self.last.offset.max(event.offset()), serial: self.last.serial + 1 };
            chain.evicted = Mark { offset: event.offset(), serial: self.last.serial };
        }
        if chain.events.is_empty() {
            if !topic.is_reserved() {
                self.evicted.insert(topic.clone(), chain.evicted);
            }
            self.chains.remove(topic);
            self.names.remove(topic);
            self.bytes -= footprint(topic);
        }
        self.bytes -= event.footprint();
        if let Ok(at) = self.order.binary_search_by_key(&event.offset(), |(offset, _)| *offset) {
            self.order[at].1 = None;
            self.holes += 1;
        }
        self.close_holes();
    }

    /// The order never has a hole in front, and never more holes than twice what is held.
    fn close_holes(&mut self) {
        while matches!(self.order.front(), Some((_, None))) {
            self.order.pop_front();
            self.holes -= 1;
        }
        if self.holes > 1024 + self.len() {
            self.order.retain(|(_, event)| event.is_some());
            self.holes = 0;
        }
    }
}

/// What a topic costs in memory while it has an event, in bytes: its name, its chain, its places in two indexes. Measured
/// with 600,000 topics of one event each.
fn footprint(topic: &Topic) -> u64 {
    topic.as_str().len() as u64 + 272
}

impl Chain {
    /// Where a span begins in the chain.
    fn start(&self, span: Span<'_>) -> usize {
        let after = self.count_to(span.after);
        let newest = self.events.front().and_then(|event| span.newest_of(event.topic()));
        newest.map_or(after, |newest| after.max(self.count_to(newest.head).saturating_sub(newest.count)))
    }

    fn admits(&self, offset: u64, newest: Newest<'_>) -> bool {
        offset > newest.head || self.count_to(newest.head) - (self.count_to(offset) - 1) <= newest.count
    }

    fn count_to(&self, offset: u64) -> usize {
        self.events.partition_point(|event| event.offset() <= offset)
    }

    /// What went of the topic, as far as a reader of its newest events wanted it.
    fn loss(&self, newest: Option<Newest<'_>>) -> Mark {
        match newest {
            Some(newest)
                if self.evicted.offset <= newest.head && self.count_to(newest.head) >= newest.count =>
            {
                Mark::default()
            }
            _ => self.evicted,
        }
    }
}

struct Taken {
    events: Vec<Arc<Event>>,
    bytes: usize,
    budget: Budget,
    more: bool,
}

impl Taken {
    fn push(&mut self, event: &Arc<Event>) {
        let bytes = self.bytes + event.document().len();
        let fits = self.events.len() < self.budget.events && bytes <= self.budget.bytes;
        if fits || self.events.is_empty() {
            self.bytes = bytes;
            self.events.push(event.clone());
        } else {
            self.more = true;
        }
    }
}
