//! The project's chores. `cargo xtask test` is what a person runs before a commit, and what CI runs.

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

/// The whole may take this long, whatever hangs; a step is ended when the time is up.
const BOUND: Duration = Duration::from_secs(30 * 60);

const USAGE: &str = "\
cargo xtask test [--no-install] [--only STEP]...

Installs what is missing on a Debian machine with Rust and Node, runs every check of the project, goes on where
one fails, and ends with `N passed, N failed`.

  --no-install   use what is there
  --only STEP    run this step alone (repeatable): ";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    if words.next().as_deref() != Some("test") {
        return usage();
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
    env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .expect("the project's root is there");
    test(install, &only)
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
    eprintln!("{USAGE}{}", names.join(", "));
    ExitCode::from(2)
}
