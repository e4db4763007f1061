//! A realtime notification gateway: publish once, deliver over the transport each subscriber chose.

pub mod app;
pub mod bus;
pub mod config;
pub mod delivery;
pub mod error;
pub mod event;
pub mod fields;
pub mod page;
pub mod publish;
pub mod server;
pub mod topic;
pub mod transport;
pub mod wsframe;
