//! Everything: each cell with its figures, what is invalid and why, what was compared and what came out.

use maud::{Markup, html};

use super::{
    chart::{figure, scrolling},
    format::{Figure, bytes, count, number, percent, rate, seconds},
    glance::{bytes_per_event, cpu_per_event, latency},
    scenes::pattern,
    stacks::{interval, metric_figure},
};
use crate::results::{Cell, Comparison, Purpose, Results, Verdict};

/// The section on what must not be used; nothing if all is valid.
pub(crate) fn invalid(results: &Results) -> Markup {
    let invalid: Vec<&Cell> = results.cells.iter().filter(|cell| !cell.validity.valid).collect();
    // What made cells invalid stands in the run's reasons too.
    let told: Vec<String> =
        invalid.iter().map(|cell| format!("{}: {}", cell.id, cell.validity.reasons.join(" "))).collect();
    let whole: Vec<&String> =
        results.validity.reasons.iter().filter(|reason| !told.contains(reason)).collect();
    let notes: Vec<(&str, &String)> = results
        .cells
        .iter()
        .flat_map(|cell| cell.validity.notes.iter().map(|note| (cell.id.as_str(), note)))
        .chain(results.validity.notes.iter().map(|note| ("the run", note)))
        .collect();
    html! {
        section #validity {
            h2 { "Validity" }
            p.about { "The load test watches itself: its own processor time, how late it was, errors of its sockets, what the hypervisor took. Where that could have shaped a result, the result is marked invalid and stands in no comparison." }
            @if invalid.is_empty() && results.validity.valid { p { "All " (results.cells.len()) " cells are valid." } }
            @else {
                (scrolling("Invalid cells", &html! {
                    table {
                        caption { (invalid.len()) " of " (results.cells.len()) " cells are invalid" }
                        thead { tr { th scope="col" { "cell" } th.left scope="col" { "because" } } }
                        tbody {
                            @for cell in &invalid { tr { th scope="row" { (cell.id) " " small.bad { "invalid" } } td.wrap { (cell.validity.reasons.join(" ")) } } }
                            @for reason in &whole { tr { th scope="row" { "the run " small.bad { "invalid" } } td.wrap { (reason) } } }
                        }
                    }
                }))
            }
            @if !notes.is_empty() {
                details { summary { (notes.len()) " notes" } (scrolling("Notes", &html! {
                    table {
                        thead { tr { th scope="col" { "cell" } th.left scope="col" { "note" } } }
                        tbody { @for (id, note) in &notes { tr { th scope="row" { (id) } td.wrap { (note) } } } }
                    }
                })) }
            }
            (noise(results))
        }
    }
}

fn noise(results: &Results) -> Markup {
    html! {
        @match &results.noise {
            None => { p.quiet { "The noise floor was not measured: differences are told by their intervals alone." } }
            Some(noise) => {
                (scrolling("Noise floor", &html! {
                    table {
                        caption { "Noise floor: how far apart runs of the very same thing were (" (noise.cells.len()) " runs). Smaller differences are no differences." }
                        thead { tr { @for floor in &noise.floors { th scope="col" { (floor.metric.name().0) } } } }
                        tbody { tr { @for floor in &noise.floors { td.left { (percent(floor.relative)) } } } }
                    }
                }))
            }
        }
    }
}

