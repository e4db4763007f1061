//! A WebSocket's operations on its record.

use std::sync::Arc;

use slab::Slab;

use super::{groups::Groups, record::Record};
use crate::{
    bus::{
        Bus,
        reader::{Ahead, Position},
    },
    delivery::session::Seat,
    event::Cursor,
    topic::{Pattern, Subscription},
};

/// A taken connection as its WebSocket's operations see it.
pub(super) struct Chair<'a> {
    pub(super) key: u32,
    pub(super) records: &'a mut Slab<Record>,
    pub(super) groups: &'a mut Groups,
    pub(super) bus: &'a Bus,
}

impl Chair<'_> {
    fn record(&mut self) -> &mut Record {
        &mut self.records[self.key as usize]
    }

    /// Goes over to the group of what the reader is subscribed to now.
    fn change_group(&mut self) {
        let subscription = self.record().reader.subscription().clone();
        let (group, seat) = (self.record().group, self.record().seat);
        // Entered before the log is read again, and left after.
        let joined = self.groups.join(subscription, self.key);
        if let Some(moved) = self.groups.leave(group, seat) {
            self.records[moved as usize].seat = seat;
        }
        let record = self.record();
        // In the same group it has just taken its own old seat.
        record.seat = if joined.0 == group { seat } else { joined.1 };
        record.group = joined.0;
        record.reader.share(joined.2);
    }
}

impl Seat for Chair<'_> {
    fn subscription(&self) -> &Subscription {
        self.records[self.key as usize].reader.subscription()
    }

    fn cursor(&self) -> Cursor {
        self.records[self.key as usize].reader.cursor()
    }

    fn subscribe(&mut self, patterns: Vec<Pattern>) {
        self.record().reader.subscribe(patterns);
        self.change_group();
    }

    fn unsubscribe(&mut self, patterns: &[Pattern]) {
        self.record().reader.unsubscribe(patterns);
        self.change_group();
    }

    fn restart(&mut self, subscription: Subscription, position: Position) -> Result<(), Ahead> {
        let (reader, _) = self.bus.open(Arc::new(subscription), position)?;
        self.record().reader = reader;
        self.change_group();
        Ok(())
    }
}
