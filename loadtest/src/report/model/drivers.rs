//! What a load makes a transport do: requests, empty answers, deliveries. Geometry, not measurement.

use super::QUANTILE;
use crate::results::Transport;

/// How long the gateway holds a long poll that nothing happens to (its default), in seconds.
pub(crate) const LONGPOLL_TIMEOUT: f64 = 25.0;

/// After how many seconds of silence the gateway sends a heartbeat (its default).
pub(crate) const HEARTBEAT: f64 = 15.0;

/// Events that one poll's answer holds at most (the gateway's default); then the client asks again at once.
const EVENTS_AN_ANSWER: f64 = 100.0;

/// The conditions of one subscriber. Events come at even intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// Events per second on its topic.
    pub(crate) rate: f64,
    /// Seconds from the begin of a poll to that of the next; of no meaning to what does not poll.
    pub(crate) interval: f64,
    /// Seconds of silence before a heartbeat; of no meaning to what asks again and again.
    pub(crate) heartbeat: f64,
    /// Seconds that a long poll is held.
    pub(crate) timeout: f64,
    /// Round-trip time in seconds.
    pub(crate) rtt: f64,
    /// Bytes of `data`.
    pub(crate) payload: f64,
    /// Subscribers that each event goes to: they share what a publish costs.
    pub(crate) sharing: f64,
}

impl Load {
    /// Under the gateway's defaults, an event a second.
    pub(crate) fn usual(rtt: f64, payload: f64, sharing: f64) -> Self {
        Self {
            rate: 1.0,
            interval: 0.0,
            heartbeat: HEARTBEAT,
            timeout: LONGPOLL_TIMEOUT,
            rtt,
            payload,
            sharing,
        }
    }
}

/// What costs can depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    /// A request that brought events.
    Full,
    /// A request that brought nothing.
    Empty,
    /// An event delivered.
    Event,
    /// A byte of payload delivered.
    PayloadByte,
    /// A publish, shared by all who receive it.
    Publish,
    /// A heartbeat.
    Beat,
}

impl Term {
    /// All, in the order of tables.
    pub(crate) const ALL: [Self; 6] =
        [Self::Full, Self::Empty, Self::Event, Self::PayloadByte, Self::Publish, Self::Beat];

    /// As in 'so many bytes … ', after the figure.
    pub(crate) fn per(self) -> &'static str {
        match self {
            Self::Full => "per request that brings events",
            Self::Empty => "per empty answer",
            Self::Event => "per event",
            Self::PayloadByte => "per byte of payload",
            Self::Publish => "per publish, shared by its subscribers",
            Self::Beat => "per heartbeat",
        }
    }
}

/// How often each term occurs, per subscriber and second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drivers {
    pub(crate) full: f64,
    pub(crate) empty: f64,
    pub(crate) events: f64,
    pub(crate) payload: f64,
    pub(crate) publishes: f64,
    pub(crate) beats: f64,
}

impl Drivers {
    /// What follows from the load alone.
    pub(crate) fn of(transport: Transport, load: &Load) -> Self {
        let (full, empty) = requests(transport, load);
        Self {
            full,
            empty,
            events: load.rate,
            payload: load.rate * load.payload,
            publishes: load.rate / load.sharing.max(1.0),
            // An event puts off the next heartbeat.
            beats: if transport.streams() { (1.0 / load.heartbeat - load.rate).max(0.0) } else { 0.0 },
        }
    }

    /// What it all costs, at so much per term, in the order of [`Term::ALL`].
    pub(crate) fn times(&self, coefficients: &[f64; Term::ALL.len()]) -> f64 {
        Term::ALL.iter().zip(coefficients).map(|(term, coefficient)| self.of_term(*term) * coefficient).sum()
    }

