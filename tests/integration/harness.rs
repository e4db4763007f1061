//! A gateway in this process, on a port of its own, and publishers for it.

use std::{
    net::{SocketAddr, TcpListener},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use fanlight::{
    app::Gateway,
    config::Config,
    server::{self, Listeners},
};
use tokio::{runtime::Builder, sync::oneshot};

use crate::http::{Answer, Conn, DEADLINE, encode, get, post, soon, until};

/// A gateway that runs on a thread of its own until it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// The second listener, where there is one.
    pub(crate) publish_addr: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

/// A gateway with the defaults.
pub(crate) fn start() -> Server {
    start_with(|_| {})
}

/// A gateway with a configuration of the test's own. A `publish_listen` of any port gets a free one.
pub(crate) fn start_with(configure: impl FnOnce(&mut Config)) -> Server {
    let cores = std::env::var("FANLIGHT_TEST_CORES").map_or(2, |cores| cores.parse().expect("a number"));
    let no_takeover = match std::env::var("FANLIGHT_TEST_PATH").as_deref() {
        Ok("hosted") => true,
        Err(_) | Ok("taken") => false,
        Ok(other) => panic!("FANLIGHT_TEST_PATH={other}: there are taken and hosted"),
    };
    let drain_timeout = Duration::from_secs(2);
    let mut config = Config { cores, no_takeover, drain_timeout, ..Config::default() };
    configure(&mut config);

    let listener = bind();
    let addr = listener.local_addr().unwrap();
    config.listen = vec![addr];
    let publish = config.publish_listen.map(|_| bind());
    config.publish_listen = publish.as_ref().map(|listener| listener.local_addr().unwrap());
    let publish_addr = config.publish_listen;

    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(cores.max(1)).enable_all().build().unwrap();
        let listeners = Listeners { gateway: vec![listener], publish };
        let shutdown = async { drop(stopped.await) };
        runtime
            .block_on(server::run(Gateway::new(config), listeners, shutdown))
            .map_err(|error| error.to_string())
    });
    Server { addr, publish_addr, stop: Some(stop), thread: Some(thread) }
}

/// An address that nobody listens on.
pub(crate) fn unused() -> SocketAddr {
    bind().local_addr().unwrap()
}

fn bind() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

impl Server {
    /// A gateway that another process runs.
    pub(crate) fn elsewhere(addr: SocketAddr) -> Self {
        Self { addr, publish_addr: None, stop: None, thread: None }
    }

    /// Asks the gateway to drain and to end.
    pub(crate) fn shut_down(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until `run` has returned, and asserts that it returned `Ok`.
    pub(crate) async fn ended(&mut self) {
        let thread = self.thread.take().expect("asked once");
        until(|| thread.is_finished()).await;
        assert_eq!(thread.join().expect("no panic"), Ok(()));
    }

    /// Sends one request as it stands on a connection of its own.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut conn = Conn::open(self.addr).await;
        conn.send(request).await;
        conn.answer().await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(get(target)).await
    }

    /// The log's head.
    pub(crate) async fn cursor(&self) -> String {
        let answer = self.get("/v1/cursor").await;
        assert_eq!(answer.status(), 200);
        answer.json()["cursor"].as_str().expect("a cursor").to_owned()
    }

    /// What stands before the offset in every cursor of this log, with its hyphen.
    pub(crate) async fn epoch(&self) -> Epoch {
        let cursor = self.cursor().await;
        Epoch(cursor.split_once('-').expect("epoch and offset").0.to_owned())
    }

    /// Publishes one JSON value, and answers with its id.
    pub(crate) async fn publish(&self, topic: &str, data: &str) -> String {
        self.publisher().await.publish(topic, data).await
    }

    /// Publishes the numbers one after the other as data, and answers with their ids.
    pub(crate) async fn publish_all(
        &self,
        topic: &str,
        data: impl IntoIterator<Item = usize>,
    ) -> Vec<String> {
        let mut publisher = self.publisher().await;
        let mut ids = Vec::new();
        for number in data {
            ids.push(publisher.publish(topic, &number.to_string()).await);
        }
        ids
    }

    /// A publisher on one connection, where publishing is taken.
    pub(crate) async fn publisher(&self) -> Publisher {
        Publisher { conn: Conn::open(self.publish_addr.unwrap_or(self.addr)).await }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
        let Some(thread) = self.thread.take() else { return };
        let start = Instant::now();
        while !thread.is_finished() {
            if start.elapsed() > DEADLINE {
                eprintln!("the gateway on {} did not end", self.addr);
                return assert!(std::thread::panicking(), "the gateway ends");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let result = thread.join();
        assert!(
            std::thread::panicking() || matches!(result, Ok(Ok(()))),
            "the gateway ended with {result:?}"
        );
    }
}

/// One connection that publishes, request after answer.
pub(crate) struct Publisher {
    conn: Conn,
}

impl Publisher {
    /// Publishes one JSON value, and answers with its id.
    pub(crate) async fn publish(&mut self, topic: &str, data: &str) -> String {
        let answer = self.post(topic, &["Content-Type: application/json"], data).await;
        id_of(&answer)
    }

    /// Publishes any body under any headers.
    pub(crate) async fn post(&mut self, topic: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
        soon(self.try_post(topic, headers, body)).await.expect("an answer")
    }

    /// The same; `None` when the connection ended without an answer.
    pub(crate) async fn try_post(
        &mut self,
        topic: &str,
        headers: &[&str],
        body: impl AsRef<[u8]>,
    ) -> Option<Answer> {
        let target = format!("/v1/publish?topic={}", encode(topic));
        if !self.conn.try_send(post(&target, headers, body)).await {
            return None;
        }
        self.conn.try_answer().await
    }
}

/// The id in the literal answer to a publish.
#[track_caller]
pub(crate) fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let id = answer.text().strip_prefix(r#"{"id":""#).and_then(|rest| rest.strip_suffix(r#""}"#));
    id.unwrap_or_else(|| panic!("not the answer to a publish: {}", answer.text())).to_owned()
}

/// The offset in a cursor.
pub(crate) fn offset(cursor: &str) -> u64 {
    let offset = cursor.split_once('-').and_then(|(_, offset)| offset.parse().ok());
    offset.unwrap_or_else(|| panic!("not a cursor: {cursor}"))
}

/// The name of one gateway's log.
pub(crate) struct Epoch(pub(crate) String);

impl Epoch {
    /// The cursor of this log with that offset.
    pub(crate) fn at(&self, offset: u64) -> String {
        format!("{}-{offset}", self.0)
    }

    /// The text with what differs from run to run made plain: this epoch as `E`, each time as `T`.
    #[track_caller]
    pub(crate) fn mask(&self, text: impl AsRef<[u8]>) -> String {
        let text = std::str::from_utf8(text.as_ref()).expect("UTF-8");
        let mut masked = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(r#","time":""#) {
            let (time, after) = after.split_once('"').expect("the end of a string");
            assert!(is_time(time), "not a time in microseconds: {time}");
            masked += &format!(r#"{before},"time":"T""#);
            rest = after;
        }
        (masked + rest).replace(&format!("{}-", self.0), "E-")
    }
}

/// Whether it has the shape of `2026-11-22T09:31:02.123456Z`.
fn is_time(time: &str) -> bool {
    let shape = time.bytes().map(|byte| if byte.is_ascii_digit() { b'9' } else { byte });
    shape.eq(*b"9999-99-99T99:99:99.999999Z")
}
