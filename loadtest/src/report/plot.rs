//! The picture for a README: latency, bytes and the break-even map of the run's main scene, under the conditions and
//! above the commit, the machine and the command.

use maud::{Markup, PreEscaped, html};

use super::{
    breakeven, chart, latency, manifest,
    model::build,
    page::CHART_STYLE,
    scenes::{Scene, Scenes},
    stacks,
};
use crate::results::Results;

const WIDTH: f64 = 1280.0;
const PANEL: f64 = 400.0;
const GAP: f64 = 24.0;
/// Where the panels begin, below the titles.
const TOP: f64 = 84.0;

/// Stands alone: its own colours, light and dark.
pub(crate) fn picture(results: &Results) -> Markup {
    let scenes = Scenes::of(results);
    let panels = scenes.main().map(|scene| panels(results, &scenes, scene)).unwrap_or_default();
    let deepest = panels.iter().map(|panel| panel.height).fold(60.0, f64::max);
    let height = TOP + deepest + 62.0;
    let conditions =
        scenes.main().map_or("nothing was measured that could be compared".to_owned(), Scene::described);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img"
            font-family="Inter, Pretendard, system-ui, -apple-system, 'Segoe UI', sans-serif" aria-label={ (results.manifest.title) ": " (conditions) } {
            title { (results.manifest.title) ": " (conditions) }
            style { (PreEscaped(CHART_STYLE)) (PreEscaped("text { font-variant-numeric: tabular-nums; }")) }
            (chart::definitions())
            rect width=(WIDTH) height=(height) style="fill:var(--paper)" {}
            g.big transform="translate(24 34)" { text.name { (results.manifest.title) } text.sub y="0" x=(WIDTH - 48.0) text-anchor="end" { (conditions) } }
            path.grid d={ "M24 50H" (WIDTH - 24.0) } {}
            @for (i, panel) in panels.iter().enumerate() {
                @let x = 16.0 + i as f64 * (PANEL + GAP);
                text x=(x + 8.0) y=(TOP - 12.0) { tspan.name { (panel.title) } (panel.about) }
                svg x=(x) y=(TOP) width=(PANEL) height=(panel.height) overflow="visible" { (panel.content) }
            }
            @if panels.is_empty() { text x="24" y=(TOP) { "No valid cell could be compared." } }
            path.grid d={ "M24 " (height - 48.0) "H" (WIDTH - 24.0) } {}
            text x="24" y=(height - 30.0) { (manifest::said(&results.manifest.machine)) ", " (results.manifest.machine.kernel) ", " (results.manifest.started) }
            text x="24" y=(height - 13.0) { "commit " (manifest::short_commit(&results.manifest)) ": " (shortened(&results.manifest.command)) }
        }
    }
}

/// A command longer than the picture is wide ends in an ellipsis; the report has all of it.
fn shortened(command: &str) -> String {
    const MOST: usize = 170;
    if command.chars().count() <= MOST {
        return command.to_owned();
    }
    command.chars().take(MOST - 1).chain(['…']).collect()
}

struct Panel {
    title: &'static str,
    about: String,
    height: f64,
    content: Markup,
}

fn panels(results: &Results, scenes: &Scenes, scene: &Scene) -> Vec<Panel> {
    let mut panels = Vec::new();
    let scaled = |height: f64, width: f64| height * PANEL / width;
    let span = latency::span(&[scene]);
    if span.1 > 0.0 {
        let about = ", by the share of events that took no longer".to_owned();
        let frame = chart::Frame { height: 316.0, ..latency::FRAME };
        panels.push(Panel {
            title: "Latency",
            about,
            height: scaled(frame.height, frame.width),
            content: latency::panel(scene, span, frame),
        });
    }
    if let Some((height, content)) = stacks::byte_bars(scene, PANEL) {
        panels.push(Panel {
            title: "Bytes per event",
            about: ", by what they are for".into(),
            height,
            content,
        });
    }
    let model = build(results, scenes.server);
    if let Some((cost, content)) =
        model.and_then(|model| breakeven::default_map(results, &model, scene.rtt_ms() / 1e3))
    {
        let about = format!(" in {}, by the run's cost model", cost.name());
        let height = scaled(breakeven::FRAME.height, breakeven::FRAME.width);
        panels.push(Panel { title: "Cheapest transport", about, height, content });
    }
    panels
}
