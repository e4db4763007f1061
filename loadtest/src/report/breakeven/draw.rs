//! One map as a picture.

use maud::{Markup, html};

use super::{Cheapest, Outcome, Prices, RATES, STALENESS};
use crate::{
    report::{
        chart::{Frame, path, place},
        contour::{Grid, Region, regions},
        format::{count, rate, seconds},
        model::{Cost, Load},
        scale::Scale,
    },
    results::Transport,
};

pub(crate) const FRAME: Frame =
    Frame { width: 420.0, height: 344.0, left: 54.0, right: 12.0, top: 24.0, bottom: 38.0 };

const GRID: Grid = Grid { columns: 66, rows: 60, aspect: 3.0 };

/// Regions smaller than this share of a map are not worth a word.
const WORTH_A_WORD: f64 = 0.003;

/// A measured point: events per second, staleness in seconds, whether the fit has not seen it.
pub(crate) type Measured = (f64, f64, bool);

/// A map for one cost and one set of conditions (whose rate and interval are of no meaning).
pub(crate) fn map(
    prices: &Prices,
    cost: Cost,
    conditions: &Load,
    measured: &[Measured],
    label: &str,
) -> Markup {
    let ((left, right), (bottom, top)) = (FRAME.across(), FRAME.upwards());
    let x = Scale::logarithmic(RATES.0, RATES.1, left, right);
    let y = Scale::logarithmic(STALENESS.0, STALENESS.1, bottom, top);
    let at = |u: f64, v: f64| prices.cheapest(&Load { rate: x.value(u), ..*conditions }, y.value(v));
    let found = regions(GRID, |u, v| at(u, v).outcome.0);
    let spot = |(u, v): (f64, f64)| (left + u * (right - left), bottom + v * (top - bottom));
    let ticks = [
        (1.0 / 3600.0, "1/h"),
        (1.0 / 60.0, "1/min"),
        (0.1, "0.1/s"),
        (1.0, "1/s"),
        (10.0, "10/s"),
        (100.0, "100/s"),
    ];
    let ticks: Vec<(f64, String)> =
        ticks.iter().map(|(value, text)| (x.at(*value), (*text).to_owned())).collect();
    let busy = (cost == Cost::Cpu).then(|| cores(conditions, at));
    html! {
        (FRAME.svg(&format!("{label}. {}", spoken(&found)), &html! {
            @for region in &found {
                @let d: String = region.outlines.iter().map(|line| path(&line.iter().copied().map(spot).collect::<Vec<_>>()) + "Z").collect();
                path class={ "region r-" (class(Outcome(region.label))) } d=(d) { title { (name(Outcome(region.label))) } }
            }
            @for value in [0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0] {
                @let tick = y.at(value);
                line.tick x1=(left - 4.0) x2=(left) y1=(place(tick)) y2=(place(tick)) {}
                text x=(left - 7.0) y=(place(tick + 4.0)) text-anchor="end" { (said_seconds(value)) }
            }
            (FRAME.columns(&ticks))
            text x=(place(f64::midpoint(left, right))) y=(FRAME.height - 4.0) text-anchor="middle" { "events" }
            text x="0" y="12" { "tolerated staleness" }
            @for line in busy.iter().flatten() {
                path.cores d=(path(&line.iter().copied().map(spot).collect::<Vec<_>>())) {}
                @if let Some((x, y)) = line.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).map(spot) {
                    text.halo x=(place(x - 4.0)) y=(place(y + 14.0)) text-anchor="end" { "one core" }
                }
            }
            @for (rate, staleness, held_out) in measured.iter().filter(|(rate, ..)| *rate >= RATES.0) {
                circle class={ "point" @if *held_out { " held" } } cx=(place(x.at(*rate))) cy=(place(y.at(*staleness))) r="2.6" {
                    title { "measured: " (crate::report::format::rate(*rate).text()) ", " (seconds(*staleness).text()) }
                }
            }
            @for region in found.iter().filter(|region| region.area > WORTH_A_WORD) { (words(region, spot(region.heart), ((right - left) * region.room, (bottom - top) * region.room / GRID.aspect))) }
        }))
    }
}

