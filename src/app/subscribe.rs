//! Subscribing over HTTP: from a request to an answer, or to one without an end.

use std::{future::ready, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header},
    response::IntoResponse,
};
use futures_util::{FutureExt as _, future::Either};

use super::{App, Role, answer, answer_budget, guard, request};
use crate::{
    bus::{
        log::Budget,
        reader::{Ahead, Batch, Position, Reader},
    },
    delivery::{
        feed::Feed,
        hosted::{self, Stream, spread},
        taken::Kind,
        takeover::{Entry, Leave, Leaving, MayLeave, Wait, Waits},
        told::{Tally, Told},
    },
    error::{Code, Problem},
    metrics::Path,
    transport::{Hold, Transport, control::Control, query::Query},
};

/// The shortest time-out that a hub keeps: its ticks are coarse.
const LEAST_TAKEN: Duration = Duration::from_secs(1);

/// Answers a request for events over `transport`. Not an async function: one that waits is to have no room for its
/// request.
pub(super) fn serve(
    transport: &'static dyn Transport,
    State(app): State<App>,
    request: Request,
) -> impl Future<Output = Response<Body>> + Send {
    let waits = request.extensions().get().map_or_else(Waits::default, Waits::clone);
    let answer = Box::pin(answer(transport, app.clone(), request));
    answer.then(move |answer| match answer {
        Ok(Answer::Now(response)) => Either::Left(ready(response)),
        Ok(Answer::Later(feed, budget, timeout)) => {
            let waiting = waits.begin();
            Either::Right(hosted::wait(feed, budget, timeout).map(move |(batch, goes)| {
                drop(waiting);
                let mut response = polled(transport, &batch, false);
                if goes {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }))
        }
        Err(problem) => Either::Left(ready(refuse(transport, &app, problem))),
    })
}

/// What a request gets.
enum Answer {
    /// An answer that may have no end.
    Now(Response<Body>),
    /// An answer once the feed has something, or the time is up.
    Later(Feed, Budget, Duration),
}

async fn answer(transport: &'static dyn Transport, app: App, request: Request) -> Result<Answer, Problem> {
    let (_, media_type) = transport.head()[0];
    request::accepts(request.headers(), media_type)?;
    let head_only = request.method() == Method::HEAD;
    let full = guard::full(&request);
    // A poll is over at once, so it is its connection's next ones that gain from leaving.
    let taken = request
        .extensions()
        .get()
        .is_some_and(|may: &MayLeave| may.taken && (transport.hold() != Hold::Not || may.again));
    let tally: Option<Tally> = request.extensions().get().cloned();
    let in_chunks = request.version() == Version::HTTP_11;
    let uri = request.uri().clone();
    let presented = presented(request.headers());
    let form = request::form(request, &app.gateway).await?;
    let parts = [uri.query().unwrap_or_default(), &form];
    let query =
        Query::parse(transport, parts, presented.as_ref().map(HeaderValue::as_bytes), app.gateway.config())?;
    if query.subscription.is_empty() {
        return Err(Problem::invalid("topic", "at least one topic or pattern is needed"));
    }
    full?;
    app.gateway.admit()?;
    if head_only {
        return describe(transport, &app, query).map(Answer::Now);
    }
    open(transport, &app, query, taken, in_chunks, tally)
}

fn open(
    transport: &'static dyn Transport,
    app: &App,
    query: Query,
    taken: bool,
    in_chunks: bool,
    tally: Option<Tally>,
) -> Result<Answer, Problem> {
    let config = app.gateway.config();
    let budget = answer_budget(query.limit);
    let waits = matches!(query.position, Position::After(_) | Position::Presented(_));
    let asks_for_events = query.position != Position::Now;
    let presented = matches!(query.position, Position::Presented(_));
    let opened = app.gateway.bus().open(query.subscription, query.position);
    let (reader, hello) = opened.map_err(|ahead| self::ahead(&ahead))?;
    let mut reader = bounded(reader, query.until)?;
    let path = if taken { Path::Taken } else { Path::Hosted };
    if waits && transport.hold() == Hold::ForGood {
        app.gateway.metrics().flows.of(transport.name(), path).resumes.inc();
    }
    let kind = Kind::of(transport.name()).filter(|_| taken);
    let entry = |kind, reader, hello, wait| Entry {
        kind,
        reader: Some(reader),
        hello,
        heartbeat: query.heartbeat,
        publishes: app.role == Role::Both,
        fresh: false,
        wait,
        offer: None,
    };
    let response = match (transport.hold(), kind) {
        (Hold::ForGood, Some(kind)) => leave(head(transport), entry(kind, reader, hello, None)),
        (Hold::Not | Hold::UntilSomething, Some(kind))
            if waits
                && query.until.is_none()
                && (transport.hold() == Hold::Not || query.timeout >= LEAST_TAKEN) =>
        {
            let wait = Wait { timeout: query.timeout, budget, cursor: hello.clone(), presented };
            let mut response = head(transport);
            // The hub fills it in.
            response.headers_mut().insert(answer::CURSOR, HeaderValue::from_static(""));
            leave(response, entry(kind, reader, hello, Some(wait)))
        }
        (Hold::ForGood, None) => {
            let feed = Feed::new(app.hub.clone(), reader, Some(transport)).counted(tally);
            let stream = Stream::new(transport, feed, &hello, query.heartbeat, config.retry, in_chunks);
            let mut response = with_body(transport, Body::new(stream));
            response.extensions_mut().insert(Told::Live);
            response
        }
        (Hold::UntilSomething, _) if waits => {
            let feed = Feed::new(app.hub.clone(), reader, Some(transport)).counted(tally);
            return Ok(Answer::Later(feed, budget, query.timeout));
        }
        (Hold::Not | Hold::UntilSomething, _) => {
            let batch = app.gateway.bus().read(&mut reader, budget);
            app.gateway.metrics().delivered(transport.name(), Path::Hosted, &batch, 1);
            if let Some(tally) = tally {
                tally.count(batch.events.len());
            }
            let tell = !asks_for_events || (transport.hold() == Hold::UntilSomething);
            polled(transport, &batch, tell)
        }
    };
    Ok(Answer::Now(response))
}

/// What a GET would be answered, at once: it waits for nothing and holds nothing.
fn describe(transport: &dyn Transport, app: &App, query: Query) -> Result<Response<Body>, Problem> {
    let waits = matches!(query.position, Position::After(_) | Position::Presented(_));
    let asks_for_events = query.position != Position::Now;
    let tell = !asks_for_events || (transport.hold() == Hold::UntilSomething && !waits);
    let opened = app.gateway.bus().open(query.subscription, query.position);
    let (reader, _) = opened.map_err(|ahead| self::ahead(&ahead))?;
    let mut reader = bounded(reader, query.until)?;
    if transport.hold() == Hold::ForGood {
        // A body of no known length, as that of the GET.
        let nothing = tokio_stream::empty::<Result<bytes::Bytes, std::convert::Infallible>>();
        return Ok(with_body(transport, Body::from_stream(nothing)));
    }
    let batch = app.gateway.bus().read(&mut reader, answer_budget(query.limit));
    Ok(polled(transport, &batch, tell))
}

/// The answer to a poll; one without anything to tell has no content, unless it was asked for the cursor.
fn polled(transport: &dyn Transport, batch: &Batch, tell: bool) -> Response<Body> {
    let mut response = if batch.is_empty() && !tell {
        let mut response = head(transport);
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let mut body = Vec::with_capacity(
            128 + batch.events.iter().map(|event| event.document().len() + 1).sum::<usize>(),
        );
        transport.batch(&mut body, batch);
        let told = Told::Whole(Box::new((transport.bill(batch, body.len()), batch.events.len())));
        let mut response = with_body(transport, body.into());
        response.extensions_mut().insert(told);
        response
    };
    let cursor = HeaderValue::try_from(batch.cursor.to_string()).expect("a cursor is visible ASCII");
    response.headers_mut().insert(answer::CURSOR, cursor);
    response
}

fn head(transport: &dyn Transport) -> Response<Body> {
    with_body(transport, Body::empty())
}

/// An answer that the connection leaves hyper with.
fn leave(mut response: Response<Body>, entry: Entry) -> Response<Body> {
    response.extensions_mut().insert(Leaving::new(Leave::Taken(entry)));
    response
}

fn with_body(transport: &dyn Transport, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    for (name, value) in transport.head() {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// An EventSource gives up for good on any answer but 200, so where trying again will help, it gets one
/// with the pause to make first.
fn refuse(transport: &dyn Transport, app: &App, problem: Problem) -> Response<Body> {
    let passes = matches!(problem.code, Code::TooManyRequests | Code::Unavailable);
    if transport.name() != "sse" || !passes {
        return problem.into_response();
    }
    let after = problem.retry_after.unwrap_or_else(|| spread(app.gateway.config().retry));
    let mut body = format!("retry: {}\n", after.as_millis()).into_bytes();
    transport.control(&mut body, &Control::Error(None, &problem));
    let mut response = with_body(transport, body.into());
    response.extensions_mut().insert(problem.code);
    response
}

/// What a client presents on its own account, if anything.
pub(super) fn presented(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get("last-event-id").cloned()
}

/// A position that the log has not reached.
pub(super) fn ahead(ahead: &Ahead) -> Problem {
    Problem::invalid("after", ahead.to_string())
}

fn bounded(reader: Reader, until: Option<crate::event::Cursor>) -> Result<Reader, Problem> {
    let Some(until) = until else { return Ok(reader) };
    let at = reader.cursor();
    if until.epoch != at.epoch {
        return Err(Problem::invalid("until", "it is a place in another log"));
    }
    if until.offset < at.offset {
        return Err(Problem::invalid("until", format!("it lies before {at}, where this would begin")));
    }
    Ok(reader.until(until.offset))
}
