//! What happened when: deliveries, and the latency of the events that were due then.

use maud::{Markup, html};

use super::{
    chart::{Frame, behind, figure, path},
    format::{Figure, count, number, seconds},
    scale::Scale,
    scenes::{Entry, Scene, Scenes},
};
use crate::results::{Pattern, Point, Repetition};

const FRAME: Frame = Frame { width: 270.0, height: 140.0, left: 52.0, right: 14.0, top: 10.0, bottom: 22.0 };
/// Where deliveries end and latency begins.
const MIDDLE: f64 = 54.0;

/// The section.
pub(crate) fn section(scenes: &Scenes) -> Markup {
    let any = scenes.scenes.iter().flat_map(|scene| &scene.entries).any(|entry| points(entry) > 0);
    html! {
        section #series {
            h2 { "Over time" }
            p.about {
                "Above, the share of the deliveries due then that came, sooner or later; below, the median of their latency and, paler, the 99th percentile. "
                "Each repetition is a line of its own; one that is invalid is red."
            }
            @if !any { p.quiet { "No time series was kept." } }
            @for scene in scenes.scenes.iter().filter(|scene| scene.entries.iter().any(|entry| points(entry) > 0)) {
                h3 { (scene.title) }
                div.panels.small { @for entry in scene.entries.iter().filter(|entry| points(entry) > 0) { (panel(scene, entry)) } }
            }
        }
    }
}

/// Nothing is due while a run is idle.
fn points(entry: &Entry) -> usize {
    if entry.cell.pattern == Pattern::Idle {
        return 0;
    }
    entry.cell.repetitions.iter().map(|repetition| repetition.series.len()).sum()
}

fn panel(scene: &Scene, entry: &Entry) -> Markup {
    let repetitions = &entry.cell.repetitions;
    // One scale for a scene: side by side, equal heights are equal figures.
    let all = || {
        scene
            .entries
            .iter()
            .flat_map(|entry| &entry.cell.repetitions)
            .flat_map(|repetition| &repetition.series)
    };
    let ((left, right), (bottom, top)) = (FRAME.across(), FRAME.upwards());
    let x =
        Scale::linear(0.0, all().map(|point| point.at_s + point.seconds).fold(0.0, f64::max), left, right);
    let share = Scale::linear(0.0, 1.0, MIDDLE - 8.0, top);
    // Each event is due once for every subscriber of its topic.
    let each = entry.cell.subscribers as f64 / entry.cell.topics.max(1) as f64;
    let came = |point: &Point| {
        (point.published > 0).then(|| point.delivered as f64 / (point.published as f64 * each))
    };
    let latencies =
        || all().flat_map(|point| [point.latency_p50_ms, point.latency_p99_ms]).flatten().map(|ms| ms / 1e3);
    let low = latencies().fold(f64::INFINITY, f64::min);
    let high = latencies().fold(0.0, f64::max);
    let latency = (high > 0.0).then(|| Scale::logarithmic(low / 1.5, high * 1.5, bottom, MIDDLE + 4.0));
    let label = format!(
        "{}, {}: what was delivered of what was due, and latency, over {}",
        entry.name(),
        scene.title,
        seconds(x.high).text()
    );
    let draw = |repetition: &Repetition, class: &str, y: &Scale, of: &dyn Fn(&Point) -> Option<f64>| {
        let middle = |point: &Point| x.at(point.at_s + point.seconds / 2.0);
        let points: Vec<(f64, f64)> =
            repetition.series.iter().filter_map(|point| Some((middle(point), y.at(of(point)?)))).collect();
        html! { path class={ "line thin " (class) @if !repetition.validity.valid { " invalid" } } d=(path(&points)) {} }
    };
    html! {
        figure {
            figcaption { b { (entry.name()) } @if !entry.cell.validity.valid { " " span.bad { "invalid" } } }
            (FRAME.svg(&label, &html! {
                (FRAME.rows(&share, &[0.0, 1.0], |value| Figure { number: number(value * 100.0), unit: "%" }))
                @if let Some(latency) = &latency { (FRAME.rows(latency, &latency.ticks(4), seconds)) }
                (FRAME.columns(&x.ticks(4).into_iter().map(|value| (x.at(value), if value == 0.0 { "0".into() } else { seconds(value).plain().text() })).collect::<Vec<_>>()))
                @for repetition in repetitions {
                    (draw(repetition, "", &share, &came))
                    @if let Some(latency) = &latency {
                        (draw(repetition, "p99", latency, &|point| point.latency_p99_ms.map(|ms| ms / 1e3)))
                        (draw(repetition, "", latency, &|point| point.latency_p50_ms.map(|ms| ms / 1e3)))
                    }
                }
            }))
            (behind(&table(entry)))
        }
    }
}

fn table(entry: &Entry) -> Markup {
    let said = |ms: Option<f64>| ms.map_or(Figure::none(), |ms| seconds(ms / 1e3));
    html! {
        table {
            caption { (entry.name()) ": what happened when" }
            thead { tr { th scope="col" { "run" } @for name in ["from", "published", "delivered", "arrived", "p50", "p99", "longest", "server CPU", "requests", "connections"] { th scope="col" { (name) } } } }
            tbody {
                @for (number, repetition) in entry.cell.repetitions.iter().enumerate() {
                    @for point in &repetition.series {
                        tr.invalid[!repetition.validity.valid] {
                            th scope="row" { (number + 1) }
                            td { (figure(&seconds(point.at_s))) } td { (count(point.published)) } td { (count(point.delivered)) } td { (count(point.arrived)) }
                            td { (figure(&said(point.latency_p50_ms))) } td { (figure(&said(point.latency_p99_ms))) } td { (figure(&said(point.latency_max_ms))) }
                            td { (figure(&point.cpu_ns.map_or(Figure::none(), |ns| seconds(ns as f64 / 1e9)))) }
                            td { (count(point.requests)) } td { (count(point.connections)) }
                        }
                    }
                }
            }
        }
    }
}