    /// How often a term occurs.
    pub(crate) fn of_term(&self, term: Term) -> f64 {
        match term {
            Term::Full => self.full,
            Term::Empty => self.empty,
            Term::Event => self.events,
            Term::PayloadByte => self.payload,
            Term::Publish => self.publishes,
            Term::Beat => self.beats,
        }
    }
}

/// Requests that bring events, and such that bring none, per second.
fn requests(transport: Transport, load: &Load) -> (f64, f64) {
    match transport {
        // Even events and even polls: a poll brings something as often as there is something new, and where an answer
        // cannot hold all, more are fetched at once.
        Transport::Poll => {
            let polls = 1.0 / load.interval.max(1e-3);
            let full = load.rate.min(polls);
            (full.max(load.rate / EVENTS_AN_ANSWER), polls - full)
        }
        // Asked again a round trip after each answer: beyond one event per round trip, answers bring several.
        Transport::Longpoll => {
            let answers = if load.rtt > 0.0 { load.rate.min(1.0 / load.rtt) } else { load.rate };
            (answers, (1.0 / load.timeout - answers).max(0.0))
        }
        Transport::Chunked | Transport::Sse | Transport::Websocket => (0.0, 0.0),
    }
}

/// The age of an event when it is shown, at [`QUANTILE`], as it follows from waiting and distance alone, in seconds.
pub(crate) fn staleness(transport: Transport, load: &Load) -> f64 {
    let way = load.rtt / 2.0;
    match transport {
        // It waits for the next poll, anything from nothing to the whole interval, then travels.
        Transport::Poll => QUANTILE * load.interval + way,
        // While the last answer is on its way and the client asks again, nobody waits at the server. Even events that
        // are farther apart than a round trip never meet that.
        Transport::Longpoll if load.rate * load.rtt > 1.0 => QUANTILE * load.rtt + way,
        Transport::Longpoll | Transport::Chunked | Transport::Sse | Transport::Websocket => way,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        rate: 1.0,
        interval: 0.25,
        heartbeat: 15.0,
        timeout: 25.0,
        rtt: 0.2,
        payload: 200.0,
        sharing: 10.0,
    };

    #[test]
    fn polls_are_empty_when_nothing_happened_between_two() {
        assert_eq!(requests(Transport::Poll, &LOAD), (1.0, 3.0));
        assert_eq!(requests(Transport::Poll, &Load { interval: 2.0, ..LOAD }), (0.5, 0.0));
        // 50 s × 10/s are five answers of a hundred.
        assert_eq!(requests(Transport::Poll, &Load { interval: 50.0, rate: 10.0, ..LOAD }), (0.1, 0.0));
    }

    #[test]
    fn long_polls_batch_beyond_one_event_per_round_trip_and_time_out_when_idle() {
        assert_eq!(requests(Transport::Longpoll, &LOAD), (1.0, 0.0));
        assert_eq!(requests(Transport::Longpoll, &Load { rate: 20.0, ..LOAD }), (5.0, 0.0));
        assert_eq!(requests(Transport::Longpoll, &Load { rate: 0.0, ..LOAD }), (0.0, 0.04));
    }

    #[test]
    fn heartbeats_fill_silence_alone() {
        let beats = |transport, rate| Drivers::of(transport, &Load { rate, ..LOAD }).beats;
        assert_eq!(beats(Transport::Sse, 0.0), 1.0 / 15.0);
        assert_eq!(beats(Transport::Sse, 1.0), 0.0);
        assert_eq!(beats(Transport::Poll, 0.0), 0.0);
    }

    #[test]
    fn staleness_is_half_a_round_trip_and_the_wait() {
        assert_eq!(staleness(Transport::Sse, &LOAD), 0.1);
        assert_eq!(staleness(Transport::Longpoll, &LOAD), 0.1);
        assert!((staleness(Transport::Longpoll, &Load { rate: 20.0, ..LOAD }) - 0.298).abs() < 1e-12);
        assert!((staleness(Transport::Poll, &LOAD) - 0.3475).abs() < 1e-12);
    }
}
