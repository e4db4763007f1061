//! What a client's requests came to, by transport.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde_json::{Map, Value, json};

use super::{
    bill::{Bill, Direction, Purpose, Via},
    meter::Payer,
};

/// The longest name of an account, in bytes.
pub const MAX_ID: usize = 64;

/// Whether an account may be called so.
pub fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// The account of all requests that were made with one `client=`.
#[derive(Debug)]
pub struct Client {
    id: Box<str>,
    rows: [OnceLock<Arc<Row>>; Via::ACCOUNTED],
    /// When a connection was last seen that is on this account, in seconds since the ledger began.
    pub(super) seen: AtomicU64,
    /// What it had come to when it was last told.
    told: AtomicU64,
}

/// What came over one transport, to which the connections of many cores add: each holds it.
#[derive(Debug, Default)]
pub(super) struct Row {
    bytes: [[AtomicU64; Purpose::COUNT]; 2],
    pub(super) requests: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) open: AtomicU64,
    segments: [AtomicU64; 2],
    headers: [AtomicU64; 2],
    retransmits: AtomicU64,
    rtt: AtomicU64,
}

/// What segments came to since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segments {
    /// In and out.
    pub(super) count: [u32; 2],
    pub(super) retransmits: u32,
    /// Bytes of headers on each.
    pub(super) header: u32,
    /// Microseconds.
    pub(super) rtt: u32,
}

impl Client {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.into(), rows: Default::default(), seen: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    /// What it is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What came over a transport.
    pub(super) fn row(&self, via: Via) -> Option<&Arc<Row>> {
        Some(self.rows.get(via as usize)?.get_or_init(Arc::default))
    }

    /// Whether a connection is on it.
    pub(super) fn is_used(&self) -> bool {
        self.rows.iter().any(|row| row.get().is_some_and(|row| Arc::strong_count(row) > 1))
    }

    /// Whether this is one who pays on it.
    pub fn has(&self, payer: &Payer) -> bool {
        let Some(row) = payer.row() else { return false };
        self.rows[payer.via() as usize].get().is_some_and(|own| Arc::ptr_eq(own, row))
    }

    /// Whether it has come to something else than when this was asked last.
    pub fn has_changed(&self) -> bool {
        let now = self.rows().map(|(_, row)| row.sum()).fold(0, u64::wrapping_add);
        self.told.swap(now, Relaxed) != now
    }

    fn rows(&self) -> impl Iterator<Item = (Via, &Row)> {
        Via::ALL.into_iter().zip(&self.rows).filter_map(|(via, row)| Some((via, &**row.get()?)))
    }

    /// The account as a JSON object, at this time of day (RFC 3339).
    pub fn document(&self, time: &str) -> Value {
        let transports: Map<String, Value> =
            self.rows().map(|(via, row)| (via.as_str().to_owned(), row.document())).collect();
        json!({ "client": self.id, "time": time, "transports": transports })
    }
}

/// An account that has nothing, as a JSON object.
pub fn empty_document(id: &str, time: &str) -> Value {
    json!({ "client": id, "time": time, "transports": {} })
}

impl Row {
    pub(super) fn add(&self, direction: Direction, bill: &Bill) {
        for (sum, bytes) in self.bytes[direction as usize].iter().zip(bill.bytes()) {
            if *bytes > 0 {
                sum.fetch_add(u64::from(*bytes), Relaxed);
            }
        }
    }

    /// Adds events, whose bytes are for nothing else.
    #[inline]
    pub(super) fn add_events(&self, bill: &Bill, events: usize) {
        let [_, payload, envelope, framing, ..] = bill.bytes();
        let [_, to_payload, to_envelope, to_framing, ..] = &self.bytes[Direction::Out as usize];
        to_payload.fetch_add(u64::from(*payload), Relaxed);
        to_envelope.fetch_add(u64::from(*envelope), Relaxed);
        to_framing.fetch_add(u64::from(*framing), Relaxed);
        self.events.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn add_segments(&self, segments: &Segments) {
        for way in 0..2 {
            let count = u64::from(segments.count[way]);
            self.segments[way].fetch_add(count, Relaxed);
            self.headers[way].fetch_add(count * u64::from(segments.header), Relaxed);
        }
        self.retransmits.fetch_add(u64::from(segments.retransmits), Relaxed);
        self.rtt.store(u64::from(segments.rtt), Relaxed);
    }

    /// A number that grows with everything but the round-trip time and what is open; that is turned around, so
    /// that its change cannot make up for another's.
    fn sum(&self) -> u64 {
        let bytes = self.bytes.iter().flatten();
        let all = bytes.chain(&self.segments).chain([&self.requests, &self.events, &self.retransmits]);
        let sum = all.map(|sum| sum.load(Relaxed)).fold(0, u64::wrapping_add);
        sum.wrapping_sub(self.open.load(Relaxed).reverse_bits())
    }

    fn document(&self) -> Value {
        let told = |sum: &AtomicU64| sum.load(Relaxed);
        let bytes = |direction: Direction| -> Map<String, Value> {
            let sums = Purpose::ALL.iter().zip(&self.bytes[direction as usize]);
            sums.map(|(purpose, sum)| (purpose.as_str().to_owned(), told(sum).into())).collect()
        };
        json!({
            "requests": told(&self.requests),
            "events": told(&self.events),
            "open": told(&self.open),
            "in": bytes(Direction::In),
            "out": bytes(Direction::Out),
            "tcp": {
                "segments_in": told(&self.segments[0]),
                "segments_out": told(&self.segments[1]),
                "retransmits": told(&self.retransmits),
                "rtt_us": told(&self.rtt),
                "bytes_in": told(&self.headers[0]),
                "bytes_out": told(&self.headers[1]),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for id in ["a", "A_b.c-9", &"x".repeat(64)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "a b", "a/b", "é", "a%20", "*", &"x".repeat(65)] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_change_is_seen_once() {
        let client = Client::new("c");
        assert!(!client.has_changed());
        client.row(Via::Sse).unwrap().add(Direction::Out, &Bill::of(Purpose::Payload, 5));
        assert!(client.has_changed() && !client.has_changed());
        client.row(Via::Sse).unwrap().open.fetch_add(1, Relaxed);
        assert!(client.has_changed() && !client.has_changed());
        assert!(client.row(Via::Other).is_none());
        let document = client.document("now");
        assert_eq!(document["transports"]["sse"]["out"]["payload"], 5);
        assert_eq!(document["transports"].as_object().unwrap().len(), 1);
    }
}
