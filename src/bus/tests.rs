//! Random histories against a plain model: whatever is published, evicted, read and resumed, every reader gets
//! the exact suffix, or one gap before it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::{
    log::{Bounds, Budget, Log},
    reader::{Batch, Gap, Position, Reader, Reason},
};
use crate::{
    event::{Cursor, Data, Draft, Epoch},
    topic::{Pattern, Subscription, Topic},
};

const TOPICS: [&str; 5] = ["a", "a/b", "a/c", "b", "b/c"];
const PATTERNS: [&str; 9] = ["a", "a/b", "a/c", "b", "b/c", "a/*", "a/**", "**", "*/c"];
const EPOCH: Epoch = Epoch(35);
const ALL: Budget = Budget { events: usize::MAX, bytes: usize::MAX };

#[derive(Clone, Debug)]
enum Step {
    Publish {
        topic: usize,
        size: usize,
    },
    Wait(u64),
    Open {
        patterns: Vec<usize>,
        at: At,
        /// So far behind its beginning, if anywhere.
        until: Option<u64>,
    },
    /// What is read is taken up to the `taken`-th of its events, or all.
    Read {
        reader: usize,
        events: usize,
        taken: usize,
    },
    Subscribe {
        reader: usize,
        pattern: usize,
    },
    Unsubscribe {
        reader: usize,
        pattern: usize,
        /// Whether it joins again at once.
        back: bool,
    },
}

#[derive(Clone, Debug)]
enum At {
    Now,
    Earliest,
    Last(usize),
    After(u64),
    Presented(u64),
    Nonsense,
    Elsewhere,
}

fn step() -> impl Strategy<Value = Step> {
    let at = prop_oneof![
        Just(At::Now),
        Just(At::Earliest),
        (1..6_usize).prop_map(At::Last),
        (0..60_u64).prop_map(At::After),
        (0..90_u64).prop_map(At::Presented),
        Just(At::Nonsense),
        Just(At::Elsewhere),
    ];
    prop_oneof![
        6 => (0..TOPICS.len(), 0..200_usize).prop_map(|(topic, size)| Step::Publish { topic, size }),
        1 => (0..40_u64).prop_map(Step::Wait),
        2 => (prop::collection::vec(0..PATTERNS.len(), 1..4), at, prop::option::weighted(0.2, 0..40_u64))
            .prop_map(|(patterns, at, until)| Step::Open { patterns, at, until }),
        5 => (0..8_usize, 1..12_usize, 0..14_usize)
            .prop_map(|(reader, events, taken)| Step::Read { reader, events, taken }),
        1 => (0..8_usize, 0..PATTERNS.len()).prop_map(|(reader, pattern)| Step::Subscribe { reader, pattern }),
        1 => (0..8_usize, 0..PATTERNS.len(), any::<bool>())
            .prop_map(|(reader, pattern, back)| Step::Unsubscribe { reader, pattern, back }),
    ]
}

/// Every event there ever was, by offset from 1: its topic, and at which step it was seen to be gone.
#[derive(Default)]
struct Model {
    events: Vec<(Topic, Option<usize>)>,
    step: usize,
}

/// A reader, and what it is to be told.
struct Known {
    reader: Reader,
    after: u64,
    until: u64,
    presented: String,
    /// Evictions seen up to this step are no news,
    told: usize,
    /// as far as they are of what it was subscribed to when it was told.
    knew: Arc<Subscription>,
    /// With `last`: what was wanted of what was held, the head then, and what it was asked of.
    newest: Option<(BTreeSet<u64>, u64, Subscription)>,
    /// A gap from the start: up to where, and why.
    gap: Option<(u64, Reason)>,
    began: bool,
}

impl Model {
    fn observe(&mut self, log: &Log) {
        self.step += 1;
        let held: BTreeSet<u64> = read_all(log).into_iter().collect();
        for (at, (_, gone)) in self.events.iter_mut().enumerate() {
            if !held.contains(&(at as u64 + 1)) && gone.is_none() {
                *gone = Some(self.step);
            }
        }
        assert_eq!(held.len(), self.held().count(), "what is gone stays gone");
    }

