//! The page around the sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    breakeven, cells, chart, glance, latency, manifest,
    model::{self, Cost, Model},
    modelview, rivals,
    scenes::Scenes,
    series, stacks, summary,
};
use crate::results::Results;

const STYLE: &str = include_str!("style.css");

/// Colours, and what stands in an SVG.
pub(crate) const CHART_STYLE: &str = include_str!("chart.css");

/// The mark: a fanlight.
pub(crate) const MARK: [&str; 3] = [
    "M3 18a13 13 0 0 1 26 0M11.5 18a4.5 4.5 0 0 1 9 0",
    "M12.1 15.7 4.7 11.5M13.8 14.1 9.5 6.7M16 13.5V5M18.2 14.1 22.5 6.7M19.9 15.7 27.3 11.5",
    "M3 18h26M3 18v11M29 18v11M16 18v11",
];

/// The whole document.
pub(crate) fn page(results: &Results) -> Markup {
    let scenes = Scenes::of(results);
    let model = model::build(results, scenes.server);
    let model = model.as_ref();
    let title = &results.manifest.title;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Fanlight load test" }
                style { (PreEscaped(CHART_STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                (chart::patterns())
                header {
                    svg viewBox="0 0 32 32" stroke-width="1.7" stroke-linecap="round" aria-hidden="true" { @for line in MARK { path d=(line) {} } }
                    h1 { (title) }
                    span.when { (results.manifest.started) " · " (manifest::short_commit(&results.manifest)) " · " (results.manifest.machine.cpu) }
                }
                (contents(results, &scenes))
                main {
                    section.first #summary aria-label="Summary" {
                        div.hero {
                            ul.reading { @for sentence in summary::sentences(results, &scenes, model) { li { (sentence) } } }
                            @if let Some((cost, map)) = lead(results, &scenes, model) {
                                figure {
                                    figcaption { b { "Cheapest in " (cost.name()) } ", round trip " (breakeven::said_seconds(scenes.main().map_or(0.0, |scene| scene.rtt_ms() / 1e3))) " · " a href="#breakeven" { "how to read it, and the other costs" } }
                                    (map)
                                }
                            }
                        }
                    }
                    (glance::section(&scenes))
                    (latency::section(&scenes))
                    (stacks::sections(&scenes))
                    (breakeven::section(results, model))
                    (modelview::section(model))
                    (rivals::section(results, &scenes))
                    (series::section(&scenes))
                    (cells::invalid(results))
                    (cells::all(results))
                    (manifest::section(&results.manifest))
                }
            }
        }
    }
}

/// The map that stands beside the summary.
fn lead(results: &Results, scenes: &Scenes, model: Option<&Model>) -> Option<(Cost, Markup)> {
    breakeven::default_map(results, model?, scenes.main()?.rtt_ms() / 1e3)
}

fn contents(results: &Results, scenes: &Scenes) -> Markup {
    let rivals =
        scenes.scenes.iter().flat_map(|scene| &scene.rivals).any(|entry| entry.cell.server != scenes.server);
    let invalid = results.cells.iter().any(|cell| !cell.validity.valid);
    let mut entries = vec![
        ("glance", "Side by side"),
        ("latency", "Latency"),
        ("bytes", "Bytes"),
        ("cpu", "CPU"),
        ("memory", "Memory"),
        ("breakeven", "Break-even map"),
        ("model", "Cost model"),
        ("series", "Over time"),
        ("validity", "Validity"),
        ("cells", "All cells"),
        ("manifest", "Manifest"),
    ];
    if rivals {
        entries.insert(7, ("rivals", "Rivals"));
    }
    html! {
        nav aria-label="Sections" {
            @for (id, name) in entries { a href={ "#" (id) } { (name) @if id == "validity" && invalid { " " span.bad { "!" } } } }
        }
    }
}
