//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    plan::{self, OneOrMany, Plan, Time},
    report,
    results::{Pattern, Transport},
};

/// Measures what each realtime transport costs: latency, processor, memory and bytes.
///
/// Without an argument: starts a gateway of its own, compares all five transports in a minute and a half, prints a table, and
/// writes report.html and report.json. The exit status is 0 if every figure can be trusted, 3 if some are marked invalid
/// (they are written all the same), 1 if nothing could be measured. Ctrl-C ends it early: what was measured is written,
/// marked invalid, and the status is 130.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 110)]
pub struct Cli {
    /// What to do instead of measuring transports.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to measure.
    #[command(flatten)]
    pub measure: Measure,
}

/// Other things to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put the same load on rivals: installs (Debian, npm) and starts those that registries hold, in turns with the gateway
    Rivals {
        /// Which: nchan, socketio, ws; all, if none is named
        names: Vec<String>,
        /// Use what is installed
        #[arg(long)]
        no_install: bool,
        /// How and where
        #[command(flatten)]
        measure: Measure,
    },
    /// Tell what differs between two results, cell by cell
    Compare {
        /// The results before
        before: PathBuf,
        /// The results after
        after: PathBuf,
    },
    /// Make the HTML report of results again
    Report(report::ReportArgs),
    /// Draw a picture of results, as SVG: latency, bytes and the break-even map
    Plot(report::PlotArgs),
    /// Print the plan that would be run, as TOML: a start for one of your own
    Plan {
        /// What to measure
        #[command(flatten)]
        measure: Measure,
    },
    /// Print the JSON schema of results
    Schema,
}