    fn held(&self) -> impl Iterator<Item = (u64, &Topic)> {
        let all = self.events.iter().enumerate();
        all.filter(|(_, (_, gone))| gone.is_none()).map(|(at, (topic, _))| (at as u64 + 1, topic))
    }

    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// What a reader is owed of what is held, and what it lost without having been told: up to its end, and
    /// behind it.
    fn owed(&self, known: &Known) -> (Vec<u64>, Option<u64>, Option<u64>) {
        let wants = |offset: u64| {
            let (topic, _) = &self.events[offset as usize - 1];
            let wanted = known.newest.as_ref().is_none_or(|(held, head, of)| {
                offset > *head || held.contains(&offset) || !of.matches(topic)
            });
            known.reader.subscription().matches(topic) && offset > known.after && wanted
        };
        let owed = self.held().map(|(offset, _)| offset).filter(|offset| wants(*offset));
        let owed = owed.filter(|offset| *offset <= known.until).collect();
        let is_news = |offset: u64| {
            let (topic, gone) = &self.events[offset as usize - 1];
            gone.is_some_and(|step| step > known.told || !known.knew.matches(topic))
        };
        let lost = (1..=self.head()).filter(|offset| wants(*offset) && is_news(*offset));
        let (within, behind): (Vec<u64>, Vec<u64>) = lost.partition(|offset| *offset <= known.until);
        (owed, within.last().copied(), behind.last().copied())
    }
}

fn read_all(log: &Log) -> Vec<u64> {
    let everything: Subscription = std::iter::once(Pattern::parse("**").unwrap()).collect();
    let (mut reader, _) = Reader::open(log, Arc::new(everything), Position::Earliest).unwrap();
    reader.read(log, ALL).events.iter().map(|event| event.offset()).collect()
}

fn open(log: &Log, model: &Model, patterns: &[usize], at: &At, until: Option<u64>) -> Option<Known> {
    let subscription: Arc<Subscription> =
        Arc::new(patterns.iter().map(|at| Pattern::parse(PATTERNS[*at]).unwrap()).collect());
    let head = model.head();
    let cursor = |offset: u64| Cursor { epoch: EPOCH, offset };
    let matching = |offset: &u64| subscription.matches(&model.events[*offset as usize - 1].0);
    let position = match at {
        At::Now => Position::Now,
        At::Earliest => Position::Earliest,
        At::Last(count) => Position::Last(*count),
        At::After(offset) => Position::After(cursor(*offset)),
        At::Presented(offset) => Position::Presented(cursor(*offset).to_string()),
        At::Nonsense => Position::Presented("nonsense".to_owned()),
        At::Elsewhere => Position::Presented("elsewhere-7".to_owned()),
    };
    let opened = Reader::open(log, subscription.clone(), position.clone());
    if let At::After(offset) = at
        && *offset > head
    {
        assert_eq!(opened.unwrap_err().head, cursor(head));
        return None;
    }
    let (reader, hello) = opened.unwrap();
    let held = |offset: &u64| matching(offset) && model.events[*offset as usize - 1].1.is_none();
    let gone = |offset: &u64| matching(offset) && model.events[*offset as usize - 1].1.is_some();
    let lost = (1..=head).rfind(gone).unwrap_or(0);
    let (after, told, gap) = match at {
        At::Now => (head, model.step, None),
        At::Earliest => ((1..=head).find(held).map_or(head, |first| first - 1), model.step, None),
        At::Last(_) => (reader.cursor().offset, model.step, None),
        At::After(offset) => (*offset, 0, None),
        At::Presented(offset) if *offset <= head => (*offset, 0, None),
        At::Presented(_) => (head, model.step, Some((head, Reason::Unknown))),
        At::Nonsense => (0, model.step, Some((lost, Reason::Unknown))),
        At::Elsewhere => (0, model.step, Some((lost, Reason::Restarted))),
    };
    let newest = match at {
        At::Last(count) => {
            let mut wanted = BTreeSet::new();
            for topic in TOPICS.map(|topic| Topic::parse(topic).unwrap()) {
                let of_topic = model.held().filter(|(_, held)| **held == topic).map(|(offset, _)| offset);
                let of_topic: Vec<u64> = of_topic.filter(matching).collect();
                wanted.extend(&of_topic[of_topic.len().saturating_sub(*count)..]);
            }
            assert_eq!(after, wanted.first().map_or(head, |first| first - 1));
            Some((wanted, head, (*subscription).clone()))
        }
        _ => None,
    };
    let presented = match &position {
        Position::Presented(text) => text.clone(),
        _ => cursor(after).to_string(),
    };
    assert_eq!(hello, presented);
    assert_eq!(reader.cursor(), cursor(after));

    let until = until.filter(|_| matches!(at, At::Earliest | At::After(_))).map(|behind| after + behind);
    let reader = until.into_iter().fold(reader, Reader::until);
    let until = until.unwrap_or(u64::MAX);
    Some(Known { reader, after, until, presented, told, knew: subscription, newest, gap, began: false })
}

