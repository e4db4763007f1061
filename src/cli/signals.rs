//! Being asked to end.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, from the moment it is made: neither ends the process any more.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// # Errors
    /// When the system takes no handler.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one, and gives the status that a shell would show for it.
    ///
    /// # Cancel safety
    /// A signal that was not waited for is seen by the next call.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }

    /// Resolves at the first signal; a second one ends the process at once.
    pub(crate) async fn shutdown(mut self) {
        self.next().await;
        tokio::spawn(async move {
            let status = self.next().await;
            process::exit(status);
        });
    }
}
