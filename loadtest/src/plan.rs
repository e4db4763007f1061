//! Plans: what to measure, as TOML, and the cells that come of it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    results::{Pattern, Purpose},
    wire::adapter::Adapter,
};

mod matrix;
mod ready_made;
mod values;

pub use matrix::{Matrix, Spec};
pub use ready_made::{comparison, rivals};
pub use values::{Allowed, OneOrMany, Time};

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the run is called.
    #[serde(default = "untitled")]
    pub title: String,
    /// Where random numbers begin.
    #[serde(default = "one")]
    pub seed: u64,
    /// How often the first cell is run for the noise floor, before anything else; 0 leaves it out.
    #[serde(default = "three")]
    pub noise: usize,
    /// What is measured, by name. Without any: `fanlight`, started for the purpose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, Server>,
    /// Matrices: all values of one are combined with each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Matrix>,
}

/// A server under test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it runs: `http://HOST[:PORT][/PATH]`. Without it, it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How to talk to it: `fanlight`, `nchan`, `socketio`, `ws`, `mercure`, `centrifugo`; else its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Further arguments for a gateway that is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Further fields of requests that publish: a token, for example. Their values stay out of results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub publish_headers: BTreeMap<String, String>,
    /// Templates, instead of an adapter that comes along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<Adapter>,
}

/// A floor is not known better for more runs of the same.
const MOST_NOISE: usize = 100;

fn untitled() -> String {
    "A plan".to_owned()
}

fn one() -> u64 {
    1
}

fn three() -> usize {
    3
}

