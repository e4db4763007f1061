//! From values to places: linear and logarithmic axes, and where their ticks stand.

/// An axis from `low` to `high`, drawn from `start` to `end` (SVG user units; `end` may lie above `start`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

impl Scale {
    /// Linear, from zero (or from `low`) to at least `high`.
    pub(crate) fn linear(low: f64, high: f64, start: f64, end: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, start, end, logarithmic: false }
    }

    /// Logarithmic; both ends above zero.
    pub(crate) fn logarithmic(low: f64, high: f64, start: f64, end: f64) -> Self {
        let low = low.max(1e-12);
        let high = if high > low { high } else { low * 10.0 };
        Self { low, high, start, end, logarithmic: true }
    }

    /// Where a value stands; beyond the ends it stands at the end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        self.start + self.share(value).clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// What stands at a share of the way from `low` to `high`.
    pub(crate) fn value(&self, share: f64) -> f64 {
        if self.logarithmic {
            self.low * (self.high / self.low).powf(share)
        } else {
            self.low + (self.high - self.low) * share
        }
    }

    fn share(&self, value: f64) -> f64 {
        if self.logarithmic {
            (value.max(1e-12) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Values for ticks, at most about `most`: powers of ten (with 1-2-5 or 1-3 where there is room), or round steps.
    pub(crate) fn ticks(&self, most: usize) -> Vec<f64> {
        if self.logarithmic { self.logarithmic_ticks(most) } else { self.linear_ticks(most) }
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let step = round_step((self.high - self.low) / most.max(1) as f64);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }

    fn logarithmic_ticks(&self, most: usize) -> Vec<f64> {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let within = |value: &f64| *value >= self.low * 0.999 && *value <= self.high * 1.001;
        let with = |multiples: &[f64], every: usize| -> Vec<f64> {
            let powers = (first..=last).filter(|power| power.rem_euclid(every as i32) == 0);
            powers
                .flat_map(|power| multiples.iter().map(move |m| m * 10f64.powi(power)))
                .filter(within)
                .collect()
        };
        let finer = [with(&[1.0, 2.0, 5.0], 1), with(&[1.0, 3.0], 1), with(&[1.0], 1), with(&[1.0], 2)];
        let fits = finer.into_iter().find(|ticks| ticks.len() <= most);
        fits.unwrap_or_else(|| with(&[1.0], 3))
    }
}

/// The smallest of 1, 2, 5 × 10^n that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.max(1e-12).log10().floor());
    let multiple = [1.0, 2.0, 5.0].into_iter().find(|multiple| multiple * power >= step * (1.0 - 1e-9));
    multiple.unwrap_or(10.0) * power
}

/// The end of an axis that holds `value` with some air: a round number.
pub(crate) fn round_up(value: f64) -> f64 {
    let step = round_step(value.max(1e-12) / 5.0);
    (value / step - 1e-9).ceil() * step
}

/// Moves labels apart along one direction so that neighbours are `gap` apart, stay within `from..to` where that is
/// possible, and move as little as they can. Order is kept; the answer has the order of `wanted`.
pub(crate) fn apart(wanted: &[f64], gap: f64, from: f64, to: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    // Neighbours that would overlap form a block, which sits where its members' mean wants it (least squares).
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (rank, &index) in order.iter().enumerate() {
        let _ = rank;
        let mut block = (wanted[index], 1);
        while let Some(&(centre, size)) = blocks.last() {
            let touching = (size + block.1) as f64 / 2.0 * gap;
            if block.0 - centre >= touching {
                break;
            }
            let count = size + block.1;
            block = ((centre * size as f64 + block.0 * block.1 as f64) / count as f64, count);
            blocks.pop();
        }
        blocks.push(block);
    }
    let mut placed = Vec::with_capacity(wanted.len());
    for (centre, size) in blocks {
        placed.extend((0..size).map(|i| centre + (i as f64 - (size as f64 - 1.0) / 2.0) * gap));
    }
    for i in 0..placed.len() {
        let least = if i == 0 { from } else { placed[i - 1] + gap };
        placed[i] = placed[i].max(least);
    }
    for i in (0..placed.len()).rev() {
        let most = if i + 1 == placed.len() { to } else { placed[i + 1] - gap };
        placed[i] = placed[i].min(most);
    }
    let mut answer = vec![0.0; wanted.len()];
    order.iter().zip(placed).for_each(|(&index, place)| answer[index] = place);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_stand_at_the_ends_and_the_middle_between() {
        let scale = Scale::logarithmic(0.01, 100.0, 10.0, 50.0);
        assert_eq!((scale.at(0.01), scale.at(100.0)), (10.0, 50.0));
        assert!((scale.at(1.0) - 30.0).abs() < 1e-9);
        assert!((scale.value(0.5) - 1.0).abs() < 1e-9);
        assert_eq!(scale.at(1e9), 50.0);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(Scale::linear(0.0, 1750.0, 0.0, 1.0).ticks(4), [0.0, 500.0, 1000.0, 1500.0]);
        assert_eq!(Scale::logarithmic(0.01, 100.0, 0.0, 1.0).ticks(5), [0.01, 0.1, 1.0, 10.0, 100.0]);
        assert_eq!(Scale::logarithmic(0.9, 11.0, 0.0, 1.0).ticks(5), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(round_up(1430.0), 1500.0);
        assert_eq!(round_up(1500.0), 1500.0);
    }

    #[test]
    fn labels_that_would_overlap_move_apart_and_the_others_stay() {
        let placed = apart(&[50.0, 10.0, 12.0], 10.0, 0.0, 100.0);
        assert_eq!(placed, [50.0, 6.0, 16.0]);
        assert_eq!(apart(&[99.0, 99.0], 10.0, 0.0, 100.0), [90.0, 100.0]);
        assert_eq!(apart(&[1.0, 1.0], 10.0, 0.0, 100.0), [0.0, 10.0]);
    }
}
