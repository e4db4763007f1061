//! The sentences are true to the numbers.

use super::made_up;
use crate::{
    report::{glance, model::build, scenes::Scenes, summary::sentences},
    results::{Cell, Metric, Results, Transport, Validity, Verdict},
    sample,
};

/// All sentences as one text, without markup.
fn said(results: &Results) -> Vec<String> {
    let scenes = Scenes::of(results);
    let model = build(results, scenes.server);
    let plain = |markup: maud::Markup| {
        let text: String =
            scraper::Html::parse_fragment(&markup.into_string()).root_element().text().collect();
        text.replace('\u{202f}', " ").replace('\u{2060}', "")
    };
    sentences(results, &scenes, model.as_ref()).into_iter().map(plain).collect()
}

/// The cells that the sentences are about: steady, 40 ms.
fn cells(results: &mut Results) -> Vec<&mut Cell> {
    results
        .cells
        .iter_mut()
        .filter(|cell| cell.id.starts_with("fanlight/Steady") && cell.rtt_ms == 40.0 && cell.rate == 10.0)
        .collect()
}

fn cpu(results: &mut Results, transport: Transport) -> f64 {
    let cell = cells(results).into_iter().find(|cell| cell.transport == transport).expect("it is there");
    cell.total.cpu.expect("measured").total_ns_per_delivery.expect("measured") / 1e3
}

fn about<'a>(said: &'a [String], begin: &str) -> &'a str {
    said.iter().find(|sentence| sentence.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {said:?}"))
}

const BYTES: &str = "The fewest bytes";
const CPU: &str = "The server spends the least CPU";

#[test]
fn the_first_sentence_is_the_latency_under_the_middle_conditions() {
    let said = said(&made_up::run());
    assert!(said[0].starts_with("With 200 subscribers, 10 events/s, 200 B of data and a round trip of 40 ms, an event arrives 20.3 ms after it was due over "), "{}", said[0]);
    assert!(
        said[0].contains(
            "longpoll, chunked, sse and websocket (median; no difference: the 95 % intervals overlap, 20.1–20.5 ms, "
        ) && said[0].contains("520 ms (515–526 ms) over poll every 1 s."),
        "{}",
        said[0]
    );
}

#[test]
fn ratios_are_those_of_the_figures() {
    let mut results = made_up::run();
    let said = said(&results);
    let (best, longpoll, poll) = (
        [Transport::Sse, Transport::Chunked, Transport::Websocket]
            .map(|transport| cpu(&mut results, transport))
            .into_iter()
            .fold(f64::MAX, f64::min),
        cpu(&mut results, Transport::Longpoll),
        cpu(&mut results, Transport::Poll),
    );
    let sentence = about(&said, CPU);
    assert!(sentence.contains(&format!("{best:.2} µs")), "{sentence} {best}");
    assert!(sentence.contains("(no difference: the 95 % intervals overlap, "), "{sentence}");
    assert!(sentence.contains(&format!("longpoll {:.1} times as much", longpoll / best)), "{sentence}");
    assert!(
        sentence.contains(&format!("poll every 1 s {:.0} % more", (poll / best - 1.0) * 100.0)),
        "{sentence}"
    );
}

#[test]
fn sentences_and_tables_show_the_same_figures() {
    let mut results = made_up::run();
    // The stretches' mean is not the whole window's.
    for estimate in cells(&mut results).into_iter().flat_map(|cell| {
        [cell.estimates.latency_p50.as_mut(), cell.estimates.cpu_per_delivery.as_mut()].into_iter().flatten()
    }) {
        estimate.value *= 1.02;
    }
    let said = said(&results);
    let scenes = Scenes::of(&results);
    let main = scenes.main().expect("it is there");
    for entry in &main.entries {
        let latency = glance::latency(entry.cell, 0.5).text().replace('\u{202f}', " ");
        let alike = entry.cell.transport != Transport::Poll;
        assert!(alike || said[0].contains(&format!("{latency} (")), "{latency}: {}", said[0]);
    }
    let best = main.rank(Metric::CpuPerDelivery, &results.comparisons).expect("measured").best;
    for end in [best[0], best[best.len() - 1]] {
        let per_event = glance::cpu_per_event(end.entry.cell).expect("measured");
        let figure = crate::report::format::seconds(per_event).text().replace('\u{202f}', " ");
        assert!(about(&said, CPU).contains(&figure), "{figure}: {}", about(&said, CPU));
    }
}

#[test]
fn what_makes_no_difference_is_said_with_its_intervals() {
    let mut results = made_up::run();
    // Apart in their intervals, and closer than the noise floor.
    for cell in cells(&mut results) {
        let narrow = |estimate: &mut crate::results::Estimate| {
            (estimate.low, estimate.high) = (estimate.value * 0.9999, estimate.value * 1.0001);
        };
        cell.estimates.cpu_per_delivery.as_mut().map(narrow);
    }
    let sentence = about(&said(&results), CPU).to_owned();
    assert!(sentence.contains("overlap or are closer than the noise floor)"), "{sentence}");
    let noise = about(&said(&results), "Runs of the very same thing").to_owned();
    assert!(
        noise.contains("what differs by less, or overlaps in its 95 % intervals, is called no"),
        "{noise}"
    );
}

