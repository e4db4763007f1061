//! Answers that are the same for every endpoint: problems, and the small ones for operators.

use std::any::Any;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header},
    response::IntoResponse,
};

use super::{App, Phase, request};
use crate::error::{Code, Problem};

/// The cursor that an answer leaves its client with.
pub(super) const CURSOR: &str = "fanlight-cursor";

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.code.kind().status).expect("a status of the list");
        let mut response = (status, Body::from(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil() as u64));
        }
        // For whoever counts.
        response.extensions_mut().insert(self.code);
        response
    }
}

/// `/healthz`: the process lives.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `/readyz`: it takes new clients.
pub(super) async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    match app.gateway.is_in(Phase::Leaving) {
        false => Ok("ready\n"),
        true => {
            let problem = Problem::new(Code::Unavailable, "the gateway is shutting down");
            Err(problem.retry_after(app.gateway.config().drain_timeout))
        }
    }
}

/// `/v1/cursor`: the newest place in the log.
pub(super) async fn cursor(State(app): State<App>, headers: HeaderMap) -> Result<impl IntoResponse, Problem> {
    request::accepts(&headers, "application/json")?;
    let cursor = app.gateway.bus().head();
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, format!("{{\"cursor\":\"{cursor}\"}}")))
}

/// `/docs/errors`: what the `type` of a problem leads to.
pub(super) async fn errors() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], include_str!("../../docs/errors.md"))
}

/// Any other path.
pub(super) async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("there is nothing at {path}"))
}

/// Any other method. The `Allow` header is added by the router.
pub(super) async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("this path does not take {method}"))
}

/// A panic in a handler ends its request, not the gateway.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    tracing::error!("a handler panicked");
    Problem::new(Code::Internal, "something broke here; it was logged").into_response()
}
