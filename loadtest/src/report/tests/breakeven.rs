//! The map's boundaries stand where they can be calculated.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    report::{
        breakeven::{Cheapest, Prices},
        model::{Cost, Error, Load, Model, Part, QUANTILE, Range, Technique, Term, within},
    },
    results::Transport,
};

const LOAD: Load = Load {
    rate: 1.0 / 60.0,
    interval: 0.0,
    heartbeat: 15.0,
    timeout: 25.0,
    rtt: 0.04,
    payload: 200.0,
    sharing: 100.0,
};

fn begins(model: &Model, cost: Cost, load: &Load, transport: Transport) -> Option<f64> {
    Prices::of(model, cost).begins(load, transport)
}

fn cheapest(model: &Model, cost: Cost, load: &Load, tolerated: f64) -> Cheapest {
    Prices::of(model, cost).cheapest(load, tolerated)
}

/// A transport of one cost, so much per term.
fn technique(terms: &'static [Term], coefficients: &[f64], error: f64) -> Technique {
    let part = Part { name: "all", terms, coefficients: coefficients.to_vec() };
    Technique {
        parts: [(Cost::Bytes, vec![part])].into(),
        extra: 0.002,
        cells: 1,
        errors: [(Cost::Bytes, Error { relative: error, worst: error, points: 1 })].into(),
    }
}

/// A poll costs 300 B whatever it brings, a stream's heartbeat 150 B: 10 B a second, less what its events put off.
fn model(error: f64) -> Model {
    let poll = technique(&[Term::Full, Term::Empty], &[300.0, 300.0], error);
    let sse = technique(&[Term::Beat, Term::Event], &[150.0, 150.0], error);
    Model {
        server: "made up".into(),
        techniques: [(Transport::Poll, poll), (Transport::Sse, sse)].into(),
        checks: Vec::new(),
        floors: BTreeMap::new(),
        notes: Vec::new(),
        range: Range { sharing: None, usual_payload: 200.0 },
        missing: BTreeSet::new(),
    }
}

#[test]
fn polling_becomes_cheaper_where_its_interval_pays_for_the_stream() {
    // 300 B / I < 10 B/s from I = 30 s on: 0.99 × 30 s of waiting, half a round trip, and 2 ms.
    let truth = QUANTILE * 30.0 + 0.02 + 0.002;
    let found = begins(&model(0.0), Cost::Bytes, &LOAD, Transport::Poll).expect("it does");
    assert!((found / truth - 1.0).abs() < 1e-6, "{found} for {truth}");
    // With an error of a tenth it has to be a tenth cheaper before that is said.
    let truth = QUANTILE * 33.0 + 0.022;
    let found = begins(&model(0.1), Cost::Bytes, &LOAD, Transport::Poll).expect("it does");
    assert!((found / truth - 1.0).abs() < 1e-6, "{found} for {truth}");
    assert!(
        (begins(&model(0.0), Cost::Bytes, &LOAD, Transport::Sse).expect("it does") - 0.022).abs() < 0.001
    );
}

#[test]
fn between_the_two_nobody_wins() {
    let model = model(0.1);
    let at = |interval: f64| cheapest(&model, Cost::Bytes, &LOAD, QUANTILE * interval + 0.022);
    assert_eq!(at(35.0).outcome.winner(), Some(Transport::Poll));
    for interval in [28.0, 30.0, 32.0] {
        assert_eq!(at(interval).outcome.transports(), [Transport::Poll, Transport::Sse], "{interval}");
    }
    assert_eq!(at(26.0).outcome.winner(), Some(Transport::Sse));
    assert!((at(35.0).cost - 300.0 / 35.0).abs() < 1e-6);
    assert!((at(35.0).load.expect("it polls").interval - 35.0).abs() < 1e-6);
}

#[test]
fn nothing_is_fresher_than_half_a_round_trip() {
    let model = model(0.0);
    let within = |transport, tolerated| within(transport, 0.002, tolerated, &LOAD);
    assert_eq!(cheapest(&model, Cost::Bytes, &LOAD, 0.0219).outcome.transports(), []);
    assert_eq!(cheapest(&model, Cost::Bytes, &LOAD, 0.0221).outcome.transports(), [Transport::Sse]);
    // One poll at a time: below a round trip's interval there is none, however cheap.
    assert!(within(Transport::Poll, 0.06).is_none());
    assert!(within(Transport::Poll, 0.08).is_some());
}

#[test]
fn a_cost_that_was_not_measured_or_not_checked_wins_nothing_alone() {
    let mut model = model(0.0);
    assert_eq!(cheapest(&model, Cost::Cpu, &LOAD, 60.0).outcome.transports(), []);
    model.techniques.get_mut(&Transport::Poll).expect("it is there").errors.clear();
    assert_eq!(
        cheapest(&model, Cost::Bytes, &LOAD, 60.0).outcome.transports(),
        [Transport::Poll, Transport::Sse]
    );
}
