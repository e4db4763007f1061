//! One direction of a connection.

use std::{collections::VecDeque, time::Duration};

/// Bytes on their way, and the line's pace.
#[derive(Debug)]
pub(super) struct Lane {
    queue: VecDeque<(u64, Vec<u8>)>,
    /// Bytes of the first that are gone.
    gone: usize,
    queued: usize,
    delay: u64,
    /// Nanoseconds that a byte takes; 0 without a limit.
    per_byte: f64,
    /// When the line is free for the next byte.
    free: u64,
    most: usize,
    /// When the sender's end arrives.
    pub(super) end: Option<u64>,
}

/// Bytes that a line may hold, or twice its product of bandwidth and delay: as much as a large window of TCP.
const MOST: usize = 1 << 20;
/// What passes a slow line in one piece: a segment.
const SEGMENT: usize = 1448;

impl Lane {
    /// A line with so many bits a second that nothing passes before `open`.
    pub(super) fn new(delay: Duration, bits: f64, open: u64) -> Self {
        let per_byte = if bits > 0.0 { 8e9 / bits } else { 0.0 };
        let product = (bits / 8.0 * delay.as_secs_f64()) as usize;
        Self {
            queue: VecDeque::new(),
            gone: 0,
            queued: 0,
            delay: delay.as_nanos() as u64,
            per_byte,
            free: open,
            most: MOST.max(2 * product),
            end: None,
        }
    }

    /// Takes bytes that were sent now; when the first of them arrive.
    pub(super) fn take(&mut self, bytes: &[u8], now: u64) -> u64 {
        let mut first = u64::MAX;
        let size = if self.per_byte > 0.0 { SEGMENT } else { bytes.len().max(1) };
        for part in bytes.chunks(size) {
            self.free = self.free.max(now) + (part.len() as f64 * self.per_byte) as u64;
            let due = self.free + self.delay;
            self.queue.push_back((due, part.to_vec()));
            first = first.min(due);
        }
        self.queued += bytes.len();
        first
    }

    /// The sender is at its end now; when that arrives.
    pub(super) fn finish(&mut self, now: u64) -> u64 {
        let due = self.free.max(now) + self.delay;
        self.end = Some(due);
        due
    }

    /// Whether it takes more.
    pub(super) fn has_room(&self) -> bool {
        self.queued < self.most
    }

    /// What has arrived, and since when.
    pub(super) fn arrived(&self, now: u64) -> Option<(u64, &[u8])> {
        let (due, bytes) = self.queue.front()?;
        (*due <= now).then(|| (*due, &bytes[self.gone..]))
    }

    /// When the next of its bytes arrive.
    pub(super) fn next(&self) -> Option<u64> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// So many bytes of what has arrived were passed on. Whether that was all of the piece.
    pub(super) fn passed(&mut self, count: usize) -> bool {
        self.gone += count;
        self.queued -= count;
        let whole = self.queue.front().is_some_and(|(_, bytes)| self.gone >= bytes.len());
        if whole {
            self.queue.pop_front();
            self.gone = 0;
        }
        whole
    }

    /// Whether the sender's end has arrived, and all before it.
    pub(super) fn is_over(&self, now: u64) -> bool {
        self.queue.is_empty() && self.end.is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        // 8 Mbit/s: a microsecond a byte.
        let mut lane = Lane::new(Duration::from_micros(10), 8e6, 0);
        assert_eq!(lane.take(&[0; 100], 1_000_000), 1_000_000 + 100_000 + 10_000);
        // The line is still busy with the first.
        assert_eq!(lane.take(&[0; 50], 1_000_000), 1_000_000 + 150_000 + 10_000);
        assert_eq!(lane.arrived(1_109_999), None);
        assert_eq!(lane.arrived(1_110_000).map(|(due, bytes)| (due, bytes.len())), Some((1_110_000, 100)));
        assert!(!lane.passed(40));
        assert!(lane.passed(60));
        assert_eq!(lane.next(), Some(1_160_000));
        lane.finish(1_000_000);
        assert!(!lane.is_over(2_000_000), "there are bytes before the end");
    }

    #[test]
    fn a_line_without_a_limit_only_delays() {
        let mut lane = Lane::new(Duration::from_millis(20), 0.0, 5);
        assert_eq!(lane.take(&[0; 100_000], 0), 20_000_005);
        assert!(lane.has_room());
        lane.take(&[0; 1_000_000], 0);
        assert!(!lane.has_room());
    }
}
