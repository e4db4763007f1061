//! Cells that were measured under the same conditions, to be shown side by side.

use crate::{
    report::format::{bytes, number, rate, seconds},
    results::{Cell, Pattern, Purpose, Results, Transport},
};

/// All comparisons of a run.
#[derive(Debug)]
pub(crate) struct Scenes<'a> {
    /// The server that the report is about; the others are its rivals.
    pub(crate) server: &'a str,
    /// What is the same in all scenes, in words.
    pub(crate) common: String,
    /// In the order of the plan.
    pub(crate) scenes: Vec<Scene<'a>>,
}

/// Cells under the same conditions.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// What is particular to it: `round trip 40 ms`.
    pub(crate) title: String,
    /// Of the server that the report is about, in the order of transports.
    pub(crate) entries: Vec<Entry<'a>>,
    /// Of all servers.
    pub(crate) rivals: Vec<Entry<'a>>,
    conditions: Conditions,
}

/// A cell and what it is called among the others of its scene.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) cell: &'a Cell,
    /// Whether polls of several intervals stand beside each other.
    pub(crate) several: bool,
}

impl Entry<'_> {
    /// The transport's name, with its interval where that tells two apart.
    pub(crate) fn name(&self) -> String {
        let name = self.cell.transport.name();
        match self.pause() {
            Some(pause) if self.several => format!("{name} {pause}"),
            _ => name.to_owned(),
        }
    }

    /// How often it polls.
    pub(crate) fn pause(&self) -> Option<String> {
        self.cell.poll_interval_s.map(|interval| {
            let figure = seconds(interval);
            let number = match figure.number.split_once('.') {
                Some((whole, rest)) if rest.chars().all(|digit| digit == '0') => whole,
                _ => &figure.number,
            };
            format!("{number}\u{202f}{}", figure.unit)
        })
    }

    /// In a sentence: `poll every 1 s`.
    pub(crate) fn spoken(&self) -> String {
        let name = self.cell.transport.name();
        self.pause().map_or_else(|| name.to_owned(), |pause| format!("{name} every {pause}"))
    }
}

impl Scene<'_> {
    /// For the order of scenes, and to find the one in the middle.
    pub(crate) fn rtt_ms(&self) -> f64 {
        self.conditions.rtt_ms
    }

    /// Whether nothing is published.
    pub(crate) fn idle(&self) -> bool {
        self.conditions.pattern == Pattern::Idle
    }

    /// Whether nothing unusual happens.
    pub(crate) fn steady(&self) -> bool {
        self.conditions.pattern == Pattern::Steady
    }

    /// All that is known of the conditions, for sentences.
    pub(crate) fn described(&self) -> String {
        let facts = self.conditions.facts();
        facts.into_iter().filter(|fact| !fact.usual).map(|fact| fact.text).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Conditions {
    pattern: Pattern,
    subscribers: usize,
    rate: f64,
    burst: usize,
    payload: usize,
    topics: usize,
    rtt_ms: f64,
    down_kbps: f64,
    up_kbps: f64,
}

struct Fact {
    text: String,
    /// Not worth a word unless another scene differs.
    usual: bool,
}

impl Conditions {
    fn of(cell: &Cell) -> Self {
        Self {
            pattern: cell.pattern,
            subscribers: cell.subscribers,
            rate: cell.rate,
            burst: cell.burst,
            payload: cell.payload_bytes,
            topics: cell.topics,
            rtt_ms: cell.rtt_ms,
            down_kbps: cell.down_kbps,
            up_kbps: cell.up_kbps,
        }
    }

    fn facts(&self) -> [Fact; 8] {
        let fact = |text: String, usual| Fact { text, usual };
        let limit = |kbps: f64| format!("{}\u{202f}Mbit/s", number(kbps / 1e3));
        let bandwidth = match (self.down_kbps, self.up_kbps) {
            (0.0, 0.0) => "unlimited bandwidth".into(),
            (down, 0.0) => format!("{} down", limit(down)),
            (0.0, up) => format!("{} up", limit(up)),
            (down, up) => format!("{} down, {} up", limit(down), limit(up)),
        };
        let idle = self.pattern == Pattern::Idle;
        [
            fact(pattern(self.pattern).into(), self.pattern == Pattern::Steady),
            fact(plural(self.subscribers, "subscriber"), false),
            fact(format!("{} events", rate(self.rate).text()), idle),
            fact(format!("{} at once", self.burst), self.burst <= 1),
            fact(format!("{} of data", bytes(self.payload as f64).text()), idle),
            fact(plural(self.topics, "topic"), self.topics <= 1),
            fact(format!("round trip {}", seconds(self.rtt_ms / 1e3).text()), false),
            fact(bandwidth, self.down_kbps == 0.0 && self.up_kbps == 0.0),
        ]
    }
}

/// What happens under a pattern of load, in a word or two.
pub(crate) fn pattern(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Steady => "steady",
        Pattern::Burst => "bursts",
        Pattern::Idle => "idle",
        Pattern::Storm => "reconnect storm",
        Pattern::Slow => "slow readers",
        Pattern::Churn => "connect churn",
    }
}

