//! Topics, the patterns that name many of them, and the set of patterns that a subscriber asks for.

use std::{collections::HashSet, fmt, sync::Arc};

use thiserror::Error;

/// The longest topic or pattern, in bytes of UTF-8.
pub const MAX_BYTES: usize = 255;
/// The deepest topic or pattern.
pub const MAX_SEGMENTS: usize = 16;

/// A path of 1 to 16 segments separated by `/`, such as `orders/42/status`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Reads a topic.
    ///
    /// # Errors
    /// A [`TopicError`] that says which rule was broken; `*` belongs to patterns only.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check(text)?;
        if text.contains('*') {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(text.into()))
    }

    /// The topic as it was published.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the topic is the gateway's own (`$ledger/…`): nobody else publishes to it.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A topic in which `*` stands for exactly one segment and a last `**` for one or more.
///
/// A leading wildcard does not match the gateway's own topics (`$…`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Topic);

impl Pattern {
    /// Reads a pattern; every topic is one.
    ///
    /// # Errors
    /// A [`TopicError`] that says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check(text)?;
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "*" => {}
                "**" if segments.peek().is_none() => {}
                "**" => return Err(TopicError::DoubleStarInside),
                _ if segment.contains('*') => return Err(TopicError::StarWithinSegment),
                _ => {}
            }
        }
        Ok(Self(Topic(text.into())))
    }

    /// The pattern as it was asked for.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The one topic that the pattern matches, if it has no wildcard.
    pub fn exact(&self) -> Option<&Topic> {
        (!self.as_str().contains('*')).then_some(&self.0)
    }

    /// Whether it can match only the gateway's own topics.
    pub fn is_reserved(&self) -> bool {
        self.0.is_reserved()
    }

    /// Whether the pattern matches the topic.
    pub fn matches(&self, topic: &Topic) -> bool {
        if topic.is_reserved() && self.as_str().starts_with('*') {
            return false;
        }
        let mut segments = topic.as_str().split('/');
        for wanted in self.as_str().split('/') {
            match (wanted, segments.next()) {
                (_, None) => return false,
                ("**", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// What every matching topic begins with: the text before the first wildcard.
    pub fn literal_prefix(&self) -> &str {
        self.as_str().split('*').next().unwrap_or_default()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a subscriber asks for: a set of topics and patterns. An event that several of them match
/// is one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    exact: HashSet<Topic>,
    patterns: Vec<Pattern>,
}

impl Subscription {
    /// Adds a pattern; whether it was new.
    pub fn insert(&mut self, pattern: Pattern) -> bool {
        match pattern.exact() {
            Some(topic) => self.exact.insert(topic.clone()),
            None if self.patterns.contains(&pattern) => false,
            None => {
                self.patterns.push(pattern);
                true
            }
        }
    }

    /// Takes a pattern out; whether it was there.
    pub fn remove(&mut self, pattern: &Pattern) -> bool {
        match pattern.exact() {
            Some(topic) => self.exact.remove(topic),
            None => match self.patterns.iter().position(|held| held == pattern) {
                Some(at) => {
                    self.patterns.swap_remove(at);
                    true
                }
                None => false,
            },
        }
    }

    /// Whether the subscription holds this very pattern.
    pub fn contains(&self, pattern: &Pattern) -> bool {
        match pattern.exact() {
            Some(topic) => self.exact.contains(topic),
            None => self.patterns.contains(pattern),
        }
    }

    /// One name for all that ask for the same, in whatever order.
    pub fn name(&self) -> Box<str> {
        let patterns = self.patterns.iter().map(Pattern::as_str);
        let mut names: Vec<&str> = self.exact.iter().map(Topic::as_str).chain(patterns).collect();
        names.sort_unstable();
        // No topic has a line break.
        names.join("\n").into()
    }

    /// Whether an event on this topic belongs to the subscription.
    pub fn matches(&self, topic: &Topic) -> bool {
        self.exact.contains(topic) || self.patterns.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether this topic is asked for by its exact name.
    pub fn names(&self, topic: &Topic) -> bool {
        self.exact.contains(topic)
    }

    /// The topics asked for by their exact name.
    pub fn exact(&self) -> impl ExactSizeIterator<Item = &Topic> {
        self.exact.iter()
    }

    /// The patterns with wildcards.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// How many topics and patterns there are.
    pub fn len(&self) -> usize {
        self.exact.len() + self.patterns.len()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<Pattern> for Subscription {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut subscription = Self::default();
        patterns.into_iter().for_each(|pattern| {
            subscription.insert(pattern);
        });
        subscription
    }
}

/// Why a text is no topic, or no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_SEGMENTS`].
    #[error("it has more than {MAX_SEGMENTS} segments")]
    TooDeep,
    /// `a//b`, `/a` or `a/`.
    #[error("it has an empty segment (no leading, trailing or double '/')")]
    EmptySegment,
    /// A character that cannot be seen.
    #[error("it has the unprintable character U+{:04X}", u32::from(*.0))]
    Unprintable(char),
    /// A wildcard in a topic.
    #[error("'*' belongs to patterns, and this is a topic to publish to")]
    Wildcard,
    /// `a*`.
    #[error("'*' stands for a whole segment")]
    StarWithinSegment,
    /// `a/**/b`.
    #[error("'**' can only be the last segment")]
    DoubleStarInside,
}

fn check(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(TopicError::TooLong);
    }
    if let Some(hidden) = text.chars().find(|c| is_unprintable(*c)) {
        return Err(TopicError::Unprintable(hidden));
    }
    if text.split('/').any(str::is_empty) {
        return Err(TopicError::EmptySegment);
    }
    if text.split('/').count() > MAX_SEGMENTS {
        return Err(TopicError::TooDeep);
    }
    Ok(())
}

/// Control characters, line breaks and those that reorder or vanish on a screen (a log line that shows
/// a topic must show that topic). Joiners stay: several scripts are written with them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fff9}'..='\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Topic::parse(topic).unwrap())
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_one_or_more() {
        assert!(matches("orders/*/status", "orders/42/status"));
        assert!(!matches("orders/*/status", "orders/42/43/status"));
        assert!(!matches("orders/*", "orders"));
        assert!(matches("orders/**", "orders/42/status"));
        assert!(!matches("orders/**", "orders"));
        assert!(matches("**", "a"));
        assert!(matches("*/b/**", "a/b/c/d"));
        assert!(!matches("*/b/**", "a/b"));
    }

    #[test]
    fn a_leading_wildcard_does_not_see_the_gateways_own_topics() {
        assert!(!matches("**", "$ledger/x"));
        assert!(!matches("*/x", "$ledger/x"));
        assert!(matches("$ledger/*", "$ledger/x"));
        assert!(matches("a/*", "a/$b"));
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        let topic = |text: &str| Topic::parse(text).unwrap_err();
        assert_eq!(topic(""), TopicError::Empty);
        assert_eq!(topic(&"a".repeat(256)), TopicError::TooLong);
        assert_eq!(topic(&["a"; 17].join("/")), TopicError::TooDeep);
        for text in ["/", "/a", "a/", "a//b"] {
            assert_eq!(topic(text), TopicError::EmptySegment);
        }
        assert_eq!(topic("a\nb"), TopicError::Unprintable('\n'));
        assert_eq!(topic("a\u{202e}b"), TopicError::Unprintable('\u{202e}'));
        assert_eq!(topic("a/*"), TopicError::Wildcard);
        let pattern = |text: &str| Pattern::parse(text).unwrap_err();
        assert_eq!(pattern("a*"), TopicError::StarWithinSegment);
        assert_eq!(pattern("***"), TopicError::StarWithinSegment);
        assert_eq!(pattern("a/**/b"), TopicError::DoubleStarInside);
        assert!(Topic::parse(&["주문"; 16].join("/")).is_ok());
    }

    /// What the definition says, word for word: segments, one by one, by recursion.
    fn by_definition(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            ([], []) => true,
            (["**"], [_, ..]) => true,
            (["*", pattern @ ..], [_, topic @ ..]) => by_definition(pattern, topic),
            ([p, pattern @ ..], [t, topic @ ..]) if p == t => by_definition(pattern, topic),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_the_definition(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "$x"]), 1..5),
            rest in any::<bool>(),
            topic in prop::collection::vec(prop::sample::select(vec!["a", "b", "$x"]), 1..6),
        ) {
            let mut pattern = pattern;
            if rest { pattern.push("**") }
            let expected = by_definition(&pattern, &topic)
                && !(topic[0].starts_with('$') && pattern[0].starts_with('*'));
            prop_assert_eq!(matches(&pattern.join("/"), &topic.join("/")), expected);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,300}") {
            if let Ok(topic) = Topic::parse(&text) {
                prop_assert_eq!(topic.as_str(), text.as_str());
                prop_assert!(Pattern::parse(&text).unwrap().matches(&topic));
            }
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(pattern.as_str(), text.as_str());
                prop_assert_eq!(pattern.exact().is_some(), Topic::parse(&text).is_ok());
            }
        }

        #[test]
        fn a_subscription_is_the_union_of_its_patterns(
            patterns in prop::collection::vec(prop::sample::select(vec!["a", "a/b", "a/*", "**", "b/**", "*/b"]), 0..6),
            topic in prop::sample::select(vec!["a", "b", "a/b", "b/a", "b/a/b", "$a/b"]),
        ) {
            let patterns: Vec<_> = patterns.into_iter().map(|p| Pattern::parse(p).unwrap()).collect();
            let mut subscription: Subscription = patterns.iter().cloned().collect();
            let topic = Topic::parse(topic).unwrap();
            prop_assert_eq!(subscription.matches(&topic), patterns.iter().any(|p| p.matches(&topic)));
            for pattern in &patterns {
                subscription.remove(pattern);
                prop_assert!(!subscription.contains(pattern));
            }
            prop_assert!(subscription.is_empty());
        }
    }
}
