//! What all plots share: a frame with axes, lines that are labelled at their ends, and the patterns of the page.

use maud::{Markup, html};

use super::{
    format::Figure,
    scale::{Scale, apart},
};
use crate::results::Transport;

/// A plot's size and margins, in SVG user units: about CSS pixels on a wide screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    /// Where the plot's own area begins and ends, from left to right.
    pub(crate) fn across(&self) -> (f64, f64) {
        (self.left, self.width - self.right)
    }

    /// The same from bottom to top, as values rise.
    pub(crate) fn upwards(&self) -> (f64, f64) {
        (self.height - self.bottom, self.top)
    }

    /// The picture, with a name for those who do not see it.
    pub(crate) fn svg(&self, label: &str, content: &Markup) -> Markup {
        let view = format!("0 0 {} {}", self.width, self.height);
        html! { svg.chart viewBox=(view) role="img" aria-label=(label) { (content) } }
    }

    /// Hairlines across the plot, with their values at the left.
    pub(crate) fn rows(&self, scale: &Scale, ticks: &[f64], say: impl Fn(f64) -> Figure) -> Markup {
        let (left, right) = self.across();
        html! {
            @for &value in ticks {
                @let y = scale.at(value);
                line.grid x1=(left) x2=(right) y1=(place(y)) y2=(place(y)) {}
                text x=(left - 7.0) y=(place(y + 4.0)) text-anchor="end" { (say(value).plain().text()) }
            }
        }
    }

    /// The axis at the bottom; each tick is a place and what stands there.
    pub(crate) fn columns(&self, ticks: &[(f64, String)]) -> Markup {
        let ((left, right), (bottom, _)) = (self.across(), self.upwards());
        html! {
            line.axis x1=(left) x2=(right) y1=(place(bottom)) y2=(place(bottom)) {}
            @for (x, text) in ticks {
                line.tick x1=(place(*x)) x2=(place(*x)) y1=(place(bottom)) y2=(place(bottom + 4.0)) {}
                text x=(place(*x)) y=(place(bottom + 16.0)) text-anchor=(anchor(*x, right + self.right * 0.4)) { (text) }
            }
        }
    }
}

fn anchor(x: f64, right: f64) -> &'static str {
    if x > right - 8.0 { "end" } else { "middle" }
}

/// A coordinate, to a tenth.
pub(crate) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A path through points.
pub(crate) fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        text.push(if i == 0 { 'M' } else { 'L' });
        text += &format!("{} {}", place(*x), place(*y));
    }
    text
}

/// A name at the end of a line.
#[derive(Clone, Debug)]
pub(crate) struct EndLabel {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) text: String,
}

/// Names at the ends of lines, moved apart where they would overlap, each led to its line.
pub(crate) fn end_labels(frame: &Frame, labels: &[EndLabel]) -> Markup {
    let wanted: Vec<f64> = labels.iter().map(|label| label.y).collect();
    let places = apart(&wanted, 14.0, frame.top - 4.0, frame.height - frame.bottom + 4.0);
    let x = frame.width - frame.right;
    html! {
        @for (label, y) in labels.iter().zip(places) {
            path.leader d=(path(&[(label.x + 2.0, label.y), (label.x.max(x) + 5.0, label.y), (x + 13.0, y), (x + 16.0, y)])) {}
            text.name x=(place(x + 19.0)) y=(place(y + 4.0)) { (label.text) }
        }
    }
}

/// The class of a transport's stroke.
pub(crate) fn stroke(transport: Transport) -> &'static str {
    transport.name()
}

/// A short piece of a transport's stroke, for keys.
pub(crate) fn swatch(transport: Transport) -> Markup {
    html! { svg.wide viewBox="0 0 30 13" aria-hidden="true" { path class={ "line " (stroke(transport)) } d="M1 6.5H29" {} } }
}

/// The patterns that fills refer to, once for the page.
pub(crate) fn patterns() -> Markup {
    html! { svg width="0" height="0" style="position:absolute" aria-hidden="true" { (definitions()) } }
}

/// The same, for a picture that stands alone.
pub(crate) fn definitions() -> Markup {
    let rows = |id: &str, width: u32, class: &str| {
        html! {
            pattern id=(id) width=(width) height="9" patternUnits="userSpaceOnUse" {
                rect width=(width) height="9" style="fill:var(--open)" {}
                path class={ "line " (class) } style="stroke:var(--edge)" d={ "M0 4.5H" (width) } {}
            }
        }
    };
    html! {
        defs {
            pattern #p-hatch width="4.5" height="4.5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect width="4.5" height="4.5" style="fill:var(--paper)" {}
                path d="M1 0V4.5" style="stroke:var(--l-tcp);stroke-width:1.1" {}
            }
            pattern #p-beats width="3" height="4" patternUnits="userSpaceOnUse" {
                rect width="3" height="4" style="fill:var(--paper)" {}
                path d="M.5 0V4" style="stroke:var(--mid)" {}
            }
            pattern #p-dots width="4" height="4" patternUnits="userSpaceOnUse" {
                rect width="4" height="4" style="fill:var(--paper)" {}
                circle cx="2" cy="2" r="1" style="fill:var(--mid)" {}
            }
            pattern #p-tie width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect width="9" height="9" style="fill:var(--paper)" {}
                path d="M4.5 0V9" style="stroke:var(--edge);stroke-width:1" {}
            }
            // Lengths that hold each dash pattern a whole number of times.
            (rows("p-poll", 20, "poll"))
            (rows("p-longpoll", 19, "longpoll"))
            (rows("p-chunked", 17, "chunked"))
            (rows("p-sse", 31, "sse"))
            (rows("p-websocket", 20, "websocket"))
        }
    }
}

/// A figure, its unit small.
pub(crate) fn figure(figure: &Figure) -> Markup {
    html! { (figure.number) @if !figure.unit.is_empty() { small { "\u{202f}" (figure.unit) } } }
}

/// A table behind a plot, folded.
pub(crate) fn behind(content: &Markup) -> Markup {
    html! { details { summary { "The same as a table" } (scrolling("The same as a table", content)) } }
}

/// What may be wider than the screen; it can be reached and scrolled by keyboard.
pub(crate) fn scrolling(label: &str, content: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (content) } }
}
