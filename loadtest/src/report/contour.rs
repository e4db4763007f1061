//! Outlines of the regions of a labelled plane: marching squares whose crossings are found by bisection, so that the
//! boundary is as exact as the function and not as coarse as the grid.
//!
//! The plane is the unit square, `u` to the right and `v` upwards.

use std::collections::BTreeMap;

/// What the function says at a place.
pub(crate) type Label = u16;

/// Halvings of a grid step for a crossing: a five-hundredth of a step.
const HALVINGS: u32 = 9;

/// All places with one label.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) label: Label,
    /// Closed lines, to be filled by the even-odd rule.
    pub(crate) outlines: Vec<Vec<(f64, f64)>>,
    /// Share of the square.
    pub(crate) area: f64,
    /// Where words have most room, and the room: half their width as a share of the square's.
    pub(crate) heart: (f64, f64),
    pub(crate) room: f64,
}

/// A grid over the square.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// How much wider than high words are, in shares of the square: 8 for text 80 × 10 in a square plot.
    pub(crate) aspect: f64,
}

/// A grid edge, by its lower left node, and whether it goes up.
type Edge = (isize, isize, bool);

/// The regions of a plane, greatest first.
pub(crate) fn regions(grid: Grid, label: impl Fn(f64, f64) -> Label) -> Vec<Region> {
    let place = |i: isize, j: isize| {
        let share = |i: isize, of: usize| (i as f64 / of as f64).clamp(0.0, 1.0);
        (share(i, grid.columns), share(j, grid.rows))
    };
    let (columns, rows) = (grid.columns as isize, grid.rows as isize);
    let nodes: Vec<Label> = (0..=rows)
        .flat_map(|j| (0..=columns).map(move |i| (i, j)))
        .map(|(i, j)| {
            let (u, v) = place(i, j);
            label(u, v)
        })
        .collect();
    let within = |i: isize, j: isize| (0..=columns).contains(&i) && (0..=rows).contains(&j);
    let mut labels = nodes.clone();
    labels.sort_unstable();
    labels.dedup();
    let mut found: Vec<Region> = labels
        .into_iter()
        .map(|wanted| {
            let inside =
                |i: isize, j: isize| within(i, j) && nodes[(j * (columns + 1) + i) as usize] == wanted;
            let crossing = |edge: Edge| crossing(edge, place, inside, |u, v| label(u, v) == wanted);
            let outlines = outlines(grid, inside, crossing);
            let (heart, room) = heart(grid, inside);
            Region { label: wanted, area: area(&outlines), outlines, heart, room }
        })
        .collect();
    found.sort_by(|a, b| b.area.total_cmp(&a.area));
    found
}

fn crossing(
    (i, j, up): Edge,
    place: impl Fn(isize, isize) -> (f64, f64),
    inside: impl Fn(isize, isize) -> bool,
    belongs: impl Fn(f64, f64) -> bool,
) -> (f64, f64) {
    let far = if up { (i, j + 1) } else { (i + 1, j) };
    let (mut yes, mut no) = (place(i, j), place(far.0, far.1));
    if !inside(i, j) {
        (yes, no) = (no, yes);
    }
    for _ in 0..HALVINGS {
        let middle = ((yes.0 + no.0) / 2.0, (yes.1 + no.1) / 2.0);
        if belongs(middle.0, middle.1) { yes = middle } else { no = middle }
    }
    // Beyond the border lies nothing: `place` clamps, both ends are the border's node.
    ((yes.0 + no.0) / 2.0, (yes.1 + no.1) / 2.0)
}

/// Walks all cells, and one ring of cells around them in which nothing is inside, so that lines close at the border.
fn outlines(
    grid: Grid,
    inside: impl Fn(isize, isize) -> bool,
    crossing: impl Fn(Edge) -> (f64, f64),
) -> Vec<Vec<(f64, f64)>> {
    let mut next: BTreeMap<Edge, Edge> = BTreeMap::new();
    for j in -1..=grid.rows as isize {
        for i in -1..=grid.columns as isize {
            // The inside lies to the left of the direction of travel.
            let (bottom, right, top, left) =
                ((i, j, false), (i + 1, j, true), (i, j + 1, false), (i, j, true));
            let corners = [inside(i, j), inside(i + 1, j), inside(i + 1, j + 1), inside(i, j + 1)];
            let segments: &[(Edge, Edge)] = match corners.map(u8::from) {
                [0, 0, 0, 0] | [1, 1, 1, 1] => &[],
                [1, 0, 0, 0] => &[(bottom, left)],
                [0, 1, 0, 0] => &[(right, bottom)],
                [0, 0, 1, 0] => &[(top, right)],
                [0, 0, 0, 1] => &[(left, top)],
                [1, 1, 0, 0] => &[(right, left)],
                [0, 1, 1, 0] => &[(top, bottom)],
                [0, 0, 1, 1] => &[(left, right)],
                [1, 0, 0, 1] => &[(bottom, top)],
                [1, 1, 1, 0] => &[(top, left)],
                [0, 1, 1, 1] => &[(left, bottom)],
                [1, 0, 1, 1] => &[(bottom, right)],
                [1, 1, 0, 1] => &[(right, top)],
                [1, 0, 1, 0] => &[(bottom, left), (top, right)],
                _ => &[(right, bottom), (left, top)],
            };
            next.extend(segments.iter().copied());
        }
    }
    let mut lines = Vec::new();
    while let Some((&first, _)) = next.iter().next() {
        let mut line = Vec::new();
        let mut edge = first;
        while let Some(following) = next.remove(&edge) {
            let point = crossing(edge);
            if line.last() != Some(&point) {
                line.push(point);
            }
            edge = following;
        }
        lines.push(line);
    }
    lines
}

