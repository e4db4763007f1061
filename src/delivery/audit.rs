//! Looking into the accounts of the ledger while connections are on them.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    ledger::{Client, Ledger, Payer},
    topic::Topic,
};

/// What a core is asked about some accounts.
#[derive(Debug)]
pub(crate) struct Audit {
    clients: Arc<[(Arc<Client>, Topic)]>,
    /// Whether the segments of their connections are to be booked first.
    pub(crate) settles: bool,
    answer: oneshot::Sender<Vec<bool>>,
}

impl Audit {
    /// Asks about accounts, of which each is told on a topic. The answer says of each whether somebody listens.
    pub(crate) fn new(
        clients: Arc<[(Arc<Client>, Topic)]>,
        settles: bool,
    ) -> (Self, oneshot::Receiver<Vec<bool>>) {
        let (answer, listened) = oneshot::channel();
        (Self { clients, settles, answer }, listened)
    }

    /// Whether it is about the account that this one pays on.
    pub(crate) fn concerns(&self, payer: &Payer) -> bool {
        self.clients.iter().any(|(client, _)| client.has(payer))
    }

    /// Where the accounts are told.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.clients.iter().map(|(_, topic)| topic)
    }

    /// Answers whether somebody listens to each.
    pub(crate) fn answer(self, listened: Vec<bool>) {
        // Whoever asked may be gone.
        _ = self.answer.send(listened);
    }
}

/// Connections whose segments can be booked.
pub(crate) trait Metered {
    /// Books the segments of those that an audit concerns.
    fn settle(&self, audit: &Audit, ledger: &Ledger);
}
