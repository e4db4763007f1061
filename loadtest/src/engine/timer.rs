//! What is to happen to a subscriber at a time.

use std::cmp::Ordering;

/// A timer; the earliest is the greatest, as a heap wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) due: u64,
    pub(super) subscriber: u32,
    /// Of the subscriber when it was set: another one's timer is void.
    pub(super) generation: u32,
    pub(super) what: What,
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It polls.
    Ask,
    /// It connects.
    Connect,
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.subscriber).cmp(&(self.due, self.subscriber))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