/// Shoelace; holes run the other way round and so count against it.
fn area(outlines: &[Vec<(f64, f64)>]) -> f64 {
    let one = |line: &Vec<(f64, f64)>| {
        let following = line.iter().cycle().skip(1);
        line.iter().zip(following).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>() / 2.0
    };
    outlines.iter().map(one).sum::<f64>().abs()
}

/// Of the nodes that have about as much room as any, the one nearest to the middle of what is inside, and its room: the
/// distance to everything that is not inside, where a step up counts `aspect` times a step aside.
fn heart(grid: Grid, inside: impl Fn(isize, isize) -> bool) -> ((f64, f64), f64) {
    let (aside, up) = (1.0 / grid.columns as f64, grid.aspect / grid.rows as f64);
    let (columns, rows) = (grid.columns as isize, grid.rows as isize);
    // One ring of nodes around the grid that nothing is inside of; the border itself counts as half a step away.
    let width = columns + 3;
    let index = |i: isize, j: isize| ((j + 1) * width + i + 1) as usize;
    let mut room = vec![0.0_f64; (width * (rows + 3)) as usize];
    for j in 0..=rows {
        for i in 0..=columns {
            let left = if i == 0 { 0.0 } else { room[index(i - 1, j)] + aside };
            let below = if j == 0 { 0.0 } else { room[index(i, j - 1)] + up };
            room[index(i, j)] = if inside(i, j) { left.min(below) } else { 0.0 };
        }
    }
    let (mut most, mut sum, mut count) = (0.0_f64, (0.0, 0.0), 0.0_f64);
    for j in (0..=rows).rev() {
        for i in (0..=columns).rev() {
            let right = if i == columns { 0.0 } else { room[index(i + 1, j)] + aside };
            let above = if j == rows { 0.0 } else { room[index(i, j + 1)] + up };
            room[index(i, j)] = room[index(i, j)].min(right).min(above);
            most = most.max(room[index(i, j)]);
            if inside(i, j) {
                sum = (sum.0 + i as f64, sum.1 + j as f64);
                count += 1.0;
            }
        }
    }
    let middle = (sum.0 / count.max(1.0), sum.1 / count.max(1.0));
    let far = |(i, j): (isize, isize)| (i as f64 - middle.0).hypot(j as f64 - middle.1);
    let nodes = (0..=rows).flat_map(|j| (0..=columns).map(move |i| (i, j)));
    let roomy = nodes.filter(|(i, j)| room[index(*i, *j)] > 0.0 && room[index(*i, *j)] >= most * 0.85);
    let best = roomy.min_by(|a, b| far(*a).total_cmp(&far(*b)));
    best.map_or(((0.5, 0.5), 0.0), |(i, j)| {
        ((i as f64 / columns as f64, j as f64 / rows as f64), room[index(i, j)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid { columns: 20, rows: 20, aspect: 1.0 };

    #[test]
    fn a_diagonal_halves_the_square_exactly() {
        let found = regions(GRID, |u, v| u16::from(v > 0.1 + 0.8 * u));
        assert_eq!(found.len(), 2);
        let above = found.iter().find(|region| region.label == 1).unwrap();
        assert!((above.area - 0.5).abs() < 1e-3, "{}", above.area);
        for &(u, v) in &above.outlines[0] {
            let border = [u, v].iter().any(|x| *x < 1e-9 || *x > 1.0 - 1e-9);
            assert!(border || (v - 0.1 - 0.8 * u).abs() < 1e-3, "{u} {v}");
        }
        let total: f64 = found.iter().map(|region| region.area).sum();
        assert!((total - 1.0).abs() < 1e-3, "{total}");
    }

    #[test]
    fn a_hole_is_a_line_of_its_own_and_not_part_of_the_area() {
        let inside = |u: f64, v: f64| (u - 0.5).hypot(v - 0.5) < 0.3;
        let found = regions(GRID, |u, v| u16::from(inside(u, v)));
        let (disc, rest) = (&found[1], &found[0]);
        assert_eq!((disc.label, disc.outlines.len(), rest.outlines.len()), (1, 1, 2));
        assert!((disc.area - 0.2827).abs() < 0.01, "{}", disc.area);
        assert!((disc.area + rest.area - 1.0).abs() < 0.01);
        assert!((disc.heart.0 - 0.5).abs() < 0.06 && (disc.heart.1 - 0.5).abs() < 0.06, "{:?}", disc.heart);
    }

    #[test]
    fn one_label_is_the_whole_square() {
        let found = regions(GRID, |_, _| 7);
        assert_eq!((found.len(), found[0].label), (1, 7));
        assert!((found[0].area - 1.0).abs() < 1e-9);
    }
}