fn plural(count: usize, word: &str) -> String {
    let count_text = super::format::count(count as u64);
    if count == 1 { format!("{count_text} {word}") } else { format!("{count_text} {word}s") }
}

impl<'a> Scenes<'a> {
    /// Sorts the cells that are to be compared into scenes.
    pub(crate) fn of(results: &'a Results) -> Self {
        let server = results.manifest.servers.first().map(|server| server.name.as_str());
        let server = server.or(results.cells.first().map(|cell| cell.server.as_str())).unwrap_or_default();
        let compares = results.cells.iter().any(|cell| cell.purpose == Purpose::Compare);
        let mut groups: Vec<(Conditions, Vec<&Cell>)> = Vec::new();
        for cell in results.cells.iter().filter(|cell| cell.purpose == Purpose::Compare || !compares) {
            let conditions = Conditions::of(cell);
            match groups.iter_mut().find(|(known, _)| *known == conditions) {
                Some((_, cells)) => cells.push(cell),
                None => groups.push((conditions, vec![cell])),
            }
        }
        let varies: Vec<bool> = (0..8)
            .map(|index| {
                let text = |conditions: &Conditions| conditions.facts()[index].text.clone();
                groups.iter().any(|(conditions, _)| text(conditions) != text(&groups[0].0))
            })
            .collect();
        let common = groups.first().map(|(conditions, _)| {
            let facts = conditions.facts().into_iter().zip(&varies);
            facts.filter(|(fact, varies)| !**varies && !fact.usual).map(|(fact, _)| fact.text).collect::<Vec<_>>()
        });
        let scenes = groups.into_iter().map(|(conditions, cells)| scene(conditions, cells, server, &varies)).collect();
        Self { server, common: common.unwrap_or_default().join(", "), scenes }
    }

    /// The one that sentences are about: steady, the middle of the round-trip times.
    pub(crate) fn main(&self) -> Option<&Scene<'a>> {
        let mut steady: Vec<&Scene> = self.scenes.iter().filter(|scene| scene.steady()).collect();
        // Stable: of equal round-trip times the plan's first comes first.
        steady.sort_by(|a, b| a.rtt_ms().total_cmp(&b.rtt_ms()));
        let middle = steady.get(steady.len().saturating_sub(1) / 2).map(|scene| scene.rtt_ms())?;
        steady.into_iter().find(|scene| scene.rtt_ms() == middle)
    }
}

fn scene<'a>(conditions: Conditions, cells: Vec<&'a Cell>, server: &str, varies: &[bool]) -> Scene<'a> {
    let polls = cells.iter().filter(|cell| cell.server == server && cell.transport == Transport::Poll).count();
    let mut rivals: Vec<Entry> = cells.into_iter().map(|cell| Entry { cell, several: polls > 1 }).collect();
    rivals.sort_by(|a, b| {
        let interval = |entry: &Entry| entry.cell.poll_interval_s.unwrap_or(0.0);
        a.cell.transport.cmp(&b.cell.transport).then(interval(a).total_cmp(&interval(b)))
    });
    let entries = rivals.iter().copied().filter(|entry| entry.cell.server == server).collect();
    let facts = conditions.facts().into_iter().zip(varies);
    let mut title: Vec<String> = facts.filter(|(_, varies)| **varies).map(|(fact, _)| fact.text).collect();
    if title.is_empty() {
        title.push(conditions.facts()[6].text.clone());
    }
    let title = title.join(", ");
    Scene { title, entries, rivals, conditions }
}
