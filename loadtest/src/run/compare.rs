//! Which cells differ, and in what: those that are equal but for the transport, or but for the server.

use crate::{
    results::{Cell, Comparison, Estimate, Metric, Noise, Purpose, Results, Verdict},
    stats::interval,
};

/// All pairs that differ in one thing.
pub(super) fn all(cells: &[Cell], noise: Option<&Noise>) -> Vec<Comparison> {
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.purpose == Purpose::Compare).collect();
    let mut comparisons = Vec::new();
    for (n, a) in cells.iter().enumerate() {
        for b in &cells[n + 1..] {
            let transports = usize::from(a.transport != b.transport);
            let servers = usize::from(a.server != b.server);
            if same_load(a, b) && transports + servers == 1 {
                comparisons.extend(Metric::ALL.iter().filter_map(|metric| one(*metric, a, b, noise)));
            }
        }
    }
    comparisons
}

fn same_load(a: &Cell, b: &Cell) -> bool {
    let of = |cell: &Cell| {
        (
            (cell.pattern, cell.subscribers, cell.burst, cell.payload_bytes, cell.topics),
            [cell.rate, cell.rtt_ms, cell.down_kbps, cell.up_kbps],
        )
    };
    of(a) == of(b)
}

/// The same cells of two documents.
pub fn across(a: &Results, b: &Results) -> Vec<Comparison> {
    let floor = |metric| {
        let of = |results: &Results| results.noise.as_ref().and_then(|noise| noise.of(metric)).unwrap_or(0.0);
        of(a).max(of(b))
    };
    let mut comparisons = Vec::new();
    for cell in a.cells.iter().filter(|cell| cell.purpose != Purpose::Noise) {
        let Some(other) = b.cells.iter().find(|other| other.id == cell.id) else { continue };
        for metric in Metric::ALL {
            comparisons.extend(compared(metric, cell, other, ("before", "after"), floor(metric)));
        }
    }
    comparisons
}

fn one(metric: Metric, a: &Cell, b: &Cell, noise: Option<&Noise>) -> Option<Comparison> {
    let names = if a.server == b.server {
        (a.transport.name(), b.transport.name())
    } else {
        (a.server.as_str(), b.server.as_str())
    };
    compared(metric, a, b, names, noise.and_then(|noise| noise.of(metric)).unwrap_or(0.0))
}

/// `None` where neither has such a figure.
fn compared(metric: Metric, a: &Cell, b: &Cell, names: (&str, &str), floor: f64) -> Option<Comparison> {
    let (of_a, of_b) = (a.estimates.of(metric), b.estimates.of(metric));
    if of_a.is_none() && of_b.is_none() {
        return None;
    }
    let valid = a.validity.valid && b.validity.valid;
    let verdict = if valid { interval::verdict(of_a, of_b, floor) } else { Verdict::NotComparable };
    let ratio = of_a.zip(of_b).filter(|(a, _)| a.value != 0.0).map(|(a, b)| b.value / a.value);
    let (name, unit) = metric.name();
    let said = |estimate: Option<Estimate>| match estimate {
        Some(Estimate { value, low, high, .. }) => {
            format!("{} {unit} [{} to {}]", round(value), round(low), round(high))
        }
        None => "not measured".to_owned(),
    };
    let ends = match verdict {
        Verdict::NoDifference => "no difference".to_owned(),
        Verdict::NotComparable if !valid => "not comparable, an invalid run is among them".to_owned(),
        Verdict::NotComparable => "not comparable".to_owned(),
        Verdict::Higher | Verdict::Lower => {
            let word = if verdict == Verdict::Higher { "higher" } else { "lower" };
            let apart = ratio.map_or(0.0, |ratio| (ratio - 1.0).abs() * 100.0);
            format!("{} is {apart:.0} % {word}", names.1)
        }
    };
    let text = format!("{}: {name}: {} {}, {} {}: {ends}.", b.id, names.0, said(of_a), names.1, said(of_b));
    Some(Comparison { metric, a: a.id.clone(), b: b.id.clone(), ratio, verdict, text })
}

/// Three significant digits.
fn round(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn only_what_differs_in_one_thing_is_compared() {
        let results = sample::results();
        let comparisons = all(&results.cells, results.noise.as_ref());
        // Ten pairs of transports at each of three round-trip times, in four figures.
        assert_eq!(comparisons.len(), 10 * 3 * 4);
        assert!(comparisons.iter().all(|comparison| comparison.a != comparison.b));
        let found = |a: &str, b: &str| {
            comparisons.iter().find(|comparison| {
                comparison.metric == Metric::LatencyP50
                    && comparison.a.contains(a)
                    && comparison.b.contains(b)
                    && comparison.a.ends_with("rtt 0 ms")
            })
        };
        assert_eq!(found("/chunked", "/sse").unwrap().verdict, Verdict::NoDifference);
        assert_eq!(found("/poll", "/sse").unwrap().verdict, Verdict::Lower);
    }

    #[test]
    fn what_is_invalid_is_not_compared() {
        let mut results = sample::results();
        results.cells.iter_mut().for_each(|cell| cell.validity.valid = false);
        let comparisons = all(&results.cells, None);
        assert!(comparisons.iter().all(|comparison| comparison.verdict == Verdict::NotComparable));
    }

    #[test]
    fn a_document_does_not_differ_from_itself() {
        let results = sample::results();
        let comparisons = across(&results, &results);
        assert!(!comparisons.is_empty());
        assert!(comparisons.iter().all(|comparison| comparison.verdict == Verdict::NoDifference));
    }
}
