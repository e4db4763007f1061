//! Measures what each realtime transport costs: latency, processor, memory and bytes, by what can be seen on the wire
//! and from outside the server.
//!
//! # Layout
//!
//! - [`results`]: the document that a run writes. Everything else makes one, or renders one.
//! - [`wire`]: templates of requests, the answers' framing, the marks in events.
//! - [`engine`]: the generator: one thread, any number of subscribers, an open-loop schedule.
//! - [`report`]: renders it as HTML.
//! - [`stats`]: histograms, intervals, and when two figures differ.

pub mod account;
pub mod cli;
pub mod clock;
pub mod cores;
pub mod engine;
pub mod http;
pub mod interrupt;
pub mod ledger;
pub mod manifest;
pub mod plan;
pub mod police;
pub mod progress;
pub mod relay;
pub mod report;
pub mod results;
pub mod run;
#[doc(hidden)]
pub mod sample;
pub mod server;
pub mod stats;
pub mod table;
pub mod watch;
pub mod wire;

/// The schema of the results document, as JSON.
pub fn schema() -> String {
    let schema = schemars::schema_for!(results::Results);
    serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_in_the_tree_is_that_of_the_types() {
        let held = include_str!("../schema/results.schema.json");
        let command = "cargo run -p loadtest -- schema > loadtest/schema/results.schema.json";
        assert!(held == super::schema(), "write it: {command}");
    }
}
