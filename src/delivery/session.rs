//! What a WebSocket client asks for on its live connection, carried out: the same on both paths.

use std::time::SystemTime;

use serde_json::value::RawValue;

use super::feed::Feed;
use crate::{
    bus::{
        idempotency::Key,
        reader::{Ahead, Position},
    },
    error::{Code, Problem},
    event::Cursor,
    metrics::Metrics,
    publish::{Content, Publisher, checked_key},
    topic::{Pattern, Subscription},
    transport::{
        Transport,
        control::{Control, Done},
        op::{self, Op},
        websocket::Websocket,
    },
};

/// A subscriber's place in the log, whichever path it is delivered by.
pub(super) trait Seat {
    /// What it listens to.
    fn subscription(&self) -> &Subscription;
    /// The place that it has reached.
    fn cursor(&self) -> Cursor;
    /// Adds topics, which join at its place.
    fn subscribe(&mut self, patterns: Vec<Pattern>);
    /// Takes topics out.
    fn unsubscribe(&mut self, patterns: &[Pattern]);
    /// Begins anew, with another subscription at another place.
    ///
    /// # Errors
    /// [`Ahead`] for a place that the log has not reached; everything is then as it was.
    fn restart(&mut self, subscription: Subscription, position: Position) -> Result<(), Ahead>;
}

impl Seat for Feed {
    fn subscription(&self) -> &Subscription {
        self.subscription()
    }

    fn cursor(&self) -> Cursor {
        self.cursor()
    }

    fn subscribe(&mut self, patterns: Vec<Pattern>) {
        self.subscribe(patterns);
    }

    fn unsubscribe(&mut self, patterns: &[Pattern]) {
        self.unsubscribe(patterns);
    }

    fn restart(&mut self, subscription: Subscription, position: Position) -> Result<(), Ahead> {
        self.restart(subscription, position)
    }
}

/// What a subscriber may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights<'a> {
    /// What carries out its publishes, if it may.
    pub(super) publisher: Option<&'a Publisher>,
    /// The most topics it may have.
    pub(super) max_topics: usize,
    /// Where it is counted what was refused.
    pub(super) metrics: &'a Metrics,
}

/// Carries out the operation in a text message, and answers it; how many bytes of data it published, if it did.
/// `fresh` says whether the connection's first
/// subscription is still to come, and may say where to begin.
pub(super) fn operate(
    text: &str,
    seat: &mut impl Seat,
    rights: Rights<'_>,
    fresh: &mut bool,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let (reference, op) = op::parse(text);
    let data = match &op {
        Ok(Op::Publish { data, .. }) => Some(data.get().len()),
        _ => None,
    };
    match op.and_then(|op| carry_out(op, seat, rights, fresh)) {
        Ok(done) => {
            Websocket.control(out, &Control::Ack(reference, done));
            data
        }
        Err(problem) => {
            rights.metrics.refused(problem.code);
            refuse(out, reference, &problem);
            None
        }
    }
}

fn carry_out(
    op: Op<'_>,
    seat: &mut impl Seat,
    rights: Rights<'_>,
    fresh: &mut bool,
) -> Result<Done, Problem> {
    match op {
        Op::Subscribe { patterns, position } => {
            subscribe(patterns, position, seat, rights.max_topics, *fresh)?;
            *fresh = false;
            Ok(Done::At(seat.cursor()))
        }
        Op::Unsubscribe { patterns } => {
            if let Some(unknown) = patterns.iter().find(|held| !seat.subscription().contains(held)) {
                let detail = format!("{:?} is not subscribed to", unknown.as_str());
                return Err(Problem::invalid("topic", detail));
            }
            seat.unsubscribe(&patterns);
            Ok(Done::At(seat.cursor()))
        }
        Op::Publish { topic, kind, data, key } => {
            let publisher = rights.publisher.ok_or_else(|| {
                Problem::new(Code::NotAllowed, "publishing is not taken on this address").at("op")
            })?;
            let data = data.get().as_bytes();
            let draft = publisher.draft(&topic, kind.as_deref(), Content::Json(data)).map_err(in_op)?;
            let kind = kind.as_deref().unwrap_or_default().as_bytes();
            let key = match &key {
                Some(key) => Some(Key::new(&topic, checked_key(key, "key")?, [JSON, kind, data])),
                None => None,
            };
            Ok(Done::Published(publisher.publish(vec![draft], key).map_err(in_op)?[0]))
        }
        Op::Clock => Ok(Done::Clock(SystemTime::now())),
    }
}

fn subscribe(
    patterns: Vec<Pattern>,
    position: Option<Position>,
    seat: &mut impl Seat,
    max_topics: usize,
    fresh: bool,
) -> Result<(), Problem> {
    let mut after = seat.subscription().clone();
    for pattern in &patterns {
        after.insert(pattern.clone());
    }
    if after.len() > max_topics {
        return Err(Problem::invalid("topic", format!("more than {max_topics} topics and patterns")));
    }
    match position {
        None => seat.subscribe(patterns),
        Some(position) if fresh => {
            let restarted = seat.restart(after, position);
            restarted.map_err(|ahead| Problem::invalid("after", ahead.to_string()))?;
        }
        Some(position) => {
            let field = if matches!(position, Position::Last(_)) { "last" } else { "after" };
            let detail = "only the first subscription of a connection may say where to begin";
            return Err(Problem::invalid(field, detail));
        }
    }
    Ok(())
}

/// The media type of what an operation publishes, for its idempotency key.
const JSON: &[u8] = b"application/json";

fn refuse(out: &mut Vec<u8>, reference: Option<&RawValue>, problem: &Problem) {
    Websocket.control(out, &Control::Error(reference, problem));
}

/// A problem with a header is, in an operation, one with the key of that meaning; one with the body, with the
/// data.
fn in_op(problem: Problem) -> Problem {
    match problem.field.as_deref() {
        Some("Idempotency-Key") => problem.at("key"),
        Some("body") => problem.at("data"),
        _ => problem,
    }
}
