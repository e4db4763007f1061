//! The bandwidth that the connections of a line share in one direction.

use std::time::Duration;

use tokio::time::Instant;

/// A link that sends one thing after the other, as fast as it can.
#[derive(Debug)]
pub struct Link {
    /// When all that was given to it has left.
    free: Instant,
}

impl Link {
    /// A link that has nothing to send.
    pub fn new(now: Instant) -> Self {
        Self { free: now }
    }

    /// When so many bytes, given to it now, have left. Without a bound (0 kbit/s) that is now.
    pub fn send(&mut self, now: Instant, bytes: usize, kbps: u32) -> Instant {
        if kbps == 0 {
            return now;
        }
        // A kilobit a second is a bit a millisecond.
        let takes = Duration::from_nanos(bytes as u64 * 8_000_000 / u64::from(kbps));
        self.free = self.free.max(now) + takes;
        self.free
    }

    /// Forgets what it was given, which is then given to it again.
    pub fn clear(&mut self, now: Instant) {
        self.free = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_leaves_after_the_other() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut link = Link::new(start);
        assert_eq!(link.send(start, 1000, 8), at(1000));
        assert_eq!(link.send(at(500), 500, 8), at(1500));
        assert_eq!(link.send(at(2000), 1, 8), at(2001));
        assert_eq!(link.send(at(2000), 1 << 20, 0), at(2000));
        link.clear(at(2000));
        assert_eq!(link.send(at(2000), 1, 8), at(2001));
    }
}
