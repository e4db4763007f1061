//! What the runners say at their end, in numbers.

use std::{fmt, time::Duration};

/// Passed and failed checks of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) took: Duration,
}

impl Report {
    /// Whether something was checked, and nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6.1} s  {:>4} passed", self.took.as_secs_f64(), self.passed)?;
        if self.failed > 0 { write!(f, ", {} failed", self.failed) } else { Ok(()) }
    }
}

/// Who counts, and so how its closing lines read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Runner {
    /// It only succeeds or fails: one check.
    None,
    /// `Summary [   0.027s] 4 tests run: 3 passed, 1 failed, 0 skipped`
    Nextest,
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; …`, once per crate. There need not be any.
    Doctest,
    /// `12 passed, 0 failed`
    Own,
}

/// Passed and failed, from what a runner printed and how it ended.
pub(crate) fn count(runner: Runner, lines: &[String], success: bool) -> (u64, u64) {
    let lines = lines.iter().map(|line| plain(line));
    let (passed, mut failed) = match runner {
        Runner::None => return (u64::from(success), u64::from(!success)),
        Runner::Nextest => {
            lines.filter(|line| line.trim_start().starts_with("Summary [")).fold((0, 0), |sum, line| {
                let broken = ["failed", "exec failed", "timed out"].map(|word| before(&line, word));
                add(sum, (before(&line, "passed"), broken.iter().sum()))
            })
        }
        Runner::Doctest => lines
            .filter(|line| line.starts_with("test result:"))
            .fold((0, 0), |sum, line| add(sum, (before(&line, "passed"), before(&line, "failed")))),
        Runner::Own => lines.fold((0, 0), |sum, line| match line.strip_suffix(" failed") {
            Some(_) => add(sum, (before(&line, "passed"), before(&line, "failed"))),
            None => sum,
        }),
    };
    // It failed without a failed test (it did not build, say), or ran none at all.
    if failed == 0 && (!success || passed == 0 && runner != Runner::Doctest) {
        failed = 1;
    }
    (passed, failed)
}

fn add(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0 + b.0, a.1 + b.1)
}

/// The number before a word: 3 in `3 passed, 0 skipped`; 0 where the word is not there.
fn before(line: &str, word: &str) -> u64 {
    let Some((head, _)) = line.split_once(&format!(" {word}")) else { return 0 };
    head.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The line without its colours.
fn plain(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(runner: Runner, text: &str, success: bool) -> (u64, u64) {
        count(runner, &text.lines().map(str::to_owned).collect::<Vec<_>>(), success)
    }

    #[test]
    fn nextest() {
        let line = "     Summary [   0.027s] 4 tests run: 4 passed, 2 skipped";
        assert_eq!(counted(Runner::Nextest, line, true), (4, 0));
        let line = "     Summary [  61.3s] 9 tests run: 4 passed (1 slow), 2 failed, 3 timed out, 0 skipped";
        assert_eq!(counted(Runner::Nextest, line, false), (4, 5));
        let line = "     Summary [   0.1s] 2/9 tests run: 1 passed, 1 exec failed, 0 skipped";
        assert_eq!(counted(Runner::Nextest, line, false), (1, 1));
        let coloured = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.027s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m";
        assert_eq!(counted(Runner::Nextest, coloured, true), (4, 0));
    }

    #[test]
    fn doctests_of_several_crates_are_summed_and_need_not_be() {
        let two = "test result: ok. 3 passed; 0 failed; 1 ignored\nrunning\ntest result: FAILED. 1 passed; 2 failed;";
        assert_eq!(counted(Runner::Doctest, two, false), (4, 2));
        assert_eq!(counted(Runner::Doctest, "test result: ok. 0 passed; 0 failed;", true), (0, 0));
    }

    #[test]
    fn a_runner_that_ran_nothing_or_did_not_build_has_failed() {
        for runner in [Runner::Nextest, Runner::Own] {
            assert_eq!(counted(runner, "", true), (0, 1));
            assert_eq!(counted(runner, "error: could not compile", false), (0, 1));
        }
        assert_eq!(counted(Runner::Doctest, "error", false), (0, 1));
        assert_eq!(counted(Runner::None, "", false), (0, 1));
    }
}
