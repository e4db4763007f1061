//! The way to the taken connections of a core, from its other parts.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use super::Arrival;
use crate::delivery::{audit::Audit, census::Census};

/// The way to the taken connections of a core.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(super) arrivals: mpsc::UnboundedSender<Arrival>,
    pub(super) census: mpsc::UnboundedSender<oneshot::Sender<Census>>,
    pub(super) audits: mpsc::UnboundedSender<Audit>,
    pub(super) drain: Arc<Notify>,
}

impl Door {
    /// Lets a connection in.
    pub(crate) fn enter(&self, arrival: Arrival) {
        _ = self.arrivals.send(arrival);
    }

    /// Who listens to what; nobody, where the core has ended.
    pub(crate) async fn census(&self) -> Census {
        let (sender, census) = oneshot::channel();
        _ = self.census.send(sender);
        census.await.unwrap_or_default()
    }

    /// Has accounts audited; see [`Audit`].
    pub(crate) fn audit(&self, audit: Audit) {
        _ = self.audits.send(audit);
    }

    /// Tells everyone inside that the gateway goes.
    pub(crate) fn drain(&self) {
        self.drain.notify_one();
    }
}
