//! Statistics: histograms, intervals, and when two figures differ.

pub mod histogram;

pub use histogram::Latencies;
