//! The model finds the law that made the cells, and knows how wrong it is.

use super::made_up::{self, SPEC, Spec};
use crate::{
    report::model::{Cost, Model, Part, Term, build},
    results::{Purpose, Results, Transport},
    sample,
};

/// Cells without noise over one transport, and enough of them to tell all terms apart.
fn exact(transport: Transport) -> Results {
    let spec = Spec { transport, ..SPEC };
    let mut specs = made_up::points(spec);
    specs.extend(made_up::points(Spec { subscribers: 31, ..spec }).into_iter().map(|point| Spec {
        subscribers: 7,
        rate: point.rate * 1.7,
        purpose: Purpose::Fit,
        ..point
    }));
    specs.push(Spec {
        rate: 0.0,
        pattern: crate::results::Pattern::Idle,
        subscribers: 2000,
        interval: 5.0,
        ..spec
    });
    let mut results = sample::results();
    results.noise = None;
    results.cells = specs.into_iter().map(|spec| made_up::exact(spec, |_| 1.0)).collect();
    results
}

fn coefficient(parts: &[Part], term: Term) -> f64 {
    let each = parts.iter().flat_map(|part| part.terms.iter().zip(&part.coefficients));
    each.filter(|(own, _)| **own == term).map(|(_, coefficient)| coefficient).sum()
}

fn model(results: &Results) -> Model {
    build(results, "fanlight").expect("there are cells")
}

/// Within half a percent: counts are whole numbers.
fn near(found: f64, truth: f64) -> bool {
    (found - truth).abs() <= 0.005 * truth
}

#[test]
fn known_coefficients_are_recovered() {
    let poll = model(&exact(Transport::Poll));
    let parts = &poll.techniques[&Transport::Poll].parts;
    let (bytes, cpu) = (&parts[&Cost::Bytes], &parts[&Cost::Cpu]);
    let heads =
        made_up::HEADS.0 + made_up::HEADS.1 + made_up::framing(Transport::Poll).0 + 2.0 * made_up::SEGMENT;
    let empty = made_up::EMPTY.0 + made_up::EMPTY.1 + 2.0 * made_up::SEGMENT;
    for (found, truth) in [
        (coefficient(bytes, Term::Full), heads),
        (coefficient(bytes, Term::Empty), empty),
        (coefficient(bytes, Term::Event), made_up::ENVELOPE),
        (coefficient(bytes, Term::PayloadByte), 1.0),
        (coefficient(cpu, Term::Full), made_up::CPU_REQUEST),
        (coefficient(cpu, Term::Empty), made_up::CPU_EMPTY),
        (coefficient(cpu, Term::Event), made_up::CPU_EVENT),
        (coefficient(cpu, Term::Publish), made_up::CPU_PUBLISH),
    ] {
        assert!(near(found, truth), "{found} for {truth}");
    }
    for transport in [Transport::Chunked, Transport::Sse, Transport::Websocket] {
        let model = model(&exact(transport));
        let parts = &model.techniques[&transport].parts;
        let (framing, beat) = made_up::framing(transport);
        let bytes = &parts[&Cost::Bytes];
        assert!(near(coefficient(bytes, Term::Event), made_up::ENVELOPE + framing + 2.0 * made_up::SEGMENT));
        assert!(
            near(coefficient(bytes, Term::Beat), beat + 2.0 * made_up::SEGMENT),
            "{}",
            coefficient(bytes, Term::Beat)
        );
        assert!(near(coefficient(&parts[&Cost::Cpu], Term::Beat), made_up::CPU_BEAT));
        assert_eq!(coefficient(bytes, Term::Full), 0.0);
    }
}

#[test]
fn without_noise_the_points_kept_out_are_predicted() {
    for transport in Transport::ALL {
        let model = model(&exact(transport));
        let errors = &model.techniques[&transport].errors;
        assert_eq!(model.checks.len(), 6, "two points, three costs");
        for (cost, error) in errors {
            assert_eq!(error.points, 2);
            assert!(error.relative < 0.003, "{transport:?} {cost:?}: {error:?}");
        }
    }
}

#[test]
fn the_error_is_the_root_mean_square_over_the_points_kept_out() {
    let mut results = exact(Transport::Sse);
    let mut kept_out: Vec<_> =
        results.cells.iter_mut().filter(|cell| cell.purpose == Purpose::Check).collect();
    for (cell, factor) in kept_out.iter_mut().zip([1.25, 0.8]) {
        cell.total.cpu.as_mut().expect("measured").total_ns_per_subscriber_second *= factor;
    }
    let model = model(&results);
    let error = model.techniques[&Transport::Sse].errors[&Cost::Cpu];
    // 1/1.25 is 20 % too little, 1/0.8 is 25 % too much.
    let truth = ((0.2_f64.powi(2) + 0.25_f64.powi(2)) / 2.0).sqrt();
    assert!((error.relative - truth).abs() < 0.005, "{error:?} for {truth}");
    assert!((error.worst - 0.25).abs() < 0.005, "{error:?}");
    // The fit has not seen them: it is what it was.
    let parts = &model.techniques[&Transport::Sse].parts[&Cost::Cpu];
    assert!(near(coefficient(parts, Term::Event), made_up::CPU_EVENT));
}

