//! The checks, in the order in which they run: what answers fastest stands first.

use std::{process::Command, time::Instant};

use crate::{
    run,
    tally::{self, Report, Runner},
};

/// One command, and how to read what it says.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    words: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    runner: Runner,
}

pub(crate) static ALL: [Step; 17] = [
    step("fmt", &["cargo", "fmt", "--all", "--check"], Runner::None),
    step("types", &["npm", "--prefix", "web", "run", "types"], Runner::None),
    step("lint", &["npm", "--prefix", "web", "run", "lint"], Runner::None),
    step("page-unit", &["npm", "--prefix", "web", "run", "unit"], Runner::Own),
    step(
        "clippy",
        &["cargo", "clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
        Runner::None,
    ),
    step("test", &["cargo", "nextest", "run", "--workspace"], Runner::Nextest),
    // The same over the other path, and over one core.
    contract("hosted", &[("FANLIGHT_TEST_PATH", "hosted")]),
    contract("one-core", &[("FANLIGHT_TEST_CORES", "1")]),
    contract("hosted-one-core", &[("FANLIGHT_TEST_PATH", "hosted"), ("FANLIGHT_TEST_CORES", "1")]),
    // Under a model checker's locks, which no other test runs with.
    step(
        "model",
        &["cargo", "nextest", "run", "--lib", "--features", "shuttle", "-E", "test(delivery::model)"],
        Runner::Nextest,
    ),
    step("conformance", &["cargo", "xtask", "conformance", "--quick"], Runner::Own),
    step("fuzz", &["cargo", "xtask", "fuzz", "--quick"], Runner::Own),
    step("doctest", &["cargo", "test", "--workspace", "--doc"], Runner::Doctest),
    Step {
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        ..step("doc", &["cargo", "doc", "--workspace", "--no-deps"], Runner::None)
    },
    step("page", &["npm", "--prefix", "web", "run", "browser"], Runner::Own),
    step("client-types", &["npm", "--prefix", "web/client", "run", "types"], Runner::None),
    step("client", &["npm", "--prefix", "web/client", "run", "test"], Runner::Own),
];

const fn step(name: &'static str, words: &'static [&'static str], runner: Runner) -> Step {
    Step { name, words, environment: &[], runner }
}

const fn contract(name: &'static str, environment: &'static [(&'static str, &'static str)]) -> Step {
    let words = &["cargo", "nextest", "run", "--test", "integration"];
    Step { environment, ..step(name, words, Runner::Nextest) }
}

pub(crate) fn named(name: &str) -> Option<&'static Step> {
    ALL.iter().find(|step| step.name == name)
}

impl Step {
    pub(crate) fn command(&self) -> String {
        self.words.join(" ")
    }

    pub(crate) fn run(&self, deadline: Instant) -> Report {
        let start = Instant::now();
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]).envs(self.environment.iter().copied());
        let ended = run::watched(&mut command, deadline);
        let (passed, failed) = tally::count(self.runner, &ended.lines, ended.success);
        Report { passed, failed, took: start.elapsed() }
    }
}
