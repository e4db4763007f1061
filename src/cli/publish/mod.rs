//! `fanlight publish`.

mod batch;
mod input;
mod lines;
mod report;
mod send;

use std::{collections::VecDeque, io, process::ExitCode, time::Duration};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use fanlight::config::units;

use self::{
    batch::Entry,
    input::Input,
    report::Report,
    send::{Sender, Unsent},
};
use super::{FAILED, fail, http::Gateway, runtime, signals::Signals};

/// How long a batch that is not full waits for more, while more keeps coming.
const LINGER: Duration = Duration::from_millis(5);
/// Batches do not shrink below this when a gateway says that they are too large.
const LEAST_BYTES: usize = 64 * 1024;

/// Publish each line of standard input as an event
///
/// Lines are sent as fast as the gateway takes them, several at a time where several have come. What
/// cannot be published is reported on standard error with its line number; the rest goes on. Events are
/// neither lost nor doubled when the connection is: a batch is sent again under the same Idempotency-Key.
/// At the end a count is written to standard error. The exit status is 0 if all was published, and 1 if
/// anything was refused or could not be sent. Ctrl-C finishes what was read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  journalctl -f -o json | fanlight publish logs/journal
  echo 'picked up' | fanlight publish orders/42/status --type status")]
pub(crate) struct Publish {
    /// The topic, such as logs/journal
    topic: String,
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
    /// The type of every event
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// What a line is
    #[arg(long = "as", value_enum, value_name = "FORM", default_value = "auto")]
    form: As,
    /// How long to try again where the gateway does not answer or says 'not now': at most 100s, as the
    /// gateway remembers for two minutes what it has taken
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = retry_for)]
    retry_for: Duration,
    /// The longest line that is sent
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = max_line)]
    max_line: ByteSize,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum As {
    /// JSON as it is where it is an object or an array, otherwise text
    Auto,
    /// JSON; blank lines are skipped, what is not JSON is refused
    Json,
    /// Text, sent as a JSON string
    Text,
}

fn retry_for(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        long if long > Duration::from_secs(100) => Err("longer than 100s".to_owned()),
        duration => Ok(duration),
    }
}

fn max_line(text: &str) -> Result<ByteSize, String> {
    let size = units::size(text)?;
    let sane = ByteSize::b(1)..=ByteSize::mib(64);
    if sane.contains(&size) { Ok(size) } else { Err("it has to be between 1B and 64MiB".to_owned()) }
}

impl Publish {
    pub(crate) fn run(&self) -> ExitCode {
        let mut report = Report::new();
        let ended = runtime()
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(async { self.publish(&mut report).await }));
        if let Err(why) = &ended {
            fail(FAILED, why);
        }
        let unsent = report.in_hand;
        let unsent_too = if unsent > 0 { format!(", unsent {unsent}") } else { String::new() };
        let count = format!("{report}{unsent_too}");
        report.tell(count);
        let all = ended.is_ok() && report.refused == 0 && unsent == 0;
        if all { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    async fn publish(&self, report: &mut Report) -> Result<(), String> {
        let mut signals = Signals::new().map_err(|error| error.to_string())?;
        let client = self.url.client().map_err(|error| error.to_string())?;
        let mut url = self.url.endpoint("v1/publish");
        url.query_pairs_mut().append_pair("topic", &self.topic);
        if let Some(kind) = &self.kind {
            url.query_pairs_mut().append_pair("type", kind);
        }
        let most = usize::try_from(self.max_line.as_u64()).unwrap_or(usize::MAX);
        let input = Input::read(io::stdin(), most);
        let mut publisher = Publisher {
            form: self.form,
            input: &input,
            sender: Sender::new(client, url, self.retry_for),
            waiting: VecDeque::new(),
            bytes: batch::BYTES,
            report,
        };
        let ended = tokio::select! {
            ended = publisher.run() => ended,
            () = twice(&mut signals, &input) => Err("interrupted".to_owned()),
        };
        let (lines, begun) = input.left();
        report.in_hand += lines as u64;
        if begun > 0 {
            report.in_hand += 1;
            report.tell(format_args!("the last line has no end: {begun} bytes were not sent"));
        }
        match (ended, input.error()) {
            (Ok(()), Some(error)) => Err(format!("cannot read standard input: {error}")),
            (ended, _) => ended,
        }
    }
}

/// The first signal stops reading, the second everything.
async fn twice(signals: &mut Signals, input: &Input) {
    signals.next().await;
    input.stop();
    signals.next().await;
}

/// Takes lines and sends batches, one at a time.
struct Publisher<'a> {
    form: As,
    input: &'a Input,
    sender: Sender,
    /// Encoded and not yet sent.
    waiting: VecDeque<Entry>,
    /// Bytes that a batch may have.
    bytes: usize,
    report: &'a mut Report,
}

impl Publisher<'_> {
    async fn run(&mut self) -> Result<(), String> {
        loop {
            // What came while the last batch was on its way says that more is likely to come.
            let keeps_coming = self.input.left().0 > 0;
            if self.waiting.is_empty() && !self.input.wait().await {
                return Ok(());
            }
            self.take();
            if keeps_coming {
                let linger = async {
                    while !self.is_full() && self.input.wait().await {
                        self.take();
                    }
                };
                let _ = tokio::time::timeout(LINGER, linger).await;
            }
            let batch = self.cut();
            self.send(batch).await?;
        }
    }

    /// Takes from the input what one batch can hold.
    fn take(&mut self) {
        let mut events = self.waiting.len();
        let mut bytes: usize = self.waiting.iter().map(|entry| entry.json.len() + 1).sum();
        let lines = self.input.take(|line| {
            let wanted = events < batch::EVENTS && bytes < self.bytes;
            events += 1;
            bytes += line.text.as_ref().map_or(0, |text| text.len() + 1);
            wanted
        });
        for line in lines {
            self.report.in_hand += 1;
            let number = line.number;
            match batch::encode(line, self.form) {
                Ok(Some(entry)) => self.waiting.push_back(entry),
                Ok(None) => self.report.in_hand -= 1,
                Err(why) => self.report.refused(number, why),
            }
        }
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.waiting.iter().map(|entry| entry.json.len() + 1).sum();
        self.waiting.len() >= batch::EVENTS || bytes >= self.bytes
    }

    /// The next batch: as many as fit, and one in any case.
    fn cut(&mut self) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = self.waiting.iter().take(batch::EVENTS).take_while(|entry| {
            bytes += entry.json.len() + 1;
            bytes <= self.bytes
        });
        let count = fits.count().max(1).min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// Sends a batch; one with an event that is refused is halved until that one is found.
    async fn send(&mut self, batch: Vec<Entry>) -> Result<(), String> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let size = batch::size(&part);
            let mut told = false;
            let report = &mut *self.report;
            let sent = self.sender.send(&part, |failure| {
                if !std::mem::replace(&mut told, true) {
                    report.tell(format_args!("{failure}; trying again"));
                }
            });
            match sent.await {
                Ok(()) => self.report.published(part.len(), size - part.len()),
                Err(Unsent::Content(problem)) if part.len() == 1 => {
                    self.report.refused(part[0].number, problem);
                }
                Err(Unsent::Content(problem)) => {
                    if problem.status == 413 {
                        self.bytes = self.bytes.min(size / 2).max(LEAST_BYTES);
                    }
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(Unsent::Request(problem)) => {
                    return Err(format!("the gateway takes none of this: {problem}"));
                }
                Err(Unsent::Unanswered(why)) => return Err(format!("the gateway does not answer: {why}")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
