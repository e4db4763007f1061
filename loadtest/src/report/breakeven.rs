//! The break-even map: the cheapest transport by how often a topic changes and how old its events may be when they
//! are shown.
//!
//! Every place of the map is decided by the run's own cost model ([`super::model`]): each transport is run as lazily
//! as the tolerated staleness allows, and the cheapest wins. Those that the model's error cannot tell from it share the
//! place: no difference.

use super::model::{Cost, Drivers, Load, Model, Term, within};
use crate::results::Transport;

mod draw;
mod section;

pub(crate) use self::{
    draw::{FRAME, said_seconds},
    section::{default_map, figure, section, tick},
};

/// From one event an hour to a hundred a second.
pub(crate) const RATES: (f64, f64) = (1.0 / 3600.0, 100.0);

/// From ten milliseconds to an hour.
pub(crate) const STALENESS: (f64, f64) = (0.01, 3600.0);

/// What a place of the map says: one bit for each transport that cannot be told from the cheapest. 0: none is fresh
/// enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Outcome(pub(crate) u16);

impl Outcome {
    /// Those that share the place.
    pub(crate) fn transports(self) -> Vec<Transport> {
        Transport::ALL.into_iter().filter(|transport| self.0 >> *transport as u16 & 1 == 1).collect()
    }

    /// The winner, if there is but one.
    pub(crate) fn winner(self) -> Option<Transport> {
        match self.transports()[..] {
            [winner] => Some(winner),
            _ => None,
        }
    }
}

/// The cheapest at one place of a map, with its cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cheapest {
    pub(crate) outcome: Outcome,
    /// The lowest cost per subscriber and second; 0 where none is fresh enough.
    pub(crate) cost: f64,
    /// The load under which it is the lowest (what polls: how often).
    pub(crate) load: Option<Load>,
}

/// What a model says of one cost, laid out for a map's ten thousand questions.
#[derive(Clone, Debug)]
pub(crate) struct Prices {
    transports: Vec<Price>,
    /// The share below which two differ by nothing, by their places in `transports`.
    tolerances: Vec<Vec<f64>>,
}

#[derive(Clone, Copy, Debug)]
struct Price {
    transport: Transport,
    extra: f64,
    coefficients: [f64; Term::ALL.len()],
}

impl Prices {
    /// The transports that the model knows this cost of.
    pub(crate) fn of(model: &Model, cost: Cost) -> Self {
        let known = model.techniques.iter().filter_map(|(transport, technique)| {
            let coefficients = technique.coefficients(cost)?;
            Some(Price { transport: *transport, extra: technique.extra, coefficients })
        });
        let transports: Vec<Price> = known.collect();
        let tolerance = |a: &Price, b: &Price| model.tolerance(a.transport, b.transport, cost);
        let tolerances =
            transports.iter().map(|a| transports.iter().map(|b| tolerance(a, b)).collect()).collect();
        Self { transports, tolerances }
    }

    /// Who is cheapest for a load and a tolerated staleness.
    pub(crate) fn cheapest(&self, load: &Load, tolerated: f64) -> Cheapest {
        let offer = |(index, price): (usize, &Price)| {
            let load = within(price.transport, price.extra, tolerated, load)?;
            Some((index, Drivers::of(price.transport, &load).times(&price.coefficients), load))
        };
        let mut offers: [Option<(usize, f64, Load)>; Transport::ALL.len()] = [None; Transport::ALL.len()];
        offers
            .iter_mut()
            .zip(self.transports.iter().enumerate())
            .for_each(|(place, price)| *place = offer(price));
        let offers = || offers.iter().flatten();
        let Some(&(first, lowest, load)) = offers().min_by(|a, b| a.1.total_cmp(&b.1)) else {
            return Cheapest { outcome: Outcome(0), cost: 0.0, load: None };
        };
        let tied = offers().filter(|(index, cost, _)| {
            *index == first || *cost <= lowest * (1.0 + self.tolerances[first][*index])
        });
        let bits = tied.map(|(index, ..)| 1 << self.transports[*index].transport as u16).sum();
        Cheapest { outcome: Outcome(bits), cost: lowest, load: Some(load) }
    }

    /// The staleness from which on a transport is cheapest, alone, at a rate: where its region begins. `None` where it
    /// never is within the map.
    pub(crate) fn begins(&self, load: &Load, transport: Transport) -> Option<f64> {
        const STEPS: u32 = 400;
        let at = |step: f64| STALENESS.0 * (STALENESS.1 / STALENESS.0).powf(step / f64::from(STEPS));
        let wins = |tolerated: f64| self.cheapest(load, tolerated).outcome.winner() == Some(transport);
        let first = (0..=STEPS).map(f64::from).find(|step| wins(at(*step)))?;
        let (mut no, mut yes) = ((first - 1.0).max(0.0), first);
        for _ in 0..30 {
            let middle = f64::midpoint(no, yes);
            if wins(at(middle)) { yes = middle } else { no = middle }
        }
        Some(at(yes))
    }
}
