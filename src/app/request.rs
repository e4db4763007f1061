//! What every endpoint asks of a request: its form, its headers, what the client accepts.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, header},
};
use bytes::BytesMut;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::{Arriving, Gateway};
use crate::{
    delivery::hosted::spread,
    error::{Code, Problem},
};

/// The largest form, in bytes.
const MAX_FORM: usize = 64 << 10;
/// How long a body over its limit is read on.
const LINGER: Duration = Duration::from_millis(500);
/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The form of a POST; empty for a GET.
///
/// # Errors
/// A [`Problem`] if the body is no form, too large, or too slow.
pub(super) async fn form(request: Request, gateway: &Gateway) -> Result<String, Problem> {
    if request.method() != Method::POST {
        return Ok(String::new());
    }
    match media_type(request.headers())? {
        Some(media_type) if essence(media_type).eq_ignore_ascii_case(FORM) => {}
        _ => {
            let detail = format!("the fields are taken as {FORM}");
            return Err(Problem::new(Code::UnsupportedMediaType, detail).at("Content-Type"));
        }
    }
    let (head, content) = request.into_parts();
    let body = body(content, &head.headers, MAX_FORM, gateway).await?;
    String::from_utf8(body.into()).map_err(|_| Problem::invalid("body", "the form is not UTF-8"))
}

/// The whole body, if it is at most `limit` bytes and comes in time.
///
/// # Errors
/// [`Code::TooLarge`], [`Code::RequestTimeout`], [`Code::Unavailable`], or [`Code::InvalidRequest`] if it breaks off.
pub(super) async fn body(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    gateway: &Gateway,
) -> Result<Bytes, Problem> {
    let (mut body, config) = (body, gateway.config());
    let mut arriving = Arriving::new(gateway);
    if body.size_hint().lower() > limit as u64 {
        // A client that asks first (RFC 9110, 10.1.1) is asked for nothing.
        if !headers.contains_key(header::EXPECT) {
            linger(&mut body).await;
        }
        return Err(too_large(limit));
    }
    let mut collected = BytesMut::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let detail = "the body breaks off, or its chunks are malformed";
                return Err(Problem::invalid("body", detail));
            };
            let Ok(data) = frame.into_data() else { continue };
            if collected.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            if !arriving.grow(data.len()) {
                let problem =
                    Problem::new(Code::Unavailable, "too much is being sent to the gateway at once");
                return Err(problem.retry_after(spread(config.retry)));
            }
            collected.extend_from_slice(&data);
        }
        Ok(())
    };
    match tokio::time::timeout(config.body_timeout, all).await {
        Ok(Ok(())) => Ok(collected.freeze()),
        Ok(Err(problem)) => {
            drop((collected, arriving));
            if matches!(problem.code, Code::TooLarge | Code::Unavailable) {
                linger(&mut body).await;
            }
            Err(problem)
        }
        Err(_) => {
            let detail = format!("the body did not come within {:?}", config.body_timeout);
            Err(Problem::new(Code::RequestTimeout, detail).at("body"))
        }
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body is larger than {limit} bytes")).at("body")
}

/// Reads on for a moment. Were the connection closed while the client still sends, it would get a reset
/// before it can read what is wrong.
async fn linger(body: &mut Body) {
    let rest = async { while matches!(body.frame().await, Some(Ok(_))) {} };
    _ = tokio::time::timeout(LINGER, rest).await;
}

/// The one `Content-Type` of a request.
///
/// # Errors
/// A [`Problem`] if it is repeated or unreadable.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    single(headers, header::CONTENT_TYPE.as_str(), "Content-Type")
}

/// The one value of a header.
///
/// # Errors
/// A [`Problem`] naming it if it is repeated or is not visible ASCII.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    header: &str,
    field: &'static str,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(header).iter();
    let value = values.next().map(|value| value.to_str()).transpose();
    match (value, values.next()) {
        (Ok(value), None) => Ok(value),
        (_, Some(_)) => Err(Problem::invalid(field, "it may be given once only")),
        (Err(_), None) => Err(Problem::invalid(field, "it is not visible ASCII")),
    }
}

/// A media type without its parameters.
pub(super) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// A parameter of a media type, without its quotes.
pub(super) fn parameter<'a>(media_type: &'a str, name: &str) -> Option<&'a str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// Refuses a client that accepts nothing of this media type (RFC 9110, 12.5.1).
///
/// # Errors
/// [`Code::NotAcceptable`].
pub(super) fn accepts(headers: &HeaderMap, offered: &str) -> Result<(), Problem> {
    let mut quality = None;
    let mut most_specific = 0;
    for range in headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
    {
        let range_type = essence(range);
        let specific = match range_type.split_once('/') {
            _ if range_type.eq_ignore_ascii_case(offered) => 3,
            Some((kind, "*")) if kind != "*" && offered.starts_with(&format!("{kind}/")) => 2,
            Some(("*", "*")) => 1,
            _ => 0,
        };
        quality.get_or_insert(0.0);
        if specific > most_specific {
            most_specific = specific;
            quality = Some(parameter(range, "q").and_then(|q| q.parse().ok()).unwrap_or(1.0_f32));
        }
    }
    match quality {
        Some(quality) if quality <= 0.0 => {
            Err(Problem::new(Code::NotAcceptable, format!("this path sends {offered}")).at("Accept"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let accepted = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            accepts(&headers, "text/event-stream").is_ok()
        };
        for accept in
            ["*/*", "text/*", "text/event-stream", "TEXT/EVENT-STREAM; q=0.5", "text/html, */*;q=0.1"]
        {
            assert!(accepted(accept), "{accept}");
        }
        for accept in ["text/html", "application/*", "*/*, text/event-stream;q=0", "text/*;q=0.0", ""] {
            assert!(!accepted(accept), "{accept}");
        }
        assert!(accepts(&HeaderMap::new(), "text/event-stream").is_ok());
    }
}
