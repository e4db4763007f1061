//! Which cell is best, and which cannot be told from it. Only the run's own comparisons decide; nothing is ranked by
//! eye.

use super::scenes::{Entry, Scene};
use crate::results::{Cell, Comparison, Estimate, Metric, Verdict};

/// A cell among the others, and its figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked<'a> {
    pub(crate) entry: Entry<'a>,
    /// What the tables show of it.
    pub(crate) value: f64,
    /// What it is compared by.
    pub(crate) estimate: Estimate,
}

/// The cells of a scene in one metric.
#[derive(Debug)]
pub(crate) struct Ranking<'a> {
    /// The lowest value, and those of which the run says that they do not differ from it.
    pub(crate) best: Vec<Ranked<'a>>,
    /// Those that are higher, with the ratio, lowest first.
    pub(crate) others: Vec<(Ranked<'a>, f64)>,
    /// Valid and measured, but nobody compared them with the best.
    pub(crate) open: Vec<Ranked<'a>>,
}

impl Ranking<'_> {
    /// Whether there is more than one.
    pub(crate) fn compares(&self) -> bool {
        self.best.len() + self.others.len() + self.open.len() > 1
    }

    /// Whether the intervals alone make the best ones alike.
    pub(crate) fn overlaps(&self) -> bool {
        let lowest = self.best[0].estimate;
        let overlap = |other: Estimate| other.low <= lowest.high && lowest.low <= other.high;
        self.best.iter().all(|ranked| overlap(ranked.estimate))
    }
}

/// The figure of a metric that tables and sentences show: of all that was measured, so that its parts add up to it. What it is
/// compared by is the stretches' (see [`Estimate`]), which one bad stretch does not move: the two differ a little.
pub(crate) fn shown(cell: &Cell, metric: Metric) -> Option<f64> {
    let latency = |quantile| cell.total.latency.as_ref()?.at(quantile);
    match metric {
        Metric::LatencyP50 => latency(0.5),
        Metric::LatencyP99 => latency(0.99),
        Metric::CpuPerDelivery => cell.total.cpu?.total_ns_per_delivery,
        Metric::BytesPerDelivery => cell.total.wire.sockets.bytes_per_delivery,
    }
}

/// Ranks what is valid; `None` where nothing is.
pub(crate) fn rank<'a>(
    entries: &[Entry<'a>],
    metric: Metric,
    comparisons: &[Comparison],
) -> Option<Ranking<'a>> {
    let ranked = |entry: &Entry<'a>| {
        let estimate = entry.cell.estimates.of(metric)?;
        Some(Ranked { entry: *entry, value: shown(entry.cell, metric)?, estimate })
    };
    let valid = entries.iter().filter(|entry| entry.cell.validity.valid);
    let mut known: Vec<Ranked> = valid.filter_map(ranked).collect();
    known.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (lowest, rest) = known.split_first()?;
    let mut ranking = Ranking { best: vec![*lowest], others: Vec::new(), open: Vec::new() };
    for other in rest {
        match verdict(lowest.entry.cell, other.entry.cell, metric, comparisons) {
            // Lower by its stretches, higher by the whole: one is not to be called the better.
            Some(Verdict::NoDifference | Verdict::Lower) => ranking.best.push(*other),
            Some(Verdict::Higher) if lowest.value > 0.0 => {
                ranking.others.push((*other, other.value / lowest.value));
            }
            _ => ranking.open.push(*other),
        }
    }
    Some(ranking)
}

/// What the run says of `b` beside `a`.
pub(crate) fn verdict(a: &Cell, b: &Cell, metric: Metric, comparisons: &[Comparison]) -> Option<Verdict> {
    comparisons.iter().filter(|comparison| comparison.metric == metric).find_map(|comparison| {
        if comparison.a == a.id && comparison.b == b.id {
            return Some(comparison.verdict);
        }
        (comparison.a == b.id && comparison.b == a.id).then_some(match comparison.verdict {
            Verdict::Higher => Verdict::Lower,
            Verdict::Lower => Verdict::Higher,
            other => other,
        })
    })
}

impl Scene<'_> {
    /// The same over the cells of the scene.
    pub(crate) fn rank(&self, metric: Metric, comparisons: &[Comparison]) -> Option<Ranking<'_>> {
        rank(&self.entries, metric, comparisons)
    }
}
