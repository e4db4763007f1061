//! The lab: *lines*, listeners of their own on loopback whose connections are shaped, so that a page can see what
//! distance, bandwidth, loss, a buffering proxy and a cut do to each transport.
//!
//! - [`conditions`]: what a line is told to be like, read from JSON;
//! - [`link`]: the bandwidth that the connections of a line share;
//! - [`flight`]: the bytes of one connection that are under way in one direction. No I/O and no clock;
//! - [`ports`]: a line's port, which stays its own while the line is cut;
//! - [`mod@line`]: all of that together; [`source`]: the events that it is fed with.
//!
//! The server shapes the sockets (`server::shaped`) and accepts on the ports (`server::lines`).

pub mod conditions;
pub mod flight;
pub mod line;
pub mod link;
pub mod ports;
pub mod source;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::mpsc, time::Instant};

use self::{
    conditions::{Source, Wanted},
    line::Line,
    ports::Ports,
};
use crate::error::{Code, Problem};

/// Lines that there are at most.
pub const MAX_LINES: usize = 64;
/// A line that was neither asked for nor used for so long ends by itself.
pub const IDLE: Duration = Duration::from_secs(60);
/// The longest name of a line.
const MAX_ID: usize = 64;

/// The lines of a gateway.
#[derive(Debug)]
pub struct Lab {
    lines: Mutex<Lines>,
    count: Gauge,
}

#[derive(Debug, Default)]
struct Lines {
    by_id: BTreeMap<String, Arc<Line>>,
    /// Who accepts on a line's port; nobody until a server serves the gateway.
    server: Option<mpsc::UnboundedSender<Arc<Line>>>,
    /// The ports of the gateway's own pages.
    pages: Vec<u16>,
}

impl Lab {
    /// A lab without lines, which are counted here.
    pub fn new(count: Gauge) -> Self {
        Self { lines: Mutex::default(), count }
    }

    /// Has a server accept on the lines that are opened from now on. `pages` are the ports that the gateway's own
    /// pages come from.
    pub fn attach(&self, pages: Vec<u16>) -> mpsc::UnboundedReceiver<Arc<Line>> {
        let (server, opened) = mpsc::unbounded_channel();
        let mut lines = self.locked();
        lines.server = Some(server);
        lines.pages = pages;
        opened
    }

    /// Whether the gateway's own pages come from this port.
    pub fn has_pages_on(&self, port: u16) -> bool {
        self.locked().pages.contains(&port)
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.locked().by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes a line, or opens it.
    ///
    /// # Errors
    /// [`Code::TooManyRequests`] for one line too many, [`Code::Unavailable`] where no port can be had.
    pub fn put(&self, id: &str, wanted: &Wanted) -> Result<Arc<Line>, Problem> {
        let mut lines = self.locked();
        // One may have ended by itself, having lost its port.
        lines.by_id.retain(|_, line| !line.has_ended());
        if let Some(line) = lines.by_id.get(id) {
            line.change(wanted, Instant::now());
            return Ok(line.clone());
        }
        if lines.by_id.len() >= MAX_LINES {
            let detail = format!("there are {MAX_LINES} lines: delete one, or wait until one ends by itself");
            return Err(Problem::new(Code::TooManyRequests, detail).retry_after(IDLE));
        }
        let unavailable = |detail: String| Problem::new(Code::Unavailable, detail).retry_after(IDLE);
        let Some(server) = lines.server.clone() else {
            return Err(unavailable("nobody serves lines at present".to_owned()));
        };
        let ports =
            Ports::reserve().map_err(|error| unavailable(format!("there is no free port: {error}")))?;
        let line = Arc::new(Line::new(id, ports, wanted, Instant::now()));
        if server.send(line.clone()).is_err() {
            return Err(unavailable("the gateway is shutting down".to_owned()));
        }
        lines.by_id.insert(id.to_owned(), line.clone());
        self.count.set(lines.by_id.len() as i64);
        Ok(line)
    }

    /// A line, which is thereby asked for.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn line(&self, id: &str) -> Result<Arc<Line>, Problem> {
        let line = self.locked().by_id.get(id).filter(|line| !line.has_ended()).cloned();
        let line = line.ok_or_else(|| unknown(id))?;
        line.touch(Instant::now());
        Ok(line)
    }

