//! A plain HTTP/1.1 client for what is asked now and then: ledger, metrics, clocks.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use crate::wire::decode::{self, Cut, Decoder, Item};

/// A server, and a target there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where to connect.
    pub addr: SocketAddr,
    /// What to name it.
    pub host: String,
    /// The target, or what stands before all targets.
    pub path: String,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    head: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        decode::field(&self.head, name)
    }
}

/// How long an exchange may take, from the connection to the answer's end.
const PATIENCE: Duration = Duration::from_secs(10);

impl Place {
    /// Reads `http://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// If it is none, or its host has no address.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            let tls = url.starts_with("https://");
            let hint = if tls {
                ": the load test speaks no TLS; point it at the server behind the proxy"
            } else {
                ""
            };
            return Err(format!("`{url}` does not begin with http://{hint}"));
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.chars().all(|c| c.is_ascii_digit()));
        let named = if port { authority.to_owned() } else { format!("{authority}:80") };
        let mut found = named.to_socket_addrs().map_err(|error| format!("`{url}`: {error}"))?;
        let addr = found.next().ok_or_else(|| format!("`{url}`: the host has no address"))?;
        Ok(Self { addr, host: authority.to_owned(), path: path.trim_end_matches('/').to_owned() })
    }

    /// The same server, with something behind the path.
    pub fn join(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path), ..self.clone() }
    }
}

/// Asks for a place.
///
/// # Errors
/// If there is no whole answer within ten seconds, or its body is longer than 64 MiB.
pub fn get(place: &Place) -> io::Result<Answer> {
    within(place, PATIENCE)
}

fn within(place: &Place, patience: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + patience;
    // A time-out of a socket begins anew with each byte: what is left of the whole is set before each call.
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no whole answer within {patience:?}"));
        if left.is_zero() { Err(late()) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&place.addr, patience)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(left()?))?;
    let path = if place.path.is_empty() { "/" } else { &place.path };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", place.host);
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut decoder, mut ended) = (Answer::default(), Decoder::new(Cut::Whole), false);
    let mut scratch = [0; 16 << 10];
    while !ended {
        stream.set_read_timeout(Some(left()?))?;
        let count = match stream.read(&mut scratch) {
            // A process that was stopped and goes on finds its reads interrupted (signal(7)). What ran out of time is
            // told above.
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                continue;
            }
            read => read?,
        };
        let mut item = |item: Item<'_>| match item {
            Item::Head { status, head } => (answer.status, answer.head) = (status, head.to_vec()),
            Item::Unit(unit) => answer.body.extend_from_slice(unit),
            Item::End => ended = true,
            Item::Ping(_) | Item::Close(_) => {}
        };
        if count == 0 {
            decoder.finish(&mut item).map_err(io::Error::other)?;
            break;
        }
        decoder.take(&scratch[..count], &mut item).map_err(io::Error::other)?;
    }
    if answer.status < 200 {
        return Err(io::Error::other("the server closed the connection without an answer"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// Asks a server that answers with `begin`, and then sends `more` at even intervals for as long as it is listened to.
    fn asked(begin: &'static str, more: Vec<u8>, each: Duration) -> io::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(begin.as_bytes());
            while !more.is_empty() && stream.write_all(&more).is_ok() {
                thread::sleep(each);
            }
        });
        let answer = within(&place, Duration::from_secs(2));
        server.join().unwrap();
        answer
    }

    #[test]
    fn an_answer_that_trickles_is_not_waited_for() {
        let begun = Instant::now();
        let begin = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        let error = asked(begin, b"x".to_vec(), Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("no whole answer within 2s"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }

    #[test]
    fn an_answer_that_would_never_end_is_refused() {
        let begin = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
        let error = asked(begin, vec![b'x'; 1 << 20], Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("64 MiB at most"), "{error}");
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let whole = asked("HTTP/1.1 200 OK\r\n\r\nabc", Vec::new(), Duration::ZERO).unwrap();
        assert_eq!(whole.text(), "abc");
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
        let error = asked(half, Vec::new(), Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("within an answer"), "{error}");
    }

    #[test]
    fn urls_are_read() {
        let place = Place::parse("http://127.0.0.1:8080/base/").unwrap();
        assert_eq!((place.addr.to_string(), place.path.as_str()), ("127.0.0.1:8080".to_owned(), "/base"));
        assert_eq!(place.join("/metrics").path, "/base/metrics");
        assert_eq!(Place::parse("http://127.0.0.1").unwrap().addr.port(), 80);
        assert!(Place::parse("https://example.org").unwrap_err().contains("no TLS"));
        assert!(Place::parse("127.0.0.1:80").unwrap_err().contains("http://"));
    }
}
