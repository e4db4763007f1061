//! What came out, in sentences. Each is computed from the figures; none is said that the comparisons do not bear.

use maud::{Markup, html};

use super::{
    breakeven::{Prices, said_seconds},
    format::{Figure, between, bytes, count, factor, list, percent, seconds},
    model::{Cost, Load, Model},
    ranking::{Ranked, Ranking},
    scenes::{Scene, Scenes},
};
use crate::results::{Cell, Metric, Results, Transport};

/// The sentences, the most important first.
pub(crate) fn sentences(results: &Results, scenes: &Scenes, model: Option<&Model>) -> Vec<Markup> {
    let mut said = Vec::new();
    if let Some(scene) = scenes.main() {
        let rank = |metric| scene.rank(metric, &results.comparisons);
        said.extend(rank(Metric::LatencyP50).map(|ranking| latency(scene, &ranking)));
        // One alone is neither the best nor the worst.
        let among = |metric| rank(metric).filter(Ranking::compares);
        said.extend(among(Metric::BytesPerDelivery).map(|ranking| least(&ranking, &BYTES)));
        said.extend(among(Metric::CpuPerDelivery).map(|ranking| least(&ranking, &CPU)));
    }
    let invalid = results.cells.iter().filter(|cell| !cell.validity.valid).count();
    // What is worth nothing has to say so before it says anything else.
    let first = said.is_empty() || invalid * 2 > results.cells.len();
    said.extend(distance(scenes));
    said.extend(model.and_then(|model| break_even(scenes, model)));
    said.push(exactly_once(results));
    said.push(noise(results));
    said.insert(if first { 0 } else { said.len() }, validity(results));
    said.extend(disagreement(results));
    said
}

fn latency(scene: &Scene, ranking: &Ranking) -> Markup {
    let say = |ms: f64| seconds(ms / 1e3);
    html! {
        "With " (scene.described()) ", an event arrives " b { (range(&ranking.best, say)) } " after it was due over " (names(&ranking.best)) " (median; " (how_well(ranking, say)) ")"
        @for (other, _) in &ranking.others { ", " b { (say(other.value).text()) } " (" (interval(other, say)) ") over " (other.entry.spoken()) }
        "."
        (open(&ranking.open, say))
    }
}

/// How a metric is spoken of.
struct Wording {
    begin: &'static str,
    unit: &'static str,
    say: fn(f64) -> Figure,
    /// After the first factor, so that '2.2 times' is '2.2 times as many'.
    as_: &'static str,
}

const BYTES: Wording = Wording {
    begin: "The fewest bytes travel over ",
    unit: " an event, without TCP/IP's own",
    say: bytes,
    as_: " as many",
};

const CPU: Wording = Wording {
    begin: "The server spends the least CPU on ",
    unit: " an event",
    say: |ns| seconds(ns / 1e9),
    as_: " as much",
};

/// `The fewest bytes travel over websocket: 310 B an event (95 % interval 309–311 B); sse 3 % more (318–320 B).`
fn least(ranking: &Ranking, wording: &Wording) -> Markup {
    html! {
        (wording.begin) (names(&ranking.best)) ": " b { (range(&ranking.best, wording.say)) } (wording.unit)
        " (" (how_well(ranking, wording.say)) ")"
        @for (i, (other, ratio)) in ranking.others.iter().enumerate() {
            @if i == 0 { "; " } @else { ", " }
            (other.entry.spoken()) " " b { (factor(*ratio)) }
            @if *ratio >= 1.5 && !ranking.others[..i].iter().any(|(_, ratio)| *ratio >= 1.5) { (wording.as_) }
            " (" (interval(other, wording.say)) ")"
        }
        "."
        (open(&ranking.open, wording.say))
    }
}

/// How well the best are known, and what makes several of them alike.
fn how_well(ranking: &Ranking, say: impl Fn(f64) -> Figure) -> String {
    let intervals: Vec<String> = ranking.best.iter().map(|ranked| interval(ranked, &say)).collect();
    match intervals.as_slice() {
        [one] => format!("95\u{202f}% interval {one}"),
        several if ranking.overlaps() => {
            format!("no difference: the 95\u{202f}% intervals overlap, {}", list(several))
        }
        several => format!(
            "no difference: the 95\u{202f}% intervals, {}, overlap or are closer than the noise floor",
            list(several)
        ),
    }
}

