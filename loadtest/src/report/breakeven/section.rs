//! The maps with their choices, and the same as tables.

use maud::{Markup, PreEscaped, html};

use super::{
    cheapest,
    draw::{legend, map, name, said_rate, said_seconds, title},
};
use crate::{
    report::{
        chart::scrolling,
        format::{Figure, bytes, percent, rate, seconds},
        model::{Cost, Load, Model},
    },
    results::{Purpose, Results, Transport},
};

/// Subscribers of a topic, for the small multiples: alone, a room, a stadium.
const SUBSCRIBERS: [f64; 3] = [1.0, 100.0, 10_000.0];

/// Where the tables look.
const RATES: [f64; 6] = [1.0 / 3600.0, 1.0 / 60.0, 0.1, 1.0, 10.0, 100.0];
const STALENESS: [f64; 6] = [0.1, 1.0, 10.0, 60.0, 600.0, 3600.0];

/// The section.
pub(crate) fn section(results: &Results, model: Option<&Model>) -> Markup {
    html! {
        section #breakeven {
            h2 { "Break-even map" }
            @match model {
                None => { p.quiet { "There is no cost model: no valid cell could be fitted." } }
                Some(model) => { (maps(results, model)) }
            }
        }
    }
}

fn maps(results: &Results, model: &Model) -> Markup {
    let costs: Vec<Cost> = Cost::ALL.into_iter().filter(|cost| drawable(model, *cost)).collect();
    let trips = round_trips(results, model);
    let middle = trips.len().saturating_sub(1) / 2;
    let middle = if trips.len() == 2 { 1 } else { middle };
    html! {
        p.about {
            "The cheapest way to keep a subscriber up to date, by how often its topic changes and how old an event may be when it is shown (99 % of them). "
            "What polls, polls as rarely as that allows. Drawn from the model below, which was fitted to this run; hatched where two predictions lie nearer to each other than the model's error. "
            "Dots are what was measured: far from them the map extrapolates. Events of " (bytes(model.range.usual_payload).text()) " of data, at even intervals."
        }
        @if costs.is_empty() { p.quiet { "No prediction could be checked against a measurement, so there is no map." } }
        @else {
            style { (PreEscaped(rules(&costs, trips.len()))) }
            div.maps {
                (choice("cost", "Cost", &costs.iter().map(|cost| (cost.slug().to_owned(), cost.name().to_owned())).collect::<Vec<_>>(), 0))
                (choice("rtt", "Round trip", &trips.iter().enumerate().map(|(i, rtt)| (i.to_string(), said_seconds(*rtt))).collect::<Vec<_>>(), middle))
                (legend())
                @for cost in &costs {
                    @for (i, rtt) in trips.iter().enumerate() {
                        div class={ "map " (cost.slug()) " rtt-" (i) @if *cost == costs[0] && i == middle { " default" } } {
                            h3 { "Cheapest in " (cost.name()) ", round trip " (said_seconds(*rtt)) " " small { (errors(model, *cost)) } }
                            @if *cost != Cost::Cpu { p.about style="margin:0 0 6px" { "Each subscriber is sent its own " (cost.name()) ": how many there are changes nothing." } }
                            div.panels { @for conditions in multiples(model, *cost, *rtt) { (panel(results, model, *cost, &conditions)) } }
                        }
                    }
                }
            }
        }
    }
}

/// A cost is drawn if at least two transports can be predicted, and their predictions were checked.
fn drawable(model: &Model, cost: Cost) -> bool {
    model.techniques.values().filter(|technique| technique.parts.contains_key(&cost) && technique.errors.contains_key(&cost)).count() > 1
}

/// The round-trip times of the run.
pub(crate) fn round_trips(results: &Results, model: &Model) -> Vec<f64> {
    let mut trips: Vec<f64> = results.cells.iter().filter(|cell| cell.server == model.server && cell.validity.valid).map(|cell| cell.rtt_ms / 1e3).collect();
    trips.sort_by(f64::total_cmp);
    trips.dedup();
    trips
}

