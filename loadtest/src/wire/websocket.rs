//! WebSocket frames (RFC 6455, section 5), as far as a subscriber needs them.

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The rest of a message.
    Continuation,
    /// A message, or its first part.
    Data,
    /// The peer closes.
    Close,
    /// To be answered.
    Ping,
    /// An answer.
    Pong,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub opcode: Opcode,
    /// Whether a message ends with it.
    pub last: bool,
    /// Bytes of the header.
    pub length: usize,
    /// Bytes of the payload behind it.
    pub payload: u64,
}

/// Reads a server's frame header off the front; `None` while it is not whole.
///
/// # Errors
/// What is wrong with it.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, &'static str> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err("the server masked a frame");
    }
    if first & 0x70 != 0 {
        return Err("a frame has reserved bits set");
    }
    let (length, payload) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(size) => (4, u64::from(u16::from_be_bytes(*size))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(size) => (10, u64::from_be_bytes(*size)),
            None => return Ok(None),
        },
        size => (2, u64::from(size)),
    };
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 | 2 => Opcode::Data,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err("a frame has an unknown opcode"),
    };
    // RFC 6455, 5.5. Each ping is answered with what it carries.
    if first & 0x08 != 0 && payload > 125 {
        return Err("a control frame carries more than 125 bytes");
    }
    Ok(Some(Header { opcode, last: first & 0x80 != 0, length, payload }))
}

/// Writes a client's frame, masked as it has to be. The mask is 0: it protects proxies from scripts, and here is
/// neither.
pub fn frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let code = match opcode {
        Opcode::Continuation => 0,
        Opcode::Data => 1,
        Opcode::Close => 8,
        Opcode::Ping => 9,
        Opcode::Pong => 10,
    };
    out.push(0x80 | code);
    match payload.len() {
        size @ 0..126 => out.push(0x80 | size as u8),
        size @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_each_length() {
        for (bytes, length, payload) in [
            (&[0x81, 5][..], 2, 5),
            (&[0x81, 126, 1, 0], 4, 256),
            (&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], 10, 65_536),
        ] {
            let whole = header(bytes).unwrap().expect("it is whole");
            assert_eq!(
                (whole.opcode, whole.last, whole.length, whole.payload),
                (Opcode::Data, true, length, payload)
            );
            for cut in 0..bytes.len() {
                assert_eq!(header(&bytes[..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn what_no_server_may_send() {
        assert!(header(&[0x81, 0x85]).is_err());
        assert!(header(&[0xc1, 0x05]).is_err());
        assert!(header(&[0x83, 0x05]).is_err());
        assert!(header(&[0x89, 126, 0, 126]).is_err());
    }

    #[test]
    fn a_client_masks() {
        let mut out = Vec::new();
        frame(Opcode::Pong, b"hi", &mut out);
        assert_eq!(out, [0x8a, 0x82, 0, 0, 0, 0, b'h', b'i']);
    }
}
