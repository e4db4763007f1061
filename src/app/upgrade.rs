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
    },
    error::{Code, Problem},
    transport::{Transport, query::Query, websocket::Websocket},
    wsframe,
};

/// The subprotocol of subscribers; naming it is optional.
const SUBPROTOCOL: &str = "fanlight.v1";
/// What an operation may add to the event that it publishes, in bytes.
const OPERATION: usize = 4 << 10;

/// `/v1/websocket`: a subscriber.
pub(super) async fn websocket(State(app): State<App>, request: Request) -> Response<Body> {
    let full = guard::full(&request);
    let subscriber = || full.and_then(|()| subscriber(&app, &request));
    let (peer, times) = subscriber().unwrap_or_else(|problem| (Peer::Refused(problem), times(&app)));
    switch(&app, request, peer, times)
}

/// `/v1/echo`: what comes goes back.
pub(super) async fn echo(State(app): State<App>, request: Request) -> Response<Body> {
    let peer = app.gateway.admit().map_or_else(Peer::Refused, |()| Peer::Echo);
    let times = times(&app);
    switch(&app, request, peer, times)
}

fn subscriber(app: &App, request: &Request) -> Result<(Peer, Times), Problem> {
    let config = app.gateway.config();
    let parts = [request.uri().query().unwrap_or_default(), ""];
    let presented = subscribe::presented(request.headers());
    let query = Query::parse(&Websocket, parts, presented.as_ref().map(HeaderValue::as_bytes), config)?;
    app.gateway.admit()?;
    let fresh = query.subscription.is_empty();
    let opened = app.gateway.bus().open(query.subscription, query.position);
    let (reader, hello) = opened.map_err(|ahead| subscribe::ahead(&ahead))?;
    let publisher = (app.role == Role::Both).then(|| app.gateway.0.publisher.clone());
    let subscriber = Subscriber {
        feed: Feed::new(app.hub.clone(), reader),
        hello,
        publisher,
        max_topics: config.max_topics,
        fresh,
    };
    let times = Times { heartbeat: query.heartbeat, ..times(app) };
    Ok((Peer::Subscriber(Box::new(subscriber)), times))
}

fn times(app: &App) -> Times {
    Times { heartbeat: app.gateway.config().heartbeat, retry: app.gateway.config().retry }
}

/// Answers the handshake, and serves the connection once the answer is out.
fn switch(app: &App, mut request: Request, peer: Peer, times: Times) -> Response<Body> {
    let accept = match handshake(&request) {
        Ok(accept) => accept,
        Err(response) => return *response,
    };
    let subprotocol = list(request.headers(), "sec-websocket-protocol").any(|offered| offered == SUBPROTOCOL);
    let upgrade = hyper::upgrade::on(&mut request);
    let max_message = app.gateway.config().max_event.as_u64() as usize + OPERATION;
    tokio::spawn(async move {
        // The client may be gone before it got our answer.
        if let Ok(upgraded) = upgrade.await {
            duplex::serve(TokioIo::new(upgraded), BytesMut::new(), peer, times, max_message).await;
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    for (name, value) in Websocket.head() {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers.insert("sec-websocket-accept", accept);
    if subprotocol {
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
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
