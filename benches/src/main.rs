//! Measures delivery, side by side: the gateway over both of its paths, nginx with nchan, and a bare epoll loop.
//!
//! The server has core 0, this client core 1; servers take turns within a repetition, each run has a fresh
//! server, and what is printed are medians. It knows only the wire.

mod load;
mod report;
mod scenarios;
mod servers;
mod soak;
mod wire;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

use report::Report;
use servers::Programs;

/// Measure delivery, side by side.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    scenario: Scenario,
    /// The gateway
    #[arg(long, default_value = "target/release/fanlight")]
    fanlight: PathBuf,
    /// The floor
    #[arg(long, default_value = "benches/floor/target/release/floor")]
    floor: PathBuf,
    /// Repetitions, of which the median counts
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Seconds that each run is measured
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// A share of the connections, for a quick look
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Minutes of soak
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Where to write the results as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// CPU per delivery, 1,000 subscribers, 20 events a second
    Paced,
    /// Deliveries a second: 8 waiting publishers, one that pipelines, and a million offered
    Saturation,
    /// Deliveries a second where one publisher pipelines: the gateway alone
    Pipelined,
    /// Memory per idle connection
    Idle,
    /// Latency, 5,000 subscribers, 20 events a second
    Latency,
    /// Short polls a second with nothing new
    Polls,
    /// Publishes a second with no subscriber and with one
    Publishes,
    /// 10,000 subscribers of quiet topics resume at once
    Resume,
    /// 100,000 topics
    Topics,
    /// Half of the readers stop reading
    Stalled,
    /// CPU per delivery with few and with many connections
    Scale,
    /// Two cores
    Cores,
    /// System calls per delivery
    Sends,
    /// Minutes at saturation with cuts, hops and stalls
    Soak,
    /// Everything but the soak
    All,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut report = Report::new();
    if let Err(error) = run(&options, &mut report) {
        eprintln!("fanlight-benches: {error}");
        report.print();
        return ExitCode::FAILURE;
    }
    report.print();
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, report.json())
    {
        eprintln!("fanlight-benches: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(options: &Options, report: &mut Report) -> std::io::Result<()> {
    pin(1)?;
    raise_descriptors()?;
    let bench = scenarios::Bench {
        programs: Programs { fanlight: options.fanlight.clone(), floor: options.floor.clone() },
        repeat: options.repeat.max(1),
        time: Duration::from_secs_f64(options.seconds),
        scale: options.scale,
    };
    let is = |scenario| options.scenario == scenario || options.scenario == Scenario::All;
    type Run = fn(&scenarios::Bench, &mut Report) -> std::io::Result<()>;
    let all: [(Scenario, Run); 12] = [
        (Scenario::Paced, scenarios::paced),
        (Scenario::Saturation, scenarios::saturation),
        (Scenario::Idle, scenarios::idle),
        (Scenario::Latency, scenarios::latency),
        (Scenario::Polls, scenarios::polls),
        (Scenario::Publishes, scenarios::publishes),
        (Scenario::Resume, scenarios::resume),
        (Scenario::Topics, scenarios::topics),
        (Scenario::Stalled, scenarios::stalled),
        (Scenario::Scale, scenarios::scale),
        (Scenario::Cores, scenarios::cores),
        (Scenario::Sends, scenarios::sends),
    ];
    for (scenario, run) in all {
        if is(scenario) {
            eprintln!("── {scenario:?}");
            run(&bench, report)?;
        }
    }
    if options.scenario == Scenario::Pipelined {
        scenarios::pipelined(&bench, report)?;
    }
    if options.scenario == Scenario::Soak {
        scenarios::soak(&bench, report, Duration::from_secs_f64(options.minutes * 60.0))?;
    }
    Ok(())
}

fn pin(core: usize) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

fn raise_descriptors() -> std::io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
