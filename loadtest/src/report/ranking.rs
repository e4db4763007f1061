//! Which cell is best, and which cannot be told from it. Only the run's own comparisons decide; nothing is ranked by
//! eye.

use super::scenes::{Entry, Scene};
use crate::results::{Cell, Comparison, Metric, Verdict};

/// The cells of a scene in one metric.
#[derive(Debug)]
pub(crate) struct Ranking<'a> {
    /// The lowest value, and those of which the run says that they do not differ from it.
    pub(crate) best: Vec<(Entry<'a>, f64)>,
    /// Those that are higher, with the ratio, lowest first.
    pub(crate) others: Vec<(Entry<'a>, f64, f64)>,
    /// Valid and measured, but nobody compared them with the best.
    pub(crate) open: Vec<(Entry<'a>, f64)>,
}

impl Ranking<'_> {
    /// Whether there is more than one.
    pub(crate) fn compares(&self) -> bool {
        self.best.len() + self.others.len() + self.open.len() > 1
    }
}

/// Ranks what is valid; `None` where nothing is.
pub(crate) fn rank<'a>(
    entries: &[Entry<'a>],
    metric: Metric,
    comparisons: &[Comparison],
) -> Option<Ranking<'a>> {
    let value = |entry: &Entry| entry.cell.estimates.of(metric).map(|estimate| estimate.value);
    let valid = entries.iter().filter(|entry| entry.cell.validity.valid);
    let mut known: Vec<(Entry, f64)> = valid.filter_map(|entry| Some((*entry, value(entry)?))).collect();
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (lowest, rest) = known.split_first()?;
    let mut ranking = Ranking { best: vec![*lowest], others: Vec::new(), open: Vec::new() };
    for (entry, value) in rest {
        match verdict(lowest.0.cell, entry.cell, metric, comparisons) {
            Some(Verdict::NoDifference) => ranking.best.push((*entry, *value)),
            Some(Verdict::Higher) if lowest.1 > 0.0 => {
                ranking.others.push((*entry, *value, value / lowest.1));
            }
            _ => ranking.open.push((*entry, *value)),
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