    /// Ends a line, and its connections.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn end(&self, id: &str) -> Result<(), Problem> {
        let mut lines = self.locked();
        lines.by_id.remove(id).ok_or_else(|| unknown(id))?.end();
        self.count.set(lines.by_id.len() as i64);
        Ok(())
    }

    /// Ends the lines that nobody has wanted for long.
    pub fn expire(&self, now: Instant) {
        let mut lines = self.locked();
        lines.by_id.retain(|id, line| {
            if line.is_idle(now, IDLE) {
                tracing::debug!(id, "a line that nobody used has ended");
                line.end();
            }
            !line.has_ended()
        });
        self.count.set(lines.by_id.len() as i64);
    }

    fn locked(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("nothing panics while it holds the lock")
    }
}

fn unknown(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no line {id:?}")).at("id")
}

/// The name of a line, if it may be called so.
///
/// # Errors
/// A [`Problem`] naming `id`.
pub fn checked_id(id: &str) -> Result<&str, Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match id.len() {
        1..=MAX_ID if id.bytes().all(plain) => Ok(id),
        _ => Err(Problem::invalid("id", format!("it must be 1 to {MAX_ID} of A-Z a-z 0-9 _ . -"))),
    }
}

/// Where a line's source publishes unless it is told.
fn own_topic(id: &str) -> String {
    format!("{}{id}", Source::TOPICS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> (Lab, Gauge, mpsc::UnboundedReceiver<Arc<Line>>) {
        let count = Gauge::default();
        let lab = Lab::new(count.clone());
        let opened = lab.attach(vec![8080]);
        (lab, count, opened)
    }

    #[tokio::test]
    async fn lines_are_bounded_and_counted() {
        let (lab, count, mut opened) = lab();
        for number in 0..MAX_LINES {
            lab.put(&number.to_string(), &Wanted::default()).unwrap();
        }
        let problem = lab.put("more", &Wanted::default()).unwrap_err();
        assert_eq!((problem.code, problem.retry_after), (Code::TooManyRequests, Some(IDLE)));
        lab.put("7", &Wanted::default()).unwrap();
        lab.end("7").unwrap();
        assert_eq!(lab.end("7").unwrap_err().code, Code::NotFound);
        lab.put("more", &Wanted::default()).unwrap();
        assert_eq!((lab.len(), count.get()), (MAX_LINES, MAX_LINES as i64));
        let mut told = 0;
        while opened.try_recv().is_ok() {
            told += 1;
        }
        assert_eq!(told, MAX_LINES + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_nobody_wants_ends() {
        let (lab, count, _opened) = lab();
        let [asked, used, idle] =
            ["asked", "used", "idle"].map(|id| lab.put(id, &Wanted::default()).unwrap());
        let guest = used.join();
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        lab.line("asked").unwrap();
        lab.expire(Instant::now());
        assert_eq!(lab.len(), 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        lab.expire(Instant::now());
        assert_eq!((lab.len(), idle.has_ended(), asked.has_ended()), (2, true, false));
        tokio::time::advance(IDLE).await;
        drop(guest);
        lab.expire(Instant::now());
        assert_eq!((lab.len(), asked.has_ended(), used.has_ended()), (1, true, false));
        tokio::time::advance(IDLE).await;
        lab.expire(Instant::now());
        assert_eq!((lab.len(), count.get(), used.has_ended()), (0, 0, true));
    }

    #[test]
    fn names_are_plain() {
        for id in ["a", "A-b_c.9", &"x".repeat(64)] {
            assert_eq!(checked_id(id), Ok(id));
        }
        for id in ["", "a b", "a/b", "%41", "é", &"x".repeat(65)] {
            assert_eq!(checked_id(id).unwrap_err().field.as_deref(), Some("id"), "{id}");
        }
    }
}
