//! Publishing on schedule: requests leave when they are due, whatever the answers do.

use std::{io, os::fd::OwnedFd};

use super::{load::Goal, sockets};
use crate::wire::decode::{Cut, Decoder, Item};

/// A connection that publishes. All events of a topic go over the same one, so that they have an order.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) fd: OwnedFd,
    decoder: Decoder,
    /// What the socket did not take yet.
    pub(super) out: Vec<u8>,
    pub(super) sent: u64,
    pub(super) answered: u64,
    /// Whether the watcher waits for room.
    pub(super) writes: bool,
}

/// What a publisher holds back for a server that stands still. More is an error.
const MOST: usize = 64 << 20;

impl Publisher {
    pub(super) fn open(goal: &Goal) -> io::Result<Self> {
        let fd = sockets::begin(goal.publish, 0, None)?;
        Ok(Self {
            fd,
            decoder: Decoder::new(Cut::Whole),
            out: Vec::new(),
            sent: 0,
            answered: 0,
            writes: true,
        })
    }

    /// Sends what it can. `false` as long as something is left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.out.len() > MOST {
            return Err(io::Error::other("the server takes no more publishes: 64 MiB of them wait"));
        }
        sockets::flush(&self.fd, &mut self.out).map(|(_, done)| done)
    }

    /// Reads answers. `false` at the connection's end.
    ///
    /// # Errors
    /// If a publish was refused, or the connection broke.
    pub(super) fn hear(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        let count = match sockets::receive(&self.fd, scratch)? {
            None => return Ok(true),
            Some(0) => return Ok(false),
            Some(count) => count,
        };
        let (mut refused, mut answered) = (None, 0);
        let mut item = |item: Item<'_>| match item {
            Item::Head { status, head } if status >= 300 => {
                refused = Some(String::from_utf8_lossy(head).lines().next().unwrap_or("").to_owned());
            }
            Item::Unit(unit) => {
                if let Some(said) = &mut refused {
                    *said = format!("{said}: {}", String::from_utf8_lossy(&unit[..unit.len().min(200)]));
                }
            }
            Item::End => answered += 1,
            _ => {}
        };
        self.decoder.take(&scratch[..count], &mut item).map_err(io::Error::other)?;
        self.answered += answered;
        match refused {
            Some(said) => Err(io::Error::other(format!("a publish was refused: {said}"))),
            None => Ok(true),
        }
    }
}

/// When events are due: bursts at even intervals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    base: u64,
    gap: f64,
    burst: u64,
    count: u64,
}

impl Schedule {
    pub(super) fn new(base: u64, gap: f64, burst: usize) -> Self {
        Self { base, gap, burst: burst.max(1) as u64, count: 0 }
    }

    /// When the next one is.
    pub(super) fn next(&self) -> u64 {
        // A product, not a sum: no error grows.
        self.base + ((self.count / self.burst) as f64 * self.gap) as u64
    }

    /// Takes the next one if it is due: its time, and its place among all.
    pub(super) fn take(&mut self, now: u64) -> Option<(u64, u64)> {
        let due = self.next();
        (due <= now).then(|| {
            self.count += 1;
            (due, self.count - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_does_not_wait() {
        let mut schedule = Schedule::new(1000, 50.5, 1);
        assert_eq!(schedule.take(999), None);
        // Whoever comes late takes all that were due, each with its own time.
        let late: Vec<u64> = std::iter::from_fn(|| schedule.take(1160)).map(|(due, _)| due).collect();
        assert_eq!(late, [1000, 1050, 1101, 1151]);
        assert_eq!(schedule.next(), 1202);
    }

    #[test]
    fn a_burst_is_due_at_once() {
        let mut schedule = Schedule::new(0, 100.0, 3);
        let all: Vec<u64> = std::iter::from_fn(|| schedule.take(100)).map(|(due, _)| due).collect();
        assert_eq!(all, [0, 0, 0, 100, 100, 100]);
    }
}
