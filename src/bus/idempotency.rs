//! The keys of recent publishes: a repeated one gets the first answer, and no second event.

use std::{
    collections::{HashMap, VecDeque},
    ops::RangeInclusive,
    time::Duration,
};

use sha1::{Digest, Sha1};
use thiserror::Error;

/// How long a key is kept.
const WINDOW: Duration = Duration::from_secs(120);
/// How many are kept.
const KEYS: usize = 100_000;

/// A publisher's key with what it stands for, both as digests, so that a kept key has a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    name: [u8; 20],
    content: [u8; 20],
}

impl Key {
    /// The key `key` of a publish with this content, in a scope (whose key it is, and for what topic).
    pub fn new<'a>(scope: &str, key: &str, content: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { name: digest([scope.as_bytes(), key.as_bytes()]), content: digest(content) }
    }
}

/// A key that was used for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this key was used for another event")]
pub struct Mismatch;

/// The keys that are kept.
#[derive(Debug, Default)]
pub struct Keys {
    answers: HashMap<[u8; 20], ([u8; 20], RangeInclusive<u64>)>,
    oldest: VecDeque<(Duration, [u8; 20])>,
}

impl Keys {
    /// The offsets that a publish with this key was given, if there was one.
    ///
    /// # Errors
    /// [`Mismatch`] if it had another content.
    pub fn answer(&mut self, key: &Key, now: Duration) -> Result<Option<RangeInclusive<u64>>, Mismatch> {
        self.forget(now);
        match self.answers.get(&key.name) {
            None => Ok(None),
            Some((content, offsets)) if *content == key.content => Ok(Some(offsets.clone())),
            Some(_) => Err(Mismatch),
        }
    }

    /// Keeps a key for two minutes, or until 100,000 newer ones came.
    pub fn keep(&mut self, key: Key, offsets: RangeInclusive<u64>, now: Duration) {
        self.answers.insert(key.name, (key.content, offsets));
        self.oldest.push_back((now, key.name));
        self.forget(now);
    }

    fn forget(&mut self, now: Duration) {
        while let Some((kept, name)) = self.oldest.front()
            && (*kept + WINDOW < now || self.oldest.len() > KEYS)
        {
            self.answers.remove(name);
            self.oldest.pop_front();
        }
    }
}

/// The digest of several texts, each told apart from the next by its length.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 20] {
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update((part.len() as u64).to_le_bytes());
        sha1.update(part);
    }
    sha1.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn a_key_stands_for_one_content_in_its_scope() {
        let mut keys = Keys::default();
        let key = |scope, content: &'static str| Key::new(scope, "k", [content.as_bytes()]);
        keys.keep(key("a", "1"), 7..=7, NOW);
        assert_eq!(keys.answer(&key("a", "1"), NOW), Ok(Some(7..=7)));
        assert_eq!(keys.answer(&key("a", "2"), NOW), Err(Mismatch));
        assert_eq!(keys.answer(&key("b", "2"), NOW), Ok(None));
        assert_ne!(Key::new("s", "k", [&b"ab"[..], b"c"]), Key::new("s", "k", [&b"a"[..], b"bc"]));
    }

    #[test]
    fn keys_go_by_age_and_by_count() {
        let mut keys = Keys::default();
        let key = |n: usize| Key::new("", &n.to_string(), []);
        keys.keep(key(0), 1..=1, NOW);
        assert_eq!(keys.answer(&key(0), NOW + WINDOW), Ok(Some(1..=1)));
        assert_eq!(keys.answer(&key(0), NOW + WINDOW + Duration::from_nanos(1)), Ok(None));
        for n in 0..=KEYS {
            keys.keep(key(n), 2..=2, NOW + WINDOW);
        }
        assert_eq!(keys.answer(&key(0), NOW + WINDOW), Ok(None));
        assert_eq!(keys.answer(&key(1), NOW + WINDOW), Ok(Some(2..=2)));
        assert_eq!(keys.oldest.len(), KEYS);
        assert_eq!(keys.answers.len(), KEYS);
    }
}
