//! `fanlight subscribe`.

use std::{
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use fanlight::config::units;
use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_stream::StreamExt as _;

use super::{
    FAILED, REFUSED,
    backoff::Backoff,
    client::{self, Connection, Control, Message, Messages, Position, Transport},
    fail,
    http::{Failure, Gateway},
    runtime,
    signals::Signals,
    tell,
};

/// The exit status where events were lost.
const GAPS: u8 = 3;
/// A connection that held this long was a good one: the next failure is a new one.
const GOOD: Duration = Duration::from_secs(10);
/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;

/// Print the events of topics, one document a line
///
/// A topic may be a pattern: in orders/*/status a * stands for one segment, in orders/** the last ** for
/// one or more. After a lost connection it goes on where it stopped. Events that the gateway does not
/// hold any more are told on standard error as a gap. The exit status is 0, or 1 when the connection was
/// lost with --no-reconnect, 2 when the gateway refuses the subscription, 3 when there was a gap.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fanlight subscribe 'host/**'
  fanlight subscribe 'orders/*/status' --last 1 --transport websocket
  fanlight subscribe logs/journal --after earliest --limit-events 10 | jq .data")]
pub(crate) struct Subscribe {
    /// Topics and patterns, such as orders/42/status or 'orders/**'
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// How the events come
    #[arg(long, value_enum, default_value = "sse")]
    transport: Transport,
    /// The gateway
    #[arg(
        long,
        env = "FANLIGHT_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        value_parser = Gateway::parse
    )]
    url: Gateway,
    /// Begin after this event id, or with the `earliest` event that is held; otherwise with what comes
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Begin with the N newest events of each topic
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "after",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    last: Option<u32>,
    /// How long to wait between two polls
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::duration)]
    interval: Duration,
    /// End after N events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_events: Option<u64>,
    /// Print the gateway's controls as well: heartbeats, gaps and the like
    #[arg(long)]
    controls: bool,
    /// End when the connection does
    #[arg(long)]
    no_reconnect: bool,
}

/// Why it ends, or how a connection did.
enum End {
    /// All that was wanted was printed, or nobody reads it any more, or a signal came.
    Done,
    Lost(Failure),
    /// Standard output takes no more.
    Broken(io::Error),
    /// The gateway asks to come again after this long.
    Again(Duration),
}

/// What was printed so far.
struct Progress {
    position: Position,
    /// Events that may still be printed.
    left: u64,
    gaps: bool,
    controls: bool,
    out: Vec<u8>,
    backoff: Backoff,
    signals: Signals,
}

impl Subscribe {
    pub(crate) fn run(self) -> ExitCode {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return fail(FAILED, error),
        };
        let status = runtime.block_on(self.subscribe());
        // A write to a pipe that nobody reads may still hang on one of its threads.
        runtime.shutdown_background();
        status
    }

    async fn subscribe(self) -> ExitCode {
        let position = match (self.after, self.last) {
            (Some(cursor), _) => Position::After(cursor),
            (None, Some(count)) => Position::Last(count),
            (None, None) => Position::Now,
        };
        let (client, signals) = match (self.url.client(), Signals::new()) {
            (Ok(client), Ok(signals)) => (client, signals),
            (Err(error), _) => return fail(FAILED, error),
            (_, Err(error)) => return fail(FAILED, error),
        };
        let mut progress = Progress {
            position: position.clone(),
            left: self.limit_events.unwrap_or(u64::MAX),
            gaps: false,
            controls: self.controls,
            out: Vec::new(),
            backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(15)),
            signals,
        };
        let (gateway, topics, interval) = (self.url, self.topics, self.interval);
        let mut connection = Connection { gateway, client, topics, position, interval };
        loop {
            connection.position = progress.position.clone();
            let opened = Instant::now();
            let mut messages = client::open(self.transport, connection.clone());
            let end = progress.follow(&mut messages).await;
            drop(messages);
            if opened.elapsed() >= GOOD {
                progress.backoff.reset();
            }
            let (why, least) = match end {
                End::Done => break,
                End::Broken(error) => {
                    return fail(FAILED, format_args!("cannot write to standard output: {error}"));
                }
                End::Lost(Failure::Refused(problem)) => return fail(REFUSED, problem),
                End::Lost(failure) => {
                    let asked = match &failure {
                        Failure::Unavailable { retry_after, .. } => *retry_after,
                        _ => None,
                    };
                    (failure.to_string(), asked)
                }
                End::Again(after) => ("the gateway asks to reconnect".to_owned(), Some(after)),
            };
            if self.no_reconnect {
                return fail(FAILED, why);
            }
            let wait = progress.backoff.wait(least);
            tell(format_args!("{why}; reconnecting in {:.1} s", wait.as_secs_f64()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = progress.signals.next() => break,
            }
        }
        if progress.gaps { ExitCode::from(GAPS) } else { ExitCode::SUCCESS }
    }
}

impl Progress {
    /// Prints what comes over one connection.
    async fn follow(&mut self, messages: &mut Messages) -> End {
        loop {
            let next = match messages.next().now_or_never() {
                Some(next) if self.out.len() < BATCH => next,
                ready => {
                    // Nothing more has come, or enough for one write.
                    if let Some(end) = self.flush().await {
                        return end;
                    }
                    match ready {
                        Some(next) => next,
                        None => tokio::select! {
                            next = messages.next() => next,
                            _ = self.signals.next() => return End::Done,
                        },
                    }
                }
            };
            let end = match next {
                Some(Ok(message)) => self.take(message),
                Some(Err(failure)) => Some(End::Lost(failure)),
                None => Some(End::Lost(Failure::Lost("the gateway ended the stream".to_owned()))),
            };
            if let Some(end) = end {
                return self.flush().await.unwrap_or(end);
            }
        }
    }

    fn take(&mut self, message: Message) -> Option<End> {
        match message {
            Message::Event { id, document } => {
                self.print(&document);
                self.position = Position::Resume(id);
                self.left -= 1;
                return (self.left == 0).then_some(End::Done);
            }
            Message::Control { control, document } => {
                if let (true, Some(document)) = (self.controls, document) {
                    self.print(&document);
                }
                match control {
                    Control::Cursor(cursor) => self.position = Position::Resume(cursor),
                    Control::Gap(gap) => {
                        self.gaps = true;
                        tell(format_args!("gap: {} from {} to {}", gap.reason, gap.from, gap.to));
                    }
                    Control::Reconnect(after) => return Some(End::Again(after)),
                    Control::Retry(wait) => self.backoff.set_base(wait),
                    Control::Other => {}
                }
            }
        }
        None
    }

    fn print(&mut self, document: &[u8]) {
        self.out.extend_from_slice(document);
        self.out.push(b'\n');
    }

    /// Writes what was printed; an end where that cannot or shall not be.
    async fn flush(&mut self) -> Option<End> {
        if self.out.is_empty() {
            return None;
        }
        let write = async {
            let mut out = tokio::io::stdout();
            out.write_all(&self.out).await?;
            out.flush().await
        };
        let written = tokio::select! {
            written = write => written,
            _ = self.signals.next() => return Some(End::Done),
        };
        self.out.clear();
        match written {
            Ok(()) => None,
            // Whoever read has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(End::Done),
            Err(error) => Some(End::Broken(error)),
        }
    }
}