#[test]
fn where_no_point_was_kept_out_each_is_left_out_in_its_turn() {
    let mut results = exact(Transport::Websocket);
    results.cells.iter_mut().for_each(|cell| cell.purpose = Purpose::Fit);
    let model = model(&results);
    // All but the idle one, the only one with heartbeats.
    assert_eq!(model.checks.len(), 3 * (results.cells.len() - 1));
    assert!(model.checks.iter().all(|check| !check.kept_out));
    assert!(model.techniques[&Transport::Websocket].errors[&Cost::Bytes].relative < 0.01);
    // One point alone cannot be checked, and the model says so by having no error.
    results.cells.truncate(1);
    let model = build(&results, "fanlight").expect("one can be fitted");
    assert!(model.techniques[&Transport::Websocket].errors.is_empty());
    assert_eq!(model.tolerance(Transport::Websocket, Transport::Websocket, Cost::Bytes), f64::INFINITY);
}

#[test]
fn invalid_cells_and_other_servers_are_not_fitted() {
    let mut results = exact(Transport::Sse);
    let mut wrong = results.cells[0].clone();
    wrong.total.cpu.as_mut().expect("measured").total_ns_per_subscriber_second *= 50.0;
    made_up::spoil(&mut wrong);
    let mut rival = wrong.clone();
    rival.validity = results.cells[0].validity.clone();
    rival.server = "nchan".into();
    results.cells.extend([wrong, rival]);
    let parts = &model(&results).techniques[&Transport::Sse].parts[&Cost::Cpu];
    assert!(near(coefficient(parts, Term::Event), made_up::CPU_EVENT));
    results.cells.iter_mut().for_each(made_up::spoil);
    assert!(build(&results, "fanlight").is_none());
}

#[test]
fn a_publish_costs_the_same_over_all_transports() {
    let mut results = exact(Transport::Chunked);
    for transport in [Transport::Sse, Transport::Websocket] {
        results.cells.extend(exact(transport).cells);
    }
    // One transport's few subscribers look dear: alone it would be put down to the publish.
    let dear = |cell: &&mut crate::results::Cell| cell.transport == Transport::Sse && cell.subscribers == 7;
    for cell in results.cells.iter_mut().filter(dear) {
        cell.total.cpu.as_mut().expect("measured").total_ns_per_subscriber_second *= 1.5;
    }
    let model = model(&results);
    for technique in model.techniques.values() {
        let found = coefficient(&technique.parts[&Cost::Cpu], Term::Publish);
        assert!(near(found, made_up::CPU_PUBLISH), "{found}");
    }
}

#[test]
fn what_was_never_seen_is_said_to_be_assumed() {
    let mut results = exact(Transport::Longpoll);
    results.cells.retain(|cell| cell.rate > 0.0);
    let model = model(&results);
    assert!(model.notes.iter().any(|note| note.contains("No longpoll came back empty")), "{:?}", model.notes);
    let parts = &model.techniques[&Transport::Longpoll].parts[&Cost::Bytes];
    let heads = made_up::HEADS.0 + made_up::HEADS.1 + 2.0 * made_up::SEGMENT;
    assert!(near(coefficient(parts, Term::Empty), heads), "{}", coefficient(parts, Term::Empty));
}

#[test]
fn what_was_not_varied_is_said_not_to_be_told_apart() {
    let mut results = exact(Transport::Sse);
    assert!(!model(&results).notes.iter().any(|note| note.contains("what a publish costs")));
    results.cells.retain(|cell| cell.subscribers == 200);
    let one = model(&results);
    assert!(
        one.notes.iter().any(|note| note.contains("Each event went to 200 subscribers everywhere")),
        "{:?}",
        one.notes
    );
    assert!(one.notes.iter().any(|note| note.contains("No heartbeat of sse")), "{:?}", one.notes);
    assert_eq!(coefficient(&one.techniques[&Transport::Sse].parts[&Cost::Bytes], Term::Beat), 0.0);
    // A transport of which nothing can be used is missing, and known to be.
    results.cells.push(made_up::exact(Spec { transport: Transport::Poll, ..SPEC }, |_| 1.0));
    made_up::spoil(results.cells.last_mut().expect("just added"));
    assert_eq!(model(&results).missing, [Transport::Poll].into());
}

#[test]
fn without_a_ledger_the_sockets_are_fitted() {
    let mut results = exact(Transport::Sse);
    results.cells.iter_mut().for_each(|cell| cell.total.wire.ledger = None);
    let model = model(&results);
    let parts = &model.techniques[&Transport::Sse].parts[&Cost::Bytes];
    assert_eq!(parts.len(), 1);
    assert!(near(coefficient(parts, Term::Event), made_up::ENVELOPE + made_up::framing(Transport::Sse).0));
    assert!(model.notes.iter().any(|note| note.contains("keeps no ledger")));
}
