//! What one run of the generator is to do.

use std::{net::SocketAddr, time::Duration};

use crate::{
    results::{Pattern, Transport},
    wire::{adapter::Ready, mark},
};

/// A load on one server over one transport.
#[derive(Clone, Debug)]
pub struct Load {
    /// How events are delivered.
    pub transport: Transport,
    /// What subscribers and publisher do.
    pub pattern: Pattern,
    /// How many subscribers.
    pub subscribers: usize,
    /// Events a second, to all topics together.
    pub rate: f64,
    /// Events at once.
    pub burst: usize,
    /// Bytes of data in each.
    pub payload: usize,
    /// Topics, subscribers spread over them.
    pub topics: usize,
    /// From the begin of a poll to that of the next.
    pub poll_interval: Duration,
    /// Silence before a heartbeat that streams ask for; the server's own default, if not said.
    pub heartbeat: Option<Duration>,
    /// How long long polls ask to be held; the server's own default, if not said.
    pub longpoll_timeout: Option<Duration>,
    /// The round trip that the relay adds: what waits have to allow for.
    pub rtt: Duration,
    /// How long nothing is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub time: Duration,
    /// Share of subscribers that do not read (slow), or are opened anew each second (churn).
    pub share: f64,
    /// Where random numbers begin.
    pub seed: u64,
    /// Names the run in marks and topics.
    pub run: u32,
    /// What its requests are called in the server's ledger, as the end of a query; empty if it has none.
    pub client: String,
    /// The end of subscribers' queries: `client`, and what they ask for.
    pub query: String,
}

/// Where the load goes.
#[derive(Clone, Debug)]
pub struct Goal {
    /// How to ask.
    pub ready: Ready,
    /// Where subscribers connect: the server, or the relay before it.
    pub subscribe: SocketAddr,
    /// Where events are published: the server.
    pub publish: SocketAddr,
}

/// Subscribers at most: each is a descriptor here, and Linux gives one process no more than 1,048,576 (`fs.nr_open`).
const MOST_SUBSCRIBERS: usize = 1_000_000;
/// Events at once at most: they are made before they are sent.
const MOST_BURST: usize = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// The series has steps of at most so long; in a long window of at most [`LONGEST_STEP`]; and at least [`STEPS`].
const STEP: Duration = Duration::from_millis(250);
const LONGEST_STEP: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);
const STEPS: f64 = 8.0;

impl Load {
    /// Something to begin with.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            pattern: Pattern::Steady,
            subscribers: 200,
            rate: 10.0,
            burst: 1,
            payload: 200,
            topics: 1,
            poll_interval: Duration::from_secs(1),
            heartbeat: None,
            longpoll_timeout: None,
            rtt: Duration::ZERO,
            warm_up: Duration::from_millis(500),
            time: Duration::from_secs(2),
            share: 0.1,
            seed: 1,
            run: 1,
            client: String::new(),
            query: String::new(),
        }
    }

    /// The heartbeat that its subscriptions ask for.
    pub fn asked_heartbeat(&self) -> Option<Duration> {
        self.heartbeat.filter(|_| self.transport.streams())
    }

    /// The time-out that its subscriptions ask for.
    pub fn asked_timeout(&self) -> Option<Duration> {
        self.longpoll_timeout.filter(|_| self.transport == Transport::Longpoll)
    }

    /// How long a step of the series is: the window is a whole number of them.
    pub fn step(&self) -> Duration {
        let longest = if self.time > LONG { LONGEST_STEP } else { STEP };
        self.time.div_f64(self.time.div_duration_f64(longest).ceil().max(STEPS))
    }

    /// The topic of the n-th subscriber or event.
    pub fn topic(&self, n: usize) -> String {
        format!("loadtest/{:08x}/{n}", self.run)
    }

    /// Nanoseconds from one burst to the next; `None` if nothing is published.
    pub fn gap(&self) -> Option<f64> {
        let publishes = self.pattern != Pattern::Idle && self.rate > 0.0;
        publishes.then(|| 1e9 * self.burst as f64 / self.rate)
    }

    /// How long the slowest of an exchange may take before it counts as not coming: silence for so long.
    pub fn patience(&self) -> Duration {
        let poll = if self.transport == Transport::Poll { self.poll_interval * 2 } else { Duration::ZERO };
        Duration::from_secs(5) + poll + self.rtt * 6
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let wrong = [
            (self.subscribers == 0, "`subscribers` has to be at least 1".to_owned()),
            (
                self.subscribers > MOST_SUBSCRIBERS,
                format!(
                    "`subscribers` may be {MOST_SUBSCRIBERS} at most: each takes a descriptor of this process"
                ),
            ),
            (self.topics == 0, "`topics` has to be at least 1".to_owned()),
            (
                self.topics > self.subscribers,
                "there are more `topics` than `subscribers`: some would have none".to_owned(),
            ),
            (self.burst == 0, "`burst` has to be at least 1".to_owned()),
            (self.burst > MOST_BURST, format!("`burst` may be {MOST_BURST} at most")),
            (!(0.0..=1e6).contains(&self.rate), "`rate` has to be between 0 and 1000000".to_owned()),
            (
                self.payload < mark::LEAST,
                format!("`payload` has to be at least {} bytes, for the mark", mark::LEAST),
            ),
            (self.payload > 1 << 20, "`payload` may be 1 MiB at most".to_owned()),
            (self.time < Duration::from_millis(100), "`time` has to be at least 100ms".to_owned()),
            (self.time > DAY, "`time` may be a day at most".to_owned()),
            (self.warm_up > DAY, "`warm_up` may be a day at most".to_owned()),
            (self.rtt > DAY, "`rtt` may be a day at most".to_owned()),
            (self.poll_interval > DAY, "`poll_interval` may be a day at most".to_owned()),
            (
                self.poll_interval < Duration::from_millis(1),
                "`poll_interval` has to be at least 1ms".to_owned(),
            ),
            (!(0.0..=1.0).contains(&self.share), "`share` has to be between 0 and 1".to_owned()),
        ];
        wrong.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, text)| Err(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_a_whole_number_of_steps() {
        for (time, count) in [(2000, 8), (500, 8), (20_000, 80), (90_500, 91)] {
            let load = Load { time: Duration::from_millis(time), ..Load::new(Transport::Sse) };
            let steps = load.time.div_duration_f64(load.step());
            assert!((steps - f64::from(count)).abs() < 1e-6, "{time}: {steps}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let load = Load::new(Transport::Poll);
        assert_eq!(load.check(), Ok(()));
        assert!(Load { payload: 3, ..load.clone() }.check().unwrap_err().contains("payload"));
        let most = Load { subscribers: MOST_SUBSCRIBERS, ..load.clone() };
        assert_eq!(most.check(), Ok(()));
        let more = Load { subscribers: MOST_SUBSCRIBERS + 1, ..load.clone() };
        assert!(more.check().unwrap_err().contains("`subscribers` may be 1000000 at most"));
        assert!(Load { topics: 300, ..load.clone() }.check().unwrap_err().contains("topics"));
        assert!(Load { rate: f64::NAN, ..load }.check().unwrap_err().contains("rate"));
    }
}
