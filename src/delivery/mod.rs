//! Delivery: the only code that moves bytes from the bus to sockets.
//!
//! A [`hub`] is told by the bus that there is more, finds whose topics it concerns and wakes them; a
//! [`feed`] is one subscriber's place in the log together with that wake-up. [`hosted`] drives feeds
//! through HTTP bodies, and [`duplex`] through WebSockets.

pub mod duplex;
pub mod feed;
pub mod hosted;
pub mod hub;
