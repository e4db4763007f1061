//! The contract: every scenario on every transport, written once.
//!
//! - `order`: everything that matches, each once, in order, the same bytes everywhere
//! - `patterns`: which topics a subscription covers
//! - `resume`: a position in the log, however it is presented
//! - `hops`: thousands of reconnects under a publisher at full speed
//! - `gaps`: what is lost is told, and nothing else is
//! - `quiet`: heartbeats that keep a quiet subscription young
//! - `slow`: a reader that stops reading
//! - `drain`: how a shutdown reaches those who wait

mod drain;
mod gaps;
mod hops;
mod leaks;
mod order;
mod patterns;
mod quiet;
mod resume;
mod slow;

use crate::{
    harness::{Server, offset},
    subscriber::{Event, Item, Position, Subscriber, Transport},
};

impl Server {
    /// A subscription on this gateway.
    pub(crate) async fn subscribe(
        &self,
        transport: Transport,
        topics: &[&str],
        position: Position,
    ) -> Subscriber {
        Subscriber::open(self.addr, transport, topics, position).await
    }

    /// A subscription from now on that is known to be in place, and where it starts.
    pub(crate) async fn subscribe_now(&self, transport: Transport, topics: &[&str]) -> (Subscriber, String) {
        let mut subscriber = self.subscribe(transport, topics, Position::now()).await;
        let hello = subscriber.hello().await;
        (subscriber, hello)
    }
}

/// Holds a subscription of one topic, to which alone is published, to the whole contract: the next offset,
/// or first a gap of exactly those that are missing.
struct Account {
    last: u64,
    gap: Option<(u64, u64)>,
}

impl Account {
    fn new(hello: &str) -> Self {
        Self { last: offset(hello), gap: None }
    }

    /// Books an item; an event's offset comes back.
    #[track_caller]
    fn book(&mut self, item: &Item) -> Option<u64> {
        match item {
            Item::Gap(gap) => {
                let bounds = (offset(&gap.from), offset(&gap.to));
                assert_eq!(bounds.0, self.last, "a gap begins where the subscription is: {gap:?}");
                assert_eq!(self.gap.replace(bounds), None, "one gap before the next event");
                None
            }
            Item::Event(Event { id, .. }) => {
                let next = match self.gap.take() {
                    Some((_, to)) => to + 1,
                    None => self.last + 1,
                };
                assert_eq!(offset(id), next, "the next event after {}", self.last);
                self.last = next;
                Some(next)
            }
            Item::Cursor(cursor) => {
                let told = self.gap.map_or(self.last, |(_, to)| to);
                assert_eq!(offset(cursor), told, "a cursor elsewhere than what came");
                None
            }
            other => panic!("{other:?}"),
        }
    }
}
