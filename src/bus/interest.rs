//! Who wants a topic: exact names by hash, patterns by a trie of their segments, so that a publish
//! costs what listens to it and not how many topics or subscribers there are.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use crate::topic::{Subscription, Topic};

/// An index from topics to the subscribers (`K`) whose subscriptions match them.
#[derive(Debug)]
pub struct Interest<K> {
    exact: HashMap<Topic, HashSet<K>>,
    patterns: Node<K>,
}

/// What follows a path of segments.
#[derive(Debug)]
struct Node<K> {
    /// Patterns that end here.
    here: HashSet<K>,
    /// Patterns whose last segment here is `**`.
    rest: HashSet<K>,
    /// Patterns that go on with `*`.
    any: Option<Box<Node<K>>>,
    /// Patterns that go on with a segment by its name.
    named: HashMap<Box<str>, Node<K>>,
}

impl<K: Copy + Eq + Hash> Interest<K> {
    /// Enters a subscriber.
    pub fn insert(&mut self, subscription: &Subscription, subscriber: K) {
        for topic in subscription.exact() {
            self.exact.entry(topic.clone()).or_default().insert(subscriber);
        }
        for pattern in subscription.patterns() {
            self.patterns.insert(pattern.as_str().split('/'), subscriber);
        }
    }

    /// Takes a subscriber out of what its subscription entered it for.
    pub fn remove(&mut self, subscription: &Subscription, subscriber: K) {
        for topic in subscription.exact() {
            if let Some(subscribers) = self.exact.get_mut(topic) {
                subscribers.remove(&subscriber);
                if subscribers.is_empty() {
                    self.exact.remove(topic);
                }
            }
        }
        for pattern in subscription.patterns() {
            self.patterns.remove(pattern.as_str().split('/'), subscriber);
        }
    }

    /// Visits who wants a topic; a subscriber once for each of its patterns that matches.
    pub fn matching(&self, topic: &Topic, visit: &mut impl FnMut(K)) {
        if let Some(subscribers) = self.exact.get(topic) {
            subscribers.iter().copied().for_each(&mut *visit);
        }
        if topic.is_reserved() {
            let (first, rest) = split(topic.as_str());
            if let Some(node) = self.patterns.named.get(first) {
                node.matching(rest, visit);
            }
        } else {
            self.patterns.matching(Some(topic.as_str()), visit);
        }
    }

    /// Whether nobody wants anything.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }
}

impl<K> Default for Interest<K> {
    fn default() -> Self {
        Self { exact: HashMap::new(), patterns: Node::default() }
    }
}

impl<K> Default for Node<K> {
    fn default() -> Self {
        Self { here: HashSet::new(), rest: HashSet::new(), any: None, named: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Node<K> {
    fn insert<'a>(&mut self, mut pattern: impl Iterator<Item = &'a str>, subscriber: K) {
        match pattern.next() {
            None => _ = self.here.insert(subscriber),
            Some("**") => _ = self.rest.insert(subscriber),
            Some("*") => self.any.get_or_insert_default().insert(pattern, subscriber),
            Some(name) => self.named.entry(name.into()).or_default().insert(pattern, subscriber),
        }
    }

    fn remove<'a>(&mut self, mut pattern: impl Iterator<Item = &'a str>, subscriber: K) {
        match pattern.next() {
            None => _ = self.here.remove(&subscriber),
            Some("**") => _ = self.rest.remove(&subscriber),
            Some("*") => {
                if let Some(node) = &mut self.any {
                    node.remove(pattern, subscriber);
                    self.any.take_if(|node| node.is_empty());
                }
            }
            Some(name) => {
                if let Some(node) = self.named.get_mut(name) {
                    node.remove(pattern, subscriber);
                    if node.is_empty() {
                        self.named.remove(name);
                    }
                }
            }
        }
    }

    /// `topic` is what is left of the topic, `None` at its end.
    fn matching(&self, topic: Option<&str>, visit: &mut impl FnMut(K)) {
        let Some((segment, rest)) = topic.map(split) else {
            return self.here.iter().copied().for_each(visit);
        };
        self.rest.iter().copied().for_each(&mut *visit);
        if let Some(node) = &self.any {
            node.matching(rest, visit);
        }
        if let Some(node) = self.named.get(segment) {
            node.matching(rest, visit);
        }
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.any.is_none() && self.named.is_empty()
    }
}

/// The first segment, and what follows its `/`.
fn split(topic: &str) -> (&str, Option<&str>) {
    match topic.split_once('/') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (topic, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::Pattern;

    const PATTERNS: [&str; 10] = ["a", "a/b", "*", "**", "a/*", "a/**", "*/b", "*/b/**", "$s/*", "$s/**"];
    const TOPICS: [&str; 8] = ["a", "b", "a/b", "b/b", "a/b/c", "b/b/c", "$s", "$s/b"];

    proptest! {
        #[test]
        fn the_index_agrees_with_the_subscriptions(
            wanted in prop::collection::vec(prop::collection::vec(prop::sample::select(&PATTERNS[..]), 0..4), 0..8),
            gone in prop::collection::vec(any::<bool>(), 8),
        ) {
            let mut interest = Interest::default();
            let subscriptions: Vec<Subscription> = wanted
                .iter()
                .map(|patterns| patterns.iter().map(|p| Pattern::parse(p).unwrap()).collect())
                .collect();
            for (k, subscription) in subscriptions.iter().enumerate() {
                interest.insert(subscription, k);
            }
            for (k, subscription) in subscriptions.iter().enumerate().filter(|(k, _)| gone[*k]) {
                interest.remove(subscription, k);
            }
            for topic in TOPICS.map(|topic| Topic::parse(topic).unwrap()) {
                let mut found = HashSet::new();
                interest.matching(&topic, &mut |k| { found.insert(k); });
                let expected: HashSet<usize> = (0..subscriptions.len())
                    .filter(|k| !gone[*k] && subscriptions[*k].matches(&topic))
                    .collect();
                prop_assert_eq!(found, expected, "{:?}", topic);
            }
            for (k, subscription) in subscriptions.iter().enumerate() {
                interest.remove(subscription, k);
            }
            prop_assert!(interest.is_empty());
        }
    }
}
