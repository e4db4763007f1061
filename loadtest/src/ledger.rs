//! The server's ledger: what it says that a client's bytes were for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    http::{self, Place},
    results::{Kinds, LedgerBytes, Segments, Transport},
};

/// A client's ledger.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Ledger {
    /// By transport, and `publish`.
    #[serde(default)]
    pub transports: BTreeMap<String, Account>,
}

/// What one transport cost.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Account {
    /// Towards the server.
    #[serde(rename = "in", default)]
    pub inward: Kinds,
    /// Towards the client.
    #[serde(default)]
    pub out: Kinds,
    /// TCP's own.
    #[serde(default)]
    pub tcp: Option<Segments>,
}

/// Asks for a client's ledger; `None` if the server has none.
///
/// # Errors
/// If it has one that cannot be read.
pub fn ask(place: &Place) -> Result<Option<Ledger>, String> {
    let answer = http::get(place).map_err(|error| format!("the ledger: {error}"))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map(Some).map_err(|error| format!("the ledger: {error}")),
        // A client that nothing is known of yet is no error in a ledger that has others.
        404 if answer.text().contains("client") => Ok(Some(Ledger::default())),
        404 | 405 => Ok(None),
        status => Err(format!("the ledger answers {status}: {}", answer.text())),
    }
}

impl Ledger {
    /// What a transport cost since an earlier look.
    pub fn since(&self, before: &Self, transport: Transport) -> LedgerBytes {
        let none = Account::default();
        let now = self.transports.get(transport.name()).unwrap_or(&none);
        let before = before.transports.get(transport.name()).unwrap_or(&none);
        let tcp = now.tcp.map(|now| {
            let before = before.tcp.unwrap_or_default();
            Segments {
                segments_in: now.segments_in.saturating_sub(before.segments_in),
                segments_out: now.segments_out.saturating_sub(before.segments_out),
                retransmits: now.retransmits.saturating_sub(before.retransmits),
                bytes_in: now.bytes_in.saturating_sub(before.bytes_in),
                bytes_out: now.bytes_out.saturating_sub(before.bytes_out),
            }
        });
        LedgerBytes { inward: minus(now.inward, before.inward), out: minus(now.out, before.out), tcp }
    }
}

fn minus(a: Kinds, b: Kinds) -> Kinds {
    Kinds {
        heads: a.heads.saturating_sub(b.heads),
        payload: a.payload.saturating_sub(b.payload),
        envelope: a.envelope.saturating_sub(b.envelope),
        framing: a.framing.saturating_sub(b.framing),
        heartbeats: a.heartbeats.saturating_sub(b.heartbeats),
        empty: a.empty.saturating_sub(b.empty),
        controls: a.controls.saturating_sub(b.controls),
    }
}

/// The sum of two accounts.
pub fn plus(a: &LedgerBytes, b: &LedgerBytes) -> LedgerBytes {
    let kinds = |a: Kinds, b: Kinds| Kinds {
        heads: a.heads + b.heads,
        payload: a.payload + b.payload,
        envelope: a.envelope + b.envelope,
        framing: a.framing + b.framing,
        heartbeats: a.heartbeats + b.heartbeats,
        empty: a.empty + b.empty,
        controls: a.controls + b.controls,
    };
    let tcp = a.tcp.zip(b.tcp).map(|(a, b)| Segments {
        segments_in: a.segments_in + b.segments_in,
        segments_out: a.segments_out + b.segments_out,
        retransmits: a.retransmits + b.retransmits,
        bytes_in: a.bytes_in + b.bytes_in,
        bytes_out: a.bytes_out + b.bytes_out,
    });
    LedgerBytes { inward: kinds(a.inward, b.inward), out: kinds(a.out, b.out), tcp }
}

/// Whether two sums agree: within 1 %, or 2 KiB.
pub fn agree(ours: u64, theirs: u64) -> bool {
    let apart = ours.abs_diff(theirs);
    apart <= 2048 || apart as f64 <= 0.01 * ours.max(theirs) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_read() {
        let text = r#"{"client":"x","time":"2026-11-25T09:31:02.123456Z","transports":{
            "sse":{"requests":3,"events":120,"open":1,
              "in":{"heads":450,"payload":0,"envelope":0,"framing":0,"heartbeats":0,"empty":0,"controls":0},
              "out":{"heads":300,"payload":24000,"envelope":14000,"framing":4000,"heartbeats":96,"empty":0,"controls":140},
              "tcp":{"segments_in":10,"segments_out":130,"retransmits":0,"rtt_us":120,"bytes_in":520,"bytes_out":6760}}}}"#;
        let ledger: Ledger = serde_json::from_str(text).expect("it can be read");
        let since = ledger.since(&Ledger::default(), Transport::Sse);
        assert_eq!((since.inward.sum(), since.out.sum()), (450, 42_536));
        assert_eq!(since.tcp.expect("it has that").segments_out, 130);
        assert_eq!(ledger.since(&ledger, Transport::Sse).out.sum(), 0);
        assert_eq!(ledger.since(&Ledger::default(), Transport::Poll).out.sum(), 0);
        assert_eq!(plus(&since, &since).out.payload, 48_000);
    }

    #[test]
    fn sums_agree_within_a_hundredth() {
        assert!(agree(0, 2000) && agree(1_000_000, 1_009_000));
        assert!(!agree(1_000_000, 1_020_000) && !agree(0, 3000));
    }
}