/// `exact` unless the record of evictions is too small to tell what was lost.
fn check(log: &Log, model: &Model, known: &mut Known, (events, taken): (usize, usize), exact: bool) {
    let (owed, lost, behind) = model.owed(known);
    let batch: Batch = known.reader.peek(log, Budget { events, bytes: usize::MAX });
    let got: Vec<u64> = batch.events.iter().map(|event| event.offset()).collect();
    let fits = owed.len().min(events);
    assert_eq!(got, owed[..fits], "the exact suffix of what is held");
    assert_eq!(batch.more, owed.len() > fits);
    let end = model.head().min(known.until).max(known.after);
    assert_eq!(batch.cursor.offset, if batch.more { got[fits - 1] } else { end });
    check_gap(batch.gap.as_ref(), known, lost, exact && behind.is_none());
    // A second look tells the same: nothing was taken yet.
    let again = known.reader.peek(log, Budget { events, bytes: usize::MAX });
    assert_eq!((&again.gap, again.cursor, again.more), (&batch.gap, batch.cursor, batch.more));
    let offset = match got.get(taken) {
        Some(offset) => *offset,
        None => batch.cursor.offset,
    };
    known.reader.advance(&batch, offset);
    assert_eq!(known.reader.cursor().offset, offset);
    (known.after, known.told, known.gap, known.began) = (offset, model.step, None, true);
    known.knew = known.reader.subscription().clone();
    known.newest.take_if(|(_, head, _)| offset >= *head);
}

fn check_gap(gap: Option<&Gap>, known: &Known, lost: Option<u64>, exact: bool) {
    let Some(gap) = gap else {
        assert_eq!((known.gap, lost), (None, None), "a hole is never silent");
        return;
    };
    assert!(gap.to.offset <= known.until);
    if let Some((to, reason)) = known.gap {
        assert_eq!((&gap.from, gap.reason), (&known.presented, reason));
        let to = lost.map_or(to, |lost| lost.max(to));
        assert!(if exact { gap.to.offset == to } else { gap.to.offset >= to }, "{gap:?} where {to} was due");
        return;
    }
    assert_eq!(gap.from, Cursor { epoch: EPOCH, offset: known.after }.to_string());
    if gap.reason == Reason::Unknown {
        assert!(!exact, "{gap:?} where {lost:?} is known");
        assert!(lost.is_none_or(|lost| gap.to.offset >= lost), "{gap:?} where {lost:?} was due");
        return;
    }
    let reason = if known.began { Reason::Overrun } else { Reason::Evicted };
    assert_eq!((Some(gap.to.offset), gap.reason), (lost, reason));
}

