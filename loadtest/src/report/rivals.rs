//! The same load on other servers, where the run had some.

use maud::{Markup, html};

use super::{
    chart::{figure, scrolling},
    format::{Figure, memory},
    glance::per_connection,
    ranking::{shown, verdict},
    scenes::{Entry, Scene, Scenes},
    stacks::{metric_figure, rival_bars},
};
use crate::results::{Cell, Metric, Results, Verdict};

/// The section; nothing where there is but one server.
pub(crate) fn section(results: &Results, scenes: &Scenes) -> Markup {
    let shown: Vec<&Scene> = scenes.scenes.iter().filter(|scene| others(scene, scenes.server)).collect();
    html! {
        @if !shown.is_empty() {
            section #rivals {
                h2 { "Rivals" }
                p.about { "The same load, one server after the other. Beside each figure stands what the run's comparison with " (scenes.server) " over the same transport says." }
                @for scene in shown {
                    h3 { (scene.title) " " small { "server CPU per event" } }
                    div style="max-width:720px" { (rival_bars(&contested(scene, scenes.server))) }
                    (scrolling("Rivals", &table(results, scene, scenes.server)))
                }
            }
        }
    }
}

fn others(scene: &Scene, server: &str) -> bool {
    scene.rivals.iter().any(|entry| entry.cell.server != server)
}

/// The cells over transports that a rival has, too.
fn contested<'a>(scene: &Scene<'a>, server: &str) -> Vec<Entry<'a>> {
    let has = |entry: &&Entry| {
        scene
            .rivals
            .iter()
            .any(|other| other.cell.server != server && other.cell.transport == entry.cell.transport)
    };
    scene.rivals.iter().filter(has).copied().collect()
}

fn table(results: &Results, scene: &Scene, server: &str) -> Markup {
    html! {
        table {
            caption { "Servers, " (scene.title) }
            thead { tr { th scope="col" { "transport" } th.left scope="col" { "server" } @for metric in Metric::ALL { th scope="col" { (metric.name().0) } th.left scope="col" { "" } } th scope="col" { "memory/connection" } th scope="col" { "missed" } } }
            tbody {
                @for entry in &contested(scene, server) {
                    @let cell = entry.cell;
                    tr.invalid[!cell.validity.valid] {
                        th scope="row" { (entry.name()) }
                        td.left { (cell.server) @if !cell.validity.valid { " " small.bad { "invalid" } } }
                        @for metric in Metric::ALL {
                            td { (figure(&shown(cell, metric).map_or(Figure::none(), |value| metric_figure(metric, value)))) }
                            td.left { small { (beside(results, scene, server, cell, metric)) } }
                        }
                        td { (figure(&per_connection(cell).map_or(Figure::none(), memory))) }
                        td.bad[cell.total.exactly.missed > 0] { (cell.total.exactly.missed) }
                    }
                }
            }
        }
    }
}

/// What the run says of a rival's cell beside ours.
fn beside(results: &Results, scene: &Scene, server: &str, cell: &Cell, metric: Metric) -> String {
    if cell.server == server {
        return String::new();
    }
    let same =
        |other: &Cell| other.transport == cell.transport && other.poll_interval_s == cell.poll_interval_s;
    let Some(ours) = scene.entries.iter().map(|entry| entry.cell).find(|other| same(other)) else {
        return "nothing to compare".into();
    };
    let ratio = || {
        let value = |cell: &Cell| shown(cell, metric).filter(|value| *value > 0.0);
        value(cell)
            .zip(value(ours))
            .map_or(String::new(), |(theirs, ours)| format!(" {}", super::format::number(theirs / ours)))
    };
    match verdict(ours, cell, metric, &results.comparisons) {
        Some(Verdict::NoDifference) => "no difference".into(),
        Some(Verdict::Higher | Verdict::Lower) => format!("×{}", ratio()),
        _ => "not compared".into(),
    }
}
