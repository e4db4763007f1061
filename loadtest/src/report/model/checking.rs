//! Predictions beside measurements that the fit has not seen.
//!
//! Cells whose purpose is `check` are kept out of the fit. A transport that has none is checked by leaving out one
//! point of the matrix at a time and predicting it from the rest; but not a point that alone shows what something costs.

use std::collections::BTreeMap;

use super::{
    Cost, Technique, Term,
    fitting::{Anatomy, drivers, load, measured, technique},
};
use crate::results::{Cell, Transport};

/// One prediction and what was measured, per subscriber and second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    pub(crate) cell: String,
    pub(crate) transport: Transport,
    pub(crate) cost: Cost,
    pub(crate) predicted: f64,
    pub(crate) measured: f64,
    /// Whether the cell was kept out from the start, or left out in its turn.
    pub(crate) kept_out: bool,
}

impl Check {
    /// How wrong the prediction is, as a share of what was measured.
    pub(crate) fn relative(&self) -> f64 {
        let off = (self.predicted - self.measured).abs();
        if off == 0.0 { 0.0 } else { off / self.measured.abs() }
    }
}

/// How wrong predictions of one cost of one transport were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Error {
    /// The root of the mean square of [`Check::relative`].
    pub(crate) relative: f64,
    /// The largest.
    pub(crate) worst: f64,
    /// Predictions that were checked.
    pub(crate) points: usize,
}

/// The errors by cost; a cost that could not be checked is not there.
pub(super) fn errors(checks: &[Check]) -> BTreeMap<Cost, Error> {
    let mut by_cost: BTreeMap<Cost, Vec<f64>> = BTreeMap::new();
    for check in checks {
        by_cost.entry(check.cost).or_default().push(check.relative());
    }
    let error = |shares: Vec<f64>| Error {
        relative: (shares.iter().map(|share| share * share).sum::<f64>() / shares.len() as f64).sqrt(),
        worst: shares.iter().copied().fold(0.0, f64::max),
        points: shares.len(),
    };
    by_cost.into_iter().map(|(cost, shares)| (cost, error(shares))).collect()
}

/// Checks a transport's costs.
pub(super) fn check(
    transport: Transport,
    full: &Technique,
    fitted: &[&Cell],
    held_out: &[&Cell],
    anatomy: Anatomy,
) -> Vec<Check> {
    if !held_out.is_empty() {
        return held_out.iter().flat_map(|cell| compare(transport, full, cell, anatomy, true)).collect();
    }
    let mut checks = Vec::new();
    for cell in fitted {
        let rest: Vec<&Cell> = fitted.iter().copied().filter(|other| !same_point(cell, other)).collect();
        if rest.is_empty() || alone(transport, cell, &rest) {
            continue;
        }
        checks.extend(compare(transport, &technique(transport, &rest, anatomy), cell, anatomy, false));
    }
    checks
}

/// Whether a cell is the only one in which something happens (heartbeats, say): the rest knows nothing of it.
fn alone(transport: Transport, cell: &Cell, rest: &[&Cell]) -> bool {
    let happens = |cell: &Cell, term| drivers(transport, cell, Cost::Bytes).of_term(term) > 0.0;
    Term::ALL.into_iter().any(|term| happens(cell, term) && !rest.iter().any(|other| happens(other, term)))
}

/// Whether two cells measured the same thing: one would tell the other's answer.
fn same_point(a: &Cell, b: &Cell) -> bool {
    load(a) == load(b) && a.subscribers == b.subscribers && a.pattern == b.pattern
}

fn compare<'a>(
    transport: Transport,
    technique: &'a Technique,
    cell: &'a Cell,
    anatomy: Anatomy,
    kept_out: bool,
) -> impl Iterator<Item = Check> + use<'a> {
    technique.parts.keys().filter_map(move |&cost| {
        let drivers = drivers(transport, cell, cost);
        Some(Check {
            cell: cell.id.clone(),
            transport,
            cost,
            predicted: drivers.times(&technique.coefficients(cost)?),
            measured: measured(cell, cost, anatomy)?,
            kept_out,
        })
    })
}
