//! Stacked bars: what an event costs in bytes and in processor time, and a connection in memory.

use maud::{Markup, html};

use self::bars::{bars, end, kinds_used};
use super::{
    chart::{behind, figure},
    format::{Figure, bytes, memory, seconds},
    scenes::{Entry, Scene, Scenes},
};
use crate::results::{Cell, Estimate, Metric};

mod bars;

pub(crate) use self::bars::byte_bars;

/// A kind of plot: how a cell becomes a bar.
struct Stack {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    /// What the whole bar is per.
    unit: &'static str,
    /// Class and name of each segment, in order.
    kinds: &'static [(&'static str, &'static str)],
    /// The segments' sizes; `None` where that was not measured.
    segments: fn(&Cell) -> Option<Vec<f64>>,
    say: fn(f64) -> Figure,
    /// What ticks are round in.
    base: f64,
    /// The interval to show at the bar's end.
    estimate: fn(&Cell) -> Option<Estimate>,
    /// Why a bar may be missing: names in `not_measured`.
    reasons: &'static [&'static str],
}

const BYTES: Stack = Stack {
    id: "bytes",
    title: "Bytes per event",
    about: "Both directions, from the server's ledger, by what they were for; below it TCP/IP's own headers where the server's kernel told the segments. \
            Darkest is what was published.",
    unit: "per event",
    kinds: &[
        ("payload", "payload"),
        ("envelope", "envelope"),
        ("heads", "heads"),
        ("framing", "framing"),
        ("controls", "controls"),
        ("heartbeats", "heartbeats"),
        ("empty", "empty answers"),
        ("tcp", "TCP/IP"),
        ("total", "not told apart"),
    ],
    segments: byte_segments,
    say: bytes,
    base: 1.0,
    estimate: |_| None,
    reasons: &["ledger", "wire"],
};

const CPU: Stack = Stack {
    id: "cpu",
    title: "Server CPU per event",
    about: "The server's processor time for one event to one subscriber, everything included (the publish, the requests, the idle time). \
            On one machine the kernel's part holds the receiving side of the loopback too. The whisker is the 95 % interval.",
    unit: "per event",
    kinds: &[("user", "user space"), ("kernel", "kernel"), ("total", "not told apart")],
    segments: cpu_segments,
    say: seconds,
    base: 1e-6,
    estimate: |cell| {
        cell.estimates.cpu_per_delivery.map(|e| Estimate {
            value: e.value / 1e9,
            low: e.low / 1e9,
            high: e.high / 1e9,
            ..e
        })
    },
    reasons: &["cpu"],
};

const MEMORY: Stack = Stack {
    id: "memory",
    title: "Memory per connection",
    about: "What the server's resident set grew by when all were connected, and what the kernel holds for each connection. \
            The kernel's parts are of both ends, since client and server share this machine.",
    unit: "per connection",
    kinds: &[
        ("resident", "resident set"),
        ("slab", "kernel: sockets, inodes"),
        ("buffers", "kernel: TCP buffers"),
    ],
    segments: memory_segments,
    say: memory,
    base: 1024.0,
    estimate: |_| None,
    reasons: &["memory", "rss_bytes_per_connection", "rss_per_connection"],
};

fn byte_segments(cell: &Cell) -> Option<Vec<f64>> {
    let wire = &cell.total.wire;
    let events = wire.deliveries as f64;
    if events <= 0.0 {
        return None;
    }
    let sockets = (wire.sockets.in_bytes + wire.sockets.out_bytes) as f64 / events;
    let Some(ledger) = &wire.ledger else {
        return Some([&[0.0; 8][..], &[sockets]].concat());
    };
    let (inward, out) = (ledger.inward, ledger.out);
    let kinds = [
        inward.payload + out.payload,
        inward.envelope + out.envelope,
        inward.heads + out.heads,
        inward.framing + out.framing,
        inward.controls + out.controls,
        inward.heartbeats + out.heartbeats,
        inward.empty + out.empty,
        ledger.tcp.map_or(0, |tcp| tcp.bytes_in + tcp.bytes_out),
        0,
    ];
    Some(kinds.iter().map(|bytes| *bytes as f64 / events).collect())
}

fn cpu_segments(cell: &Cell) -> Option<Vec<f64>> {
    let cpu = cell.total.cpu?;
    let total = cpu.total_ns_per_delivery?;
    let told = cpu.user_ns_per_delivery.zip(cpu.kernel_ns_per_delivery);
    Some(told.map_or(vec![0.0, 0.0, total / 1e9], |(user, kernel)| vec![user / 1e9, kernel / 1e9, 0.0]))
}