/// The section with all cells and comparisons.
pub(crate) fn all(results: &Results) -> Markup {
    html! {
        section #cells {
            h2 { "All cells " small { (results.cells.len()) } }
            (scrolling("All cells", &html! {
                table {
                    thead { tr {
                        th scope="col" { "cell" }
                        @for name in ["for", "load"] { th.left scope="col" { (name) } }
                        @for name in ["subscribers", "events", "data", "round trip", "runs", "window", "p50", "95 % interval", "p99", "CPU/event", "95 % interval", "bytes/event", "requests/event", "due", "delivered", "missed", "dup.", "order", "gaps", "generator CPU", "publish lag p99", "ledger = sockets"] { th scope="col" { (name) } }
                    } }
                    tbody { @for cell in &results.cells { (row(cell)) } }
                }
            }))
        }
        section #comparisons {
            h2 { "Comparisons " small { (results.comparisons.len()) } }
            p.about { "Two cells differ if their 95 % intervals do not overlap and they are farther apart than the noise floor. "
                "The values here are those that are compared, the mean of the middle three fifths of the window's stretches (of bytes, all of them); elsewhere figures are of all that was measured." }
            @if results.comparisons.is_empty() { p.quiet { "Nothing was compared." } }
            @else { details { summary { "All of them" } (scrolling("Comparisons", &comparisons(results))) } }
        }
    }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Compare => "comparison",
        Purpose::Noise => "noise floor",
        Purpose::Fit => "cost model",
        Purpose::Check => "check of the model",
    }
}

fn row(cell: &Cell) -> Markup {
    let total = &cell.total;
    let exactly = total.exactly;
    let agree = match total.wire.agree {
        Some(true) => "yes",
        Some(false) => "no",
        None => "–",
    };
    html! {
        tr.invalid[!cell.validity.valid] {
            th scope="row" { (cell.id) @if !cell.validity.valid { " " small.bad { "invalid" } } }
            td.left { (purpose(cell.purpose)) } td.left { (pattern(cell.pattern)) }
            td { (count(cell.subscribers as u64)) } td { (figure(&rate(cell.rate))) } td { (figure(&bytes(cell.payload_bytes as f64))) }
            td { (figure(&seconds(cell.rtt_ms / 1e3))) } td { (cell.repetitions.len()) } td { (figure(&seconds(total.seconds))) }
            td { (figure(&latency(cell, 0.5))) } td { (interval(cell.estimates.latency_p50, |ms| seconds(ms / 1e3))) }
            td { (figure(&latency(cell, 0.99))) }
            td { (figure(&cpu_per_event(cell).map_or(Figure::none(), seconds))) } td { (interval(cell.estimates.cpu_per_delivery, |ns| seconds(ns / 1e9))) }
            td { (figure(&bytes_per_event(cell).map_or(Figure::none(), bytes))) }
            td { (total.wire.requests_per_event.map_or("–".into(), number)) }
            td { (count(exactly.expected)) } td { (count(exactly.delivered)) }
            @for (value, harm) in [(exactly.missed, true), (exactly.duplicated, true), (exactly.out_of_order, true), (exactly.gaps, false)] {
                td.bad[value > 0 && harm] { (count(value)) }
            }
            td { (percent(total.generator.cpu_share)) } td { (figure(&seconds(total.generator.publish_lag_p99_ms / 1e3))) }
            td.bad[total.wire.agree == Some(false)] { (agree) }
        }
    }
}

fn comparisons(results: &Results) -> Markup {
    let value = |id: &str, comparison: &Comparison| {
        let cell = results.cells.iter().find(|cell| cell.id == id);
        let estimate = cell.and_then(|cell| cell.estimates.of(comparison.metric));
        estimate.map_or(Figure::none(), |estimate| metric_figure(comparison.metric, estimate.value))
    };
    html! {
        table {
            thead { tr { th scope="col" { "in" } th.left scope="col" { "a" } th scope="col" { "value" } th.left scope="col" { "b" } th scope="col" { "value" } th scope="col" { "b / a" } th.left scope="col" { "verdict" } } }
            tbody {
                @for comparison in &results.comparisons {
                    tr {
                        th scope="row" { (comparison.metric.name().0) }
                        td.left { (comparison.a) } td { (figure(&value(&comparison.a, comparison))) }
                        td.left { (comparison.b) } td { (figure(&value(&comparison.b, comparison))) }
                        td { (comparison.ratio.map_or("–".into(), number)) }
                        td.left { (said(comparison.verdict)) }
                    }
                }
            }
        }
    }
}

/// A verdict in words.
pub(crate) fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoDifference => "no difference",
        Verdict::Higher => "b is higher",
        Verdict::Lower => "b is lower",
        Verdict::NotComparable => "not comparable",
    }
}