/// What to measure.
///
/// Without --plan, any of the flags for load replaces the comparison by one matrix of what they say.
#[derive(Args, Clone, Debug, Default)]
pub struct Measure {
    /// A gateway that runs already; its processor time and memory come from its /metrics
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What that server is: fanlight, nchan, socketio, ws, mercure, centrifugo
    #[arg(long, value_name = "NAME", requires = "url")]
    pub adapter: Option<String>,
    /// A plan (TOML): `loadtest plan` prints one
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// The gateway's program; else it is built, or found beside this one
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// A further argument for the gateway that is started (repeatable)
    #[arg(long = "server-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub server_args: Vec<String>,
    /// Cores for servers; one is the generator's
    #[arg(long, value_name = "N")]
    pub server_cores: Option<usize>,
    /// The folder for report.html and report.json
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
    /// Transports
    #[arg(long, value_delimiter = ',', value_parser = transport)]
    pub transport: Vec<Transport>,
    /// Patterns of load: steady, burst, idle, storm, slow, churn
    #[arg(long, value_delimiter = ',', value_parser = pattern)]
    pub pattern: Vec<Pattern>,
    /// How many subscribers, a million at most
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub subscribers: Vec<usize>,
    /// Events a second, to all topics together
    #[arg(long, value_delimiter = ',', value_name = "PER_SECOND")]
    pub rate: Vec<f64>,
    /// Events at once (pattern burst)
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub burst: Vec<usize>,
    /// Bytes of data in each event
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    pub payload: Vec<usize>,
    /// Topics, which subscribers are spread over
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub topics: Vec<usize>,
    /// From the begin of a poll to that of the next
    #[arg(long, value_delimiter = ',', value_name = "TIME", value_parser = humantime::parse_duration)]
    pub poll_interval: Vec<Duration>,
    /// Round-trip time that is added between client and server
    #[arg(long, value_delimiter = ',', value_name = "TIME", value_parser = humantime::parse_duration)]
    pub rtt: Vec<Duration>,
    /// Towards the client, for each connection
    #[arg(long, value_delimiter = ',', value_name = "KBIT/S")]
    pub down_kbps: Vec<f64>,
    /// Towards the server
    #[arg(long, value_delimiter = ',', value_name = "KBIT/S")]
    pub up_kbps: Vec<f64>,
    /// Share of subscribers that do not read (slow), or are opened anew each second (churn): 0 to 1
    #[arg(long, value_name = "SHARE")]
    pub share: Option<f64>,
    /// How long each run is measured
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub time: Option<Duration>,
    /// How long each run is not measured, before
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub warm_up: Option<Duration>,
    /// How often each cell is run; repetitions of different cells take turns
    #[arg(long, value_name = "N")]
    pub repeat: Option<usize>,
    /// How often the first cell is run for the noise floor
    #[arg(long, value_name = "N")]
    pub noise: Option<usize>,
    /// Where random numbers begin
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

fn transport(text: &str) -> Result<Transport, String> {
    Transport::ALL
        .into_iter()
        .find(|transport| transport.name() == text)
        .ok_or_else(|| "say poll, longpoll, chunked, sse or websocket".to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "say steady, burst, idle, storm, slow or churn".to_owned())
}

impl Measure {
    /// The plan that all of this makes of `base`, or of the file that is named.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn plan(&self, base: Plan) -> Result<Plan, String> {
        let mut plan = match &self.plan {
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                Plan::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?
            }
            None => base,
        };
        if let Some(url) = &self.url {
            let name = self.adapter.clone().unwrap_or_else(|| "fanlight".to_owned());
            plan.servers =
                [(name, plan::Server { url: Some(url.clone()), ..plan::Server::default() })].into();
        }
        if !self.server_args.is_empty() {
            plan.servers = plan.servers();
            let own = plan.servers.iter_mut().filter(|(name, server)| {
                server.url.is_none() && server.adapter.as_deref().unwrap_or(name) == "fanlight"
            });
            own.for_each(|(_, server)| server.args.extend(self.server_args.clone()));
        }
        plan.noise = self.noise.unwrap_or(plan.noise);
        plan.seed = self.seed.unwrap_or(plan.seed);
        if self.says_load() && self.plan.is_none() {
            let first = plan.cells.first().cloned().unwrap_or_default();
            plan.title = "A load from the command line".to_owned();
            plan.cells = vec![plan::Matrix { rtt: None, ..first }];
        }
        for matrix in &mut plan.cells {
            self.change(matrix);
        }
        plan.specs()?;
        Ok(plan)
    }

    /// Whether any flag for load is there.
    fn says_load(&self) -> bool {
        !(self.transport.is_empty()
            && self.pattern.is_empty()
            && self.subscribers.is_empty()
            && self.rate.is_empty()
            && self.burst.is_empty()
            && self.payload.is_empty()
            && self.topics.is_empty()
            && self.poll_interval.is_empty()
            && self.rtt.is_empty()
            && self.down_kbps.is_empty()
            && self.up_kbps.is_empty()
            && self.share.is_none()
            && self.time.is_none()
            && self.warm_up.is_none()
            && self.repeat.is_none())
    }

    fn change(&self, matrix: &mut plan::Matrix) {
        fn set<T: Clone>(place: &mut Option<OneOrMany<T>>, values: &[T]) {
            match values {
                [] => {}
                [one] => *place = Some(OneOrMany::One(one.clone())),
                many => *place = Some(OneOrMany::Many(many.to_vec())),
            }
        }
        let times = |times: &[Duration]| times.iter().copied().map(Time).collect::<Vec<_>>();
        set(&mut matrix.transport, &self.transport);
        set(&mut matrix.pattern, &self.pattern);
        set(&mut matrix.subscribers, &self.subscribers);
        set(&mut matrix.rate, &self.rate);
        set(&mut matrix.burst, &self.burst);
        set(&mut matrix.payload, &self.payload);
        set(&mut matrix.topics, &self.topics);
        set(&mut matrix.poll_interval, &times(&self.poll_interval));
        set(&mut matrix.rtt, &times(&self.rtt));
        set(&mut matrix.down_kbps, &self.down_kbps);
        set(&mut matrix.up_kbps, &self.up_kbps);
        matrix.share = self.share.or(matrix.share);
        matrix.time = self.time.map(Time).or(matrix.time);
        matrix.warm_up = self.warm_up.map(Time).or(matrix.warm_up);
        matrix.repeat = self.repeat.or(matrix.repeat);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn plan(words: &[&str]) -> Plan {
        let words = std::iter::once("loadtest").chain(words.iter().copied());
        Cli::try_parse_from(words).unwrap().measure.plan(plan::comparison()).unwrap()
    }

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_flag_it_is_the_comparison() {
        assert_eq!(plan(&[]), plan::comparison());
    }

    #[test]
    fn flags_make_one_matrix() {
        let plan = plan(&["--transport", "sse,poll", "--rate", "1,5", "--time", "3s", "--noise", "0"]);
        assert_eq!(plan.specs().unwrap().len(), 4);
        assert!(plan.specs().unwrap().iter().all(|spec| spec.load.time == Duration::from_secs(3)));
        assert!(
            plan.specs().unwrap().iter().all(|spec| spec.shape.is_none()),
            "no relay that nobody asked for"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (words, said) in [
            (["--subscribers", "99999999999"], "`subscribers` may be 1000000 at most"),
            (["--subscribers", "0"], "`subscribers` has to be at least 1"),
            (["--repeat", "0"], "`repeat` has to be between 1 and 1000"),
            (["--noise", "99999999999"], "`noise` may be 100 at most"),
        ] {
            let words = std::iter::once("loadtest").chain(words);
            let error = Cli::try_parse_from(words).unwrap().measure.plan(plan::comparison()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_url_is_a_server_that_is_not_started() {
        let plan = plan(&["--url", "http://127.0.0.1:1", "--adapter", "mercure", "--transport", "sse"]);
        assert_eq!(plan.servers["mercure"].url.as_deref(), Some("http://127.0.0.1:1"));
        let wrong = Cli::try_parse_from(["loadtest", "--transport", "pigeon"]);
        assert!(wrong.unwrap_err().to_string().contains("say poll"));
    }
}
