//! Least squares with coefficients that cannot be negative: no request costs less than nothing.
//!
//! The problems are tiny (at most [`MOST_TERMS`] terms), so the support is not searched for but enumerated: the best
//! fit is the ordinary least squares solution over some subset of the terms, and all subsets are tried. That is exact,
//! needs no tolerance for convergence, and of two fits that explain the points equally well it takes the one with
//! fewer terms, so that a term that the measurements did not vary gets no coefficient that they do not support.

/// Terms that a fit may have: 2^6 subsets.
pub(crate) const MOST_TERMS: usize = 6;

/// An added term has to take at least this share of the squared error that is left, or it stays out.
const WORTH_A_TERM: f64 = 1e-6;

/// A point: the terms' values, and what was measured there.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) terms: Vec<f64>,
    pub(crate) measured: f64,
    /// What the residual is divided by: the measured value itself makes errors relative.
    pub(crate) scale: f64,
}

impl Row {
    /// A row whose error counts relative to what was measured, but for tiny values: relative to `least`.
    pub(crate) fn relative(terms: Vec<f64>, measured: f64, least: f64) -> Self {
        let scale = measured.abs().max(least).max(f64::MIN_POSITIVE);
        Self { terms, measured, scale }
    }
}

/// The coefficients, one for each term, none negative, that make Σ((Σ coefficient × term − measured) / scale)² least.
/// All zero without rows.
pub(crate) fn fit(rows: &[Row]) -> Vec<f64> {
    let terms = rows.first().map_or(0, |row| row.terms.len());
    assert!(terms <= MOST_TERMS, "{terms} terms");
    let mut best = vec![0.0; terms];
    let mut least = error(rows, &best);
    let nothing = least;
    let mut subsets: Vec<u32> = (1..1 << terms).collect();
    subsets.sort_by_key(|subset| subset.count_ones());
    for subset in subsets {
        let chosen: Vec<usize> = (0..terms).filter(|term| subset >> term & 1 == 1).collect();
        if chosen.len() > rows.len() {
            continue;
        }
        let Some(solution) = solve(rows, &chosen) else { continue };
        if solution.iter().any(|coefficient| *coefficient < 0.0) {
            continue;
        }
        let mut candidate = vec![0.0; terms];
        chosen.iter().zip(solution).for_each(|(term, coefficient)| candidate[*term] = coefficient);
        let error = error(rows, &candidate);
        if error < least * (1.0 - WORTH_A_TERM) - nothing * 1e-15 {
            (best, least) = (candidate, error);
        }
    }
    best
}

/// What the coefficients say at a point.
pub(crate) fn predict(coefficients: &[f64], terms: &[f64]) -> f64 {
    coefficients.iter().zip(terms).map(|(coefficient, term)| coefficient * term).sum()
}

fn error(rows: &[Row], coefficients: &[f64]) -> f64 {
    rows.iter().map(|row| ((predict(coefficients, &row.terms) - row.measured) / row.scale).powi(2)).sum()
}

/// Ordinary least squares over the chosen terms, by the normal equations of columns scaled to length 1; `None` where
/// the columns do not tell the terms apart.
fn solve(rows: &[Row], chosen: &[usize]) -> Option<Vec<f64>> {
    let column = |term: usize| rows.iter().map(move |row| row.terms[term] / row.scale);
    let lengths: Vec<f64> =
        chosen.iter().map(|&term| column(term).map(|x| x * x).sum::<f64>().sqrt()).collect();
    if lengths.iter().any(|length| *length <= 0.0 || !length.is_finite()) {
        return None;
    }
    let size = chosen.len();
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for (i, &a) in chosen.iter().enumerate() {
        for (j, &b) in chosen.iter().enumerate() {
            matrix[i][j] =
                column(a).zip(column(b)).map(|(x, y)| x * y).sum::<f64>() / lengths[i] / lengths[j];
        }
        let measured = rows.iter().map(|row| row.measured / row.scale);
        matrix[i][size] = column(a).zip(measured).map(|(x, y)| x * y).sum::<f64>() / lengths[i];
    }
    let solution = eliminate(matrix)?;
    Some(solution.iter().zip(&lengths).map(|(coefficient, length)| coefficient / length).collect())
}

/// Gauss with pivots. The diagonal begins at 1, so a pivot is what of a column the others do not explain.
fn eliminate(mut matrix: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = matrix.len();
    for i in 0..size {
        let pivot = (i..size).max_by(|&a, &b| matrix[a][i].abs().total_cmp(&matrix[b][i].abs()))?;
        matrix.swap(i, pivot);
        if matrix[i][i].abs() < 1e-9 {
            return None;
        }
        let upper = matrix[i].clone();
        for row in &mut matrix[i + 1..] {
            let factor = row[i] / upper[i];
            row.iter_mut().zip(&upper).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = vec![0.0; size];
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|j| matrix[i][j] * solution[j]).sum();
        solution[i] = (matrix[i][size] - known) / matrix[i][i];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(points: &[(&[f64], f64)]) -> Vec<Row> {
        points.iter().map(|(terms, measured)| Row::relative(terms.to_vec(), *measured, 0.0)).collect()
    }

    #[test]
    fn exact_points_give_their_coefficients_back() {
        let truth = [310.0, 0.0, 1.02];
        let points: Vec<Row> = (1..8)
            .map(|i| {
                let terms = vec![1.0 / f64::from(i), f64::from(i * i % 5), f64::from(200 * i)];
                let measured = predict(&truth, &terms);
                Row::relative(terms, measured, 0.0)
            })
            .collect();
        let found = fit(&points);
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() < 1e-6, "{found} for {truth}");
        }
    }

    #[test]
    fn what_would_be_negative_is_zero_and_the_rest_is_fitted_anew() {
        // y = 2x - 1 without noise: with the constant at zero the best slope in relative terms is below 2.
        let found = fit(&rows(&[(&[1.0, 1.0], 1.0), (&[2.0, 1.0], 3.0), (&[3.0, 1.0], 5.0)]));
        assert_eq!(found[1], 0.0);
        assert!(found[0] > 1.0 && found[0] < 2.0, "{found:?}");
    }

    #[test]
    fn terms_that_were_not_varied_get_one_coefficient_between_them() {
        let found = fit(&rows(&[(&[2.0, 2.0], 10.0), (&[4.0, 4.0], 20.0)]));
        assert_eq!(found.iter().filter(|coefficient| **coefficient > 0.0).count(), 1, "{found:?}");
        assert!((predict(&found, &[2.0, 2.0]) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_measured_is_nothing_known() {
        assert!(fit(&[]).is_empty());
        assert_eq!(fit(&rows(&[(&[0.0], 0.0)])), [0.0]);
    }
}
