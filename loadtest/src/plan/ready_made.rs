//! The plans that come with the load test.

use super::{Plan, Server};

/// What runs without an argument.
pub fn comparison() -> Plan {
    toml::from_str(include_str!("../../plans/comparison.toml"))
        .expect("the plan that comes along can be read")
}

/// The gateway against those rivals.
pub fn rivals(names: &[&str]) -> Plan {
    let mut plan: Plan = toml::from_str(include_str!("../../plans/rivals.toml"))
        .expect("the plan that comes along can be read");
    plan.servers =
        ["fanlight"].iter().chain(names).map(|name| ((*name).to_owned(), Server::default())).collect();
    plan
}
