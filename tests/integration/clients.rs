//! Clients from other hands, as they are: each follows a publisher over connections that are cut, and gets every
//! event once.
//!
//! The programs in `tests/clients` are what `docs/clients.md` shows, word for word.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rstest::rstest;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::{harness, http::get, relay::Relay};

/// Events that are published, and connections that are cut meanwhile.
const EVENTS: usize = 150;
const CUTS: usize = 8;
/// For all of them.
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "orders/42/status";

/// A program that others can copy.
struct Recipe {
    name: &'static str,
    /// Who made it, and which version this is.
    package: Package,
    file: &'static str,
    transports: &'static [&'static str],
    about: &'static str,
}

enum Package {
    Npm(&'static str),
    Python(&'static str),
    Crate(&'static str),
    Debian,
    Node,
}

const RECIPES: [Recipe; 14] = [
    Recipe {
        name: "curl",
        package: Package::Debian,
        file: "curl.sh",
        transports: &["poll", "longpoll", "chunked", "sse"],
        about: "With `jq`. `-N` has curl print what comes at once.",
    },
    Recipe {
        name: "EventSource (npm eventsource)",
        package: Package::Npm("eventsource"),
        file: "eventsource.mjs",
        transports: &["sse"],
        about: "It reconnects and resumes by itself.",
    },
    Recipe { name: "ws", package: Package::Npm("ws"), file: "ws.mjs", transports: &["websocket"], about: "" },
    Recipe {
        name: "undici",
        package: Package::Npm("undici"),
        file: "undici.mjs",
        transports: &["poll", "longpoll", "chunked", "websocket"],
        about: "Its `fetch` and its `WebSocket`. `following.mjs` is below.",
    },
    Recipe {
        name: "Node's fetch",
        package: Package::Node,
        file: "fetch.mjs",
        transports: &["poll", "longpoll", "chunked"],
        about: "",
    },
    Recipe {
        name: "Node's WebSocket",
        package: Package::Node,
        file: "websocket.mjs",
        transports: &["websocket"],
        about: "",
    },
    Recipe {
        name: "for any fetch",
        package: Package::Node,
        file: "following.mjs",
        transports: &[],
        about: "",
    },
    Recipe {
        name: "Chromium",
        package: Package::Debian,
        file: "chromium.mjs",
        transports: &["chunked", "sse", "websocket"],
        about: "The browser's own `EventSource`, `fetch` and `WebSocket`, in a page that playwright-core opens.",
    },
    Recipe {
        name: "httpx-sse",
        package: Package::Python("httpx-sse"),
        file: "httpx_sse_client.py",
        transports: &["sse"],
        about: "",
    },
    Recipe {
        name: "aiohttp",
        package: Package::Python("aiohttp"),
        file: "aiohttp_client.py",
        transports: &["poll", "longpoll", "chunked", "websocket"],
        about: "",
    },
    Recipe {
        name: "websockets",
        package: Package::Python("websockets"),
        file: "websockets_client.py",
        transports: &["websocket"],
        about: "",
    },
    Recipe {
        name: "requests",
        package: Package::Python("requests"),
        file: "requests_client.py",
        transports: &["poll", "longpoll", "chunked"],
        about: "",
    },
    Recipe {
        name: "reqwest",
        package: Package::Crate("reqwest"),
        file: "reqwest.rs",
        transports: &["poll", "longpoll", "chunked"],
        about: "Its `stream` feature. `show` prints an event and returns its id; a control has none.",
    },
    Recipe {
        name: "tokio-tungstenite",
        package: Package::Crate("tokio-tungstenite"),
        file: "tungstenite.rs",
        transports: &["websocket"],
        about: "",
    },
];

#[path = "../clients/reqwest.rs"]
#[expect(unreachable_pub, reason = "it stands as it would elsewhere")]
mod reqwest_client;
#[path = "../clients/tungstenite.rs"]
#[expect(unreachable_pub, reason = "it stands as it would elsewhere")]
mod tungstenite_client;

/// A client at work, whatever it is written in. It ends when dropped.
enum Running {
    Program(Child),
    Task(JoinHandle<()>),
}

impl Drop for Running {
    fn drop(&mut self) {
        match self {
            Self::Program(child) => {
                // A browser is more than one process, so it is asked to go first.
                let _ = Command::new("kill").arg(child.id().to_string()).status();
                for _ in 0..100 {
                    if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Task(task) => task.abort(),
        }
    }
}

/// Starts a client; what it prints comes line by line.
fn start(
    file: &str,
    base: &str,
    transport: &'static str,
    cursor: &str,
) -> (Running, mpsc::UnboundedReceiver<String>) {
    let (lines, received) = mpsc::unbounded_channel();
    if file.ends_with(".rs") {
        let (base, cursor) = (base.to_owned(), cursor.to_owned());
        let task = tokio::spawn(async move {
            let show = |document: &str| {
                let id = serde_json::from_str::<Value>(document).ok()?.get("id")?.as_str()?.to_owned();
                lines.send(document.to_owned()).ok()?;
                Some(id)
            };
            match transport {
                "websocket" => tungstenite_client::follow(&base, TOPIC, cursor, show).await,
                _ => reqwest_client::follow(&base, transport, TOPIC, cursor, show).await,
            }
        });
        return (Running::Task(task), received);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let program = match file.rsplit('.').next() {
        Some("mjs") => "node".into(),
        Some("py") => folder.join(".venv/bin/python"),
        _ => "bash".into(),
    };
    // Node 20 has a WebSocket for who asks for it.
    let words: &[&str] = if file == "websocket.mjs" { &["--experimental-websocket"] } else { &[] };
    let mut child = Command::new(program)
        .args(words)
        .arg(folder.join("clients").join(file))
        .args([base, transport, TOPIC, cursor])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the client starts");
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    (Running::Program(child), received)
}

/// Data of every kind that a careless reader could stumble over.
fn data(number: usize) -> Value {
    match number % 6 {
        0 => json!(number),
        1 => json!({"n": number, "text": "두 줄\nline two\r\n\u{2028}data: id: 1"}),
        2 => json!("🚪".repeat(200)),
        3 => json!({"control": "no control", "id": "no id", "events": []}),
        4 => json!([[], {}, null, true, "\u{0}\u{7f}\""]),
        _ => json!("x".repeat(1500)),
    }
}

#[rstest]
#[case("curl.sh", &["poll", "longpoll", "chunked", "sse"])]
#[case("eventsource.mjs", &["sse"])]
#[case("ws.mjs", &["websocket"])]
#[case("undici.mjs", &["poll", "longpoll", "chunked", "websocket"])]
#[case("fetch.mjs", &["poll", "longpoll", "chunked"])]
#[case("websocket.mjs", &["websocket"])]
#[case("chromium.mjs", &["chunked", "sse", "websocket"])]
#[case("httpx_sse_client.py", &["sse"])]
#[case("aiohttp_client.py", &["poll", "longpoll", "chunked", "websocket"])]
#[case("websockets_client.py", &["websocket"])]
#[case("requests_client.py", &["poll", "longpoll", "chunked"])]
#[case("reqwest.rs", &["poll", "longpoll", "chunked"])]
#[case("tungstenite.rs", &["websocket"])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receives_everything_once(#[case] file: &str, #[case] transports: &[&'static str]) {
    let recipe = RECIPES.iter().find(|recipe| recipe.file == file).expect("it stands in the document");
    assert_eq!(recipe.transports, transports, "the document tells what is tested");
    for transport in transports {
        follow(file, transport).await;
    }
}

/// 1. A client begins at a cursor, through a relay.
/// 2. Events are published, and connections cut: in a head, in an event, between two.
/// 3. The client has printed each event once, in order.
async fn follow(file: &str, transport: &'static str) {
    let server = harness::start_with(|config| config.retry = Duration::from_millis(20));
    let cursor = server.cursor().await;
    let relay = Relay::before(server.addr, CUTS).await;
    let base = format!("http://{}", relay.addr);
    let (running, mut lines) = start(file, &base, transport, &cursor);
    let mut publisher = server.publisher().await;
    for number in 0..EVENTS {
        publisher.publish(TOPIC, &data(number).to_string()).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let target = format!("/v1/poll?topic={TOPIC}&after={cursor}&limit=1000");
    let published = server.ask(get(&target)).await.json()["events"].clone();
    let published = published.as_array().unwrap();
    assert_eq!(published.len(), EVENTS);
    let received = timeout(PATIENCE, async {
        let mut received = Vec::new();
        while received.len() < EVENTS {
            let line = lines.recv().await.expect("the client goes on");
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(event, published[received.len()], "{file} over {transport}, event {}", received.len());
            received.push(event);
        }
        received.len()
    });
    let received = received.await.unwrap_or_else(|_| panic!("{file} over {transport}: not all came"));
    assert_eq!(received, EVENTS);
    assert_eq!(relay.cuts_left(), 0, "{file} over {transport}: it was cut less often than it should");
    // Nothing follows: one more event is the next that it prints.
    let last = server.publish(TOPIC, "\"last\"").await;
    let line = timeout(PATIENCE, lines.recv()).await.expect("in time").expect("the client goes on");
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], *last);
    drop(running);
}

/// Publishing, in as many ways.
const PUBLISHERS: [(&str, &str); 5] = [
    ("curl", "publish.sh"),
    ("Node", "publish.mjs"),
    ("Python", "publish.py"),
    ("Go", "publish.go"),
    ("The command itself: each line of what another program says", "pipe.sh"),
];

/// Each publishes `{"state":"picked-up"}`, and the command the lines of what it is given.
#[rstest]
#[case("publish.sh", "bash", &[])]
#[case("publish.mjs", "node", &[])]
#[case("publish.py", "tests/.venv/bin/python", &[])]
#[case("publish.go", "go", &["run"])]
#[case("pipe.sh", "bash", &[])]
#[tokio::test]
async fn publishes(#[case] file: &str, #[case] program: &str, #[case] words: &[&str]) {
    let server = harness::start();
    let start = server.cursor().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Path::new(env!("CARGO_BIN_EXE_fanlight")).parent().unwrap();
    let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .args(words)
        .arg(root.join("tests/clients").join(file))
        .arg(format!("http://{}", server.addr))
        .env("PATH", path)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{output:?}");
    let target = format!("/v1/poll?topic=**&after={start}");
    let events = server.ask(get(&target)).await.json()["events"].clone();
    let told: Vec<(&str, &Value)> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["topic"].as_str().unwrap(), &event["data"]))
        .collect();
    match file {
        "pipe.sh" => assert_eq!(told, [("logs/journal", &json!("one")), ("logs/journal", &json!("two"))]),
        _ => assert_eq!(told, [(TOPIC, &json!({"state": "picked-up"}))]),
    }
}

/// What the document should be. `FANLIGHT_TEST_UPDATE=1` writes it.
#[test]
fn the_document_is_what_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("docs/clients.md");
    let document = document(root);
    if std::env::var("FANLIGHT_TEST_UPDATE").is_ok() {
        std::fs::write(&file, &document).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == document,
        "docs/clients.md is not what the tests make of it: FANLIGHT_TEST_UPDATE=1 writes it"
    );
}

fn document(root: &Path) -> String {
    let transports = ["poll", "longpoll", "chunked", "sse", "websocket"];
    let mut out = String::from(
        "# Clients\n\n\
         A client of Fanlight is any client of HTTP or WebSocket. Those below are tested as they stand here: each follows a\n\
         publisher while its connection is cut in heads, within events and between them, and gets every event once, in order.\n\
         (This page is made by the tests from the programs that they run.)\n\n",
    );
    writeln!(out, "| client | version | {} |", transports.join(" | ")).unwrap();
    writeln!(out, "|---|---|{}", ":-:|".repeat(transports.len())).unwrap();
    for recipe in RECIPES.iter().filter(|recipe| !recipe.transports.is_empty()) {
        let marks = transports.map(|name| if recipe.transports.contains(&name) { "✓" } else { "" });
        let version = version(root, &recipe.package);
        writeln!(out, "| {} | {version} | {} |", recipe.name, marks.join(" | ")).unwrap();
    }
    out.push_str(
        "\nAll do the same two things: they keep the id of the last event that they *processed*, and come back with it after a\n\
         pause. In a browser, draw the pause at random and let it grow. A client that has to know of losses looks at the\n\
         control `gap`, as those for `eventsource` and `ws` do.\n\n\
         ## Following a topic\n",
    );
    let source = |file: &str| std::fs::read_to_string(root.join("tests/clients").join(file)).unwrap();
    for recipe in &RECIPES {
        let gap = if recipe.about.is_empty() { "" } else { "\n" };
        let language = language(recipe.file);
        write!(
            out,
            "\n### {}\n\n{}{gap}{gap}```{language}\n{}```\n",
            recipe.name,
            recipe.about,
            source(recipe.file)
        )
        .unwrap();
    }
    out.push_str("\n## Publishing\n");
    for (name, file) in PUBLISHERS {
        write!(out, "\n### {name}\n\n```{}\n{}```\n", language(file), source(file)).unwrap();
    }
    out
}

fn language(file: &str) -> &str {
    match file.rsplit('.').next().unwrap() {
        "mjs" => "js",
        "py" => "python",
        "rs" => "rust",
        other => other,
    }
}

/// The version that is tested, where the tests choose it.
fn version(root: &Path, package: &Package) -> String {
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    match package {
        Package::Npm(name) => {
            let manifest: Value = serde_json::from_str(&read("tests/clients/package.json")).unwrap();
            manifest["dependencies"][name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned()
        }
        Package::Python(name) => {
            let pinned = read("tests/requirements.txt");
            let version = pinned.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
            version.unwrap_or_else(|| panic!("{name}")).to_owned()
        }
        Package::Crate(name) => {
            let lock = read("Cargo.lock");
            let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        }
        Package::Debian => "Debian 12's".to_owned(),
        Package::Node => "Node 20's".to_owned(),
    }
}
