//! Percentile curves: how old events are when they arrive, from the luckiest to the unluckiest.

use maud::{Markup, html};

use super::{
    chart::{EndLabel, Frame, behind, end_labels, figure, path, place, stroke},
    format::{Figure, seconds},
    scale::Scale,
    scenes::{Entry, Scene, Scenes},
};
use crate::results::Distribution;

/// A panel of the page.
pub(crate) const FRAME: Frame =
    Frame { width: 420.0, height: 230.0, left: 54.0, right: 92.0, top: 12.0, bottom: 24.0 };

/// What tables show.
const QUANTILES: [(f64, &str); 6] =
    [(0.5, "50 %"), (0.9, "90 %"), (0.95, "95 %"), (0.99, "99 %"), (0.999, "99.9 %"), (1.0, "longest")];

/// The section.
pub(crate) fn section(scenes: &Scenes) -> Markup {
    let shown: Vec<&Scene> = scenes.scenes.iter().filter(|scene| curves(scene).next().is_some()).collect();
    let span = span(&shown);
    html! {
        section #latency {
            h2 { "Latency" }
            p.about {
                "From the moment at which an event was due to its receipt, so that a stalled server or a late poll counts in full. "
                "The axis is logarithmic in what is left: each step to the right looks at a tenth as many events. "
                "Nothing can arrive before half a round trip (the hairline)."
            }
            @if shown.is_empty() {
                p.quiet { "No valid cell measured latency." }
            } @else {
                div.panels {
                    @for scene in &shown {
                        figure {
                            figcaption { b { (scene.title) } }
                            (panel(scene, span, FRAME))
                            (behind(&table(scene)))
                        }
                    }
                }
            }
        }
    }
}

/// The entries of a scene that have a curve.
fn curves<'a>(scene: &'a Scene) -> impl Iterator<Item = (&'a Entry<'a>, &'a Distribution)> {
    let valid = scene.entries.iter().filter(|entry| entry.cell.validity.valid);
    valid.filter_map(|entry| {
        Some((entry, entry.cell.total.latency.as_ref().filter(|latency| latency.count > 0)?))
    })
}

/// The least and the greatest of all panels, so that they compare: seconds, and the number of samples.
pub(crate) fn span(scenes: &[&Scene]) -> (f64, f64, f64) {
    let all = scenes.iter().flat_map(|scene| curves(scene));
    all.fold((f64::INFINITY, 0.0, 100.0), |(low, high, most), (_, latency): (_, &Distribution)| {
        let first = latency.at(0.1).unwrap_or(latency.min_ms).max(1e-3) / 1e3;
        (low.min(first), f64::max(high, latency.max_ms / 1e3), f64::max(most, latency.count as f64))
    })
}

/// One plot.
pub(crate) fn panel(scene: &Scene, (low, high, most): (f64, f64, f64), frame: Frame) -> Markup {
    let ((left, right), (bottom, top)) = (frame.across(), frame.upwards());
    let y = Scale::logarithmic(low / 1.8, high * 1.3, bottom, top);
    // Where fewer than ten events are left, a percentile is but one of them.
    let deepest = (most.log10() - 1.0).clamp(2.0, 5.0);
    let x = Scale::linear(0.0, deepest, left, right);
    let at = |quantile: f64| x.at(-(1.0 - quantile).max(1e-9).log10());
    let ticks =
        [(0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"), (0.99999, "99.999")];
    let ticks = ticks.iter().filter(|(quantile, _)| -f64::log10(1.0 - quantile) <= deepest + 1e-6);
    let ticks: Vec<(f64, String)> =
        ticks.map(|(quantile, text)| (at(*quantile), format!("{text}\u{202f}%"))).collect();
    let mut labels = Vec::new();
    let mut lines = Vec::new();
    for (entry, latency) in curves(scene) {
        let mut points: Vec<(f64, f64)> = vec![(at(0.0), y.at(latency.min_ms / 1e3))];
        let own = ((latency.count as f64).log10() - 1.0).max(1.0).min(deepest);
        for percentile in latency.percentiles.iter().filter(|p| p.quantile > 0.0) {
            if -(1.0 - percentile.quantile).max(1e-9).log10() > own + 1e-9 {
                break;
            }
            points.push((at(percentile.quantile), y.at(percentile.ms / 1e3)));
        }
        if let Some(&(x, y)) = points.last() {
            labels.push(EndLabel { x, y, text: entry.name() });
        }
        lines.push(html! { path class={ "line " (stroke(entry.cell.transport)) } d=(path(&points)) {} });
    }
    let floor = scene.rtt_ms() / 2e3;
    let label = format!("Latency percentiles, {}: {}", scene.title, spoken(scene));
    frame.svg(
        &label,
        &html! {
            (frame.rows(&y, &y.ticks(5), seconds))
            (frame.columns(&ticks))
            @if floor > y.low && floor < y.high {
                path.note d=(path(&[(left, y.at(floor)), (right, y.at(floor))])) {}
                text x=(place(left + 4.0)) y=(place(y.at(floor) + 13.0)) { "half a round trip" }
            }
            @for line in lines { (line) }
            (end_labels(&frame, &labels))
        },
    )
}

fn spoken(scene: &Scene) -> String {
    let said = curves(scene).map(|(entry, latency)| {
        let of = |quantile| latency.at(quantile).map_or(Figure::none(), |ms| seconds(ms / 1e3)).text();
        format!("{} median {}, 99 % {}", entry.name(), of(0.5), of(0.99))
    });
    said.collect::<Vec<_>>().join("; ")
}

fn table(scene: &Scene) -> Markup {
    html! {
        table {
            caption { "Latency, " (scene.title) }
            thead { tr { th scope="col" { "transport" } th scope="col" { "events" } th scope="col" { "mean" }
                @for (_, name) in QUANTILES { th scope="col" { (name) } } } }
            tbody {
                @for entry in &scene.entries {
                    tr.invalid[!entry.cell.validity.valid] {
                        th scope="row" { (entry.name()) @if !entry.cell.validity.valid { " " small.bad { "invalid" } } }
                        @match &entry.cell.total.latency {
                            Some(latency) => {
                                td { (super::format::count(latency.count)) }
                                td { (figure(&seconds(latency.mean_ms / 1e3))) }
                                @for (quantile, _) in QUANTILES {
                                    td { (figure(&latency.at(quantile).map_or(Figure::none(), |ms| seconds(ms / 1e3)))) }
                                }
                            }
                            None => { td colspan="8" { "not measured" } }
                        }
                    }
                }
            }
        }
    }
}
