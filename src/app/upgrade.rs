//! From a request over HTTP/1.1 to a WebSocket (RFC 6455, 4.2).

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header},
    response::IntoResponse,
};
use bytes::BytesMut;
use hyper_util::rt::TokioIo;

use super::{App, Role, guard, subscribe};
use crate::{
    delivery::{
        duplex::{self, Peer, Subscriber, Times},
        feed::Feed,
        taken::Kind,
        takeover::{Entry, Leave, Leaving, MayLeave},
    },
    error::{Code, Problem},
    transport::{Transport, query::Query, websocket::Websocket},
    wsframe,
};

/// The subprotocol of subscribers; naming it is optional.
const SUBPROTOCOL: &str = "fanlight.v1";

/// `/v1/websocket`: a subscriber.
pub(super) async fn websocket(State(app): State<App>, request: Request) -> Response<Body> {
    let full = guard::full(&request);
    let subscriber = || full.and_then(|()| subscriber(&app, &request));
    let leave = subscriber().unwrap_or_else(|problem| duplex(&app, Peer::Refused(problem), times(&app)));
    switch(request, leave)
}

/// `/v1/echo`: what comes goes back.
pub(super) async fn echo(State(app): State<App>, request: Request) -> Response<Body> {
    let times = times(&app);
    let leave = match app.gateway.admit() {
        Ok(()) if may_be_taken(&request) => Leave::Taken(Entry {
            kind: Kind::Echo,
            reader: None,
            hello: String::new(),
            heartbeat: times.heartbeat,
            publishes: false,
            fresh: false,
            wait: None,
        }),
        Ok(()) => duplex(&app, Peer::Echo, times),
        Err(problem) => duplex(&app, Peer::Refused(problem), times),
    };
    switch(request, leave)
}

fn subscriber(app: &App, request: &Request) -> Result<Leave, Problem> {
    let config = app.gateway.config();
    let parts = [request.uri().query().unwrap_or_default(), ""];
    let presented = subscribe::presented(request.headers());
    let query = Query::parse(&Websocket, parts, presented.as_ref().map(HeaderValue::as_bytes), config)?;
    app.gateway.admit()?;
    let fresh = query.subscription.is_empty();
    let opened = app.gateway.bus().open(query.subscription, query.position);
    let (reader, hello) = opened.map_err(|ahead| subscribe::ahead(&ahead))?;
    let publishes = app.role == Role::Both;
    if may_be_taken(request) {
        return Ok(Leave::Taken(Entry {
            kind: Kind::Websocket,
            reader: Some(reader),
            hello,
            heartbeat: query.heartbeat,
            publishes,
            fresh,
            wait: None,
        }));
    }
    let subscriber = Subscriber {
        feed: Feed::new(app.hub.clone(), reader),
        hello,
        publisher: publishes.then(|| app.gateway.0.publisher.clone()),
        max_topics: config.max_topics,
        fresh,
    };
    let times = Times { heartbeat: query.heartbeat, ..times(app) };
    Ok(duplex(app, Peer::Subscriber(Box::new(subscriber)), times))
}

fn may_be_taken(request: &Request) -> bool {
    request.extensions().get().is_some_and(|may: &MayLeave| may.taken)
}

fn duplex(app: &App, peer: Peer, times: Times) -> Leave {
    Leave::Duplex { peer, times, max_message: app.gateway.max_message() }
}

fn times(app: &App) -> Times {
    Times { heartbeat: app.gateway.config().heartbeat, retry: app.gateway.config().retry }
}

/// Answers the handshake, and has the connection served once the answer is out.
fn switch(mut request: Request, leave: Leave) -> Response<Body> {
    let accept = match handshake(&request) {
        Ok(accept) => accept,
        Err(response) => return *response,
    };
    let subprotocol = list(request.headers(), "sec-websocket-protocol").any(|offered| offered == SUBPROTOCOL);
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    for (name, value) in Websocket.head() {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers.insert("sec-websocket-accept", accept);
    if subprotocol {
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    }
    match leave {
        // Another application's server: the connection is hyper's to give.
        Leave::Duplex { peer, times, max_message } if request.extensions().get::<MayLeave>().is_none() => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                // The client may be gone before it got our answer.
                if let Ok(upgraded) = upgrade.await {
                    let early = BytesMut::new();
                    duplex::serve(TokioIo::new(upgraded), early, peer, times, max_message).await;
                }
            });
        }
        leave => _ = response.extensions_mut().insert(Leaving::new(leave)),
    }
    response
}

/// The value that accepts a handshake.
fn handshake(request: &Request) -> Result<HeaderValue, Box<Response<Body>>> {
    let headers = request.headers();
    let named =
        |header: &str, token: &str| list(headers, header).any(|held| held.eq_ignore_ascii_case(token));
    if request.method() != Method::GET
        || request.version() != Version::HTTP_11
        || !named("upgrade", "websocket")
        || !named("connection", "upgrade")
    {
        let problem =
            Problem::new(Code::UpgradeRequired, "this path speaks WebSocket (RFC 6455) only").at("Upgrade");
        return Err(with(problem, header::UPGRADE.as_str(), "websocket"));
    }
    if headers.get("sec-websocket-version").is_none_or(|version| version != "13") {
        let problem = Problem::new(Code::UpgradeRequired, "only version 13 of WebSocket is spoken here");
        return Err(with(problem.at("Sec-WebSocket-Version"), "sec-websocket-version", "13"));
    }
    let key = headers.get("sec-websocket-key").and_then(|key| key.to_str().ok());
    match key.and_then(wsframe::accept_key) {
        Some(accept) => Ok(HeaderValue::try_from(accept).expect("base64 is visible ASCII")),
        None => {
            let detail = "it must be the base64 of 16 bytes (RFC 6455, 4.2.1)";
            Err(Box::new(Problem::invalid("Sec-WebSocket-Key", detail).into_response()))
        }
    }
}

fn with(problem: Problem, header: &'static str, value: &'static str) -> Box<Response<Body>> {
    let mut response = problem.into_response();
    response.headers_mut().insert(header, HeaderValue::from_static(value));
    Box::new(response)
}

/// The items of a header that is a list, over all its lines.
fn list<'a>(headers: &'a HeaderMap, header: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',').map(str::trim))
}
