//! A run from its begin to its end.

use std::time::Duration;

use super::{
    AT_ONCE, Beside, Engine, Error, Few, Outcome, Schedule, Stage, script::Script, sockets,
    subscriber::Subscriber,
};
use crate::{
    results::{Exactly, Pattern, Transport},
    watch::{Kernel, Look},
};

/// From so many subscribers on the memory of a connection stands out of the noise.
const MEMORABLE: usize = 500;
/// How often a mark is published until each subscriber had one.
const MARK_AGAIN: u64 = 250_000_000;

impl Engine<'_> {
    /// Connects, marks, warms up, measures, and waits for the last deliveries.
    ///
    /// # Errors
    /// If the server cannot be subscribed to or published to at all. Whatever goes wrong later is in the outcome.
    pub fn run(mut self, beside: &mut dyn Beside) -> Result<Outcome, Error> {
        self.open_publishers()?;
        let seen_before = self.watch.look().seen();
        let kernel_before = Kernel::look();
        // Some of them first: what the first connections cost a process is not what the next ones do.
        let first = if self.load.subscribers >= MEMORABLE { self.load.subscribers / 10 } else { 0 };
        let few = if first > 0 {
            self.open(first)?;
            self.mark()?;
            self.settle()?;
            Some(Few { subscribers: first, seen: self.watch.look().seen(), kernel: Kernel::look() })
        } else {
            None
        };
        let begun = (self.subscribers.len(), self.watch.quick());
        self.open(self.load.subscribers)?;
        let connect_cpu_ns = self.watch.quick().zip(begun.1).map(|(now, before)| {
            now.cpu_ns.saturating_sub(before.cpu_ns) / (self.load.subscribers - begun.0).max(1) as u64
        });
        self.mark()?;
        self.settle()?;
        let opening = self.tally.sums();
        let seen = [seen_before, self.watch.look().seen()];
        let kernel = [kernel_before, Kernel::look()];
        beside.established();
        let (wire_before, wire_from) = (self.tally.sums(), self.now());

        (self.tell)(Stage::WarmUp);
        let base = self.now() + 1_000_000;
        self.schedule = self.load.gap().map(|gap| Schedule::new(base, gap, self.load.burst));
        self.window.set(base + self.load.warm_up.as_nanos() as u64, self.load.time);
        let (from, to) = (self.window.from, self.window.to);
        self.script = Script::new(self.load.pattern, from, to, self.renewals(), self.load.gap());
        self.until(from)?;

        beside.begins();
        let first = self.watch.look();
        let before = self.tally.sums();
        let began = self.now();
        self.window.begin(before, self.watch.quick().map(|seen| seen.cpu_ns));
        self.pressure.begin(began);
        while self.window.next() <= to {
            let next = self.window.next();
            self.until(next)?;
            let seen = self.watch.quick();
            self.window.ended(
                &self.tally,
                seen.map(|seen| seen.cpu_ns),
                seen.and_then(|seen| seen.rss_bytes),
            );
            let share = (next - from) as f64 / (to - from) as f64;
            (self.tell)(Stage::Measuring(share));
        }
        let last = self.watch.look();
        let ended = self.now();
        let mut generator = self.pressure.end(ended);
        let arrived = (self.tally.sums() - before).deliveries;
        beside.ends();

        // What was due in the window leaves, however late; the schedule has no more to say then.
        self.publish_due(to - 1)?;
        self.schedule = None;
        (self.tell)(Stage::Draining);
        self.drain()?;
        self.settle()?;
        let wire = self.tally.sums() - wire_before;
        let wire_seconds = (self.now() - wire_from) as f64 / 1e9;
        beside.drained();
        generator.errors = self.tally.errors;
        generator.first_error = self.tally.first_error.take();

        let mut exactly = Exactly { gaps: self.tally.gaps, ..Exactly::default() };
        for subscriber in &self.subscribers {
            subscriber.session.book.add_to(self.counts[subscriber.session.topic], &mut exactly);
        }
        let series = self.window.series();
        let outcome = Outcome {
            seconds: self.window.seconds(),
            published: self.window.events(),
            exactly,
            latency: std::mem::take(&mut self.window.latency),
            exchange: std::mem::take(&mut self.window.exchange),
            connecting: std::mem::take(&mut self.tally.connecting),
            resuming: std::mem::take(&mut self.tally.resuming),
            broken: self.tally.broken,
            series,
            generator,
            opening,
            wire,
            wire_seconds,
            arrived,
            looks: [first, settled(last)],
            looked_seconds: (ended - began) as f64 / 1e9,
            connect_cpu_ns,
            seen,
            kernel,
            few,
        };
        // Thousands of sockets that wait for a last word would be in the way of the next run.
        self.subscribers.into_iter().filter_map(|subscriber| subscriber.fd).for_each(sockets::abort);
        Ok(outcome)
    }

    /// Goes on until a time.
    fn until(&mut self, time: u64) -> Result<(), Error> {
        while self.now() < time {
            self.turn(time)?;
        }
        Ok(())
    }

    /// Opens subscribers' connections until there are so many, some at a time.
    fn open(&mut self, wanted: usize) -> Result<(), Error> {
        let slow = if self.load.pattern == Pattern::Slow { self.load.share } else { 0.0 };
        let began = self.now();
        let (mut progress, mut before) = (began, 0);
        loop {
            // Who says nothing until there is something cannot be waited for.
            let answered = self.tally.connected;
            let open = self.subscribers.len();
            let waiting = if self.goal.ready.silent { 0 } else { open as u64 - answered.min(open as u64) };
            for n in open..wanted.min(open + AT_ONCE.saturating_sub(waiting as usize)) {
                let mut subscriber =
                    Subscriber::new(n % self.load.topics, self.goal.ready.keep.len(), self.goal.ready.cut);
                // Spread evenly, so that each topic has its share.
                subscriber.session.slow = ((n + 1) as f64 * slow).floor() > (n as f64 * slow).floor();
                self.subscribers.push(subscriber);
                self.connect(n);
            }
            let all = self.subscribers.len() == wanted;
            if all && (self.goal.ready.silent || self.tally.connected >= wanted as u64) {
                return Ok(());
            }
            let now = self.now();
            if self.tally.connected > before {
                (progress, before) = (now, self.tally.connected);
                (self.tell)(Stage::Connecting(before as usize));
            }
            let refused = self.tally.first_error.clone().filter(|error| error.starts_with("HTTP/"));
            if let Some(refused) = refused {
                return Err(Error::Refused(refused));
            }
            if Duration::from_nanos(now - progress) > self.load.patience() {
                let why = self.tally.first_error.take().map_or(String::new(), |error| format!(" ({error})"));
                let seconds = (now - began) as f64 / 1e9;
                return Err(Error::Connecting { connected: before, wanted, seconds, why });
            }
            self.turn(now + 5_000_000)?;
        }
    }

    /// Publishes marks until each subscriber has had one.
    fn mark(&mut self) -> Result<(), Error> {
        let (began, mut next, mut progress, mut before) = (self.now(), 0, self.now(), 0);
        loop {
            let now = self.now();
            let established =
                self.subscribers.iter().filter(|subscriber| subscriber.session.book.established()).count();
            (self.tell)(Stage::Marking(established));
            if established == self.subscribers.len() {
                break;
            }
            if established > before {
                (progress, before) = (now, established);
            }
            if Duration::from_nanos(now - progress) > self.load.patience() {
                if established == 0 {
                    let why =
                        self.tally.first_error.take().map_or(String::new(), |error| format!(" ({error})"));
                    return Err(Error::Unmarked(self.subscribers.len(), (now - began) as f64 / 1e9, why));
                }
                break;
            }
            if now >= next {
                // Only topics that someone waits for.
                let mut waits = vec![false; self.load.topics];
                for subscriber in &self.subscribers {
                    waits[subscriber.session.topic] |= !subscriber.session.book.established();
                }
                for topic in (0..self.load.topics).filter(|topic| waits[*topic]) {
                    self.publish(topic, now);
                }
                // A poll needs its interval, a far client its round trip: no use in hurrying them.
                next = now + MARK_AGAIN.max(self.load.patience().as_nanos() as u64 / 4);
                if self.goal.ready.silent {
                    next = now + MARK_AGAIN;
                }
            }
            self.turn(now + 5_000_000)?;
        }
        self.drain()
    }

    /// Waits until everything that was published has been received; silence ends it.
    fn drain(&mut self) -> Result<(), Error> {
        let mut heard = (self.now(), self.tally.sums().deliveries);
        loop {
            let now = self.now();
            let owed: u64 =
                self.subscribers.iter().map(|s| s.session.book.owed(self.counts[s.session.topic])).sum();
            let unanswered = self.publishers.iter().any(|publisher| publisher.answered < publisher.sent);
            if owed == 0 && !unanswered {
                return Ok(());
            }
            if self.tally.deliveries > heard.1 {
                heard = (now, self.tally.deliveries);
            }
            if Duration::from_nanos(now - heard.0) > self.load.patience() {
                return Ok(());
            }
            // Often enough to end soon, rarely enough that counting costs nothing.
            self.turn(now + 2_000_000)?;
        }
    }
}

impl Engine<'_> {
    /// Lets what is under way arrive, so that both ends have counted the same: polls wait, and nothing is published.
    fn settle(&mut self) -> Result<(), Error> {
        self.hold = true;
        let began = self.now();
        let trip = self.load.rtt.as_nanos() as u64 + 2_000_000;
        let patience = self.load.patience().as_nanos() as u64;
        loop {
            let now = self.now();
            let polls = self.load.transport == Transport::Poll;
            let busy = polls && self.subscribers.iter().any(|subscriber| subscriber.busy);
            if (!busy && now - began > trip) || now - began > patience {
                break;
            }
            self.turn(now + 1_000_000)?;
        }
        self.hold = false;
        Ok(())
    }
}

/// A look's result, now that nobody is held up by it.
fn settled(look: Look) -> Look {
    Look::Done(look.seen())
}
