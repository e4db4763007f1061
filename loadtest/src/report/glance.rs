//! The figures of each scene in one table.

use maud::{Markup, html};

use super::{
    chart::{figure, scrolling, swatch},
    format::{Figure, bytes, count, memory, number, rate, seconds},
    ranking::shown,
    scenes::{Entry, Scene, Scenes},
};
use crate::results::{Cell, Metric};

/// The section.
pub(crate) fn section(scenes: &Scenes) -> Markup {
    html! {
        section #glance {
            h2 { "Side by side " small { (scenes.common) } }
            p.about { "Latency counts from when an event was due. CPU is the server's, for one event to one subscriber. "
                "Bytes are of both directions, with TCP/IP's own where the server's kernel told of its segments. "
                "An invalid row could have been shaped by the load test itself: it is shown, and compared with nothing." }
            @if scenes.scenes.is_empty() { p.quiet { "Nothing was measured to be compared." } }
            div.glances { @for scene in &scenes.scenes {
                (scrolling(&format!("Figures, {}", scene.title), &html! {
                    table.glance {
                        caption { b { (scene.title) } }
                        thead { tr {
                            th scope="col" { "transport" }
                            @if scene.idle() {
                                th scope="col" { "requests" br; "/subscriber" } th scope="col" { "bytes" br; "/subscriber" }
                            } @else {
                                th scope="col" { "latency" br; "p50" } th scope="col" { br; "p99" }
                                th scope="col" { "requests" br; "/event" } th scope="col" { "bytes" br; "/event" } th scope="col" { "CPU" br; "/event" }
                            }
                            th scope="col" { "CPU" br; "/subscriber" } th scope="col" { "memory" br; "/connection" }
                            th scope="col" { "to connect" br; "p50" }
                            @if !scene.idle() {
                                th scope="col" { br; "delivered" } th scope="col" { br; "missed" } th scope="col" { br; "duplicated" } th scope="col" { "out of" br; "order" } th scope="col" { br; "gaps" }
                            }
                            @if resumes(scene) { th scope="col" { "to resume" br; "p50 · longest" } }
                        } }
                        tbody { @for entry in &scene.entries { (row(scene, entry)) } }
                    }
                }))
            } }
        }
    }
}

fn resumes(scene: &Scene) -> bool {
    scene.entries.iter().any(|entry| entry.cell.total.resume.is_some())
}

fn row(scene: &Scene, entry: &Entry) -> Markup {
    let cell = entry.cell;
    let total = &cell.total;
    let requests = total
        .wire
        .requests_per_event
        .map_or(Figure::none(), |requests| Figure { number: number(requests), unit: "" });
    let cpu = total.cpu.map(|cpu| cpu.total_ns_per_subscriber_second / 1e9);
    let exactly = total.exactly;
    let connecting = total.connecting.as_ref().and_then(|connecting| connecting.time.at(0.5));
    let per_second = |figure: Figure| html! { (figure.number) small { "\u{202f}" (figure.unit) "/s" } };
    html! {
        tr.invalid[!cell.validity.valid] {
            th scope="row" {
                span.stroke { (swatch(cell.transport)) }
                (cell.transport.name())
                @if let Some(pause) = entry.pause() { small { " every " (pause) } }
                @if !cell.validity.valid { " " small.bad { "invalid" } }
            }
            @if scene.idle() {
                td { (figure(&rate(total.wire.requests as f64 / total.wire.seconds / cell.subscribers as f64))) }
                td { (per_second(bytes(total.wire.sockets.bytes_per_subscriber_second))) }
            } @else {
                td { (figure(&latency(cell, 0.5))) } td { (figure(&latency(cell, 0.99))) }
                td { (figure(&requests)) }
                td { (figure(&bytes_per_event(cell).map_or(Figure::none(), bytes))) }
                td { (figure(&cpu_per_event(cell).map_or(Figure::none(), seconds))) }
            }
            td { @match cpu { Some(cpu) => { (per_second(seconds(cpu))) } None => { "–" } } }
            td { (figure(&per_connection(cell).map_or(Figure::none(), memory))) }
            td { (figure(&connecting.map_or(Figure::none(), |ms| seconds(ms / 1e3)))) }
            @if !scene.idle() { td.zero[exactly.delivered == 0] { (count(exactly.delivered)) } }
            @for (value, harm) in [(exactly.missed, true), (exactly.duplicated, true), (exactly.out_of_order, true), (exactly.gaps, false)].into_iter().filter(|_| !scene.idle()) {
                td.zero[value == 0].bad[value > 0 && harm] { (count(value)) }
            }
            @if resumes(scene) {
                td {
                    @match total.resume.as_ref().and_then(|resume| resume.time.as_ref()) {
                        Some(time) => { (figure(&time.at(0.5).map_or(Figure::none(), |ms| seconds(ms / 1e3)))) " · " (figure(&seconds(time.max_ms / 1e3))) }
                        None => { "–" }
                    }
                }
            }
        }
    }
}

/// A quantile of it.
pub(crate) fn latency(cell: &Cell, quantile: f64) -> Figure {
    let ms = cell.total.latency.as_ref().and_then(|latency| latency.at(quantile));
    ms.map_or(Figure::none(), |ms| seconds(ms / 1e3))
}

/// By the ledger, with TCP/IP's own where it is known; else by the load test's sockets.
pub(crate) fn bytes_per_event(cell: &Cell) -> Option<f64> {
    let wire = &cell.total.wire;
    let tcp =
        wire.ledger.as_ref().and_then(|ledger| ledger.tcp).map_or(0, |tcp| tcp.bytes_in + tcp.bytes_out);
    let all = wire.sockets.in_bytes + wire.sockets.out_bytes + tcp;
    (wire.deliveries > 0).then(|| all as f64 / wire.deliveries as f64)
}

/// In seconds.
pub(crate) fn cpu_per_event(cell: &Cell) -> Option<f64> {
    shown(cell, Metric::CpuPerDelivery).map(|ns| ns / 1e9)
}

/// Resident set and the kernel's memory.
pub(crate) fn per_connection(cell: &Cell) -> Option<f64> {
    let memory = cell.total.memory?;
    let kernel = memory.socket_buffer_bytes_per_connection.unwrap_or(0.0)
        + memory.socket_slab_bytes_per_connection.unwrap_or(0.0);
    Some(memory.rss_bytes_per_connection? + kernel)
}
