//! How far a server's clock is ahead, after Cristian (1989): of several exchanges, the shortest tells most.

use std::{
    io,
    time::{Duration, SystemTime},
};

use crate::{
    http::{self, Place},
    results::Clock,
};

/// Exchanges.
const EXCHANGES: usize = 9;

/// One exchange.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    sent: SystemTime,
    received: SystemTime,
    /// What the server said, and how long that is true.
    server: SystemTime,
    grain: Duration,
}

/// Asks a server for its time. A `time` with microseconds in a JSON answer is taken before the head's `Date`.
///
/// # Errors
/// If it tells none.
pub fn estimate(place: &Place) -> io::Result<Clock> {
    let mut best: Option<Clock> = None;
    for _ in 0..EXCHANGES {
        let sent = SystemTime::now();
        let answer = http::get(place)?;
        let received = SystemTime::now();
        let exact = serde_json::from_slice::<serde_json::Value>(&answer.body)
            .ok()
            .and_then(|value| humantime::parse_rfc3339(value["time"].as_str()?).ok());
        let (server, grain) = match (exact, answer.field("date").and_then(date)) {
            (Some(time), _) => (time, Duration::from_micros(1)),
            (None, Some(time)) => (time, Duration::from_secs(1)),
            (None, None) => return Err(io::Error::other("the server tells no time")),
        };
        let clock = clock(Exchange { sent, received, server, grain });
        if best.as_ref().is_none_or(|best| clock.error_ms < best.error_ms) {
            best = Some(clock);
        }
    }
    best.ok_or_else(|| io::Error::other("the server tells no time"))
}

/// It was the server's time at some moment between sending and receiving.
fn clock(exchange: Exchange) -> Clock {
    let since = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
    };
    let (sent, received) = (since(exchange.sent), since(exchange.received));
    // `Date` is cut off to seconds: on average it was half of one later.
    let grain = exchange.grain.as_secs_f64() * 1000.0;
    let server = since(exchange.server) + grain / 2.0;
    Clock {
        offset_ms: server - f64::midpoint(sent, received),
        error_ms: (received - sent) / 2.0 + grain / 2.0,
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn date(text: &str) -> Option<SystemTime> {
    let mut words = text.split_whitespace().skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? + 1;
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_exchange_is_when_the_server_spoke() {
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let exact = Exchange { sent: at(1000), received: at(1100), server: at(3050), grain: Duration::ZERO };
        assert_eq!(clock(exact), Clock { offset_ms: 2000.0, error_ms: 50.0 });
        let rough = Exchange { grain: Duration::from_secs(1), server: at(1000), ..exact };
        assert_eq!(clock(rough), Clock { offset_ms: 450.0, error_ms: 550.0 });
    }

    #[test]
    fn dates_are_read() {
        let time = date("Sun, 06 Nov 1994 08:49:37 GMT").expect("it is one");
        assert_eq!(humantime::format_rfc3339_seconds(time).to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(date("yesterday"), None);
    }
}
