//! Who listens to what, counted when somebody asks.

use std::collections::HashMap;

use crate::{topic::Subscription, transport};

/// Subscribers by topic or pattern, and by transport.
#[derive(Debug, Default)]
pub struct Census(HashMap<Box<str>, Listeners>);

/// Subscribers, in the order of [`transport::ALL`].
pub type Listeners = [u64; transport::ALL.len()];

impl Census {
    /// Counts subscribers that listen to the same.
    pub(super) fn count(&mut self, subscription: &Subscription, listeners: Listeners) {
        let exact = subscription.exact().map(|topic| topic.as_str());
        for name in exact.chain(subscription.patterns().iter().map(|pattern| pattern.as_str())) {
            let counted = match self.0.get_mut(name) {
                Some(counted) => counted,
                None => self.0.entry(name.into()).or_default(),
            };
            counted.iter_mut().zip(listeners).for_each(|(counted, more)| *counted += more);
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        for (name, listeners) in other.0 {
            let counted = self.0.entry(name).or_default();
            counted.iter_mut().zip(listeners).for_each(|(counted, more)| *counted += more);
        }
    }

    /// Everything that is listened to, the most popular first.
    pub fn ranked(self) -> Vec<(Box<str>, Listeners)> {
        let mut ranked: Vec<_> = self.0.into_iter().collect();
        ranked.sort_unstable_by(|(name, some), (other, others)| {
            let (some, others) = (some.iter().sum::<u64>(), others.iter().sum::<u64>());
            others.cmp(&some).then_with(|| name.cmp(other))
        });
        ranked
    }
}

/// Where a transport stands in [`Listeners`].
pub(super) fn index(transport: &str) -> usize {
    let at = transport::ALL.iter().position(|known| known.name() == transport);
    at.expect("one of the transports")
}