/// The name of a region, in it if there is room for it: half the width and half the height of the room.
fn words(region: &Region, (x, y): (f64, f64), (wide, high): (f64, f64)) -> Markup {
    let outcome = Outcome(region.label);
    let names: Vec<&str> = outcome.transports().into_iter().map(Transport::name).collect();
    let (main, sub) = match names[..] {
        [] => ("none is so fresh".to_owned(), Vec::new()),
        [one] => (one.to_owned(), Vec::new()),
        _ if names.len() > 3 => {
            ("no difference".to_owned(), vec![names[..2].join(" · "), names[2..].join(" · ")])
        }
        _ => ("no difference".to_owned(), vec![names.join(" · ")]),
    };
    // Half the width of a character: of bold 12 px, and below of 11 px.
    let fits = |text: &str, half: f64| text.chars().count() as f64 * half <= wide;
    let lines = sub.len() as f64;
    let sub: Vec<String> =
        if high >= 5.0 + 7.0 * lines && sub.iter().all(|line| fits(line, 2.9)) { sub } else { Vec::new() };
    let first = y + 4.0 - 7.0 * sub.len() as f64;
    html! {
        @if high >= 5.0 && fits(&main, 3.3) {
            text.place.halo x=(place(x)) y=(place(first)) { (main) }
            @for (i, line) in sub.iter().enumerate() { text.place.sub.halo x=(place(x)) y=(place(first + 14.0 * (i + 1) as f64)) { (line) } }
        }
    }
}

/// Where the subscribers together keep one core busy over the cheapest transport: lines in the unit square, without
/// the parts that run along its border.
fn cores(conditions: &Load, at: impl Fn(f64, f64) -> Cheapest) -> Vec<Vec<(f64, f64)>> {
    let busy = |u: f64, v: f64| u16::from(at(u, v).cost * conditions.sharing > 1.0);
    let found = regions(Grid { columns: 40, rows: 40, aspect: 1.0 }, busy);
    let Some(region) = found.iter().find(|region| region.label == 1) else { return Vec::new() };
    let border = |(u, v): (f64, f64)| [u, v].iter().any(|share| *share < 1e-6 || *share > 1.0 - 1e-6);
    let mut lines = Vec::new();
    for outline in &region.outlines {
        // Begin at the border, so that no line is cut where the outline happens to begin.
        let begin = outline.iter().position(|point| border(*point)).unwrap_or(0);
        let turned: Vec<(f64, f64)> =
            outline.iter().copied().cycle().skip(begin).take(outline.len()).collect();
        lines.extend(turned.split(|point| border(*point)).filter(|line| line.len() > 1).map(<[_]>::to_vec));
    }
    lines
}

/// The class of a region.
pub(crate) fn class(outcome: Outcome) -> &'static str {
    match outcome.winner() {
        Some(winner) => winner.name(),
        None if outcome.0 == 0 => "none",
        None => "tie",
    }
}

/// A region in words.
pub(crate) fn name(outcome: Outcome) -> String {
    let names: Vec<&str> = outcome.transports().into_iter().map(Transport::name).collect();
    match names[..] {
        [] => "none is so fresh".to_owned(),
        [one] => one.to_owned(),
        _ => format!("no difference between {}", crate::report::format::list(&names)),
    }
}

fn spoken(found: &[Region]) -> String {
    let shares = found.iter().filter(|region| region.area > WORTH_A_WORD);
    let shares = shares.map(|region| format!("{} {:.0} %", name(Outcome(region.label)), region.area * 100.0));
    format!("Shares of the map: {}", shares.collect::<Vec<_>>().join("; "))
}

/// What the fills mean.
pub(crate) fn legend() -> Markup {
    let entry = |class: &str, text: &str| {
        html! { li { svg.wide viewBox="0 0 30 13" aria-hidden="true" { rect class={ "region r-" (class) } x="1" y="1" width="28" height="11" {} } (text) } }
    };
    html! {
        ul.key {
            @for transport in Transport::ALL { (entry(transport.name(), transport.name())) }
            (entry("tie", "no difference: within the model's error"))
            (entry("none", "none is so fresh"))
            li { svg viewBox="0 0 13 13" aria-hidden="true" { circle.point cx="6.5" cy="6.5" r="3" {} } "measured" }
            li { svg viewBox="0 0 13 13" aria-hidden="true" { circle.point.held cx="6.5" cy="6.5" r="3" {} } "measured, kept out of the fit" }
        }
    }
}

/// What stands over a map.
pub(crate) fn title(conditions: &Load) -> String {
    let subscribers = conditions.sharing as u64;
    format!("{} {}", count(subscribers), if subscribers == 1 { "subscriber" } else { "subscribers" })
}

/// A rate without noise.
pub(crate) fn said_rate(value: f64) -> String {
    rate(value).plain().text()
}

/// A duration without noise.
pub(crate) fn said_seconds(value: f64) -> String {
    seconds(value).plain().text()
}
