//! What stands before every endpoint: who may ask, and how much a head may hold.
//!
//! Tokens are checked here too once there are any: this is the one place where a request becomes one of
//! somebody.

use std::{future::ready, net::IpAddr, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, request::Parts,
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt as _, future::Either};
use http_body::Body as _;
use tower_http::cors::{AllowOrigin, CorsLayer, Vary};

use super::{App, Gateway, answer};
use crate::{
    config::Config,
    delivery::hosted::spread,
    error::{Code, Problem},
};

/// The longest request target, in bytes.
const MAX_TARGET: usize = 8 << 10;
/// How long a browser may remember what it was allowed (Chromium remembers no longer).
const PREFLIGHT_AGE: Duration = Duration::from_secs(7200);

/// Which pages may read a request's times and its protocol (Resource Timing, 4.5.1).
const TIMING: HeaderName = HeaderName::from_static("timing-allow-origin");

/// What a request carries that came on a connection too many: all it gets is a reason.
#[derive(Clone, Copy, Debug)]
pub struct Crowded(pub Code);

/// What a request carries that came over a line of the lab.
#[derive(Clone, Copy, Debug)]
pub struct OnLine;

/// Lets a request through, or says why not.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let from_page = request.headers().contains_key(header::ORIGIN);
    let on_line = request.extensions().get().is_some_and(|OnLine| true);
    let mut response = passed(&app, request, |request| next.run(request)).await;
    if on_line
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
        && let Some(origin) = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned()
    {
        // A page that compares transports may read what the browser measured, and over which HTTP.
        response.headers_mut().insert(TIMING, origin);
    }
    if !from_page {
        // They are for browsers; to everyone else they are only bytes.
        response.headers_mut().remove(header::VARY);
        response.headers_mut().remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    }
    response
}

/// The same, for a request that no page made. Not an async function: one would keep room for the request as long as
/// its answer waits.
pub(super) fn passed<F: Future<Output = Response>, A: FnOnce(Request) -> F>(
    app: &App,
    request: Request,
    answer: A,
) -> impl Future<Output = Response> + use<F, A> {
    // The first two have a refusal of their own; who looks after the gateway needs the others then most.
    let own_refusal = ["/v1/sse", "/v1/websocket", "/healthz", "/readyz", "/metrics"];
    let checked = check_head(&request, app.gateway.config())
        .and_then(|()| check_source(&request, &app.gateway))
        .and_then(|()| if own_refusal.contains(&request.uri().path()) { Ok(()) } else { full(&request) });
    let crowded = request.extensions().get::<Crowded>().is_some();
    let metrics = app.gateway.metrics().clone();
    let answered = match checked {
        Ok(()) => Either::Left(answer(request)),
        Err(problem) => Either::Right(ready(problem.into_response())),
    };
    answered.map(move |mut response| {
        if let Some(code) = response.extensions().get() {
            metrics.refused(*code);
        }
        if crowded && response.status() != 101 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    })
}

/// Refuses a request that came on a connection too many.
///
/// # Errors
/// [`Code::Unavailable`] or [`Code::TooManyRequests`].
pub(super) fn full(request: &Request) -> Result<(), Problem> {
    let Some(Crowded(code)) = request.extensions().get() else { return Ok(()) };
    let detail = match code {
        Code::TooManyRequests => "there are too many connections from this address",
        _ => "there are too many connections",
    };
    Err(Problem::new(*code, detail).retry_after(spread(Duration::from_secs(5))))
}

