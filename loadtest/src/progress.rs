//! How far a run is, on standard error: a bar on a terminal, a line a run elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{engine::Stage, plan::Spec, results::Repetition, run::Listener};

/// Shows it.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    label: String,
    /// What the runs that are over were to take.
    gone: Duration,
    /// What the present one is to take.
    now: Duration,
    began: Instant,
    drawn: Instant,
}

/// How often it is drawn at most: drawing takes time from the generator's core.
const OFTEN: Duration = Duration::from_millis(200);

impl Progress {
    /// Of something that takes about so long.
    pub fn new(all: Duration, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target =
            if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(all.as_millis() as u64), target);
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {elapsed:>4}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            lines: !quiet && !terminal,
            label: String::new(),
            gone: Duration::ZERO,
            now: Duration::ZERO,
            began: Instant::now(),
            drawn: Instant::now(),
        }
    }

    /// All is done.
    pub fn over(&self) {
        self.bar.finish_and_clear();
    }
}

impl Listener for Progress {
    fn begins(&mut self, spec: &Spec, n: usize, all: usize) {
        self.gone += self.now;
        self.now = spec.estimate();
        self.began = Instant::now();
        self.label = format!("{}/{all} {}", n + 1, spec.id());
    }

    fn stage(&mut self, stage: Stage) {
        if self.drawn.elapsed() < OFTEN {
            return;
        }
        self.drawn = Instant::now();
        let what = match stage {
            Stage::Connecting(count) => format!("connecting, {count}"),
            Stage::Marking(count) => format!("waiting for marks, {count}"),
            Stage::WarmUp => "warming up".to_owned(),
            Stage::Measuring(share) => format!("measuring, {:.0} %", share * 100.0),
            Stage::Draining => "waiting for the last".to_owned(),
        };
        let done = self.gone + self.began.elapsed().min(self.now);
        self.bar.set_position(done.as_millis() as u64);
        self.bar.set_message(format!("{}: {what}", self.label));
    }

    fn ends(&mut self, _spec: &Spec, result: Result<&Repetition, &str>) {
        let text = match result {
            Ok(repetition) => {
                let at =
                    |quantile| repetition.measures.latency.as_ref().and_then(|latency| latency.at(quantile));
                let latency = match at(0.5).zip(at(0.99)) {
                    Some((median, p99)) => format!("p50 {median:.2} ms, p99 {p99:.2} ms"),
                    None => "no latency".to_owned(),
                };
                let invalid = if repetition.validity.valid { "" } else { ", INVALID" };
                format!("{}: {latency}{invalid}", self.label)
            }
            Err(error) => format!("{}: FAILED: {error}", self.label),
        };
        if self.lines {
            eprintln!("{text}");
        } else if result.is_err() {
            self.bar.println(text);
        }
    }
}
