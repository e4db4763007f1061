//! The cost model laid open: its coefficients, and its predictions beside what was measured.

use maud::{Markup, html};

use super::{
    breakeven,
    chart::{Frame, path, place, scrolling},
    format::{Figure, bytes, number, percent, seconds},
    model::{Check, Cost, Model, Technique, Term},
    scale::Scale,
};

const FRAME: Frame = Frame { width: 420.0, height: 250.0, left: 64.0, right: 12.0, top: 10.0, bottom: 38.0 };

/// The section.
pub(crate) fn section(model: Option<&Model>) -> Markup {
    html! {
        section #model {
            h2 { "Cost model" }
            @match model {
                None => { p.quiet { "No valid cell could be fitted." } }
                Some(model) => { (laid_open(model)) }
            }
        }
    }
}

fn laid_open(model: &Model) -> Markup {
    let costs: Vec<Cost> =
        Cost::ALL.into_iter().filter(|cost| model.checks.iter().any(|check| check.cost == *cost)).collect();
    let kept_out = model.checks.iter().any(|check| check.kept_out);
    html! {
        p.about {
            "What a subscriber costs in a second, as a sum of what happens to it, times what that costs. How often it happens follows from the load "
            "(a poll every interval; a long poll per event, or per round trip if that is less often); what it costs is fitted by least squares, none below zero, "
            @if kept_out { "and checked on points that were kept out of the fit." }
            @else if costs.is_empty() { "and could not be checked: no transport was measured at two points." }
            @else { "and checked by leaving out one point at a time and predicting it from the rest." }
        }
        @if !costs.is_empty() {
            div.panels { @for cost in &costs { (scatter(model, *cost)) } }
            (scrolling("Errors of the model", &errors(model, &costs)))
            details { summary { "Each prediction beside its measurement" } (scrolling("Predictions", &predictions(&model.checks))) }
        }
        (scrolling("Coefficients", &coefficients(model)))
        @for note in &model.notes { p.about style="margin-bottom:4px" { (note) } }
    }
}

/// Predicted against measured: on the diagonal it is right.
fn scatter(model: &Model, cost: Cost) -> Markup {
    let checks: Vec<&Check> =
        model.checks.iter().filter(|check| check.cost == cost && check.measured > 0.0).collect();
    let values =
        || checks.iter().flat_map(|check| [check.predicted, check.measured]).filter(|value| *value > 0.0);
    let (low, high) =
        values().fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let ((left, right), (bottom, top)) = (FRAME.across(), FRAME.upwards());
    let say = |value| Figure { number: breakeven::tick(cost, value), unit: "" };
    html! {
        figure {
            figcaption { b { (capital(cost.name())) } ", predicted against measured, per subscriber" }
            @if checks.is_empty() { p.quiet { "No transport that could be checked costs any." } }
            @else {
                @let x = Scale::logarithmic(low / 1.5, high * 1.5, left, right);
                @let y = Scale::logarithmic(low / 1.5, high * 1.5, bottom, top);
                (FRAME.svg(&format!("{}: predicted against measured, {} points", cost.name(), checks.len()), &html! {
                    (FRAME.rows(&y, &y.ticks(4), say))
                    (FRAME.columns(&x.ticks(4).into_iter().map(|value| (x.at(value), breakeven::tick(cost, value))).collect::<Vec<_>>()))
                    text x=(place(f64::midpoint(left, right))) y=(FRAME.height - 4.0) text-anchor="middle" { "measured" }
                    path.note d=(path(&[(left, bottom), (right, top)])) {}
                    @for check in &checks {
                        circle.point.held[check.kept_out] cx=(place(x.at(check.measured))) cy=(place(y.at(check.predicted))) r="3" {
                            title { (check.cell) ": predicted " (breakeven::figure(cost, check.predicted)) ", measured " (breakeven::figure(cost, check.measured)) }
                        }
                    }
                }))
            }
        }
    }
}

fn capital(text: &str) -> String {
    text.chars().enumerate().map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

fn errors(model: &Model, costs: &[Cost]) -> Markup {
    html! {
        table {
            caption { "Error of predictions: root mean square, and the worst, as a share of what was measured" }
            thead { tr { th scope="col" { "transport" } th scope="col" { "points" } @for cost in costs { th scope="col" { (cost.name()) } th scope="col" { "worst" } } } }
            tbody {
                @for (transport, technique) in &model.techniques {
                    tr {
                        th scope="row" { (transport.name()) }
                        td { (technique.errors.values().map(|error| error.points).max().unwrap_or(0)) }
                        @for cost in costs {
                            @match technique.errors.get(cost) {
                                Some(error) => { td { (percent(error.relative)) } td { (percent(error.worst)) } }
                                None => { td { "not checked" } td { "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn predictions(checks: &[Check]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "cell" } @for name in ["cost", "predicted", "measured", "off by"] { th scope="col" { (name) } } } }
            tbody {
                @for check in checks {
                    tr {
                        th scope="row" { (check.cell) }
                        td { (check.cost.name()) }
                        td { (breakeven::figure(check.cost, check.predicted)) } td { (breakeven::figure(check.cost, check.measured)) }
                        td { (percent(check.relative())) }
                    }
                }
            }
        }
    }
}

fn coefficients(model: &Model) -> Markup {
    html! {
        table {
            caption { "Coefficients: what each thing costs" }
            thead { tr { th scope="col" { "transport" } th.left scope="col" { "cells" } th.left scope="col" { "bytes" } th.left scope="col" { "server CPU" } th.left scope="col" { "staleness beside waiting and distance" } } }
            tbody {
                @for (transport, technique) in &model.techniques {
                    tr {
                        th scope="row" { (transport.name()) }
                        td.left { (technique.cells) }
                        @for cost in [Cost::Bytes, Cost::Cpu] {
                            td.wrap {
                                @for (i, text) in terms(technique, cost).iter().enumerate() {
                                    @if i > 0 { br; } (text)
                                }
                            }
                        }
                        td.left { (seconds(technique.extra).text()) }
                    }
                }
            }
        }
    }
}

/// By term: `310 B per request that brings events`.
fn terms(technique: &Technique, cost: Cost) -> Vec<String> {
    let coefficients = technique.coefficients(cost).unwrap_or_default();
    let said = Term::ALL.into_iter().zip(coefficients).filter(|(_, coefficient)| *coefficient > 0.0);
    said.map(|(term, coefficient)| match cost {
        Cost::Bytes => format!("{} {}", bytes(coefficient).text(), term.per()),
        Cost::Cpu => format!("{} {}", seconds(coefficient).text(), term.per()),
        Cost::Requests => format!("{} {}", number(coefficient), term.per()),
    })
    .collect()
}