/// Readers that share a place and a subscription are told the same.
fn check_places(log: &Log, readers: &[Known]) {
    for (at, one) in readers.iter().enumerate() {
        for other in &readers[at + 1..] {
            if one.reader.place().is_some() && one.reader.place() == other.reader.place() {
                let [one, other] = [one, other].map(|known| known.reader.peek(log, ALL));
                assert_eq!(one.gap, other.gap);
                assert!(one.events.iter().map(|e| e.offset()).eq(other.events.iter().map(|e| e.offset())));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn every_reader_gets_the_suffix_or_a_gap(
        steps in prop::collection::vec(step(), 1..120),
        events in 1..8_usize,
        bytes in prop_oneof![Just(1 << 20), 1_000..8_000_u64],
        record in prop_oneof![4 => Just(None), 1 => (0..700_usize).prop_map(Some)],
    ) {
        let bounds = Bounds { events, age: Duration::from_secs(30), bytes };
        let exact = record.is_none();
        let mut log = match record {
            None => Log::new(EPOCH, bounds),
            Some(record) => Log::remembering(EPOCH, bounds, record),
        };
        let mut model = Model::default();
        let mut readers: Vec<Known> = Vec::new();
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Publish { topic, size } => {
                    let topic = Topic::parse(TOPICS[topic]).unwrap();
                    let text = "x".repeat(size);
                    log.append(Draft::new(topic.clone(), None, "now", Data::Text(&text)), now);
                    model.events.push((topic, None));
                    prop_assert!(log.bytes() <= bytes);
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    log.expire(now);
                }
                Step::Open { patterns, at, until } => {
                    readers.extend(open(&log, &model, &patterns, &at, until));
                }
                Step::Read { reader, events, taken } => {
                    if let Some(known) = readers.get_mut(reader) {
                        check(&log, &model, known, (events, taken), exact);
                    }
                }
                // What was lost of a new topic is news, of the others not.
                Step::Subscribe { reader, pattern } => {
                    if let Some(known) = readers.get_mut(reader) {
                        known.reader.subscribe([Pattern::parse(PATTERNS[pattern]).unwrap()]);
                    }
                }
                Step::Unsubscribe { reader, pattern, back } => {
                    if let Some(known) = readers.get_mut(reader) {
                        let pattern = Pattern::parse(PATTERNS[pattern]).unwrap();
                        known.reader.unsubscribe([&pattern]);
                        if let Some((_, _, of)) = &mut known.newest {
                            of.remove(&pattern);
                            Arc::make_mut(&mut known.knew).remove(&pattern);
                        }
                        if back {
                            known.reader.subscribe([pattern]);
                        }
                    }
                }
            }
            model.observe(&log);
            for topic in TOPICS.map(|topic| Topic::parse(topic).unwrap()) {
                prop_assert!(model.held().filter(|(_, held)| **held == topic).count() <= events);
            }
        }
        check_places(&log, &readers);
        for known in &mut readers {
            while {
                check(&log, &model, known, (5, usize::MAX), exact);
                known.after < model.head().min(known.until)
            } {}
            prop_assert!(known.reader.peek(&log, ALL).is_empty(), "who has everything is told nothing");
        }
    }
}

#[test]
fn a_topic_that_leaves_and_joins_again_while_its_newest_come_is_told_what_went_of_it() {
    let bounds = Bounds { events: 3, age: Duration::from_secs(30), bytes: 1 << 20 };
    let mut log = Log::new(EPOCH, bounds);
    for topic in ["b", "a", "a", "a", "a", "a"] {
        let draft = Draft::new(Topic::parse(topic).unwrap(), None, "now", Data::Text(""));
        log.append(draft, Duration::ZERO);
    }
    let [a, b] = ["a", "b"].map(|topic| Pattern::parse(topic).unwrap());
    let both: Subscription = [a.clone(), b].into_iter().collect();
    let (mut reader, hello) = Reader::open(&log, Arc::new(both), Position::Last(1)).unwrap();
    assert_eq!(hello, "z-0");
    reader.unsubscribe([&a]);
    reader.subscribe([a]);
    let batch = reader.read(&log, ALL);
    assert_eq!(batch.events.iter().map(|event| event.offset()).collect::<Vec<_>>(), [1, 4, 5, 6]);
    assert_eq!(
        batch.gap.map(|gap| (gap.from, gap.to.offset, gap.reason)),
        Some(("z-0".to_owned(), 3, Reason::Evicted))
    );
}

/// The quickest of a few runs: what the machine does beside it makes none of them quicker.
fn quickest(mut run: impl FnMut()) -> Duration {
    let timed = (0..5).map(|_| {
        let start = std::time::Instant::now();
        run();
        start.elapsed()
    });
    timed.min().expect("there are some")
}

/// A log of many topics with an event each, and of some with one more, if so much is held.
fn wide(topics: usize, events: usize) -> Log {
    let mut log = Log::new(EPOCH, Bounds { events, age: Duration::from_secs(3600), bytes: 1 << 30 });
    for topic in (0..topics).chain(0..10) {
        let topic = Topic::parse(&format!("t/{topic}")).unwrap();
        log.append(Draft::new(topic, None, "now", Data::Text("")), Duration::ZERO);
    }
    log
}

// 1. A client asks for a hundred patterns that all begin with a wildcard. 2. Each of them was held against each of
// half a million topics, three times over: one short request held the log for ten seconds.
#[test]
fn many_patterns_cost_no_more_than_one() {
    let log = wide(20_000, 1);
    let asked = |patterns: usize| {
        let patterns = (0..patterns).map(|n| Pattern::parse(&format!("*/x{n}")).unwrap());
        Arc::new(patterns.collect::<Subscription>())
    };
    let poll = |subscription: &Arc<Subscription>, position: &Position| {
        let (mut reader, _) = Reader::open(&log, subscription.clone(), position.clone()).unwrap();
        assert!(reader.read(&log, ALL).events.is_empty());
    };
    let (one, many) = (asked(1), asked(128));
    for position in [Position::After(log.cursor(1)), Position::Earliest, Position::Last(1)] {
        let (one, many) = (quickest(|| poll(&one, &position)), quickest(|| poll(&many, &position)));
        assert!(many < one * 20, "{position:?}: {many:?} for 128 patterns, {one:?} for one");
    }
}

// 1. A client asks for the next event of all topics. 2. The log, which has many, sorted all of them first.
#[test]
fn what_lies_next_to_a_reader_is_found_without_a_look_at_every_topic() {
    let everything = Arc::new([Pattern::parse("**").unwrap()].into_iter().collect::<Subscription>());
    let [narrow, wide] = [500, 50_000].map(|topics| {
        let log = wide(topics, 2);
        let (reader, _) = Reader::open(&log, everything.clone(), Position::Earliest).unwrap();
        quickest(|| assert_eq!(reader.peek(&log, Budget { events: 1, bytes: 0 }).events.len(), 1))
    });
    assert!(wide < narrow * 20, "{wide:?} among 50,000 topics, {narrow:?} among 500");
}
