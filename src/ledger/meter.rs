//! What a connection carries of the ledger.

use std::{
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    account::{Row, Segments},
    bill::{Bill, Direction, Via},
    book::Ledger,
    tcp::Tcp,
};

/// Who pays for a request.
#[derive(Clone, Debug, Default)]
pub struct Payer {
    row: Option<Arc<Row>>,
    via: Via,
}

impl Payer {
    pub(super) fn new(via: Via, row: Option<Arc<Row>>) -> Self {
        Self { row, via }
    }

    /// What the request is for.
    pub fn via(&self) -> Via {
        self.via
    }

    /// Whether it is on somebody's account.
    pub fn has_account(&self) -> bool {
        self.row.is_some()
    }

    /// Notes bytes on the account, if there is one.
    pub fn note(&self, direction: Direction, bill: &Bill) {
        if let Some(row) = self.row() {
            row.add(direction, bill);
        }
    }

    /// Notes events that are sent and their bytes, which are for nothing else: what is done most.
    #[inline]
    pub fn note_only_events(&self, bill: &Bill, events: usize) {
        if let Some(row) = &self.row {
            row.add_events(bill, events);
        }
    }

    /// Notes events that are sent.
    pub fn note_events(&self, events: usize) {
        if let Some(row) = self.row() {
            row.events.fetch_add(events as u64, Relaxed);
        }
    }

    /// Notes a request.
    pub fn note_request(&self) {
        if let Some(row) = self.row() {
            row.requests.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn row(&self) -> Option<&Arc<Row>> {
        self.row.as_ref()
    }

    fn is(&self, other: &Self) -> bool {
        let row = |payer: &Self| payer.row.as_ref().map(Arc::as_ptr);
        self.via == other.via && row(self) == row(other)
    }
}

/// What a connection carries of the ledger: who pays, and how many of its segments are booked.
#[derive(Debug)]
pub struct Meter {
    /// Of the last request, once there was one.
    payer: Option<Payer>,
    /// Bytes of a request that waits for its answer, and is booked with it.
    pub asked: u32,
    booked: [u32; 2],
    retransmits: u32,
}

/// What the kernel counts for a connection is the connection's own; that which answered the call for one was
/// the listener's.
const SYN_ACK: u32 = u32::MAX;

/// Bytes of the headers of IPv4, IPv6 and TCP, and of the option that carries timestamps.
const IPV4: u32 = 20;
const IPV6: u32 = 40;
const TCP: u32 = 20;
const TIMESTAMPS: u32 = 12;

/// Who pays for what no request asked for.
static NOBODY: Payer = Payer { row: None, via: Via::Other };

impl Default for Meter {
    /// That of a connection that has asked for nothing yet.
    fn default() -> Self {
        Self { payer: None, asked: 0, booked: [0, SYN_ACK], retransmits: 0 }
    }
}

impl Meter {
    /// Who pays for what the connection does now.
    pub fn payer(&self) -> &Payer {
        self.payer.as_ref().unwrap_or(&NOBODY)
    }

    /// Goes over to another payer: the segments up to now are the last one's.
    pub fn go_over(&mut self, ledger: &Ledger, socket: &impl AsFd, payer: Payer) {
        match &self.payer {
            Some(last) if last.is(&payer) => return,
            Some(_) => self.settle(ledger, socket),
            // Its first request pays for its beginning.
            None => {}
        }
        self.close();
        if let Some(row) = payer.row() {
            row.open.fetch_add(1, Relaxed);
        }
        self.payer = Some(payer);
    }

    /// Books the segments since the last time.
    pub fn settle(&mut self, ledger: &Ledger, socket: &impl AsFd) {
        if let Some(tcp) = Tcp::of(socket) {
            self.book(ledger, tcp, [0; 2]);
        }
    }

    /// The same at the end of the connection. If that is an orderly one, it is still to pass, and nobody will ask
    /// for it when it has.
    pub fn settle_to_the_end(&mut self, ledger: &Ledger, socket: &impl AsFd, is_orderly: bool) {
        if let Some(tcp) = Tcp::of(socket) {
            self.book(ledger, tcp, if is_orderly { tcp.still_to_pass() } else { [0; 2] });
        }
    }

    fn book(&mut self, ledger: &Ledger, tcp: Tcp, to_come: [u32; 2]) {
        let now = [tcp.segments_in + to_come[0], tcp.segments_out + to_come[1]];
        let ip = if tcp.ipv6 { IPV6 } else { IPV4 };
        let segments = Segments {
            count: [now[0].wrapping_sub(self.booked[0]), now[1].wrapping_sub(self.booked[1])],
            retransmits: tcp.retransmits.wrapping_sub(self.retransmits),
            header: ip + TCP + if tcp.timestamps { TIMESTAMPS } else { 0 },
            rtt: tcp.rtt,
        };
        (self.booked, self.retransmits) = (now, tcp.retransmits);
        ledger.book_segments(self.payer(), &segments);
    }

    fn close(&mut self) {
        if let Some(row) = self.payer().row() {
            row.open.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_carries_little() {
        assert!(size_of::<Meter>() <= 32, "{} bytes", size_of::<Meter>());
    }
}
