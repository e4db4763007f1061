//! The events that a line is fed with.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use super::{conditions::Source, line::Line};
use crate::{
    error::{Code, Problem},
    publish::{Content, Publisher},
};

/// What is later than this is left out: a gateway that was busy, or a machine that slept, does not make up for an
/// hour at once.
const CATCH_UP: Duration = Duration::from_secs(1);
/// The longest span between two times, beyond what anybody waits for.
const RAREST: Duration = Duration::from_secs(30 * 24 * 3600);
/// How far into its span a time may be put off.
const SPREAD: f64 = 0.7;
/// Events that are published before others get a turn.
const SLICE: u64 = 50;

/// Publishes what the line's source is told to, until the line ends or the gateway goes.
pub async fn run(line: Arc<Line>, publisher: Publisher) {
    let mut states = line.watch();
    let mut number = 0;
    // When the last were due.
    let mut last = None;
    loop {
        let state = states.borrow_and_update().clone();
        if state.ended {
            return;
        }
        let Some(source) = state.source.filter(|source| source.rate > 0.0) else {
            // The sender is the line's own.
            _ = states.changed().await;
            continue;
        };
        let mut schedule = Schedule::new(&source, last, Instant::now());
        loop {
            // Spread at random within its span: whoever polls on a timer would meet a clockwork always at the same
            // age of its events, and never see what a poll costs on average.
            let spread = schedule.every.mul_f64(SPREAD * fastrand::f64());
            let other = |next: &super::line::State| next.ended || next.source.as_ref() != Some(&source);
            tokio::select! {
                biased;
                _ = states.wait_for(other) => break,
                () = sleep_until(schedule.next() + spread) => {}
            }
            let times = schedule.due(Instant::now());
            last = Some(schedule.next() - schedule.every);
            match publish(&line, &publisher, &source, &mut number, times * u64::from(source.burst)).await {
                Ok(()) => {}
                Err(problem) if problem.code == Code::Unavailable => return,
                Err(problem) => {
                    tracing::warn!(topic = source.topic, ?problem, "a line's source was refused");
                    // It would be again.
                    _ = states.wait_for(other).await;
                    break;
                }
            }
        }
    }
}

/// Publishes so many events while the line lasts, and counts them.
async fn publish(
    line: &Line,
    publisher: &Publisher,
    source: &Source,
    number: &mut u64,
    count: u64,
) -> Result<(), Problem> {
    let last = *number + count;
    while *number < last && !line.has_ended() {
        let next = last.min(*number + SLICE);
        let drafts = (*number + 1..=next)
            .map(|number| {
                let data = data(number, source.size as usize);
                publisher.draft(&source.topic, None, Content::Json(data.as_bytes()))
            })
            .collect::<Result<_, _>>()?;
        publisher.publish(drafts, None)?;
        *number = next;
        yield_now().await;
    }
    Ok(())
}

/// When a source publishes: `start`, and each span after it, whatever became of those before.
#[derive(Debug)]
struct Schedule {
    start: Instant,
    every: Duration,
    /// How many times it was due.
    passed: u32,
}

impl Schedule {
    /// Begins a span after the last time, or at once.
    fn new(source: &Source, last: Option<Instant>, now: Instant) -> Self {
        let every = Duration::try_from_secs_f64(f64::from(source.burst) / source.rate);
        let every = every.unwrap_or(RAREST).min(RAREST);
        let start = last.and_then(|last| last.checked_add(every)).map_or(now, |next| next.max(now));
        Self { start, every, passed: 0 }
    }

    /// When it is due next.
    fn next(&self) -> Instant {
        self.start + self.every * self.passed
    }

    /// How often it was due by now. Times that are long gone are passed over.
    fn due(&mut self, now: Instant) -> u64 {
        let Some(since) = now.checked_duration_since(self.start) else { return 0 };
        let passed = u32::try_from(since.as_nanos() / self.every.as_nanos() + 1).unwrap_or(u32::MAX);
        let late = CATCH_UP.as_nanos() / self.every.as_nanos() + 1;
        let due = u128::from(passed.saturating_sub(self.passed)).min(late) as u64;
        self.passed = passed;
        if self.passed > 1_000_000 {
            // So that the product above stays exact and in bounds.
            self.start = self.next();
            self.passed = 0;
        }
        due
    }
}

/// An object of exactly so many bytes, at least two. Where there is no room for the pad, spaces fill it; where there
/// is none for the number, it is empty.
fn data(number: u64, size: usize) -> String {
    let (open, close) = (format!("{{\"n\":{number}"), "}");
    let padded = open.len() + ",\"pad\":\"\"}".len();
    if padded <= size {
        return format!("{open},\"pad\":\"{}\"}}", ".".repeat(size - padded));
    }
    let open = if open.len() < size { open } else { "{".to_owned() };
    let spaces = " ".repeat(size - open.len() - close.len());
    format!("{open}{spaces}{close}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(rate: f64, burst: u32) -> Source {
        Source { rate, burst, ..Source::new("lab/x".to_owned()) }
    }

    #[test]
    fn data_has_exactly_its_size() {
        for number in [1, 42, u64::MAX] {
            for size in 2..200 {
                let data = data(number, size);
                assert_eq!(data.len(), size, "{data}");
                let read: serde_json::Value = serde_json::from_str(&data).unwrap();
                if let Some(told) = read.get("n") {
                    assert_eq!(told, &serde_json::Value::from(number));
                }
                assert_eq!(read.get("n").is_some(), size >= 6 + number.to_string().len(), "{data}");
            }
        }
        assert_eq!(data(7, 24), r#"{"n":7,"pad":"........"}"#);
    }

    #[test]
    fn a_schedule_does_not_drift() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&source(3.0, 1), None, start);
        let mut published = 0;
        // Whoever comes late every time.
        for _ in 0..30_000 {
            published += schedule.due(schedule.next() + Duration::from_millis(100));
        }
        assert_eq!(published, 30_000);
        let drift = schedule.next().duration_since(start).as_secs_f64() - 10_000.0;
        assert!(drift.abs() < 1e-3, "{drift}");
    }

    #[test]
    fn what_is_late_is_made_up_for_within_bounds() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&source(100.0, 1), None, start);
        assert_eq!(schedule.due(start), 1);
        assert_eq!(schedule.due(start + Duration::from_millis(500)), 50);
        assert_eq!(schedule.due(start + Duration::from_secs(3600)), 101);
        assert_eq!(schedule.due(start + Duration::from_secs(3600)), 0);
        assert_eq!(schedule.due(start + Duration::from_millis(3_600_010)), 1);
    }

    #[test]
    fn a_change_adds_no_event_of_its_own() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(Schedule::new(&source(1.0, 1), Some(start), at(300)).next(), at(1000));
        assert_eq!(Schedule::new(&source(10.0, 1), Some(start), at(300)).next(), at(300));
        assert_eq!(Schedule::new(&source(10.0, 5), Some(start), at(300)).next(), at(500));
        assert_eq!(Schedule::new(&source(0.1, 1), None, at(300)).next(), at(300));
    }
}
