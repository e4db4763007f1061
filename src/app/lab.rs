//! The lab over HTTP: lines are opened, changed, looked at and ended.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode, Uri, header},
    response::IntoResponse,
};
use tokio::time::timeout;

use super::{App, request};
use crate::{
    error::{Code, Problem},
    lab::{Lab, MAX_LINES, checked_id, conditions::Wanted},
};

/// The largest description of a line, in bytes.
const MAX_BODY: usize = 16 << 10;
/// How long a port may take to take connections, or to refuse them.
const SETTLES: Duration = Duration::from_secs(2);

/// `GET /v1/lab`: that there is one, and how full it is.
pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response<Body>, Problem> {
    request::accepts(&headers, "application/json")?;
    Ok(answer(format!(r#"{{"lab":true,"lines":{},"max":{MAX_LINES}}}"#, lab(&app)?.len())))
}

/// `GET /v1/lab/ID`: one line.
pub(super) async fn line(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    request::accepts(&headers, "application/json")?;
    Ok(answer(lab(&app)?.line(id(&uri)?)?.describe()))
}

/// `PUT /v1/lab/ID`: opens a line, or changes it.
pub(super) async fn put(State(app): State<App>, request: Request) -> Result<Response<Body>, Problem> {
    request::accepts(request.headers(), "application/json")?;
    app.gateway.admit()?;
    let (head, body) = request.into_parts();
    let id = id(&head.uri)?;
    let config = app.gateway.config();
    let media_type = request::media_type(&head.headers)?;
    let body = request::body(body, &head.headers, MAX_BODY, &app.gateway).await?;
    let taken = match media_type {
        Some(media_type) => request::essence(media_type).eq_ignore_ascii_case("application/json"),
        None => body.is_empty(),
    };
    if !taken {
        let detail = "a line is described as application/json";
        return Err(Problem::new(Code::UnsupportedMediaType, detail).at("Content-Type"));
    }
    let wanted = Wanted::parse(&body, config.max_event.as_u64())?;
    let line = lab(&app)?.put(id, &wanted)?;
    // Whoever has the answer finds the port as it says.
    let settled = timeout(SETTLES, line.settled()).await;
    if settled.is_err() || line.has_ended() {
        let detail = "the line's port could not be had; try again";
        return Err(Problem::new(Code::Unavailable, detail).retry_after(SETTLES));
    }
    Ok(answer(line.describe()))
}

/// `DELETE /v1/lab/ID`: ends a line.
pub(super) async fn end(State(app): State<App>, uri: Uri) -> Result<StatusCode, Problem> {
    lab(&app)?.end(id(&uri)?)?;
    Ok(StatusCode::NO_CONTENT)
}

fn lab(app: &App) -> Result<&Lab, Problem> {
    // Without one nothing leads here.
    app.gateway.lab().map(|lab| &**lab).ok_or_else(|| Problem::new(Code::NotFound, "there is no lab here"))
}

fn id(uri: &Uri) -> Result<&str, Problem> {
    checked_id(uri.path().rsplit('/').next().unwrap_or_default())
}

fn answer(document: String) -> Response<Body> {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, document).into_response()
}
