//! Who listens to what: connections with equal subscriptions are one group, so that a thousand subscribers of
//! a topic share one subscription, one entry in the index, and what they are sent.

use std::{collections::HashMap, sync::Arc};

use slab::Slab;

use crate::{
    bus::interest::Interest,
    topic::{Subscription, Topic},
};

/// The groups of one core.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Slab<Group>,
    by_name: HashMap<Box<str>, u32>,
    interest: Interest<u32>,
}

#[derive(Debug)]
struct Group {
    subscription: Arc<Subscription>,
    members: Vec<u32>,
}

impl Groups {
    /// Enters a connection: its group, its seat there, and the subscription that they all share.
    pub(super) fn join(
        &mut self,
        subscription: Arc<Subscription>,
        connection: u32,
    ) -> (u32, u32, Arc<Subscription>) {
        let name = subscription.name();
        let number = match self.by_name.get(&name) {
            Some(number) => *number,
            None => {
                self.interest_mut_insert(&subscription);
                let number = self.groups.insert(Group { subscription, members: Vec::new() }) as u32;
                self.by_name.insert(name, number);
                number
            }
        };
        let group = &mut self.groups[number as usize];
        group.members.push(connection);
        (number, (group.members.len() - 1) as u32, group.subscription.clone())
    }

    fn interest_mut_insert(&mut self, subscription: &Subscription) {
        let number = self.groups.vacant_key() as u32;
        self.interest.insert(subscription, number);
    }

    /// Takes a connection out; who now has its seat, if another does.
    pub(super) fn leave(&mut self, number: u32, seat: u32) -> Option<u32> {
        let group = &mut self.groups[number as usize];
        group.members.swap_remove(seat as usize);
        if group.members.is_empty() {
            let group = self.groups.remove(number as usize);
            self.interest.remove(&group.subscription, number);
            self.by_name.remove(&group.subscription.name());
            return None;
        }
        if group.members.len() * 4 < group.members.capacity() {
            group.members.shrink_to(group.members.len() * 2);
        }
        group.members.get(seat as usize).copied()
    }

    /// What is listened to, and by which connections.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Subscription, &[u32])> {
        self.groups.iter().map(|(_, group)| (&*group.subscription, &*group.members))
    }

    /// Whether anybody listens to a topic.
    pub(super) fn is_listened_to(&self, topic: &Topic) -> bool {
        let mut found = false;
        self.interest.matching(topic, &mut |_| found = true);
        found
    }

    /// Visits who listens to a topic; a connection once for each of its patterns that matches.
    pub(super) fn matching(&self, topic: &Topic, mut visit: impl FnMut(u32)) {
        self.interest.matching(topic, &mut |number| {
            self.groups[number as usize].members.iter().copied().for_each(&mut visit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Pattern;

    fn subscription(patterns: &[&str]) -> Arc<Subscription> {
        Arc::new(patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect())
    }

    fn listeners(groups: &Groups, topic: &str) -> Vec<u32> {
        let mut found = Vec::new();
        groups.matching(&Topic::parse(topic).unwrap(), |connection| found.push(connection));
        found.sort_unstable();
        found
    }

    #[test]
    fn equal_subscriptions_are_shared_whatever_their_order() {
        let mut groups = Groups::default();
        let (first, seat, shared) = groups.join(subscription(&["a", "b/*", "c/**"]), 7);
        assert_eq!((seat, listeners(&groups, "b/x")), (0, vec![7]));
        let (second, seat, also) = groups.join(subscription(&["c/**", "b/*", "a"]), 8);
        assert_eq!((first, seat), (second, 1));
        assert!(Arc::ptr_eq(&shared, &also));
        assert_eq!(listeners(&groups, "a"), [7, 8]);
        let (other, ..) = groups.join(subscription(&["a"]), 9);
        assert_ne!(other, first);
        assert_eq!(listeners(&groups, "a"), [7, 8, 9]);

        assert_eq!(groups.leave(first, 0), Some(8), "the last one takes the empty seat");
        assert_eq!(groups.leave(first, 0), None);
        assert_eq!(groups.leave(other, 0), None);
        assert!(groups.interest.is_empty() && groups.by_name.is_empty() && groups.groups.is_empty());
    }
}
