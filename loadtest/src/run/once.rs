//! One run of one cell.

use crate::{
    account::Account,
    cores::Cores,
    engine::{Beside, Engine, Goal, Stage},
    http::Place,
    ledger::{self, Ledger},
    plan::Spec,
    relay::{Relay, Strain},
    results::Point,
};

use super::target::Target;

/// Runs a cell once, on a fresh server if it is one of ours.
pub(super) fn run(
    spec: &Spec,
    target: &Target,
    cores: &Cores,
    seed: u64,
    tell: &mut dyn FnMut(Stage),
) -> Result<(Account, Vec<Point>), String> {
    let here = target.open(cores)?;
    let mut load = spec.load.clone();
    load.seed = seed;
    load.run = (seed >> 32) as u32;
    let client = format!("loadtest-{:08x}", load.run);
    let has_ledger = here.has_ledger;
    if has_ledger {
        load.client = format!("{}{client}", target.adapter.client);
    }
    // What a subscription asks for stands at the end of its query, behind the client's name.
    load.query = load.client.clone();
    let asked = [
        (load.asked_heartbeat(), &target.adapter.heartbeat),
        (load.asked_timeout(), &target.adapter.timeout),
    ];
    for (seconds, before) in asked {
        if let Some(seconds) = seconds.filter(|_| !before.is_empty()) {
            load.query += &format!("{before}{}", seconds.as_secs());
        }
    }
    let ready = target.adapter.ready(load.transport, &here.place.host, &here.place.path)?;
    let relay = if spec.shape.is_none() {
        None
    } else {
        Some(Relay::start(here.place.addr, spec.shape).map_err(|error| format!("the relay: {error}"))?)
    };
    let subscribe = relay.as_ref().map_or(here.place.addr, |relay| relay.addr);
    let goal = Goal { ready, subscribe, publish: here.place.addr };
    let ledger = target.adapter.ledger.as_ref().filter(|_| has_ledger);
    let ledger = ledger.map(|path| here.place.join(&format!("{path}{client}")));
    let mut beside = Books { ledger, before: None, after: None, relay, strain: None };
    let (transport, pattern) = (load.transport, load.pattern);
    let engine = Engine::new(load, goal, &here.watch, tell).map_err(|error| error.to_string())?;
    let outcome = engine.run(&mut beside).map_err(|error| error.to_string())?;
    let booked = match (beside.before, beside.after) {
        (Some(Ok(before)), Some(Ok(after))) => Ok(after.since(&before, transport)),
        (Some(Err(why)), _) | (_, Some(Err(why))) => Err(why),
        _ => Err("the server has no ledger".to_owned()),
    };
    Ok(Account::new((transport, pattern), here.watch.source(), outcome, booked, beside.strain))
}

/// What is kept beside the generator: the server's ledger and the relay's strain.
struct Books {
    ledger: Option<Place>,
    before: Option<Result<Ledger, String>>,
    after: Option<Result<Ledger, String>>,
    relay: Option<Relay>,
    strain: Option<Strain>,
}

impl Books {
    fn look(&self) -> Option<Result<Ledger, String>> {
        let place = self.ledger.as_ref()?;
        let found =
            ledger::ask(place).and_then(|ledger| ledger.ok_or_else(|| "the ledger is gone".to_owned()));
        Some(found)
    }
}

impl Beside for Books {
    fn established(&mut self) {
        self.before = self.look();
    }

    fn begins(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.begin();
        }
    }

    fn ends(&mut self) {
        self.strain = self.relay.as_ref().map(Relay::strain);
    }

    fn drained(&mut self) {
        self.after = self.look();
    }
}
