use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2); `None` unless the key is base64 of
/// 16 bytes (§4.2.1).
#[must_use]
pub fn accept_key(key: &str) -> Option<String> {
    // The decoder asks for whole groups of three.
    let mut nonce = [0; 18];
    if STANDARD.decode_slice(key, &mut nonce) != Ok(16) {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Some(STANDARD.encode(digest))
}
