//! What a pattern does to subscribers, and when.

use std::collections::VecDeque;

use super::{
    Engine, Error,
    timer::{Timer, What},
};
use crate::results::Pattern;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Break all connections; their owners come back at that time.
    Break { back: u64 },
    /// The slow ones stop reading.
    Stop,
    /// They go on.
    GoOn,
    /// A connection is closed, and opened anew.
    Renew,
}

/// Acts in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(VecDeque<(u64, Act)>);

impl Script {
    /// When the next one is.
    pub(super) fn next(&self) -> u64 {
        self.0.front().map_or(u64::MAX, |(due, _)| *due)
    }

    /// What a pattern does in a window.
    pub(super) fn new(pattern: Pattern, from: u64, to: u64, renewals: f64, gap: Option<f64>) -> Self {
        let length = to - from;
        let acts = match pattern {
            Pattern::Steady | Pattern::Burst | Pattern::Idle => Vec::new(),
            Pattern::Storm => {
                let middle = from + length / 2;
                // They stay away until something was published that they missed, or half of what is left.
                let away = gap.map_or(0.0, |gap| 2.0 * gap).max(500e6) as u64;
                vec![(middle, Act::Break { back: middle + away.min(length / 4) })]
            }
            Pattern::Slow => vec![(from, Act::Stop), (from + length / 5 * 4, Act::GoOn)],
            Pattern::Churn => {
                // Not to the very end: who comes back is to have an event again.
                let length = length / 5 * 4;
                let count = (renewals * length as f64 / 1e9) as u64;
                (0..count).map(|n| (from + n * length / count, Act::Renew)).collect()
            }
        };
        Self(acts.into())
    }
}

impl Engine<'_> {
    /// How many connections are closed a second (churn).
    pub(super) fn renewals(&self) -> f64 {
        self.load.share * self.subscribers.len() as f64
    }

    /// Does what is due.
    pub(super) fn script_due(&mut self, now: u64) -> Result<(), Error> {
        while self.script.next() <= now {
            let Some((_, act)) = self.script.0.pop_front() else { break };
            match act {
                Act::Break { back } => (0..self.subscribers.len()).for_each(|n| self.break_off(n, back)),
                Act::Stop => self.set_slow(false)?,
                Act::GoOn => self.set_slow(true)?,
                Act::Renew => {
                    // One that is connected and has had an event since: others are left to come back first.
                    let steady = |n: &usize| {
                        let subscriber = &self.subscribers[*n];
                        subscriber.fd.is_some() && subscriber.session.resuming.is_none()
                    };
                    let first = self.random.usize(0..self.subscribers.len());
                    let all = (first..self.subscribers.len()).chain(0..first);
                    if let Some(n) = all.into_iter().find(steady) {
                        self.break_off(n, now);
                    }
                }
            }
        }
        Ok(())
    }

    /// Closes a connection; its owner is back at that time.
    fn break_off(&mut self, n: usize, back: u64) {
        if self.subscribers[n].fd.is_none() {
            return;
        }
        self.close(n);
        self.tally.broken += 1;
        let subscriber = &mut self.subscribers[n];
        subscriber.session.ended = false;
        subscriber.session.resuming = Some(back);
        let generation = subscriber.generation;
        self.timers.push(Timer { due: back, subscriber: n as u32, generation, what: What::Connect });
    }

    fn set_slow(&mut self, reads: bool) -> Result<(), Error> {
        for n in 0..self.subscribers.len() {
            if self.subscribers[n].session.slow {
                self.set_reading(n, reads)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_has_its_acts() {
        let second = 1_000_000_000;
        let script = |pattern| Script::new(pattern, second, 11 * second, 3.0, Some(1e8)).0;
        assert!(script(Pattern::Steady).is_empty());
        assert_eq!(script(Pattern::Storm), [(6 * second, Act::Break { back: 6 * second + second / 2 })]);
        assert_eq!(script(Pattern::Slow), [(second, Act::Stop), (9 * second, Act::GoOn)]);
        let churn = script(Pattern::Churn);
        assert_eq!(churn.len(), 24);
        assert!(churn.iter().all(|(due, _)| (second..9 * second).contains(due)));
    }
}