impl Server {
    /// How to talk to it, its name in the plan being `name`.
    ///
    /// # Errors
    /// If there is no such adapter.
    pub fn adapter(&self, name: &str) -> Result<Adapter, String> {
        let mut adapter = match &self.templates {
            Some(templates) => templates.clone(),
            None => {
                let named = self.adapter.as_deref().unwrap_or(name);
                let known = Adapter::NAMES.join(", ");
                Adapter::named(named).ok_or_else(|| {
                    format!("server `{name}`: there is no adapter `{named}`: say one of {known}, or give templates")
                })?
            }
        };
        adapter.publish.headers.extend(self.publish_headers.clone());
        Ok(adapter)
    }
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plan: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if plan.cells.is_empty() {
            return Err("the plan has no [[cells]]".to_owned());
        }
        plan.specs()?;
        Ok(plan)
    }

    /// The plan as text.
    pub fn text(&self) -> String {
        toml::to_string(self).expect("a plan can be written")
    }

    /// The plan as text that may be shown to anybody: what publishes with a token is not to tell it.
    pub fn shown(&self) -> String {
        let mut plan = self.clone();
        let headers = plan.servers.values_mut().flat_map(|server| server.publish_headers.values_mut());
        headers.for_each(|value| "…".clone_into(value));
        plan.text()
    }

    /// The servers; `fanlight` if none is named.
    pub fn servers(&self) -> BTreeMap<String, Server> {
        if self.servers.is_empty() {
            [("fanlight".to_owned(), Server::default())].into()
        } else {
            self.servers.clone()
        }
    }

    /// All cells, in their order, and before them those for the noise floor.
    ///
    /// # Errors
    /// What does not make sense.
    pub fn specs(&self) -> Result<Vec<Spec>, String> {
        if self.noise > MOST_NOISE {
            return Err(format!("`noise` may be {MOST_NOISE} at most"));
        }
        let servers = self.servers();
        let mut specs: Vec<Spec> = Vec::new();
        for (n, matrix) in self.cells.iter().enumerate() {
            let at = |error: String| format!("[[cells]] number {}: {error}", n + 1);
            for spec in matrix.specs(&servers).map_err(at)? {
                // A value that makes no difference (the interval of what does not poll) makes no second cell.
                if !specs.iter().any(|held| held.id() == spec.id()) {
                    spec.load.check().map_err(at)?;
                    specs.push(spec);
                }
            }
        }
        let Some(first) = specs.iter().find(|spec| spec.load.pattern != Pattern::Idle).cloned() else {
            return Ok(specs);
        };
        let noise =
            (1..=self.noise).map(|n| Spec { purpose: Purpose::Noise, again: n, repeat: 1, ..first.clone() });
        let mut all: Vec<Spec> = noise.collect();
        all.extend(specs);
        Ok(all)
    }

    /// About how long it takes.
    ///
    /// # Errors
    /// What does not make sense.
    pub fn estimate(&self) -> Result<Duration, String> {
        Ok(self.specs()?.iter().map(|spec| spec.estimate() * spec.repeat as u32).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Transport;

    #[test]
    fn a_matrix_is_all_combinations() {
        let plan = Plan::parse(
            "noise = 2\n[[cells]]\ntransport = [\"poll\", \"sse\"]\nrate = [1, 2.5]\nrtt = \"40ms\"\n\
             poll_interval = [\"1s\", \"250ms\"]\ntime = \"3s\"\n",
        )
        .unwrap();
        let specs = plan.specs().unwrap();
        // Two for the noise; polls at two rates and intervals, streams at two rates.
        assert_eq!(specs.len(), 2 + 4 + 2);
        let ids: std::collections::BTreeSet<String> = specs.iter().map(Spec::id).collect();
        assert_eq!(ids.len(), specs.len(), "ids are unique");
        assert!(specs.iter().all(|spec| spec.load.rtt == Duration::from_millis(40)));
        assert_eq!(Plan::parse(&plan.text()).unwrap(), plan, "it is written as it is read");
    }

    #[test]
    fn a_token_is_not_shown() {
        let text = "[servers.mercure]\nurl = \"http://h\"\npublish_headers = { Authorization = \"Bearer abc\" }\n\
                    [[cells]]\ntransport = \"sse\"\n";
        let plan = Plan::parse(text).unwrap();
        assert!(plan.text().contains("Bearer abc"), "{}", plan.text());
        let shown = plan.shown();
        assert!(shown.contains("Authorization") && !shown.contains("abc"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("", "no [[cells]]"),
            ("[[cells]]\ntransport = \"pigeon\"\n", "pigeon"),
            ("[[cells]]\nrate = -1\n", "`rate`"),
            ("[[cells]]\nserver = \"nowhere\"\n", "`nowhere`"),
            ("[servers.x]\n[[cells]]\n", "no adapter `x`"),
            ("[servers.ws]\n[[cells]]\ntransport = \"sse\"\n", "has no `sse`"),
            ("[[cells]]\nspeed = 3\n", "speed"),
            ("[[cells]]\nrepeat = 0\n", "`repeat` has to be between 1 and 1000"),
            ("[[cells]]\nrepeat = 4294967296\n", "`repeat` has to be between 1 and 1000"),
            ("noise = 99999999999\n[[cells]]\n", "`noise` may be 100 at most"),
            ("[[cells]]\nsubscribers = 99999999999\n", "`subscribers` may be 1000000 at most"),
            ("[[cells]]\nburst = 99999999999\n", "`burst` may be 1000000 at most"),
            ("[[cells]]\npoll_interval = \"500000000years\"\n", "`poll_interval` may be a day at most"),
            ("[[cells]]\nrtt = \"500000000years\"\n", "`rtt` may be a day at most"),
            ("[[cells]]\nwarm_up = \"500000000years\"\n", "`warm_up` may be a day at most"),
        ] {
            let error = Plan::parse(text).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_plans_that_come_along_make_sense() {
        let plan = comparison();
        let seconds = plan.estimate().unwrap().as_secs();
        assert!((45..100).contains(&seconds), "the comparison takes {seconds} s");
        let specs = plan.specs().unwrap();
        for transport in Transport::ALL {
            for rtt in [0, 40, 200] {
                let held = specs.iter().any(|spec| {
                    spec.load.transport == transport
                        && spec.load.rtt == Duration::from_millis(rtt)
                        && spec.purpose == Purpose::Compare
                });
                assert!(held, "{transport:?} at {rtt} ms");
            }
            for purpose in [Purpose::Fit, Purpose::Check] {
                assert!(specs.iter().any(|spec| spec.load.transport == transport && spec.purpose == purpose));
            }
        }
        assert!(rivals(&["nchan"]).specs().unwrap().len() > 3);
    }
}
