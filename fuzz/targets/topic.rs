//! The first line is a topic, those behind it are patterns. Whether they match is asked three ways, of which
//! one is so simple that it can be seen to be right.

#![no_main]

use fanlight::{
    bus::interest::Interest,
    topic::{Pattern, Subscription, Topic},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let Some(Ok(topic)) = lines.next().map(Topic::parse) else { return };
    assert!(topic.as_str().len() <= 255 && topic.as_str().split('/').count() <= 16);
    assert!(topic.as_str().split('/').all(|segment| !segment.is_empty() && !segment.contains('*')));
    assert!(!topic.as_str().chars().any(char::is_control));
    let itself = Pattern::parse(topic.as_str()).expect("a topic is a pattern");
    assert!(itself.matches(&topic));

    let mut subscription = Subscription::default();
    let mut interest = Interest::default();
    let mut wanted = false;
    let patterns: Vec<Pattern> = lines.take(16).filter_map(|line| Pattern::parse(line).ok()).collect();
    for pattern in &patterns {
        let matches = is_match(pattern.as_str(), topic.as_str());
        assert_eq!(pattern.matches(&topic), matches, "{pattern:?} {topic:?}");
        wanted |= matches;
        subscription.insert(pattern.clone());
    }
    assert_eq!(subscription.matches(&topic), wanted);
    interest.insert(&subscription, 1);
    let mut found = false;
    interest.matching(&topic, &mut |_| found = true);
    assert_eq!(found, wanted, "{subscription:?} {topic:?}");
    interest.remove(&subscription, 1);
    assert!(interest.is_empty());
});

fn is_match(pattern: &str, topic: &str) -> bool {
    if topic.starts_with('$') && pattern.starts_with('*') {
        return false;
    }
    let (pattern, topic): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), topic.split('/').collect());
    match pattern.split_last() {
        Some((&"**", before)) => {
            topic.len() > before.len() && before.iter().zip(&topic).all(|(p, t)| *p == "*" || p == t)
        }
        _ => topic.len() == pattern.len() && pattern.iter().zip(&topic).all(|(p, t)| *p == "*" || p == t),
    }
}
