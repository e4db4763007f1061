//! WebSocket: a document a text frame.

use async_stream::try_stream;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::SinkExt as _;
use reqwest::{
    Response, StatusCode, Upgraded,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
};
use serde_json::json;
use sha1::{Digest as _, Sha1};
use tokio_stream::Stream;
use yawc::{Frame, OpCode, Options, Role, WebSocket};

use super::{
    Connection, DEAD, HEARTBEAT, MOST, Position, Query,
    document::{self, Control, Message},
    send, within,
};
use crate::cli::http::{Failure, Problem};

/// What comes over one connection.
pub(super) fn messages(connection: Connection) -> impl Stream<Item = Result<Message, Failure>> {
    try_stream! {
        let query = connection.query(&[("heartbeat", HEARTBEAT)]);
        // A handshake has no body: topics that make the URL too long are subscribed to afterwards.
        let late = query.is_long();
        let mut socket = if late {
            let mut socket = handshake(&connection, &Query(vec![("heartbeat", HEARTBEAT.to_owned())])).await?;
            within(DEAD, socket.send(Frame::text(subscribe(&connection)))).await?.map_err(lost)?;
            socket
        } else {
            handshake(&connection, &query).await?
        };
        // The hello of a connection without topics is where the log stands, not where these begin: only
        // the answer to the subscription says that.
        let mut early = late && !matches!(connection.position, Position::Resume(_));
        loop {
            let frame = within(DEAD, socket.next_frame()).await?.map_err(lost)?;
            match frame.opcode() {
                OpCode::Text => match document::read(frame.into_payload())? {
                    Message::Control { document, .. } if std::mem::take(&mut early) => {
                        yield Message::Control { control: Control::Other, document };
                    }
                    message => yield message,
                },
                OpCode::Close => {
                    // The next read sends the close back, which is all that is left to do.
                    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), socket.next_frame()).await;
                    Err(closed(&frame))?;
                }
                _ => {}
            }
        }
    }
}

/// The operation that subscribes, as text.
fn subscribe(connection: &Connection) -> String {
    let mut operation = json!({ "op": "subscribe", "ref": 1, "topic": connection.topics });
    match &connection.position {
        Position::Now | Position::Resume(_) => {}
        Position::After(cursor) => operation["after"] = cursor.as_str().into(),
        Position::Last(count) => operation["last"] = (*count).into(),
    }
    operation.to_string()
}

/// RFC 6455, section 4.1. It is a request like the other transports' and is refused like theirs, so the
/// same client makes it.
async fn handshake(connection: &Connection, query: &Query) -> Result<WebSocket<Upgraded>, Failure> {
    let key = BASE64_STANDARD.encode(fastrand::u128(..).to_ne_bytes());
    let mut url = connection.gateway.endpoint("v1/websocket");
    url.set_query(Some(&query.encoded()));
    let request = connection
        .resuming(connection.client.get(url))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_PROTOCOL, "fanlight.v1")
        .header(SEC_WEBSOCKET_KEY, &key);
    let response = send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || !is_accepted(&response, &key) {
        let problem = Problem::not_a_gateway(response.status(), "the handshake was not accepted");
        return Err(Failure::Refused(problem));
    }
    let upgraded = within(DEAD, response.upgrade()).await?.map_err(crate::cli::http::lost)?;
    // No compression is offered: there is none to be undone for a pipe on the same machine.
    let options = Options::default().with_limits(MOST, MOST).without_compression();
    WebSocket::from_stream(upgraded, Role::Client, options).map_err(lost)
}

fn is_accepted(response: &Response, key: &str) -> bool {
    let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let expected = BASE64_STANDARD.encode(Sha1::digest(format!("{key}{guid}")));
    response.headers().get(SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept == expected.as_str())
}

fn lost(error: yawc::WebSocketError) -> Failure {
    Failure::Lost(format!("the connection was lost: {error}"))
}

/// What a close means. What the gateway had to explain stood in an `error` control before it.
fn closed(frame: &Frame) -> Failure {
    let code = frame.payload().get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
    let reason = frame.payload().get(2..).map(String::from_utf8_lossy).unwrap_or_default();
    let title = format!("closed with {}", code.map_or("no code".to_owned(), |code| code.to_string()));
    let problem = |status| Problem { status, title, detail: reason.into_owned(), field: None };
    match code {
        Some(1003 | 1007..=1010) => Failure::Refused(problem(400)),
        Some(1013) => problem(503).into_failure(None),
        _ => Failure::Lost(problem(0).to_string().trim_start_matches("0 ").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use yawc::close::CloseCode;

    use super::*;

    #[test]
    fn closes_are_told_apart() {
        let refused = closed(&Frame::close(CloseCode::Policy, "invalid_request"));
        assert!(matches!(refused, Failure::Refused(_)), "{refused:?}");
        assert_eq!(refused.to_string(), "400 closed with 1008: invalid_request");
        assert!(matches!(
            closed(&Frame::close(CloseCode::Again, "unavailable")),
            Failure::Unavailable { .. }
        ));
        let lost = closed(&Frame::close(CloseCode::Restart, "drain"));
        assert_eq!(lost, Failure::Lost("closed with 1012: drain".to_owned()));
    }
}
