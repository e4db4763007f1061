//! A realtime notification gateway: publish once, deliver over the transport each subscriber chose.

pub mod bus;
pub mod config;
pub mod event;
pub mod topic;
