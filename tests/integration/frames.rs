//! WebSocket frames made by hand (RFC 6455, 5.2).

use crate::http::{Conn, get_with, soon};

const KEY: &[u8; 4] = b"mask";

/// A frame from a client: first byte, then the payload, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ ..=125 => out.push(0x80 | len as u8),
        len @ ..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// A text message.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// A close with a code.
pub(crate) fn close(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// The opening handshake, with further header lines.
pub(crate) fn handshake(target: &str, headers: &[&str]) -> String {
    let mut all = vec![
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    all.extend(headers);
    get_with(target, &all)
}

/// One frame from the gateway: its first byte and its payload.
pub(crate) async fn receive(conn: &mut Conn) -> Option<(u8, Vec<u8>)> {
    soon(async {
        let head = conn.take(2).await?;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = match head[1] {
            126 => u16::from_be_bytes(conn.take(2).await?.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(conn.take(8).await?.try_into().unwrap()) as usize,
            short => short.into(),
        };
        Some((head[0], conn.take(length).await?))
    })
    .await
}

/// One text message.
pub(crate) async fn receive_text(conn: &mut Conn) -> String {
    let (first, payload) = receive(conn).await.expect("a message");
    assert_eq!(first, 0x81, "{payload:?}");
    String::from_utf8(payload).unwrap()
}

/// The code and the reason of the close that comes next.
pub(crate) async fn receive_close(conn: &mut Conn) -> (u16, String) {
    let (first, payload) = receive(conn).await.expect("a close");
    assert_eq!(first, 0x88, "{}", String::from_utf8_lossy(&payload));
    let (code, reason) = payload.split_first_chunk().expect("a code");
    (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).unwrap())
}
