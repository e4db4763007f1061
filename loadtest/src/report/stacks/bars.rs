//! Bars: as parts of the page, which stretch with it, and as a picture.

use maud::{Markup, html};

use super::{
    super::{
        chart::{figure, place},
        scale::{Scale, round_up},
        scenes::{Entry, Scene},
    },
    BYTES, Stack,
};
use crate::results::Cell;

/// Where the common scale ends: invalid cells do not stretch it.
pub(super) fn end(stack: &Stack, entries: &[&Entry]) -> f64 {
    let valid = entries.iter().filter(|entry| entry.cell.validity.valid);
    let sums = valid.filter_map(|entry| {
        Some(
            (stack.segments)(entry.cell)?
                .iter()
                .sum::<f64>()
                .max((stack.estimate)(entry.cell).map_or(0.0, |e| e.high)),
        )
    });
    round_up(sums.fold(0.0, f64::max) / stack.base) * stack.base
}

/// Bars beside each other, on one scale.
pub(super) fn bars(stack: &Stack, entries: &[&Entry], end: f64, name: &dyn Fn(&Entry) -> String) -> Markup {
    let scale = Scale::linear(0.0, end, 0.0, 100.0);
    let ticks: Vec<f64> = Scale::linear(0.0, end / stack.base, 0.0, 1.0)
        .ticks(3)
        .iter()
        .map(|value| value * stack.base)
        .collect();
    html! {
        dl.bars {
            @for entry in entries {
                dt { (name(entry)) }
                @match (stack.segments)(entry.cell) {
                    Some(segments) => {
                        @let total: f64 = segments.iter().sum();
                        dd { (bar(stack, entry.cell, total, &scale)) }
                        dd.value {
                            @if entry.cell.validity.valid { (figure(&(stack.say)(total))) } @else { small.bad { "invalid" } }
                        }
                    }
                    None => { dd { small { "not measured" } } dd.value { "–" } }
                }
            }
            div.scale aria-hidden="true" {
                @for value in &ticks {
                    span.last[scale.at(*value) > 92.0] style={ "left:" (place(scale.at(*value))) "%" } { ((stack.say)(*value).plain().text()) }
                }
            }
        }
    }
}

fn bar(stack: &Stack, cell: &Cell, total: f64, scale: &Scale) -> Markup {
    if !cell.validity.valid {
        return html! {
            svg role="img" aria-label="invalid" {
                rect.s-invalid x="0.5" y="1" width={ (place(scale.at(total))) "%" } height="12" {}
            }
        };
    }
    let parts = segments(stack, cell, scale);
    let label = parts.iter().map(|(_, _, _, text)| text.as_str()).collect::<Vec<_>>().join(", ");
    let percent = |value: f64| format!("{value:.3}%");
    html! {
        svg role="img" aria-label=(label) {
            @for (start, end, class, text) in &parts {
                rect class={ "s-" (class) } x=(percent(*start)) y="0.6" width=(percent((end - start - 0.15).max(0.1))) height="12.8" { title { (text) } }
            }
            @if let Some(estimate) = (stack.estimate)(cell) {
                @let (low, high) = (percent(scale.at(estimate.low)), percent(scale.at(estimate.high)));
                line.whisker x1=(low) x2=(high) y1="7" y2="7" {}
                @for x in [&low, &high] { line.whisker x1=(x) x2=(x) y1="4" y2="10" {} }
            }
        }
    }
}

/// The bytes of a scene as an SVG of a given width, with their key below, and its height.
pub(crate) fn byte_bars(scene: &Scene, width: f64) -> Option<(f64, Markup)> {
    const ROW: f64 = 38.0;
    let stack = &BYTES;
    let entries: Vec<&Entry> =
        scene.entries.iter().filter(|entry| (stack.segments)(entry.cell).is_some()).collect();
    if entries.is_empty() {
        return None;
    }
    let (left, right) = (84.0, width - 64.0);
    let end = end(stack, &entries);
    let scale = Scale::linear(0.0, end, left, right);
    let axis = 8.0 + ROW * entries.len() as f64;
    let shown = kinds_used(stack, &entries);
    let key: Vec<(&str, &str)> =
        stack.kinds.iter().zip(shown).filter(|(_, used)| *used).map(|(kind, _)| *kind).collect();
    let at = place;
    let content = html! {
        @for (i, entry) in entries.iter().enumerate() {
            @let y = 4.0 + ROW * i as f64;
            text.name x=(at(left - 10.0)) y=(at(y + 14.0)) text-anchor="end" { (entry.name()) }
            @if entry.cell.validity.valid {
                @for (from, to, class, text) in segments(stack, entry.cell, &scale) {
                    rect class={ "s-" (class) } x=(at(from)) y=(at(y)) width=(at((to - from - 0.6).max(0.4))) height="20" { title { (text) } }
                }
                text.name x=(at(width - 8.0)) y=(at(y + 14.0)) text-anchor="end" { ((stack.say)((stack.segments)(entry.cell).unwrap_or_default().iter().sum()).text()) }
            } @else {
                text x=(at(left)) y=(at(y + 14.0)) { "invalid" }
            }
        }
        path.axis d={ "M" (at(left)) " " (at(axis)) "H" (at(right)) } {}
        @for value in scale.ticks(4) { text x=(at(scale.at(value))) y=(at(axis + 16.0)) text-anchor="middle" { ((stack.say)(value).plain().text()) } }
        @for (i, (class, name)) in key.iter().enumerate() {
            @let (x, y) = (60.0 + 108.0 * (i % 3) as f64, axis + 36.0 + 20.0 * (i / 3) as f64);
            rect class={ "s-" (class) } x=(at(x)) y=(at(y)) width="11" height="11" {}
            text x=(at(x + 17.0)) y=(at(y + 9.5)) { (name) }
        }
    };
    Some((axis + 40.0 + 20.0 * key.len().div_ceil(3) as f64, content))
}

/// Which kinds any of the bars has.
pub(super) fn kinds_used(stack: &Stack, entries: &[&Entry]) -> Vec<bool> {
    let has = |entry: &&Entry, kind: usize| {
        (stack.segments)(entry.cell).is_some_and(|segments| segments[kind] > 0.0)
    };
    (0..stack.kinds.len()).map(|kind| entries.iter().any(|entry| has(entry, kind))).collect()
}

/// The segments of a bar: from where to where, class, and what it says.
fn segments(stack: &Stack, cell: &Cell, scale: &Scale) -> Vec<(f64, f64, &'static str, String)> {
    let sizes = (stack.segments)(cell).unwrap_or_default();
    let mut from = 0.0;
    let kinds = stack.kinds.iter().zip(sizes).filter(|(_, size)| *size > 0.0);
    kinds
        .map(|((class, name), size)| {
            let part = (
                scale.at(from),
                scale.at(from + size),
                *class,
                format!("{name}: {}", (stack.say)(size).text()),
            );
            from += size;
            part
        })
        .collect()
}
