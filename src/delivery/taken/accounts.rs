//! What is counted, booked and told of the taken connections.

use super::Taken;
use crate::{
    delivery::{
        audit::Audit,
        census::{self, Census, Listeners},
    },
    ledger::{Bill, Direction, Purpose},
    metrics::Path,
};

impl Taken {
    /// Hands over what was counted in this turn.
    pub(super) fn count(&mut self) {
        let metrics = &self.settings.metrics;
        if self.received > 0 {
            metrics.flows.received(Path::Taken).inc_by(std::mem::take(&mut self.received));
        }
        if self.sent > 0 {
            metrics.flows.sent(Path::Taken).inc_by(std::mem::take(&mut self.sent));
        }
        self.pieces.count(metrics, &mut self.sums, || self.settings.publisher.now());
        self.sums.hand_over(&metrics.ledger);
    }

    pub(super) fn take_census(&self) -> Census {
        let mut census = Census::default();
        for (subscription, members) in self.groups.iter() {
            let mut listeners = Listeners::default();
            for kind in members.iter().map(|key| self.records[*key as usize].kind) {
                if let Some(transport) = kind.counted() {
                    listeners[census::index(transport)] += 1;
                }
            }
            census.count(subscription, listeners);
        }
        census
    }

    pub(super) fn audit(&mut self, audit: Audit) {
        if audit.settles {
            let ledger = &self.settings.metrics.ledger;
            for key in &self.accounted {
                let record = &mut self.records[*key as usize];
                if audit.concerns(record.payer()) {
                    record.permit.figures.meter.settle(ledger, &record.socket);
                }
            }
            self.hosted.settle(&audit, ledger);
        }
        let listened = audit.topics().map(|topic| self.groups.is_listened_to(topic)).collect();
        audit.answer(listened);
    }

    /// Books bytes of a connection.
    pub(super) fn book(&mut self, key: u32, direction: Direction, bill: &Bill) {
        self.sums.book(self.records[key as usize].payer(), direction, bill);
    }

    /// Books the request that was answered.
    pub(super) fn book_asked(&mut self, key: u32, purpose: Purpose) {
        let record = &mut self.records[key as usize];
        let asked = std::mem::take(&mut record.permit.figures.meter.asked);
        self.sums.book(record.payer(), Direction::In, &Bill::of(purpose, asked as usize));
    }

    /// Books what came from a connection that ends and was not understood.
    pub(super) fn book_rest(&mut self, key: u32) {
        self.book_asked(key, Purpose::Heads);
        let record = &self.records[key as usize];
        let Some(backlog) = &record.backlog else { return };
        let purpose = if record.kind.is_framed() { Purpose::Controls } else { Purpose::Heads };
        let rest = Bill::of(purpose, backlog.heard + backlog.input.len());
        self.book(key, Direction::In, &rest);
    }
}
