//! The load test measured: does it see what happens, and does it say when it cannot?
//!
//! - `honest`: a stall of the server, a throttled generator, runs of the same thing, a handicap.
//! - `whole`: the command from its arguments to its files; patterns, rivals' framing, a server that runs already.
//! - `centrifugo`: its template against a stand-in.
//! - `support`: a gateway, the command as a child, and what it wrote.

mod centrifugo;
mod honest;
mod support;
mod whole;