fn interval(ranked: &Ranked, say: impl Fn(f64) -> Figure) -> String {
    between(&say(ranked.estimate.low), &say(ranked.estimate.high))
}

fn open(open: &[Ranked], say: impl Fn(f64) -> Figure) -> Markup {
    let said: Vec<String> = open
        .iter()
        .map(|ranked| format!("{} ({})", ranked.entry.spoken(), say(ranked.value).text()))
        .collect();
    html! { @if !said.is_empty() { " Measured, but not compared with it: " (list(&said)) "." } }
}

fn names(best: &[Ranked]) -> String {
    list(&best.iter().map(|ranked| ranked.entry.spoken()).collect::<Vec<_>>())
}

fn range(best: &[Ranked], say: impl Fn(f64) -> Figure) -> String {
    let (low, high) = (say(best[0].value), say(best[best.len() - 1].value));
    if low == high { low.text() } else { format!("{} to {}", low.text(), high.text()) }
}

/// What distance does to each technique: from the shortest round trip to the longest. To a poll it does little: its
/// interval is the larger part.
fn distance(scenes: &Scenes) -> Option<Markup> {
    let steady = || scenes.scenes.iter().filter(|scene| scene.steady());
    let near = steady().min_by(|a, b| a.rtt_ms().total_cmp(&b.rtt_ms()))?;
    let far = steady().max_by(|a, b| a.rtt_ms().total_cmp(&b.rtt_ms()))?;
    if far.rtt_ms() <= near.rtt_ms() {
        return None;
    }
    let p99 = |scene: &Scene, transport: Transport| -> Option<f64> {
        let mut cells = scene.entries.iter().map(|entry| entry.cell);
        let cell = cells.find(|cell| cell.transport == transport && cell.validity.valid)?;
        Some(cell.total.latency.as_ref()?.at(0.99)? / 1e3)
    };
    let grown = |transport: Transport| Some((transport.name(), p99(near, transport)?, p99(far, transport)?));
    let waits = Transport::ALL.into_iter().filter(|transport| *transport != Transport::Poll);
    let grown: Vec<_> = waits.filter_map(grown).collect();
    let said = grown.iter().map(|(name, near, far)| {
        format!("from {} to {} over {name}", seconds(*near).text(), seconds(*far).text())
    });
    (!grown.is_empty()).then(|| {
        html! {
            "From a round trip of " (said_seconds(near.rtt_ms() / 1e3)) " to one of " (said_seconds(far.rtt_ms() / 1e3))
            ", the 99th percentile of latency goes " (list(&said.collect::<Vec<_>>())) "."
        }
    })
}

/// From which staleness on polling is the cheapest.
fn break_even(scenes: &Scenes, model: &Model) -> Option<Markup> {
    if !model.missing.is_empty() {
        return None;
    }
    let rtt = scenes.main().map_or(0.0, |scene| scene.rtt_ms() / 1e3);
    let at = |cost, rate| {
        let load = Load { rate, ..Load::usual(rtt, model.range.usual_payload, 100.0) };
        Prices::of(model, cost).begins(&load, Transport::Poll)
    };
    let known = |cost| {
        model
            .techniques
            .get(&Transport::Poll)
            .and_then(|poll| poll.errors.get(&cost))
            .map(|error| error.relative)
    };
    let costs: Vec<(Cost, f64)> =
        [Cost::Bytes, Cost::Cpu].into_iter().filter_map(|cost| Some((cost, known(cost)?))).collect();
    let begins = |cost, rate| {
        html! {
            @match at(cost, rate) {
                Some(tolerated) => { "from about " b { (said_seconds(two_digits(tolerated))) } " of tolerated staleness on" }
                None => { b { "nowhere" } " up to an hour" }
            }
        }
    };
    (!costs.is_empty()).then(|| {
        html! {
            "By the run's cost model"
            @for (i, (cost, error)) in costs.iter().enumerate() {
                @if i > 0 { "; in " } @else { " polling is the cheapest in " }
                (cost.name()) " (error of its prediction " (percent(*error)) "): at one event a second " (begins(*cost, 1.0)) ", at one a minute " (begins(*cost, 1.0 / 60.0))
            }
            ". The map below shows the rest."
        }
    })
}

