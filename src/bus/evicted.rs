//! What is remembered of events that are no longer held: per topic the last one evicted, in bounded memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use crate::topic::Topic;

/// The last eviction on a topic: which offset, and as which eviction of the log.
///
/// The serial number tells evictions that happened after a subscription began (its loss) from those
/// before (not its loss, if it asked for what is held).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The highest offset evicted.
    pub offset: u64,
    /// The eviction's number, counted over the whole log from 1; 0 stands for 'never'.
    pub serial: u64,
}

impl Mark {
    /// Whether something above `after` went, later than eviction `told`.
    pub fn is_loss(self, after: u64, told: u64) -> bool {
        self.offset > after && self.serial > told
    }

    /// One mark that stands for both.
    pub fn join(self, other: Self) -> Self {
        Self { offset: self.offset.max(other.offset), serial: self.serial.max(other.serial) }
    }
}

/// The marks of the topics of which nothing is held any more.
///
/// Beyond its bound the oldest are dropped, and one watermark stands for all that were.
#[derive(Debug)]
pub struct Evicted {
    marks: BTreeMap<Topic, Mark>,
    oldest: BTreeSet<(u64, Topic)>,
    bytes: usize,
    bound: usize,
    watermark: Mark,
}

impl Evicted {
    /// Remembers topics up to about `bound` bytes of memory.
    pub fn new(bound: usize) -> Self {
        Self { marks: BTreeMap::new(), oldest: BTreeSet::new(), bytes: 0, bound, watermark: Mark::default() }
    }

    /// Notes that nothing of `topic` is held any more.
    pub fn insert(&mut self, topic: Topic, mark: Mark) {
        self.remove(&topic);
        self.bytes += cost(&topic);
        self.oldest.insert((mark.offset, topic.clone()));
        self.marks.insert(topic, mark);
        while self.bytes > self.bound
            && let Some((_, topic)) = self.oldest.pop_first()
        {
            self.bytes -= cost(&topic);
            let dropped = self.marks.remove(&topic).unwrap_or_default();
            self.watermark = self.watermark.join(dropped);
        }
    }

    /// Takes the mark of a topic that holds events again.
    pub fn remove(&mut self, topic: &Topic) -> Option<Mark> {
        let mark = self.marks.remove(topic)?;
        self.oldest.remove(&(mark.offset, topic.clone()));
        self.bytes -= cost(topic);
        Some(mark)
    }

    /// The mark of one topic.
    pub fn mark(&self, topic: &Topic) -> Option<Mark> {
        self.marks.get(topic).copied()
    }

    /// The marks of all topics that begin with `prefix`.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Topic, Mark)> + 'a {
        self.marks
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(topic, _)| topic.as_str().starts_with(prefix))
            .map(|(topic, mark)| (topic, *mark))
    }

    /// What stands for every topic whose mark was dropped.
    pub fn watermark(&self) -> Mark {
        self.watermark
    }
}

/// About what one remembered topic takes: its name, and its places in two trees.
fn cost(topic: &Topic) -> usize {
    topic.as_str().len() + 160
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn beyond_the_bound_a_watermark_stands_for_the_oldest() {
        let mut evicted = Evicted::new(2 * cost(&topic("t/1")));
        for n in 1..=3 {
            evicted.insert(topic(&format!("t/{n}")), Mark { offset: n * 10, serial: n });
        }
        assert_eq!(evicted.mark(&topic("t/1")), None);
        assert_eq!(evicted.mark(&topic("t/2")), Some(Mark { offset: 20, serial: 2 }));
        assert_eq!(evicted.watermark(), Mark { offset: 10, serial: 1 });
        assert_eq!(evicted.below("t/").count(), 2);
        evicted.remove(&topic("t/2"));
        evicted.insert(topic("t/3"), Mark { offset: 40, serial: 4 });
        assert_eq!(evicted.bytes, cost(&topic("t/3")));
        assert_eq!(evicted.oldest.len(), 1);
    }
}
