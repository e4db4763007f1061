//! Being asked to end.

use std::{future::pending, io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP, from the moment it is made: none ends the process any more.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal went; `None` under `nohup`, which is there so that this ends nothing.
    hang_up: Option<Signal>,
}

/// SIGHUP in a mask of signals.
const HANG_UP: u64 = 1;

impl Signals {
    /// # Errors
    /// When the system takes no handler.
    pub(crate) fn new() -> io::Result<Self> {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        let is_ignored = status.is_ok_and(|status| status.sigign & HANG_UP != 0);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: (!is_ignored).then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for one, and gives the status that a shell would show for it.
    ///
    /// # Cancel safety
    /// A signal that was not waited for is seen by the next call.
    pub(crate) async fn next(&mut self) -> i32 {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = hang_up => 129,
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