fn memory_segments(cell: &Cell) -> Option<Vec<f64>> {
    let memory = cell.total.memory?;
    let resident = memory.rss_bytes_per_connection?;
    let kernel = |bytes: Option<f64>| bytes.unwrap_or(0.0).max(0.0);
    Some(vec![
        resident.max(0.0),
        kernel(memory.socket_slab_bytes_per_connection),
        kernel(memory.socket_buffer_bytes_per_connection),
    ])
}

/// The sections about bytes, processor and memory.
pub(crate) fn sections(scenes: &Scenes) -> Markup {
    html! { (section(scenes, &BYTES)) (section(scenes, &CPU)) (section(scenes, &MEMORY)) }
}

/// How bars of processor time look where servers stand beside each other.
pub(crate) fn rival_bars(entries: &[Entry]) -> Markup {
    let all: Vec<&Entry> = entries.iter().collect();
    let end = end(&CPU, &all);
    bars(&CPU, &all, end, &|entry| format!("{} {}", entry.cell.server, entry.name()))
}

fn section(scenes: &Scenes, stack: &Stack) -> Markup {
    let shown: Vec<&Scene> = scenes
        .scenes
        .iter()
        .filter(|scene| scene.entries.iter().any(|entry| (stack.segments)(entry.cell).is_some()))
        .collect();
    let all: Vec<&Entry> = shown.iter().flat_map(|scene| &scene.entries).collect();
    let used = kinds_used(stack, &all);
    let end = end(stack, &all);
    html! {
        section id=(stack.id) {
            h2 { (stack.title) }
            p.about { (stack.about) }
            @if shown.is_empty() {
                p.quiet { "Not measured" @if let Some(reason) = reason(scenes, stack) { ": " (reason) } "." }
            } @else {
                ul.key {
                    @for ((class, name), _) in stack.kinds.iter().zip(&used).filter(|(_, used)| **used) {
                        li { svg viewBox="0 0 13 13" aria-hidden="true" { rect class={ "s-" (class) } x="1" y="1" width="11" height="11" {} } (name) }
                    }
                }
                div.panels {
                    @for scene in &shown {
                        figure {
                            figcaption { b { (scene.title) } }
                            (bars(stack, &scene.entries.iter().collect::<Vec<_>>(), end, &|entry| entry.name()))
                            (behind(&table(scene, stack, &used)))
                        }
                    }
                }
            }
        }
    }
}

fn reason<'a>(scenes: &'a Scenes, stack: &Stack) -> Option<&'a str> {
    let mut cells =
        scenes.scenes.iter().flat_map(|scene| &scene.entries).map(|entry| &entry.cell.total.not_measured);
    cells.find_map(|reasons| stack.reasons.iter().find_map(|name| reasons.get(*name))).map(String::as_str)
}

fn table(scene: &Scene, stack: &Stack, used: &[bool]) -> Markup {
    let kinds: Vec<(usize, &str)> = stack
        .kinds
        .iter()
        .enumerate()
        .filter(|(kind, _)| used[*kind])
        .map(|(kind, (_, name))| (kind, *name))
        .collect();
    html! {
        table {
            caption { (stack.title) ", " (scene.title) }
            thead { tr { th scope="col" { "transport" } @for (_, name) in &kinds { th scope="col" { (name) } } th scope="col" { (stack.unit) }
                @if stack.id == "cpu" { th scope="col" { "95 % interval" } } } }
            tbody {
                @for entry in &scene.entries {
                    tr.invalid[!entry.cell.validity.valid] {
                        th scope="row" { (entry.name()) @if !entry.cell.validity.valid { " " small.bad { "invalid" } } }
                        @match (stack.segments)(entry.cell) {
                            Some(segments) => {
                                @for (kind, _) in &kinds { td { (figure(&(stack.say)(segments[*kind]))) } }
                                td { (figure(&(stack.say)(segments.iter().sum()))) }
                                @if stack.id == "cpu" { td { (interval((stack.estimate)(entry.cell), stack.say)) } }
                            }
                            None => { td colspan=(kinds.len() + 2) { "not measured" } }
                        }
                    }
                }
            }
        }
    }
}

/// `4.9 to 5.3 µs`.
pub(crate) fn interval(estimate: Option<Estimate>, say: fn(f64) -> Figure) -> Markup {
    html! {
        @match estimate {
            Some(estimate) => { ((say)(estimate.low).text()) " to " (figure(&(say)(estimate.high))) }
            None => { "–" }
        }
    }
}

/// A value of a metric in its own unit.
pub(crate) fn metric_figure(metric: Metric, value: f64) -> Figure {
    match metric {
        Metric::LatencyP50 | Metric::LatencyP99 => seconds(value / 1e3),
        Metric::CpuPerDelivery => seconds(value / 1e9),
        Metric::BytesPerDelivery => bytes(value),
    }
}
