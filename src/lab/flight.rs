//! What is under way on one connection in one direction: which bytes, and when they arrive.
//!
//! A segment leaves when the link that all connections of the line share has sent it, and arrives half a round
//! trip later. One that is lost arrives after a stall, as if the sender had noticed by its time-out and sent it
//! again; whatever was sent behind it arrives no sooner, since TCP delivers in order. No I/O, and no clock: time
//! comes in.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{conditions::Conditions, link::Link};

/// Bytes in a segment of TCP over Ethernet.
const SEGMENT: usize = 1460;
/// Bytes that are under way at most, whatever the line could take: it stands for TCP's window.
const MAX_BYTES: usize = 256 << 10;
/// What may be under way on the slowest line.
const MIN_BYTES: usize = 4 << 10;
/// What may wait for a slow link, as time at its bandwidth, beside what a round trip holds.
const QUEUE: Duration = Duration::from_millis(250);
/// The least that a sender waits before it takes a segment for lost (Linux).
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);
/// A segment is lost so many times at most.
const MAX_LOSSES: u32 = 8;
/// The longest stall of one segment.
const MAX_STALL: Duration = Duration::from_secs(20);
/// What is due so soon is due: a timer knows milliseconds and so does the wait for sockets, each rounding up, and
/// together they would be late by one on average.
const SLACK: Duration = Duration::from_millis(1);

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the gateway.
    Up,
    /// Towards the client.
    Down,
}

/// What is under way.
#[derive(Clone, Debug, PartialEq)]
pub enum Cargo {
    /// Bytes, at least one.
    Bytes(Bytes),
    /// The sender sends no more.
    End,
    /// The connection is gone.
    Reset,
}

#[derive(Debug)]
struct Segment {
    cargo: Cargo,
    entered: Instant,
    left: Instant,
    /// How often it was lost.
    losses: u32,
    due: Instant,
}

/// What is under way on one connection in one direction.
#[derive(Debug)]
pub struct Flight {
    direction: Direction,
    segments: VecDeque<Segment>,
    bytes: usize,
    opened: Instant,
    random: fastrand::Rng,
}

impl Flight {
    /// Nothing is under way yet on a connection that was opened now.
    pub fn new(direction: Direction, now: Instant, random: fastrand::Rng) -> Self {
        Self { direction, segments: VecDeque::new(), bytes: 0, opened: now, random }
    }

    /// Sends bytes over the link. How many segments were lost on the way, each time counted.
    pub fn send(&mut self, now: Instant, bytes: Bytes, link: &mut Link, conditions: &Conditions) -> u64 {
        let mut bytes = bytes;
        let mut lost = 0;
        // Where neither bandwidth nor loss tells segments apart they need not be told apart.
        let whole = conditions.loss == 0.0 && self.kbps(conditions) == 0;
        let most = if whole { MAX_BYTES } else { SEGMENT };
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(most));
            self.bytes += piece.len();
            let losses = self.draw(conditions.loss);
            lost += u64::from(losses);
            self.push(now, Cargo::Bytes(piece), losses, link, conditions);
        }
        lost
    }

    /// Sends the end, behind everything.
    pub fn end(&mut self, now: Instant, end: Cargo, link: &mut Link, conditions: &Conditions) {
        self.push(now, end, 0, link, conditions);
    }

    /// How many more bytes may be under way.
    pub fn room(&self, conditions: &Conditions) -> usize {
        let most = match self.kbps(conditions) {
            0 => MAX_BYTES,
            kbps => {
                let seconds = (conditions.rtt() + QUEUE).as_secs_f64();
                let held = f64::from(kbps) * 125.0 * seconds;
                (held as usize).clamp(MIN_BYTES, MAX_BYTES)
            }
        };
        most.saturating_sub(self.bytes)
    }

    /// When a timer should look again: a moment before the next of it arrives.
    pub fn due(&self) -> Option<Instant> {
        self.segments.front().map(|first| first.due.checked_sub(SLACK).unwrap_or(first.due))
    }

    /// The first that has arrived.
    pub fn arrived(&self, now: Instant) -> Option<&Cargo> {
        self.segments.front().filter(|first| first.due <= now + SLACK).map(|first| &first.cargo)
    }

    /// Takes so many bytes of the first, or the whole of what has none.
    pub fn take(&mut self, count: usize) {
        let Some(first) = self.segments.front_mut() else { return };
        if let Cargo::Bytes(bytes) = &mut first.cargo {
            self.bytes -= count;
            drop(bytes.split_to(count));
            if !bytes.is_empty() {
                return;
            }
        }
        self.segments.pop_front();
    }

    /// Loses everything: nobody is there to receive it.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.bytes = 0;
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Goes on under other conditions: what has not left yet leaves anew, over a link that was cleared, and
    /// what has left arrives as if the line had been like this when it did. The order stays.
    pub fn change(&mut self, now: Instant, link: &mut Link, conditions: &Conditions) {
        for segment in std::mem::take(&mut self.segments) {
            let left = if segment.left > now { None } else { Some(segment.left) };
            // A line that loses nothing makes up for nothing.
            let losses = if conditions.loss == 0.0 { 0 } else { segment.losses };
            let segment = Segment { losses, ..segment };
            self.place(segment, left, now, link, conditions);
        }
    }

    fn push(&mut self, now: Instant, cargo: Cargo, losses: u32, link: &mut Link, conditions: &Conditions) {
        let segment = Segment { cargo, entered: now, left: now, losses, due: now };
        self.place(segment, None, now, link, conditions);
    }

    fn place(
        &mut self,
        segment: Segment,
        left: Option<Instant>,
        now: Instant,
        link: &mut Link,
        conditions: &Conditions,
    ) {
        let length = if let Cargo::Bytes(bytes) = &segment.cargo { bytes.len() } else { 0 };
        let left = left.unwrap_or_else(|| match length {
            0 => now,
            length => link.send(now, length, self.kbps(conditions)),
        });
        // A client sends nothing before it has the answer to its SYN.
        let shaken = match self.direction {
            Direction::Up => segment.entered.max(self.opened + conditions.rtt()),
            Direction::Down => segment.entered,
        };
        let due = left.max(shaken) + conditions.rtt() / 2 + stall(segment.losses, conditions.rtt());
        let due = self.segments.back().map_or(due, |before| due.max(before.due));
        self.segments.push_back(Segment { left, due, ..segment });
    }

    fn kbps(&self, conditions: &Conditions) -> u32 {
        match self.direction {
            Direction::Up => conditions.up_kbps,
            Direction::Down => conditions.down_kbps,
        }
    }

    /// How often a segment is lost before it arrives.
    fn draw(&mut self, loss: f64) -> u32 {
        let mut losses = 0;
        while loss > 0.0 && losses < MAX_LOSSES && self.random.f64() < loss {
            losses += 1;
        }
        losses
    }
}

/// How much later a segment arrives that was lost so often: each time the sender waits twice as long.
fn stall(losses: u32, rtt: Duration) -> Duration {
    ((rtt + LEAST_TIMEOUT) * ((1 << losses) - 1)).min(MAX_STALL)
}

#[cfg(test)]
mod tests;
