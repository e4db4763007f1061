//! What a client is told when it cannot have what it asked for: one list of problems, and what each is
//! as an RFC 9457 document and as a WebSocket close.

use std::{borrow::Cow, time::Duration};

use thiserror::Error;

use crate::event::quote;

/// A problem: what is wrong, where, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct Problem {
    /// Which problem.
    pub code: Code,
    /// What is wrong in this case.
    pub detail: Cow<'static, str>,
    /// The parameter, header, key or `body` that is to blame, if one is.
    pub field: Option<Cow<'static, str>>,
    /// When to try again, if that helps.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), field: None, retry_after: None }
    }

    /// Something in the request that cannot be understood.
    pub fn invalid(field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, detail).at(field)
    }

    /// The same, laid to a field.
    pub fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the advice to try again.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The members of the problem document (RFC 9457, 3.1), without the braces around them.
    pub fn members(&self, out: &mut Vec<u8>) {
        let Kind { word, status, title, .. } = self.code.kind();
        let head =
            format!("\"type\":\"/docs/errors#{word}\",\"title\":\"{title}\",\"status\":{status},\"detail\":");
        out.extend_from_slice(head.as_bytes());
        quote(out, &self.detail);
        if let Some(field) = &self.field {
            out.extend_from_slice(b",\"field\":");
            quote(out, field);
        }
    }

    /// The problem document, `application/problem+json`.
    pub fn document(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        self.members(&mut out);
        out.push(b'}');
        out
    }
}

/// The problems there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request cannot be understood; the field says where.
    InvalidRequest,
    /// The request is understood and refused.
    NotAllowed,
    /// There is nothing at this path.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// The client accepts nothing that the path sends.
    NotAcceptable,
    /// The client took too long.
    RequestTimeout,
    /// An event, a batch or a form over its limit.
    TooLarge,
    /// A request target over its limit.
    UriTooLong,
    /// A content type that the path does not take.
    UnsupportedMediaType,
    /// An idempotency key that was used for another content.
    IdempotencyMismatch,
    /// The path speaks WebSocket only.
    UpgradeRequired,
    /// This client has too many connections.
    TooManyRequests,
    /// A request head over its limit.
    HeadTooLarge,
    /// Our fault.
    Internal,
    /// The gateway is full, or shutting down.
    Unavailable,
}

/// Every problem there is.
pub const ALL: [Code; 15] = [
    Code::InvalidRequest,
    Code::NotAllowed,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::NotAcceptable,
    Code::RequestTimeout,
    Code::TooLarge,
    Code::UriTooLong,
    Code::UnsupportedMediaType,
    Code::IdempotencyMismatch,
    Code::UpgradeRequired,
    Code::TooManyRequests,
    Code::HeadTooLarge,
    Code::Internal,
    Code::Unavailable,
];

/// What a problem is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in `type`, and its anchor in the documentation.
    pub word: &'static str,
    /// Its HTTP status (RFC 9110, 15).
    pub status: u16,
    /// The same for every occurrence.
    pub title: &'static str,
    /// The WebSocket close (RFC 6455, 7.4) where it ends a connection, with its reason.
    pub close: (u16, &'static str),
}

impl Code {
    /// What the problem is on the wire.
    pub fn kind(self) -> Kind {
        let (word, status, title, close) = match self {
            Self::InvalidRequest => ("invalid-request", 400, "Invalid request", (1008, "invalid_request")),
            Self::NotAllowed => ("not-allowed", 403, "Not allowed", (1008, "not_allowed")),
            Self::NotFound => ("not-found", 404, "Not found", (1008, "not_found")),
            Self::MethodNotAllowed => {
                ("method-not-allowed", 405, "Method not allowed", (1008, "invalid_request"))
            }
            Self::NotAcceptable => ("not-acceptable", 406, "Not acceptable", (1008, "invalid_request")),
            Self::RequestTimeout => ("request-timeout", 408, "Request timeout", (1008, "invalid_request")),
            Self::TooLarge => ("too-large", 413, "Too large", (1009, "too_large")),
            Self::UriTooLong => ("uri-too-long", 414, "Request target too long", (1008, "invalid_request")),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", 415, "Unsupported media type", (1003, "unsupported"))
            }
            Self::IdempotencyMismatch => {
                ("idempotency-mismatch", 422, "Idempotency key used before", (1008, "invalid_request"))
            }
            Self::UpgradeRequired => ("upgrade-required", 426, "Upgrade required", (1008, "invalid_request")),
            Self::TooManyRequests => ("too-many-requests", 429, "Too many requests", (1013, "unavailable")),
            Self::HeadTooLarge => {
                ("head-too-large", 431, "Request head too large", (1008, "invalid_request"))
            }
            Self::Internal => ("internal", 500, "Internal error", (1011, "internal")),
            Self::Unavailable => ("unavailable", 503, "Unavailable", (1013, "unavailable")),
        };
        Kind { word, status, title, close }
    }
}
