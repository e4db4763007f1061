//! Where everything is written down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use super::{
    account::{Client, Segments},
    bill::{Bill, Direction, Purpose, Via},
    meter::Payer,
};

/// Accounts at a time: about 2 KiB each at most.
const MAX_CLIENTS: usize = 10_000;
/// How long an account is kept that no connection is on.
const IDLE: Duration = Duration::from_secs(600);

/// The ledger of a gateway.
#[derive(Debug)]
pub struct Ledger {
    bytes: [[[Counter; Purpose::COUNT]; 2]; Via::COUNT],
    segments: [[Counter; 2]; Via::COUNT],
    retransmits: [Counter; Via::COUNT],
    clients: Mutex<Clients>,
    began: Instant,
}

#[derive(Debug, Default)]
struct Clients {
    by_id: HashMap<Box<str>, Arc<Client>>,
    /// All were in use when room was looked for, so that it is not until the next sweep.
    is_full: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct For {
    transport: &'static str,
    direction: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Towards {
    transport: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Over {
    transport: &'static str,
}

impl Ledger {
    /// An empty ledger, whose sums are metrics.
    pub fn new(registry: &mut Registry) -> Self {
        let bytes = Family::<For, Counter>::default();
        let about = "What went over sockets, by the request that it served and what it was for";
        registry.register_with_unit("ledger", about, Unit::Bytes, bytes.clone());
        let segments = Family::<Towards, Counter>::default();
        let about = "TCP segments, looked up when a connection ends or goes over to another transport, and when \
                     its account is asked for";
        registry.register("ledger_segments", about, segments.clone());
        let retransmits = Family::<Over, Counter>::default();
        let about = "TCP segments that were sent again";
        registry.register("ledger_retransmits", about, retransmits.clone());
        Self {
            bytes: Via::ALL.map(|via| {
                Direction::ALL.map(|direction| {
                    Purpose::ALL.map(|purpose| {
                        let (direction, kind) = (direction.as_str(), purpose.as_str());
                        bytes.get_or_create(&For { transport: via.as_str(), direction, kind }).clone()
                    })
                })
            }),
            segments: Via::ALL.map(|via| {
                Direction::ALL.map(|direction| {
                    let direction = direction.as_str();
                    segments.get_or_create(&Towards { transport: via.as_str(), direction }).clone()
                })
            }),
            retransmits: Via::ALL
                .map(|via| retransmits.get_or_create(&Over { transport: via.as_str() }).clone()),
            clients: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// Who pays for a request: for what it is, and on whose account. While there are too many accounts that
    /// are in use a new client has none, and is counted by transport only.
    pub fn payer(&self, via: Via, client: Option<&str>) -> Payer {
        let client = client.filter(|_| via != Via::Other).and_then(|id| self.open(id));
        Payer::new(via, client.and_then(|client| client.row(via).cloned()))
    }

    /// The account of a client, if it has one.
    pub fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.clients().by_id.get(id).cloned()
    }

    /// The accounts that have changed since this was asked last.
    pub fn changed(&self) -> Vec<Arc<Client>> {
        self.clients().by_id.values().filter(|client| client.has_changed()).cloned().collect()
    }

    /// Closes the accounts that nobody was on for a while.
    pub fn sweep(&self) {
        self.sweep_at(self.began.elapsed());
    }

    fn sweep_at(&self, now: Duration) {
        let mut clients = self.clients();
        clients.is_full = false;
        clients.by_id.retain(|_, client| {
            if client.is_used() {
                client.seen.store(now.as_secs(), Relaxed);
            }
            now.as_secs() - client.seen.load(Relaxed) < IDLE.as_secs()
        });
    }

    fn open(&self, id: &str) -> Option<Arc<Client>> {
        let mut clients = self.clients();
        if let Some(client) = clients.by_id.get(id) {
            return Some(client.clone());
        }
        if clients.by_id.len() >= MAX_CLIENTS {
            clients.make_room();
            if clients.is_full {
                return None;
            }
        }
        let client = Arc::new(Client::new(id));
        client.seen.store(self.began.elapsed().as_secs(), Relaxed);
        clients.by_id.insert(id.into(), client.clone());
        Some(client)
    }

    /// Books some bytes.
    pub fn book(&self, payer: &Payer, direction: Direction, bill: &Bill) {
        let sums = &self.bytes[payer.via() as usize][direction as usize];
        for (sum, bytes) in sums.iter().zip(bill.bytes()) {
            if *bytes > 0 {
                sum.inc_by(u64::from(*bytes));
            }
        }
        payer.note(direction, bill);
    }

    pub(super) fn book_segments(&self, payer: &Payer, segments: &Segments) {
        let sums = &self.segments[payer.via() as usize];
        sums[0].inc_by(segments.count[0].into());
        sums[1].inc_by(segments.count[1].into());
        self.retransmits[payer.via() as usize].inc_by(segments.retransmits.into());
        if let Some(row) = payer.row() {
            row.add_segments(segments);
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().expect("nothing panics while it holds the lock")
    }
}

impl Clients {
    /// Closes half of the accounts that no connection is on, those that are unused for longest: at once, so that it
    /// is not looked for one with each new client.
    fn make_room(&mut self) {
        if self.is_full {
            return;
        }
        let unused = self.by_id.values().filter(|client| !client.is_used());
        let mut unused: Vec<(u64, Box<str>)> =
            unused.map(|client| (client.seen.load(Relaxed), client.id().into())).collect();
        unused.sort_unstable();
        self.is_full = unused.is_empty();
        for (_, id) in unused.iter().take(unused.len().div_ceil(2)) {
            self.by_id.remove(id);
        }
    }
}

/// What one core booked in a turn, before it is handed over: no other core has to see each byte at once.
#[derive(Debug, Default)]
pub struct Sums {
    bytes: [[[u64; Purpose::COUNT]; 2]; Via::COUNT],
    /// Which of the directions of which transport have changed, a bit each.
    changed: u16,
}

impl Sums {
    /// Books some bytes.
    pub fn book(&mut self, payer: &Payer, direction: Direction, bill: &Bill) {
        self.add(payer.via(), direction, bill, 1);
        payer.note(direction, bill);
    }

    /// Adds bytes that went so many times, and that were noted on the accounts.
    pub fn add(&mut self, via: Via, direction: Direction, bill: &Bill, times: u64) {
        let sums = &mut self.bytes[via as usize][direction as usize];
        for (sum, bytes) in sums.iter_mut().zip(bill.bytes()) {
            *sum += u64::from(*bytes) * times;
        }
        self.changed |= 1 << (2 * via as u16 + direction as u16);
    }

    /// Hands over what was booked since the last time.
    pub fn hand_over(&mut self, ledger: &Ledger) {
        while self.changed != 0 {
            let at = self.changed.trailing_zeros() as usize;
            self.changed &= self.changed - 1;
            let (sums, counters) = (&mut self.bytes[at / 2][at % 2], &ledger.bytes[at / 2][at % 2]);
            for (sum, counter) in sums.iter_mut().zip(counters) {
                if *sum > 0 {
                    counter.inc_by(std::mem::take(sum));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(&mut Registry::default())
    }

    #[test]
    fn an_account_is_kept_while_somebody_is_on_it() {
        let ledger = ledger();
        let payer = ledger.payer(Via::Sse, Some("a"));
        drop(ledger.payer(Via::Sse, Some("b")));
        ledger.sweep_at(IDLE - Duration::from_secs(1));
        assert!(ledger.client("a").is_some() && ledger.client("b").is_some());
        ledger.sweep_at(IDLE);
        assert!(ledger.client("a").is_some() && ledger.client("b").is_none());
        drop(payer);
        ledger.sweep_at(2 * IDLE - Duration::from_secs(1));
        assert!(ledger.client("a").is_some());
        ledger.sweep_at(2 * IDLE);
        assert!(ledger.client("a").is_none());
    }

    #[test]
    fn accounts_are_bounded_and_those_in_use_stay() {
        let ledger = ledger();
        let held: Vec<Payer> =
            (1..MAX_CLIENTS).map(|n| ledger.payer(Via::Poll, Some(&n.to_string()))).collect();
        drop(ledger.payer(Via::Poll, Some("idle")));
        let newer = ledger.payer(Via::Poll, Some("newer"));
        assert!(ledger.client("idle").is_none() && ledger.client("newer").is_some());
        let one_too_many = ledger.payer(Via::Poll, Some("one-too-many"));
        ledger.book(&one_too_many, Direction::In, &Bill::of(Purpose::Heads, 7));
        assert!(ledger.client("one-too-many").is_none());
        assert_eq!(ledger.bytes[Via::Poll as usize][0][0].get(), 7, "it is counted all the same");
        drop((held, newer));
        assert!(!ledger.payer(Via::Poll, Some("again")).has_account(), "until the next sweep");
        ledger.sweep();
        assert!(ledger.payer(Via::Poll, Some("again")).has_account());
        assert_eq!(ledger.clients().by_id.len(), MAX_CLIENTS / 2 + 1, "half of the unused went");
    }

    #[test]
    fn sums_are_handed_over_once() {
        let ledger = ledger();
        let payer = ledger.payer(Via::Sse, Some("a"));
        let mut sums = Sums::default();
        sums.book(&payer, Direction::Out, &Bill::of(Purpose::Payload, 3));
        sums.add(Via::Sse, Direction::Out, &Bill::of(Purpose::Payload, 3), 4);
        sums.hand_over(&ledger);
        sums.hand_over(&ledger);
        assert_eq!(ledger.bytes[Via::Sse as usize][1][Purpose::Payload as usize].get(), 15);
        let document = ledger.client("a").unwrap().document("now");
        assert_eq!(document["transports"]["sse"]["out"]["payload"], 3);
    }
}
