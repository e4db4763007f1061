//! A realtime notification gateway: publish once, deliver over the transport each subscriber chose.

pub mod config;
pub mod page;