/// A model is never good for a third.
fn two_digits(value: f64) -> f64 {
    let place = 10_f64.powf(value.log10().floor() - 1.0);
    (value / place).round() * place
}

fn exactly_once(results: &Results) -> Markup {
    let valid = || results.cells.iter().filter(|cell| cell.validity.valid);
    let sum = |of: fn(&Cell) -> u64| valid().map(of).sum::<u64>();
    let (expected, delivered) =
        (sum(|cell| cell.total.exactly.expected), sum(|cell| cell.total.exactly.delivered));
    let (missed, twice) = (sum(|cell| cell.total.exactly.missed), sum(|cell| cell.total.exactly.duplicated));
    let (order, gaps) = (sum(|cell| cell.total.exactly.out_of_order), sum(|cell| cell.total.exactly.gaps));
    let holds = valid().all(|cell| cell.total.exactly.holds());
    html! {
        @if expected == 0 { "No delivery was due in a valid cell." }
        @else if holds { "All " b { (count(delivered)) } " deliveries that were due came exactly once and in order." }
        @else {
            span.bad { "Of " (count(expected)) " deliveries that were due, " (count(missed)) " were missed, " (count(twice)) " came twice and " (count(order)) " out of order" }
            "; the servers told of " (count(gaps)) " gaps."
        }
    }
}

fn noise(results: &Results) -> Markup {
    let Some(noise) = &results.noise else {
        return html! { "The noise floor was not measured: what overlaps in its 95\u{202f}% intervals is called no difference." };
    };
    let floors: Vec<String> = noise
        .floors
        .iter()
        .map(|floor| format!("{} in {}", percent(floor.relative), floor.metric.name().0))
        .collect();
    html! { "Runs of the very same thing differed by up to " (list(&floors)) "; what differs by less, or overlaps in its 95\u{202f}% intervals, is called no difference. "
    "Figures are of all that was measured, intervals of how its stretches scatter." }
}

fn validity(results: &Results) -> Markup {
    let all = results.cells.len();
    let invalid = results.cells.iter().filter(|cell| !cell.validity.valid).count();
    html! {
        @if invalid == 0 && results.validity.valid { "All " (all) " cells are valid: the load test was nowhere the bottleneck." }
        @else if invalid == 0 { span.bad { "The run is invalid: " (results.validity.reasons.join(" ")) } }
        @else { b.bad { (invalid) " of " (all) " cells " @if invalid == 1 { "is" } @else { "are" } " invalid" } " and " @if invalid == 1 { "stands" } @else { "stand" } " in no comparison; " a href="#validity" { "why" } "." }
    }
}

/// Where the server's ledger and the load test's sockets saw different sums.
fn disagreement(results: &Results) -> Option<Markup> {
    let disagree: Vec<&Cell> = results
        .cells
        .iter()
        .filter(|cell| cell.validity.valid && cell.total.wire.agree == Some(false))
        .collect();
    let worst = disagree.iter().copied().max_by(|a, b| off(a).total_cmp(&off(b)))?;
    Some(html! {
        span.bad { "In " (disagree.len()) " valid cells the server's ledger and the load test's own sockets disagree" }
        ", most in " (worst.id) " (by " (percent(off(worst))) ")."
    })
}

fn off(cell: &Cell) -> f64 {
    let wire = &cell.total.wire;
    let sockets = (wire.sockets.in_bytes + wire.sockets.out_bytes) as f64;
    let ledger =
        wire.ledger.as_ref().map_or(sockets, |ledger| (ledger.inward.sum() + ledger.out.sum()) as f64);
    if sockets > 0.0 { (ledger - sockets).abs() / sockets } else { 0.0 }
}
