//! Statistics: histograms, intervals, and when two figures differ.

pub mod histogram;
pub mod interval;

pub use histogram::Latencies;
