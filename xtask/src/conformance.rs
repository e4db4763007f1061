//! RFC 6455 and RFC 7692 as others test them: Autobahn's cases, driven by kosoku against `/v1/echo`, which runs
//! on the codec and the paths that subscribers get.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde::Deserialize;

use crate::{about, run, tally::Report};

pub(crate) const RUNNER: &str = "tests/.venv/bin/kosoku";
const REPORT: &str = "docs/conformance.md";
const REPORTS: &str = "target/conformance";
/// The quick ones of group 9 are none: what it has that others have not is size.
const QUICK: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
/// The compressed groups, with how many parts they have; the first cases of a part have the smallest messages.
const COMPRESSED: [(u32, u32); 2] = [(12, 5), (13, 7)];
/// Both ways to a client, as flags of the gateway.
const PATHS: [(&str, &[&str]); 2] = [("taken", &[]), ("hosted", &["--no-takeover"])];
/// Of all cases; the quick ones are fewer.
const CASES: usize = 517;

/// What became of one case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    behavior: String,
    behavior_close: String,
}

type Cases = BTreeMap<String, Case>;

/// Runs the quick cases in a debug build, or all of them in a release build, which writes the report.
pub(crate) fn test(quick: bool, deadline: Instant) -> Report {
    let start = Instant::now();
    let commit = about::commit();
    let mut reports = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for (path, flags) in PATHS {
        match run_cases(path, flags, quick, deadline) {
            Ok(cases) => {
                let good = cases.values().filter(|case| case.is_met()).count();
                println!("{path}: {good} of {} cases met", cases.len());
                passed += good as u64;
                failed += (cases.len() - good) as u64;
                failed += u64::from(!quick && cases.len() != CASES || cases.is_empty());
                reports.push((path, cases));
            }
            Err(error) => {
                println!("{path}: {error}");
                failed += 1;
            }
        }
    }
    if !quick && failed == 0 {
        fs::write(REPORT, render(&reports, &commit)).expect("docs/ can be written");
        println!("wrote {REPORT}");
    }
    Report { passed, failed, took: start.elapsed() }
}

impl Case {
    /// `INFORMATIONAL` is the suite's own word for what the RFC leaves open.
    fn is_met(&self) -> bool {
        [&self.behavior, &self.behavior_close]
            .iter()
            .all(|found| ["OK", "INFORMATIONAL"].contains(&&***found))
    }
}

fn run_cases(path: &str, flags: &[&str], quick: bool, deadline: Instant) -> Result<Cases, String> {
    let profile: &[&str] = if quick { &[] } else { &["--release"] };
    let built =
        run::watched(Command::new("cargo").args(["build", "--bin", "fanlight"]).args(profile), deadline);
    if !built.success {
        return Err("the gateway does not build".to_owned());
    }
    let program = if quick { "target/debug/fanlight" } else { "target/release/fanlight" };
    let gateway = Gateway::start(program, flags)?;
    let reports = Path::new(REPORTS).join(path);
    let _ = fs::remove_dir_all(&reports);
    let mut kosoku = Command::new(RUNNER);
    kosoku.arg(format!("ws://{}/v1/echo", gateway.addr)).args(["-p", "4", "-o"]).arg(&reports);
    if quick {
        let groups = QUICK.iter().map(|group| (*group).to_owned());
        let compressed =
            COMPRESSED.iter().flat_map(|(group, parts)| (1..=*parts).map(move |part| (group, part)));
        let compressed =
            compressed.flat_map(|(group, part)| [1, 2].map(|case| format!("{group}.{part}.{case}")));
        kosoku.args(groups.chain(compressed).map(|case| format!("--include={case}")));
    }
    // It fails where a case fails, and says of each how in its report.
    run::watched(&mut kosoku, deadline);
    let index =
        fs::read_to_string(reports.join("index.json")).map_err(|error| format!("no report: {error}"))?;
    let mut servers: BTreeMap<String, Cases> =
        serde_json::from_str(&index).map_err(|error| format!("an unreadable report: {error}"))?;
    servers.pop_first().map(|(_, cases)| cases).ok_or_else(|| "an empty report".to_owned())
}

/// A gateway whose largest message holds the suite's largest; it ends when dropped.
struct Gateway {
    child: Child,
    addr: String,
}

impl Gateway {
    fn start(program: &str, flags: &[&str]) -> Result<Self, String> {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--max-event", "16MiB", "--max-batch", "16MiB"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line);
        let addr =
            read.ok().and_then(|_| line.trim().strip_prefix("listening on http://")).map(str::to_owned);
        let gateway = Self { child, addr: addr.unwrap_or_default() };
        if gateway.addr.is_empty() {
            Err(format!("{program} does not listen: {line:?}"))
        } else {
            Ok(gateway)
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn render(reports: &[(&str, Cases)], commit: &str) -> String {
    let mut text = format!(
        "# WebSocket conformance\n\n\
        `/v1/echo` runs on the codec and the paths that subscribers get. Autobahn's cases, driven by kosoku, \
        over the taken\npath and over the hosted one. Connections that negotiated compression (groups 12 and \
        13) are hosted on both.\n\n\
        Written by `cargo xtask conformance`; commit `{commit}`, {}, {}.\n\n\
        | group | what | cases |",
        about::machine(),
        about::version(RUNNER.replace("kosoku", "pip").as_str(), &["show", "kosoku"], "kosoku "),
    );
    let mut rule = "|---|---|--:|".to_owned();
    for (path, _) in reports {
        text += &format!(" {path}: met | informational | failed |");
        rule += "--:|--:|--:|";
    }
    text += &format!("\n{rule}\n");
    let groups: Vec<(u32, &str)> = vec![
        (1, "framing"),
        (2, "pings and pongs"),
        (3, "reserved bits"),
        (4, "opcodes"),
        (5, "fragmentation"),
        (6, "UTF-8"),
        (7, "the closing handshake"),
        (9, "sizes up to 16 MiB"),
        (10, "a payload in many pieces"),
        (12, "compression, various payloads"),
        (13, "compression, various parameters"),
    ];
    for (group, what) in groups {
        let prefix = format!("{group}.");
        let row = reports.iter().map(|(_, cases)| {
            let of_group: Vec<&Case> =
                cases.iter().filter(|(id, _)| id.starts_with(&prefix)).map(|(_, case)| case).collect();
            let met = of_group.iter().filter(|case| case.is_met()).count();
            let open = of_group.iter().filter(|case| case.behavior == "INFORMATIONAL").count();
            (of_group.len(), met - open, open, of_group.len() - met)
        });
        let row: Vec<_> = row.collect();
        text += &format!("| {group} | {what} | {} |", row[0].0);
        for (_, met, open, failed) in row {
            text += &format!(" {met} | {open} | {failed} |");
        }
        text += "\n";
    }
    text += "\n'Informational' is the suite's word for cases in which the RFC leaves open what to do.\n\n\
        The quick cases (all groups but the large messages of 9, and the smallest messages of 12 and 13) are \
        part of\n`cargo xtask test`.\n";
    text
}
