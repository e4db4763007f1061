//! The maps with their choices, and the same as tables.

use maud::{Markup, PreEscaped, html};

use super::{
    Prices,
    draw::{legend, map, name, said_rate, said_seconds, title},
};
use crate::{
    report::{
        chart::scrolling,
        format::{Figure, bytes, list, percent, rate, seconds},
        model::{Cost, HEARTBEAT, LONGPOLL_TIMEOUT, Load, Model},
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
    let costs = costs(model);
    let trips = round_trips(results, model);
    html! {
        p.about {
            "The cheapest way to keep a subscriber up to date, by how often its topic changes and how old an event may be when it is shown (99 % of them). "
            "What polls, polls as rarely as that allows. Drawn from the model below, which was fitted to this run; hatched where two predictions lie nearer to each other than the model's error. "
            "Dots are what was measured: far from them the map extrapolates. Events of " (bytes(model.range.usual_payload).plain().text()) " of data at even intervals, heartbeats after " (said_seconds(HEARTBEAT)) " of silence, long polls held for " (said_seconds(LONGPOLL_TIMEOUT)) "."
        }
        @if !model.missing.is_empty() {
            p { span.bad { "Not in the map, since no cell of theirs can be used: " (list(&model.missing.iter().map(|transport| transport.name()).collect::<Vec<_>>())) "." } }
        }
        @if costs.is_empty() { p.quiet { "No prediction could be checked against a measurement, so there is no map." } }
        @else {
            style { (PreEscaped(rules(&costs))) }
            div.maps {
                (choice("cost", "Cheapest in", &costs.iter().map(|cost| (cost.slug(), cost.name())).collect::<Vec<_>>()))
                (legend())
                @for cost in &costs {
                    div class={ "map " (cost.slug()) } {
                        h3 { "Cheapest in " (cost.name()) " " small { (errors(model, *cost)) } }
                        @if *cost != Cost::Cpu { p.about style="margin:0 0 6px" { "Each subscriber has its own " (cost.name()) ": how many there are changes nothing." } }
                        @for subscribers in multiples(model, *cost) {
                            div.panels { @for rtt in &trips { (panel(results, model, *cost, &conditions(model, *rtt, subscribers))) } }
                        }
                    }
                }
            }
        }
    }
}

/// The costs that can be drawn.
fn costs(model: &Model) -> Vec<Cost> {
    Cost::ALL.into_iter().filter(|cost| drawable(model, *cost)).collect()
}

/// One map, to stand beside the summary: the first cost, at a round-trip time of the run. None if a transport is
/// missing: a map at first sight has to be whole.
pub(crate) fn default_map(results: &Results, model: &Model, rtt: f64) -> Option<(Cost, Markup)> {
    let cost = *costs(model).first().filter(|_| model.missing.is_empty())?;
    let load = conditions(model, rtt, SUBSCRIBERS[1]);
    Some((
        cost,
        map(&Prices::of(model, cost), cost, &load, &measured(results, model, rtt), &label(cost, &load)),
    ))
}

fn conditions(model: &Model, rtt: f64, sharing: f64) -> Load {
    Load::usual(rtt, model.range.usual_payload, sharing)
}

/// How many subscribers share an event matters to the processor alone: they share what a publish costs.
/// Where that was not measured, the maps are for the number that was.
fn multiples(model: &Model, cost: Cost) -> Vec<f64> {
    match model.range.sharing {
        Some((least, most)) if cost == Cost::Cpu && least == most => vec![least],
        _ if cost == Cost::Cpu => SUBSCRIBERS.to_vec(),
        _ => vec![SUBSCRIBERS[1]],
    }
}

/// A cost is drawn if at least two transports can be predicted, and their predictions were checked.
fn drawable(model: &Model, cost: Cost) -> bool {
    model
        .techniques
        .values()
        .filter(|technique| technique.parts.contains_key(&cost) && technique.errors.contains_key(&cost))
        .count()
        > 1
}

/// The round-trip times of the run; of more than three the least, the middle and the greatest.
fn round_trips(results: &Results, model: &Model) -> Vec<f64> {
    let mut trips: Vec<f64> = results
        .cells
        .iter()
        .filter(|cell| cell.server == model.server && cell.validity.valid)
        .map(|cell| cell.rtt_ms / 1e3)
        .collect();
    trips.sort_by(f64::total_cmp);
    trips.dedup();
    if trips.len() > 3 { vec![trips[0], trips[trips.len() / 2], trips[trips.len() - 1]] } else { trips }
}

/// What was measured at a round-trip time.
fn measured(results: &Results, model: &Model, rtt: f64) -> Vec<(f64, f64, bool)> {
    let of = results
        .cells
        .iter()
        .filter(|cell| cell.server == model.server && cell.validity.valid && cell.rtt_ms / 1e3 == rtt);
    of.filter_map(|cell| {
        let staleness = cell.total.latency.as_ref()?.at(0.99)? / 1e3;
        Some((cell.rate / cell.topics.max(1) as f64, staleness, cell.purpose == Purpose::Check))
    })
    .collect()
}

fn label(cost: Cost, conditions: &Load) -> String {
    format!("Break-even map, cheapest in {}, {}", cost.name(), caption(cost, conditions))
}

fn caption(cost: Cost, conditions: &Load) -> String {
    let rtt = format!("round trip {}", said_seconds(conditions.rtt));
    if cost == Cost::Cpu { format!("{}, {rtt}", title(conditions)) } else { rtt }
}

fn panel(results: &Results, model: &Model, cost: Cost, conditions: &Load) -> Markup {
    let label = label(cost, conditions);
    let prices = Prices::of(model, cost);
    html! {
        figure {
            figcaption { b { (caption(cost, conditions)) } }
            (map(&prices, cost, conditions, &measured(results, model, conditions.rtt), &label))
            details { summary { "The same as a table" } (scrolling("The same as a table", &table(&prices, cost, conditions, &label))) }
        }
    }
}

fn table(prices: &Prices, cost: Cost, conditions: &Load, label: &str) -> Markup {
    html! {
        table {
            caption { (label) }
            thead { tr { th scope="col" { "staleness up to" } @for rate in RATES { th.left scope="col" { (said_rate(rate)) } } } }
            tbody {
                @for tolerated in STALENESS.into_iter().rev() {
                    tr {
                        th scope="row" { (said_seconds(tolerated)) }
                        @for rate in RATES {
                            @let place = prices.cheapest(&Load { rate, ..*conditions }, tolerated);
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

/// The same, without zeros that say nothing.
pub(crate) fn tick(cost: Cost, value: f64) -> String {
    match cost {
        Cost::Bytes => format!("{}/s", bytes(value).plain().text()),
        Cost::Cpu => format!("{}/s", seconds(value).plain().text()),
        Cost::Requests => rate(value).plain().text(),
    }
}

/// Per second.
pub(crate) fn figure(cost: Cost, value: f64) -> String {
    match cost {
        Cost::Bytes => format!("{}/s", bytes(value).text()),
        Cost::Cpu => format!("{}/s", seconds(value).text()),
        Cost::Requests => {
            if value == 0.0 { Figure { number: "no requests".into(), unit: "" } } else { rate(value) }.text()
        }
    }
}

/// The errors of a cost, by transport.
fn errors(model: &Model, cost: Cost) -> String {
    let of = model
        .techniques
        .iter()
        .filter_map(|(transport, technique)| Some((transport, technique.errors.get(&cost)?)));
    let said: Vec<String> =
        of.map(|(transport, error)| format!("{} {}", transport.name(), percent(error.relative))).collect();
    format!("model's error: {}", said.join(", "))
}

fn choice(group: &str, title: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        @if options.len() > 1 {
            fieldset {
                legend { (title) }
                @for (i, (value, text)) in options.iter().enumerate() {
                    label { input type="radio" name=(group) id={ (group) "-" (value) } checked[i == 0]; (text) }
                }
            }
        }
    }
}

/// Which maps are shown for which choice, without a script. A browser that does not know `:has` shows all.
fn rules(costs: &[Cost]) -> String {
    if costs.len() < 2 {
        return String::new();
    }
    let shown = costs
        .iter()
        .map(|cost| format!(".maps:has(#cost-{0}:checked) .{0} {{ display: block }}\n", cost.slug()));
    format!("@supports selector(:has(*)) {{ .maps .map {{ display: none }}\n{}}}", shown.collect::<String>())
}