fn multiples(model: &Model, cost: Cost, rtt: f64) -> Vec<Load> {
    let load = |sharing| Load { rate: 1.0, interval: 0.0, rtt, payload: model.range.usual_payload, sharing };
    if cost == Cost::Cpu { SUBSCRIBERS.map(load).to_vec() } else { vec![load(SUBSCRIBERS[1])] }
}

fn panel(results: &Results, model: &Model, cost: Cost, conditions: &Load) -> Markup {
    let of = results.cells.iter().filter(|cell| cell.server == model.server && cell.validity.valid && cell.rtt_ms / 1e3 == conditions.rtt);
    let measured: Vec<(f64, f64, bool)> = of
        .filter_map(|cell| {
            let staleness = cell.total.latency.as_ref()?.at(0.99)? / 1e3;
            Some((cell.rate / cell.topics.max(1) as f64, staleness, cell.purpose == Purpose::Check))
        })
        .collect();
    let label = format!("Break-even map, cheapest in {}, round trip {}, {}", cost.name(), said_seconds(conditions.rtt), title(conditions));
    html! {
        figure {
            @if cost == Cost::Cpu { figcaption { b { (title(conditions)) } } }
            @else { figcaption { "Tolerated staleness, by events per second" } }
            (map(model, cost, conditions, &measured, &label))
            details { summary { "The same as a table" } (scrolling("The same as a table", &table(model, cost, conditions, &label))) }
        }
    }
}

fn table(model: &Model, cost: Cost, conditions: &Load, label: &str) -> Markup {
    html! {
        table {
            caption { (label) }
            thead { tr { th scope="col" { "staleness up to" } @for rate in RATES { th.left scope="col" { (said_rate(rate)) } } } }
            tbody {
                @for tolerated in STALENESS.into_iter().rev() {
                    tr {
                        th scope="row" { (said_seconds(tolerated)) }
                        @for rate in RATES {
                            @let place = cheapest(model, cost, &Load { rate, ..*conditions }, tolerated);
                            td.left {
                                (name(place.outcome))
                                @if let Some(load) = place.load {
                                    " " small { (figure(cost, place.cost)) @if place.outcome.winner() == Some(Transport::Poll) { ", every " (said_seconds(load.interval)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Per second.
pub(crate) fn figure(cost: Cost, value: f64) -> String {
    match cost {
        Cost::Bytes => format!("{}/s", bytes(value).text()),
        Cost::Cpu => format!("{}/s", seconds(value).text()),
        Cost::Requests => if value == 0.0 { Figure { number: "no requests".into(), unit: "" } } else { rate(value) }.text(),
    }
}

/// The errors of a cost, by transport.
fn errors(model: &Model, cost: Cost) -> String {
    let of = model.techniques.iter().filter_map(|(transport, technique)| Some((transport, technique.errors.get(&cost)?)));
    let said: Vec<String> = of.map(|(transport, error)| format!("{} {}", transport.name(), percent(error.relative))).collect();
    format!("model's error: {}", said.join(", "))
}

fn choice(group: &str, title: &str, options: &[(String, String)], chosen: usize) -> Markup {
    html! {
        @if options.len() > 1 {
            fieldset {
                legend { (title) }
                @for (i, (value, text)) in options.iter().enumerate() {
                    label { input type="radio" name=(group) id={ (group) "-" (value) } checked[i == chosen]; (text) }
                }
            }
        }
    }
}

/// Which map is shown for which choice, without a script. A browser that does not know `:has` shows all.
fn rules(costs: &[Cost], trips: usize) -> String {
    let mut text = String::from("@supports selector(:has(*)) { .maps .map { display: none }\n");
    for cost in costs {
        for rtt in 0..trips {
            let cost_chosen = if costs.len() > 1 { format!(":has(#cost-{}:checked)", cost.slug()) } else { String::new() };
            let rtt_chosen = if trips > 1 { format!(":has(#rtt-{rtt}:checked)") } else { String::new() };
            text += &format!(".maps{cost_chosen}{rtt_chosen} .{}.rtt-{rtt} {{ display: block }}\n", cost.slug());
        }
    }
    text + "}"
}
