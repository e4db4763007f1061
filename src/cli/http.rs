//! Requests to a gateway, and what its refusals say.

use std::{net::IpAddr, time::Duration};

use reqwest::{Client, Response, StatusCode, Url, header::RETRY_AFTER};
use serde::Deserialize;

/// A gateway's address, as `--url` gives it.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    base: Url,
}

impl Gateway {
    /// Reads `http://HOST:PORT`, with a path where the gateway is nested under one. For clap.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let base: Url = text.parse().map_err(|error| format!("{error}; write http://HOST:PORT"))?;
        match base.scheme() {
            "http" if base.host().is_some() => Ok(Self { base }),
            "https" => Err("this command speaks plain HTTP only; write http://HOST:PORT".to_owned()),
            _ => Err("not the address of a gateway; write http://HOST:PORT".to_owned()),
        }
    }

    /// The URL of an endpoint such as `v1/sse`.
    pub(crate) fn endpoint(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    /// A client for it.
    pub(crate) fn client(&self) -> reqwest::Result<Client> {
        let client = Client::builder().connect_timeout(Duration::from_secs(10)).tcp_nodelay(true);
        // A proxy for the world outside cannot reach this machine's own loopback.
        let client = if self.is_loopback() { client.no_proxy() } else { client };
        client.user_agent(concat!("fanlight/", env!("CARGO_PKG_VERSION"))).build()
    }

    fn is_loopback(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
    }
}

/// Why a request or a stream came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The gateway will say the same to the same request.
    Refused(Problem),
    /// Not now: too many requests, draining, overloaded.
    Unavailable { problem: Problem, retry_after: Option<Duration> },
    /// No connection, or none any more.
    Lost(String),
}

/// An RFC 9457 problem, or what could be made of an answer that is none.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) title: String,
    pub(crate) detail: String,
    /// The parameter, header or key that is at fault.
    pub(crate) field: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.title)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        self.field.as_ref().map_or(Ok(()), |field| write!(f, " (field {field})"))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(problem) | Self::Unavailable { problem, .. } => problem.fmt(f),
            Self::Lost(why) => f.write_str(why),
        }
    }
}

impl Problem {
    /// What to make of a problem that came with `status`, and of what it asks to wait.
    pub(crate) fn into_failure(self, retry_after: Option<Duration>) -> Failure {
        match self.status {
            408 | 429 | 500.. => Failure::Unavailable { problem: self, retry_after },
            _ => Failure::Refused(self),
        }
    }

    /// A problem that this side found: the answer is none that a gateway would give.
    pub(crate) fn not_a_gateway(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = "not the answer of a Fanlight gateway".to_owned();
        Self { status: status.as_u16(), title, detail: detail.into(), field: None }
    }
}

/// Sees to it that the answer is a success; otherwise reads what it says.
pub(crate) async fn accepted(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let retry_after = retry_after(&response);
    let body = body(response, 64 * 1024).await.unwrap_or_default();
    let mut problem: Problem = serde_json::from_slice(&body).unwrap_or_else(|_| {
        let detail = String::from_utf8_lossy(&body).trim().chars().take(300).collect();
        Problem { detail, ..Problem::default() }
    });
    problem.status = status.as_u16();
    if problem.title.is_empty() {
        problem.title = status.canonical_reason().unwrap_or("refused").to_owned();
    }
    Err(problem.into_failure(retry_after))
}

/// `Retry-After` in seconds; a gateway sends no date.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The whole body, if it is no longer than `most`.
pub(crate) async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(lost)? {
        if body.len() + part.len() > most {
            return Err(Failure::Lost(format!("an answer longer than {most} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// A failure of the connection, down to its cause: reqwest's own text ends where it gets interesting.
pub(crate) fn lost(error: reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = if error.is_connect() { "cannot connect" } else { "the connection was lost" };
    Failure::Lost(format!("{what}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_stand_under_the_gateways_path() {
        let url = |text: &str| Gateway::parse(text).unwrap().endpoint("v1/poll").to_string();
        assert_eq!(url("http://127.0.0.1:8080"), "http://127.0.0.1:8080/v1/poll");
        assert_eq!(url("http://example.com/push/?x=1#y"), "http://example.com/push/v1/poll");
    }

    #[test]
    fn what_is_no_gateways_address_is_refused() {
        for text in ["https://a.example", "ftp://a", "127.0.0.1:8080", ""] {
            assert!(Gateway::parse(text).unwrap_err().contains("http://HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn loopback_is_known() {
        for (text, expected) in [("http://localhost", true), ("http://[::1]:1", true), ("http://a.b", false)]
        {
            assert_eq!(Gateway::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn a_problem_tells_all_it_knows() {
        let text =
            r#"{"type":"/docs/errors#x","title":"Bad request","status":400,"detail":"no","field":"topic"}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!(problem.to_string(), "400 Bad request: no (field topic)");
        assert!(matches!(problem.into_failure(None), Failure::Refused(_)));
        for status in [408, 429, 500, 503] {
            let problem = Problem { status, ..Problem::default() };
            assert!(matches!(problem.into_failure(None), Failure::Unavailable { .. }), "{status}");
        }
    }
}
