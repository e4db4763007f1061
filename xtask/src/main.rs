//! The project's chores. `cargo xtask test` is what a person runs before a commit, and what CI runs.

mod about;
mod conformance;
mod fuzz;
mod install;
mod run;
mod steps;
mod tally;

use std::{
    env,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use steps::Step;
use tally::Report;

/// The whole may take this long, whatever hangs; a step is ended when the time is up. It takes half of it where nothing
/// else runs.
const BOUND: Duration = Duration::from_secs(50 * 60);

/// The same for a long run of the fuzzer.
const LONG_BOUND: Duration = Duration::from_secs(6 * 3600);

const USAGE: &str = "\
cargo xtask test [--no-install] [--only STEP]...

Installs what is missing on a Debian machine with Rust and Node, runs every check of the project, goes on where
one fails, and ends with `N passed, N failed`.

  --no-install   use what is there
  --only STEP    run this step alone (repeatable): ";

const CONFORMANCE: &str = "

cargo xtask conformance [--quick]

Runs Autobahn's WebSocket cases against /v1/echo over both delivery paths (about four minutes), and writes
docs/conformance.md.

  --quick        leave out large messages, and write nothing

cargo xtask fuzz [--quick] [--runs N] [TARGET]...

Runs the targets of fuzz/ for ten million executions each (about twenty minutes), and writes their rows of
docs/fuzzing.md.

  --quick        a hundred thousand each, and write nothing
  --runs N       so many each
";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    match words.next().as_deref() {
        Some("test") => {}
        Some("conformance") => {
            enter_root();
            let quick = words.next().as_deref() == Some("--quick");
            return ended(conformance::test(quick, Instant::now() + BOUND));
        }
        Some("fuzz") => return fuzz(words),
        _ => return usage(),
    }
    let (mut install, mut only) = (true, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-install" => install = false,
            "--only" => match words.next().and_then(|name| steps::named(&name)) {
                Some(step) => only.push(step),
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    enter_root();
    test(install, &only)
}

fn fuzz(mut words: impl Iterator<Item = String>) -> ExitCode {
    let (mut quick, mut runs, mut targets) = (false, None, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => quick = true,
            "--runs" => match words.next().and_then(|count| count.parse().ok()) {
                Some(count) => runs = Some(count),
                None => return usage(),
            },
            target if fuzz::is_target(target) => targets.push(word),
            _ => return usage(),
        }
    }
    enter_root();
    ended(fuzz::test(quick, runs, &targets, Instant::now() + LONG_BOUND))
}

fn ended(report: Report) -> ExitCode {
    println!("\n{} passed, {} failed", report.passed, report.failed);
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn enter_root() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    env::set_current_dir(root).expect("the project's root is there");
}

fn test(install: bool, only: &[&'static Step]) -> ExitCode {
    let start = Instant::now();
    let mut reports = Vec::new();
    if install {
        reports.push(("install", install::missing(start + BOUND)));
    }
    for step in
        steps::ALL.iter().filter(|step| only.is_empty() || only.iter().any(|name| name.name == step.name))
    {
        println!("\n── {} ── {}", step.name, step.command());
        reports.push((step.name, step.run(start + BOUND)));
    }
    println!();
    for (name, report) in &reports {
        println!("{name:<15} {report}");
    }
    let passed: u64 = reports.iter().map(|(_, report)| report.passed).sum();
    let failed: u64 = reports.iter().map(|(_, report)| report.failed).sum();
    println!("\n{passed} passed, {failed} failed");
    if failed > 0 || passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn usage() -> ExitCode {
    let names: Vec<_> = steps::ALL.iter().map(|step| step.name).collect();
    eprintln!("{USAGE}{}{CONFORMANCE}", names.join(", "));
    ExitCode::from(2)
}
