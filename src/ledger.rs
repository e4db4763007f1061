//! The ledger: what every byte on a connection was for.
//!
//! - [`bill`]: bytes by what they were for
//! - [`account`]: what a client's requests came to, by transport
//! - [`book`]: where it is all written down: sums by transport, and the accounts of those who asked for one
//! - [`meter`]: what a connection carries of it, and what the kernel says of its segments
//! - [`scan`]: heads, chunks and bodies told apart in the bytes of HTTP/1.1
//!
//! A byte is booked once it has really left, or was really understood, to the request that it served. What
//! many connections are sent is classified once, when it is encoded; a delivery then only adds.

pub mod account;
pub mod bill;
pub mod book;
pub mod meter;
pub mod scan;
mod tcp;

pub use self::{
    account::{Client, is_id},
    bill::{Bill, Direction, Owed, Purpose, Via},
    book::{Ledger, Sums},
    meter::{Meter, Payer},
};
