//! Cells that were measured under the same conditions, to be shown side by side.

use crate::{
    report::format::{Figure, bytes, number, rate, seconds},
    results::{Cell, Pattern, Purpose, Results, Transport},
};

/// All comparisons of a run.
#[derive(Debug)]
pub(crate) struct Scenes<'a> {
    /// The server that the report is about; the others are its rivals.
    pub(crate) server: &'a str,
    /// What is the same in all scenes of the run's usual pattern, in words.
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
        self.cell.poll_interval_s.map(|interval| seconds(interval).plain().text())
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
        let told = facts
            .into_iter()
            .filter(|fact| !fact.usual)
            .map(|fact| fact.text.replace("round trip ", "a round trip of "));
        super::format::list(&told.collect::<Vec<_>>())
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
        let limit = |kbps: f64| {
            format!("{}\u{202f}Mbit/s", Figure { number: number(kbps / 1e3), unit: "" }.plain().number)
        };
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
            fact(events(self.rate), idle),
            fact(format!("{} at once", self.burst), self.burst <= 1),
            fact(format!("{} of data", bytes(self.payload as f64).plain().text()), idle),
            fact(plural(self.topics, "topic"), self.topics <= 1),
            fact(format!("round trip {}", seconds(self.rtt_ms / 1e3).plain().text()), false),
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

/// `10 events/s`.
fn events(per_second: f64) -> String {
    let Figure { number, unit } = rate(per_second).plain();
    if number == "1" { format!("1 event{unit}") } else { format!("{number} events{unit}") }
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
        // What varies is asked among scenes of one pattern of load: an idle run has other numbers by its nature.
        let varies = |pattern: Pattern| -> Vec<bool> {
            let alike: Vec<_> = groups
                .iter()
                .filter(|(conditions, _)| conditions.pattern == pattern)
                .map(|(c, _)| c.facts())
                .collect();
            (0..8).map(|fact| alike.iter().any(|facts| facts[fact].text != alike[0][fact].text)).collect()
        };
        let first = groups.first().map(|(conditions, _)| (conditions.facts(), varies(conditions.pattern)));
        let common = first.map(|(facts, varies)| {
            let same = facts.into_iter().zip(varies).filter(|(fact, varies)| !varies && !fact.usual);
            same.map(|(fact, _)| fact.text).collect::<Vec<_>>().join(", ")
        });
        let usual = groups.first().map(|(conditions, _)| conditions.pattern);
        let titles = groups.iter().map(|(conditions, _)| {
            let pattern = conditions.pattern;
            let known: Vec<_> = groups
                .iter()
                .filter(|(other, _)| Some(other.pattern) == usual)
                .map(|(c, _)| c.facts())
                .collect();
            title(conditions, if Some(pattern) == usual { &[] } else { &known }, &varies(pattern))
        });
        let titles: Vec<String> = titles.collect();
        let scenes = groups
            .into_iter()
            .zip(titles)
            .map(|((conditions, cells), title)| scene(conditions, title, cells, server));
        Self { server, common: common.unwrap_or_default(), scenes: scenes.collect() }
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

/// What is particular to a scene: what varies among those of its pattern and, if that is not the run's usual one, what
/// no usual scene has.
fn title(conditions: &Conditions, usual: &[[Fact; 8]], varies: &[bool]) -> String {
    let facts = conditions.facts();
    let unknown = |index: usize| usual.iter().all(|known| known[index].text != facts[index].text);
    let told = |index: usize| varies[index] || (!usual.is_empty() && unknown(index) && !facts[index].usual);
    let mut said: Vec<&str> =
        (0..facts.len()).filter(|index| told(*index)).map(|index| facts[index].text.as_str()).collect();
    if said.is_empty() {
        said.push(&facts[6].text);
    }
    said.join(", ")
}

fn scene<'a>(conditions: Conditions, title: String, cells: Vec<&'a Cell>, server: &str) -> Scene<'a> {
    let polls =
        cells.iter().filter(|cell| cell.server == server && cell.transport == Transport::Poll).count();
    let mut rivals: Vec<Entry> = cells.into_iter().map(|cell| Entry { cell, several: polls > 1 }).collect();
    rivals.sort_by(|a, b| {
        let interval = |entry: &Entry| entry.cell.poll_interval_s.unwrap_or(0.0);
        a.cell.transport.cmp(&b.cell.transport).then(interval(a).total_cmp(&interval(b)))
    });
    let entries = rivals.iter().copied().filter(|entry| entry.cell.server == server).collect();
    Scene { title, entries, rivals, conditions }
}
