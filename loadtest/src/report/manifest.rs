//! What is needed to judge, and to repeat, the run.

use maud::{Markup, html};

use super::format::{memory, seconds};
use crate::results::{Machine, Manifest};

/// The section.
pub(crate) fn section(manifest: &Manifest) -> Markup {
    let machine = &manifest.machine;
    html! {
        section #manifest {
            h2 { "Manifest" }
            dl.facts {
                dt { "command" } dd { code { (manifest.command) } }
                dt { "commit" } dd { (commit(manifest)) }
                dt { "began" } dd { (manifest.started) ", took " (seconds(manifest.seconds).text()) ", seed " (manifest.seed) }
                dt { "machine" } dd { (said(machine)) }
                dt { "kernel" } dd { (machine.kernel) }
                dt { "cores" } dd { "server on " (cores(&machine.server_cores)) ", generator and relay on " (cores(&machine.generator_cores)) }
                @for server in &manifest.servers {
                    dt { (server.name) }
                    dd {
                        code { (server.command) }
                        @if let Some(version) = &server.version { ", " (version) }
                        @if server.own { ", started by the load test, anew for each repetition" } @else { ", was running" }
                        @match &server.clock {
                            Some(clock) => { "; its clock is " (seconds(clock.offset_ms.abs() / 1e3).text()) @if clock.offset_ms < 0.0 { " behind" } @else { " ahead" } ", give or take " (seconds(clock.error_ms / 1e3).text()) }
                            None => {}
                        }
                    }
                }
                @for (name, version) in &manifest.versions { dt { (name) } dd { (version) } }
                @for (name, value) in &manifest.settings { dt { (name) } dd { (value) } }
            }
            details { summary { "The plan" } pre tabindex="0" { (manifest.plan) } }
        }
    }
}

/// The commit, and whether the tree was as it was committed.
pub(crate) fn commit(manifest: &Manifest) -> String {
    let Some(commit) = &manifest.commit else { return "unknown".into() };
    let dirty = if manifest.dirty { ", with changes that are not committed" } else { "" };
    format!("{commit}{dirty}")
}

/// The first characters of the commit, for captions.
pub(crate) fn short_commit(manifest: &Manifest) -> String {
    let commit =
        manifest.commit.as_deref().map_or("unknown commit", |commit| commit.get(..10).unwrap_or(commit));
    format!("{commit}{}", if manifest.dirty { "+" } else { "" })
}

/// The machine in a line.
pub(crate) fn said(machine: &Machine) -> String {
    let cores = if machine.cores == 1 { "1 core".into() } else { format!("{} cores", machine.cores) };
    format!(
        "{}, {cores}, {} of memory, {}",
        machine.cpu,
        memory(machine.memory_bytes as f64).text(),
        machine.kind
    )
}

fn cores(cores: &[usize]) -> String {
    if cores.is_empty() {
        return "any core".into();
    }
    let names: Vec<String> = cores.iter().map(usize::to_string).collect();
    format!("{} {}", if cores.len() == 1 { "core" } else { "cores" }, super::format::list(&names))
}
