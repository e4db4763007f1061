//! Delivery: the only code that moves bytes from the bus to sockets.
//!
//! There are two paths, and one contract:
//! - *hosted*: hyper keeps the connection. [`hosted`] drives feeds through the bodies of HTTP answers, and
//!   [`duplex`] through WebSockets; a [`hub`] is told by the bus that there is more, finds whose topics it
//!   concerns and wakes them; a [`feed`] is one subscriber's place in the log together with that wake-up; a
//!   `silence` that lasts is broken by a heartbeat.
//! - *taken*: the socket leaves hyper once its request is read ([`takeover`]), and is then a small record among
//!   those of its core ([`taken`]).
//!
//! `session` carries out what a WebSocket client asks for, on both; [`connections`] counts who is there, and [`census`] who
//! listens to what.

pub(crate) mod audit;
pub mod census;
mod compression;
pub mod connections;
pub mod duplex;
pub mod feed;
pub mod hosted;
pub mod hub;
#[cfg(all(test, feature = "shuttle"))]
mod model;
mod session;
mod silence;
pub mod taken;
pub mod takeover;
pub mod told;
