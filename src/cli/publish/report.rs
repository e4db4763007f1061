//! What is told on standard error: refusals, progress, the count.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// How often the progress line is written anew.
const PROGRESS: Duration = Duration::from_millis(250);

/// The account of one run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) published: u64,
    pub(crate) refused: u64,
    /// Taken from the input, and neither published nor refused.
    pub(crate) in_hand: u64,
    bytes: u64,
    begun: Instant,
    terminal: bool,
    shown: Option<Instant>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let begun = Instant::now();
        Self { published: 0, refused: 0, in_hand: 0, bytes: 0, begun, terminal, shown: None }
    }

    pub(crate) fn published(&mut self, events: usize, bytes: usize) {
        self.published += events as u64;
        self.in_hand -= events as u64;
        self.bytes += bytes as u64;
        if self.terminal && self.shown.is_none_or(|shown| shown.elapsed() >= PROGRESS) {
            self.shown = Some(Instant::now());
            // Cleared by the next line, so that what is piped elsewhere never holds it.
            let _ = write!(io::stderr(), "\r\x1b[K{self}");
        }
    }

    pub(crate) fn refused(&mut self, line: u64, why: impl Display) {
        self.refused += 1;
        self.in_hand -= 1;
        self.tell(format_args!("line {line}: {why}"));
    }

    /// A line on standard error, in place of the progress line.
    pub(crate) fn tell(&mut self, line: impl Display) {
        let clear = if self.shown.take().is_some() { "\r\x1b[K" } else { "" };
        let _ = writeln!(io::stderr(), "{clear}{line}");
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.begun.elapsed().as_secs_f64();
        write!(
            f,
            "published {} events, refused {}, {} bytes in {seconds:.1} s",
            self.published, self.refused, self.bytes
        )
    }
}
