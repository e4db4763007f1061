//! A realtime notification gateway: publish once, deliver over the transport each subscriber chose.

pub mod bus;
pub mod config;
pub mod delivery;
pub mod error;
pub mod event;
pub mod publish;
pub mod topic;
pub mod transport;
pub mod wsframe;
