//! Which of very many topics a subscription wants, at a cost that does not grow with its patterns: whoever asks for
//! a hundred of them would else have every core look at every topic a hundred times.

use super::interest::Interest;
use crate::topic::{Subscription, Topic};

/// Up to so many patterns are tried one after the other: an index has to be built first.
const FEW: usize = if cfg!(test) { 1 } else { 4 };

/// A subscription, prepared to be asked about many topics.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    subscription: &'a Subscription,
    index: Option<Interest<()>>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(subscription: &'a Subscription) -> Self {
        let index = (subscription.patterns().len() > FEW).then(|| {
            let mut index = Interest::default();
            index.insert(subscription, ());
            index
        });
        Self { subscription, index }
    }

    /// Whether the subscription has the topic in it, by name or by pattern.
    pub(super) fn matches(&self, topic: &Topic) -> bool {
        let Some(index) = &self.index else { return self.subscription.matches(topic) };
        let mut wanted = false;
        index.matching(topic, &mut |()| wanted = true);
        wanted
    }

    /// What the topics begin with that the patterns match. No prefix is the beginning of another, so that who
    /// visits all topics below each visits none twice.
    pub(super) fn prefixes(&self) -> Vec<&'a str> {
        let mut prefixes: Vec<&str> =
            self.subscription.patterns().iter().map(|pattern| pattern.literal_prefix()).collect();
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, kept| next.starts_with(*kept));
        prefixes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::Pattern;

    #[test]
    fn prefixes_overlap_nowhere() {
        let patterns = ["b/c/*", "a/*", "b/*/c", "a/b/**", "c/x/*", "c/y/*"];
        let subscription = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        assert_eq!(Wanted::new(&subscription).prefixes(), ["a/", "b/", "c/x/", "c/y/"]);
        let all = ["b/*", "**", "a/*"].iter().map(|text| Pattern::parse(text).unwrap()).collect();
        assert_eq!(Wanted::new(&all).prefixes(), [""]);
        assert!(Wanted::new(&Subscription::default()).prefixes().is_empty());
    }

    proptest! {
        #[test]
        fn few_and_many_want_the_same(
            patterns in prop::collection::vec("(\\$?[ab]|\\*)(/([ab]|\\*)){0,2}(/\\*\\*)?", 1..12),
            topic in "\\$?[ab](/[ab]){0,3}",
        ) {
            let subscription: Subscription =
                patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
            let topic = Topic::parse(&topic).unwrap();
            let wanted = Wanted::new(&subscription);
            prop_assert_eq!(wanted.matches(&topic), subscription.matches(&topic));
            let is_below = wanted.prefixes().iter().filter(|prefix| topic.as_str().starts_with(**prefix)).count();
            let by_pattern = subscription.patterns().iter().any(|pattern| pattern.matches(&topic));
            prop_assert!(is_below <= 1 && (is_below == 1 || !by_pattern));
        }
    }
}
