//! Hostile bytes: each target of `fuzz/` for so many executions. libFuzzer counts, and says what it found.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{about, run, tally::Report};

const REPORT: &str = "docs/fuzzing.md";
/// Executions of a target in the bounded run, and in the long one.
const FEW: u64 = 100_000;
const MANY: u64 = 10_000_000;
/// An input that takes so long hangs. (On a machine that is suspended for a while each does; three minutes are enough for
/// that.)
const HANG: &str = "-timeout=180";
/// The longest input, in bytes.
const LENGTH: u32 = 2048;

/// Each target, and what must hold for whatever bytes.
const TARGETS: [(&str, &str); 9] = [
    ("topic", "topics and patterns: matching agrees with a naive matcher, and the index with both"),
    ("cursor", "cursors: one spelling for each, and each is read"),
    (
        "query",
        "a subscriber's query, form and `Last-Event-ID`: within limits, or a fault that names its field",
    ),
    (
        "publish",
        "bodies and batches: out of the log comes what went in, on one line; what is refused leaves nothing",
    ),
    ("frames", "WebSocket frames, compressed or not: the same in any pieces, and never beyond the bound"),
    ("ops", "WebSocket operations: what a JSON parser reads, or a fault that names its field"),
    ("lab", "what a line of the lab is told: within its ranges, or a fault that names its member"),
    ("request", "polls that the hub answers itself: to a parser the same request but for its cursor"),
    (
        "again",
        "publishes that the hub reads itself: to a parser the same request but for its length, and its body",
    ),
];

/// What became of one target.
struct Outcome {
    target: &'static str,
    held: bool,
    executions: u64,
    edges: u64,
    took: Duration,
}

/// Runs the targets for a while; a long run writes its rows of the report.
pub(crate) fn test(quick: bool, runs: Option<u64>, only: &[String], deadline: Instant) -> Report {
    let start = Instant::now();
    let commit = about::commit();
    let built = run::watched(cargo_fuzz(&["build"]).args(["--sanitizer", "none"]), deadline);
    if !built.success {
        return Report { passed: 0, failed: 1, took: start.elapsed() };
    }
    let runs = runs.unwrap_or(if quick { FEW } else { MANY });
    let outcomes: Vec<Outcome> = TARGETS
        .iter()
        .filter(|(target, _)| only.is_empty() || only.iter().any(|name| name == target))
        .map(|(target, _)| execute(target, runs, quick, deadline))
        .collect();
    let passed = outcomes.iter().filter(|outcome| outcome.held).count() as u64;
    for Outcome { target, held, executions, edges, took } in &outcomes {
        let word = if *held { "held" } else { "FAILED" };
        println!(
            "{target:<8} {word:<6} {executions:>9} executions, {edges} edges, {:.1} s",
            took.as_secs_f64()
        );
    }
    if !quick && runs >= MANY {
        let before = fs::read_to_string(REPORT).unwrap_or_default();
        fs::write(REPORT, render(&outcomes, &commit, &before)).expect("the report is writable");
        println!("wrote {REPORT}");
    }
    Report { passed, failed: outcomes.len() as u64 - passed, took: start.elapsed() }
}

/// Whether a target has this name.
pub(crate) fn is_target(name: &str) -> bool {
    TARGETS.iter().any(|(target, _)| *target == name)
}

fn execute(target: &'static str, runs: u64, quick: bool, deadline: Instant) -> Outcome {
    let start = Instant::now();
    // What is new to the fuzzer is kept from one long run to the next, and out of the tree.
    let found = format!("fuzz/found/{}{target}", if quick { "quick/" } else { "" });
    if quick {
        _ = fs::remove_dir_all(&found);
    }
    fs::create_dir_all(&found).expect("a folder can be made");
    let known = format!("fuzz/corpus/{target}");
    let mut command = cargo_fuzz(&["run", "--sanitizer", "none", target]);
    command.args([&*found, &*known, "--", HANG, "-rss_limit_mb=1024", "-print_final_stats=1"]);
    command.arg(format!("-runs={runs}")).arg(format!("-max_len={LENGTH}"));
    command.arg(format!("-dict=fuzz/dictionaries/{target}"));
    if quick {
        // The same for everyone; long runs are for what is new.
        command.arg("-seed=1");
    }
    let ended = run::watched(&mut command, deadline);
    let stat = |name: &str| {
        let line = ended.lines.iter().rev().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    let executions: u64 = stat("number_of_executed_units");
    let covered = ended.lines.iter().rev().find_map(|line| line.split_once(" cov: "));
    let edges = covered.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
    let held = ended.success && executions >= runs && edges > 0;
    Outcome { target, held, executions, edges, took: start.elapsed() }
}

/// A compiler of the stable channel has what libFuzzer needs, and wants to be told that it is meant.
fn cargo_fuzz(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("fuzz").args(words).env("RUSTC_BOOTSTRAP", "1");
    command
}

/// The report, with the rows of targets that were not run as they stood there.
fn render(outcomes: &[Outcome], commit: &str, before: &str) -> String {
    let mut text = format!(
        "# Fuzzing\n\n\
        Every byte from outside is hostile, so what reads bytes is run on millions of inputs that libFuzzer makes up,\n\
        guided by what code they reach. Each target holds a property, not only that nothing panics.\n\n\
        Written by `cargo xtask fuzz`; {}, cargo-fuzz {}.\n\n\
        | target | what holds | executions | a second | edges | | commit |\n|---|---|--:|--:|--:|---|---|\n",
        about::machine(),
        about::cargo_tool("fuzz"),
    );
    for (target, what) in TARGETS {
        let row = format!("| `{target}` | {what} |");
        if let Some(Outcome { held, executions, edges, took, .. }) =
            outcomes.iter().find(|outcome| outcome.target == target)
        {
            let rate = *executions as f64 / took.as_secs_f64();
            let word = if *held { "held" } else { "**failed**" };
            text += &format!("{row} {executions} | {rate:.0} | {edges} | {word} | `{commit}` |\n");
        } else {
            let known = before.lines().find(|line| line.starts_with(&format!("| `{target}` |")));
            text += known.unwrap_or(&format!("{row} | | | not run yet | |"));
            text += "\n";
        }
    }
    text += "\nInputs to begin with stand in `fuzz/corpus`. `cargo xtask fuzz --runs 1000000 frames` runs one target, and \
             keeps\nwhat is new to it in `fuzz/found`; an input that breaks something stands in `fuzz/artifacts`. A bounded \
             run of all\ntargets is part of `cargo xtask test`.\n";
    assert!(Path::new("fuzz").is_dir(), "this is the project's root");
    text
}