/// What pages of other origins may do: those that are allowed, everything.
pub(super) fn cors(gateway: &Gateway) -> CorsLayer {
    let mut methods = vec![Method::GET, Method::HEAD, Method::POST];
    if gateway.lab().is_some() {
        methods.extend([Method::PUT, Method::DELETE]);
    }
    let any = gateway.config().allow_origin.iter().any(|origin| origin == "*");
    let gateway = gateway.clone();
    let allowed = move |origin: &HeaderValue, request: &Parts| {
        let on_line = request.extensions.get().is_some_and(|OnLine| true);
        any || origin.to_str().is_ok_and(|origin| is_allowed(origin, &request.headers, on_line, &gateway))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods(methods)
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers([HeaderName::from_static(answer::CURSOR), header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE)
        .vary(Vary::list([header::ORIGIN]))
}

fn check_head(request: &Request, config: &Config) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        let detail = format!("it has {target} bytes, and may have {MAX_TARGET}: send the fields as a POST");
        return Err(Problem::new(Code::UriTooLong, detail));
    }
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if target as u64 + fields.sum::<usize>() as u64 > config.max_head.as_u64() {
        let detail = format!("it may have {} bytes", config.max_head.as_u64());
        return Err(Problem::new(Code::HeadTooLarge, detail));
    }
    let headers = request.headers();
    // RFC 9112, 3.2: who may ask depends on it, so there is one, and one spelling of it.
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    let has_user = |host: &HeaderValue| host.as_bytes().contains(&b'@');
    if another.is_some()
        || host.is_some_and(has_user)
        || host.is_none() && request.version() == Version::HTTP_11
    {
        return Err(Problem::invalid("Host", "a request names one host"));
    }
    // RFC 9112, 3.2.2: what a proxy is sent names the host too.
    let named = request.uri().authority().map(Authority::as_str);
    if named
        .is_some_and(|named| !host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(named.as_bytes())))
    {
        return Err(Problem::invalid("Host", "the request's target names another host"));
    }
    // RFC 9112, 6.1, and RFC 9110, 8.4: what is coded in another way would be taken for what it is not.
    let is_coded = |header, known: &str| {
        let mut codings = headers.get_all(header).iter();
        codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(known.as_bytes()))
    };
    let is_chunked_twice = headers.get_all(header::TRANSFER_ENCODING).iter().nth(1).is_some();
    if is_chunked_twice || is_coded(header::TRANSFER_ENCODING, "chunked") {
        return Err(Problem::invalid("Transfer-Encoding", "chunked, once, is the only one that is taken"));
    }
    let has_body = request.body().size_hint().exact() != Some(0);
    if has_body && is_coded(header::CONTENT_ENCODING, "identity") {
        let detail = "a body is taken as it is: send it uncompressed";
        return Err(Problem::new(Code::UnsupportedMediaType, detail).at("Content-Encoding"));
    }
    if has_body && matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = "a GET has none here: send the fields in the query, or as a form by POST";
        return Err(Problem::invalid("body", detail));
    }
    Ok(())
}

/// An open gateway on loopback is within reach of every page that its user opens, so it looks at the name it
/// is called by (DNS can be made to point any name at it) and at the page that calls.
fn check_source(request: &Request, gateway: &Gateway) -> Result<(), Problem> {
    let (headers, config) = (request.headers(), gateway.config());
    let on_line = request.extensions().get().is_some_and(|OnLine| true);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if is_open_loopback(config) {
        let known = host.and_then(|host| host.parse::<Authority>().ok()).is_some_and(|host| {
            is_loopback(host.host())
                || config.listen.iter().any(|listen| same_address(host.host(), listen.ip()))
        });
        if !known {
            let sent = host.unwrap_or("none");
            let detail = format!(
                "this gateway is open and answers only to loopback names (localhost, 127.0.0.1, [::1]) and \
                 its own addresses, not to {sent:?}"
            );
            return Err(Problem::new(Code::NotAllowed, detail).at("Host"));
        }
    }
    let foreign = headers
        .get_all(header::ORIGIN)
        .iter()
        .find(|origin| !origin.to_str().is_ok_and(|origin| is_allowed(origin, headers, on_line, gateway)));
    match foreign {
        None => Ok(()),
        Some(_) => {
            let detail = "pages of this origin may not use the gateway; --allow-origin names those that may";
            Err(Problem::new(Code::NotAllowed, detail).at("Origin"))
        }
    }
}

fn is_allowed(origin: &str, headers: &HeaderMap, on_line: bool, gateway: &Gateway) -> bool {
    let config = gateway.config();
    if config.allow_origin.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let (Ok(page), Some(Ok(host))) = (authority.parse::<Authority>(), host.map(str::parse::<Authority>))
    else {
        return false;
    };
    let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let page_port = page.port_u16().unwrap_or(port);
    // The gateway's own pages may use its lines, which have ports of their own.
    let on_own_line = || gateway.lab().is_some_and(|lab| lab.has_pages_on(page_port));
    if on_line && is_loopback(page.host()) && is_loopback(host.host()) && on_own_line() {
        return true;
    }
    let same_port = page_port == host.port_u16().unwrap_or(port);
    let same_host = page.host().eq_ignore_ascii_case(host.host());
    let both_loopback = is_open_loopback(config) && is_loopback(page.host()) && is_loopback(host.host());
    same_port && (same_host || both_loopback)
}

fn is_open_loopback(config: &Config) -> bool {
    let mut addresses = config.listen.iter().chain(&config.publish_listen);
    !config.insecure_open && addresses.all(|address| address.ip().is_loopback())
}

fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn same_address(host: &str, ip: IpAddr) -> bool {
    host.trim_start_matches('[').trim_end_matches(']').parse() == Ok(ip)
}