#[test]
fn each_transport_that_does_not_poll_is_told_of_at_both_distances() {
    let said = said(&made_up::run());
    let sentence = about(&said, "From a round trip of");
    // The long poll of 200 ms is invalid.
    for transport in [Transport::Chunked, Transport::Sse, Transport::Websocket] {
        assert!(sentence.contains(&format!(" over {}", transport.name())), "{sentence}");
    }
    assert!(!sentence.contains("poll"), "{sentence}");
}

#[test]
fn no_difference_is_said_where_the_run_says_it_and_nowhere_else() {
    let mut results = made_up::run();
    for comparison in
        results.comparisons.iter_mut().filter(|comparison| comparison.metric == Metric::CpuPerDelivery)
    {
        comparison.verdict = Verdict::NoDifference;
    }
    let sentence = about(&said(&results), CPU).to_owned();
    assert!(
        !sentence.contains("times") && !sentence.contains("more") && sentence.contains("longpoll"),
        "{sentence}"
    );
    // Nobody compared anything: nothing is ranked, and nothing is called equal.
    results.comparisons.clear();
    let sentence = about(&said(&results), CPU).to_owned();
    assert!(
        !sentence.contains("no difference") && !sentence.contains("times") && !sentence.contains("more"),
        "{sentence}"
    );
    assert!(sentence.contains("Measured, but not compared with it"), "{sentence}");
}

#[test]
fn an_invalid_cell_is_never_ranked_however_good_it_looks() {
    let mut results = made_up::run();
    let websocket = cells(&mut results)
        .into_iter()
        .find(|cell| cell.transport == Transport::Websocket)
        .expect("it is there");
    websocket.total.wire.sockets.bytes_per_delivery = Some(1.0);
    made_up::spoil(websocket);
    results.comparisons = made_up::comparisons(&results.cells);
    let said = said(&results);
    let sentence = about(&said, BYTES);
    assert!(!sentence.contains("websocket") && sentence.contains("over chunked: "), "{sentence}");
    assert!(
        said.iter()
            .any(|sentence| sentence.starts_with("2 of 58 cells are invalid and stand in no comparison")),
        "{said:?}"
    );
    assert!(said[0].contains("longpoll, chunked and sse"), "{}", said[0]);
}

#[test]
fn where_most_is_invalid_that_is_said_first() {
    let mut results = made_up::run();
    assert!(!said(&results)[0].contains("invalid"));
    results.cells.iter_mut().skip(3).for_each(made_up::spoil);
    let said = said(&results);
    assert!(said[0].starts_with("55 of 58 cells are invalid"), "{said:?}");
    // A cell that is alone is the best of nothing.
    let mut results = made_up::run();
    cells(&mut results).into_iter().skip(1).for_each(made_up::spoil);
    results.comparisons = made_up::comparisons(&results.cells);
    let said = self::said(&results);
    assert!(
        said[0].contains("520 ms after it was due over poll every 1 s (median; 95 % interval 515–526 ms)."),
        "{said:?}"
    );
    assert!(
        !said.iter().any(|sentence| sentence.starts_with(BYTES) || sentence.starts_with(CPU)),
        "{said:?}"
    );
}

#[test]
fn what_was_lost_is_said() {
    let mut results = made_up::run();
    let exactly = |results: &mut Results| {
        let cell = cells(results).swap_remove(2);
        cell.total.exactly.delivered -= 7;
        cell.total.exactly.missed = 7;
        cell.total.exactly.duplicated = 2;
    };
    assert!(
        said(&results)
            .iter()
            .any(|sentence| sentence
                == "All 1 990 000 deliveries that were due came exactly once and in order."),
        "{:?}",
        said(&results)
    );
    exactly(&mut results);
    assert!(
        said(&results).iter().any(|sentence| sentence.starts_with(
            "Of 1 990 000 deliveries that were due, 7 were missed, 2 came twice and 0 out of order"
        )),
        "{:?}",
        said(&results)
    );
}

#[test]
fn a_ledger_that_disagrees_with_the_sockets_is_named() {
    let mut results = made_up::run();
    assert!(!said(&results).iter().any(|sentence| sentence.contains("disagree")));
    let cell = cells(&mut results).swap_remove(0);
    cell.total.wire.agree = Some(false);
    cell.total.wire.sockets.out_bytes *= 2;
    let id = cell.id.clone();
    let said = said(&results);
    let sentence = about(&said, "In 1 valid cells");
    assert!(sentence.contains(&id), "{sentence}");
}

#[test]
fn noise_and_validity_are_always_said() {
    let mut results = sample::results();
    assert!(said(&results).iter().any(|sentence| sentence.contains("3.10 % in median latency")));
    assert!(said(&results).iter().any(|sentence| sentence
        == &format!(
            "All {} cells are valid: the load test was nowhere the bottleneck.",
            results.cells.len()
        )));
    results.noise = None;
    results.validity = Validity::new(vec!["The clock jumped.".into()], Vec::new());
    assert!(said(&results).iter().any(|sentence| sentence
        == "The noise floor was not measured: what overlaps in its 95 % intervals is called no difference."));
    assert!(said(&results).iter().any(|sentence| sentence == "The run is invalid: The clock jumped."));
}
