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
    bus::reader::Position,
    delivery::{
        duplex::{self, Messages, Peer, Subscriber, Times},
        feed::Feed,
        taken::Kind,
        takeover::{Entry, Leave, Leaving, MayLeave},
    },
    error::{Code, Problem},
    metrics::Path,
    topic::Subscription,
    transport::{Transport, query::Query, websocket::Websocket},
    wsframe::{
        self,
        deflate::{self, Params},
    },
};

/// The subprotocol of subscribers; naming it is optional.
const SUBPROTOCOL: &str = "fanlight.v1";

/// `/v1/websocket`: a subscriber.
pub(super) async fn websocket(State(app): State<App>, request: Request) -> Response<Body> {
    let full = guard::full(&request);
    let deflate = app.gateway.config().websocket_compression.then(|| negotiated(&request)).flatten();
    let subscriber = || full.and_then(|()| subscriber(&app, &request, deflate.is_none()));
    let goes = subscriber().unwrap_or_else(|problem| Goes::Stays(Peer::Refused(problem), times(&app)));
    switch(&app, request, goes, deflate)
}

/// `/v1/echo`: what comes goes back.
pub(super) async fn echo(State(app): State<App>, request: Request) -> Response<Body> {
    let times = times(&app);
    let deflate = negotiated(&request);
    let goes = match app.gateway.admit() {
        Ok(()) if deflate.is_none() && may_be_taken(&request) => Goes::Taken(Entry {
            kind: Kind::Echo,
            reader: None,
            hello: String::new(),
            heartbeat: times.heartbeat,
            publishes: false,
            fresh: false,
            wait: None,
            offer: None,
        }),
        Ok(()) => {
            let nothing = app.gateway.bus().open(Subscription::default(), Position::Now);
            let (reader, _) = nothing.expect("now is never ahead");
            Goes::Stays(Peer::Echo(Feed::new(app.hub.clone(), reader, None)), times)
        }
        Err(problem) => Goes::Stays(Peer::Refused(problem), times),
    };
    switch(&app, request, goes, deflate)
}

/// Where a WebSocket goes.
enum Goes {
    Taken(Entry),
    Stays(Peer, Times),
}

fn subscriber(app: &App, request: &Request, plain: bool) -> Result<Goes, Problem> {
    let config = app.gateway.config();
    let parts = [request.uri().query().unwrap_or_default(), ""];
    let presented = subscribe::presented(request.headers());
    let query = Query::parse(&Websocket, parts, presented.as_ref().map(HeaderValue::as_bytes), config)?;
    app.gateway.admit()?;
    let fresh = query.subscription.is_empty();
    let taken = plain && may_be_taken(request);
    if matches!(query.position, Position::After(_) | Position::Presented(_)) {
        let path = if taken { Path::Taken } else { Path::Hosted };
        app.gateway.metrics().flows.of(Websocket.name(), path).resumes.inc();
    }
    let opened = app.gateway.bus().open(query.subscription, query.position);
    let (reader, hello) = opened.map_err(|ahead| subscribe::ahead(&ahead))?;
    let publishes = app.role == Role::Both;
    if taken {
        return Ok(Goes::Taken(Entry {
            kind: Kind::Websocket,
            reader: Some(reader),
            hello,
            heartbeat: query.heartbeat,
            publishes,
            fresh,
            wait: None,
            offer: None,
        }));
    }
    let subscriber = Subscriber {
        feed: Feed::new(app.hub.clone(), reader, Some(&Websocket)),
        hello,
        publisher: publishes.then(|| app.gateway.0.publisher.clone()),
        max_topics: config.max_topics,
        fresh,
    };
    let times = Times { heartbeat: query.heartbeat, ..times(app) };
    Ok(Goes::Stays(Peer::Subscriber(Box::new(subscriber)), times))
}

fn may_be_taken(request: &Request) -> bool {
    request.extensions().get().is_some_and(|may: &MayLeave| may.taken)
}

/// The compression that the client offers and we can meet, and how the answer says so.
fn negotiated(request: &Request) -> Option<(Params, String)> {
    let lines = request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS).into_iter();
    deflate::negotiate(lines.filter_map(|line| line.to_str().ok()), false)
}

fn times(app: &App) -> Times {
    Times { heartbeat: app.gateway.config().heartbeat, retry: app.gateway.config().retry }
}

/// Answers the handshake, and has the connection served once the answer is out.
fn switch(app: &App, mut request: Request, goes: Goes, deflate: Option<(Params, String)>) -> Response<Body> {
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
    let deflate = deflate.map(|(params, answer)| {
        let answer = HeaderValue::try_from(answer).expect("an extension is visible ASCII");
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, answer);
        params
    });
    let messages = Messages { max: app.gateway.max_message(), deflate };
    if let Goes::Stays(Peer::Refused(problem), _) = &goes {
        response.extensions_mut().insert(problem.code);
    }
    match goes {
        Goes::Taken(entry) => _ = response.extensions_mut().insert(Leaving::new(Leave::Taken(entry))),
        Goes::Stays(peer, times) if request.extensions().get::<MayLeave>().is_some() => {
            let leave = Leave::Duplex { peer, times, messages };
            response.extensions_mut().insert(Leaving::new(leave));
        }
        // Another application's server: the connection is hyper's to give.
        Goes::Stays(peer, times) => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                // The client may be gone before it got our answer.
                if let Ok(upgraded) = upgrade.await {
                    let early = BytesMut::new();
                    duplex::serve(TokioIo::new(upgraded), early, peer, times, messages).await;
                }
            });
        }
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
    // RFC 9110, 15.5.22 and 7.8.
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    Box::new(response)
}

/// The items of a header that is a list, over all its lines.
fn list<'a>(headers: &'a HeaderMap, header: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',').map(str::trim))
}
