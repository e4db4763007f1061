//! Controls: what the gateway says in a stream on its own account. A client skips those it does not know.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use serde_json::value::RawValue;

use crate::{
    bus::reader::Gap,
    error::Problem,
    event::{Cursor, quote},
};

/// One control.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// The first message: where the subscription stands.
    Hello(&'a str),
    /// A heartbeat, with where the subscription stands.
    Cursor(Cursor),
    /// A hole.
    Gap(&'a Gap),
    /// This connection ends; another is welcome after a while.
    Reconnect(Duration),
    /// An operation was carried out.
    Ack(Option<&'a RawValue>, Done),
    /// An operation, or the connection, was refused.
    Error(Option<&'a RawValue>, &'a Problem),
}

/// What an operation came to.
#[derive(Clone, Copy, Debug)]
pub enum Done {
    /// The subscription changed, at this place.
    At(Cursor),
    /// The event was published, as this one.
    Published(Cursor),
    /// This is the time of day.
    Clock(SystemTime),
}

impl Control<'_> {
    /// Appends the control as one JSON object without a line break.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(cursor) => {
                put(out, format_args!("{{\"control\":\"hello\",\"cursor\":"));
                quote(out, cursor);
            }
            Self::Cursor(cursor) => {
                put(out, format_args!("{{\"control\":\"cursor\",\"cursor\":\"{cursor}\""));
            }
            Self::Gap(gap) => {
                put(out, format_args!("{{\"control\":\"gap\","));
                gap_members(out, gap);
            }
            Self::Reconnect(after) => {
                put(out, format_args!("{{\"control\":\"reconnect\",\"after_ms\":{}", after.as_millis()));
            }
            Self::Ack(reference, done) => {
                put(out, format_args!("{{\"control\":\"ack\""));
                put_reference(out, *reference);
                match done {
                    Done::At(cursor) => put(out, format_args!(",\"cursor\":\"{cursor}\"")),
                    Done::Published(id) => put(out, format_args!(",\"id\":\"{id}\"")),
                    Done::Clock(time) => {
                        let time = humantime::format_rfc3339_micros(*time);
                        put(out, format_args!(",\"time\":\"{time}\""));
                    }
                }
            }
            Self::Error(reference, problem) => {
                put(out, format_args!("{{\"control\":\"error\""));
                put_reference(out, *reference);
                out.push(b',');
                problem.members(out);
            }
        }
        out.push(b'}');
    }
}

/// Appends a gap's members, without the braces around them.
pub fn gap_members(out: &mut Vec<u8>, gap: &Gap) {
    out.extend_from_slice(b"\"from\":");
    quote(out, &gap.from);
    put(out, format_args!(",\"to\":\"{}\",\"reason\":\"{}\"", gap.to, gap.reason.as_str()));
}

/// Appends formatted text.
pub fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every byte");
}

fn put_reference(out: &mut Vec<u8>, reference: Option<&RawValue>) {
    if let Some(reference) = reference {
        put(out, format_args!(",\"ref\":{reference}"));
    }
}
