//! The command from its arguments to its files.

use std::{io::Write, net::TcpListener, process::Command};

use loadtest::results::{CpuSource, Pattern, Purpose, Results};

use crate::support::{command, gateway, program, ran};

fn valid_by_schema(results: &Results) {
    let schema = include_str!("../../schema/results.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let value = serde_json::to_value(results).expect("it can be written");
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// Runs the command on a gateway of its own.
fn on_own(words: &[&str]) -> Results {
    let program = program();
    let (results, output, folder) = ran(&[words, &["--server", &program.to_string_lossy()]].concat());
    valid_by_schema(&results);
    let html = std::fs::read_to_string(folder.path().join("report.html")).expect("there is a report");
    assert!(html.contains("<html") || html.contains("<!doctype html"), "the report is a page");
    let said = String::from_utf8_lossy(&output.stdout);
    // What the noise floor was measured with has no row.
    let mut shown = results.cells.iter().filter(|cell| cell.purpose != Purpose::Noise);
    assert!(shown.all(|cell| said.contains(&cell.id)), "the table has the cells: {said}");
    results
}

#[test]
fn all_transports_deliver_each_event_once() {
    let results = on_own(&[
        "--subscribers",
        "30",
        "--rate",
        "40",
        "--time",
        "1s",
        "--warm-up",
        "200ms",
        "--poll-interval",
        "100ms",
        "--rtt",
        "0ms,20ms",
        "--noise",
        "2",
    ]);
    assert_eq!(results.cells.len(), 2 + 10);
    for cell in &results.cells {
        let total = &cell.total;
        assert!(total.exactly.holds(), "{}: {:?}", cell.id, total.exactly);
        assert_eq!(total.exactly.established, 30);
        assert_eq!(total.published, 40, "{}", cell.id);
        let latency = total.latency.as_ref().expect("there are events");
        assert_eq!(latency.count, 30 * 40, "{}", cell.id);
        // Half a round trip at least: a poll may have been on its way already.
        assert!(latency.min_ms >= cell.rtt_ms * 0.5, "{}: {} ms", cell.id, latency.min_ms);
        let cpu = total.cpu.expect("it is a process of this machine");
        assert_eq!(cpu.source, CpuSource::Proc);
        assert!(cpu.total_ns_per_delivery > Some(500.0), "{}: {cpu:?}", cell.id);
        // Payload, envelope, and what is around them.
        let bytes = total.wire.sockets.bytes_per_delivery.expect("there are events");
        assert!((280.0..1200.0).contains(&bytes), "{}: {bytes} B", cell.id);
        let requests = total.wire.requests_per_event.expect("there are events");
        assert_eq!(requests == 0.0, cell.transport.streams(), "{}: {requests} requests", cell.id);
    }
    assert!(results.noise.is_some());
    assert!(results.comparisons.len() >= 10 * 2 * 4);
    let purpose = |purpose| results.cells.iter().filter(|cell| cell.purpose == purpose).count();
    assert_eq!((purpose(Purpose::Noise), purpose(Purpose::Compare)), (2, 10));
}

#[test]
fn every_pattern_keeps_its_books() {
    let results = on_own(&[
        "--transport",
        "sse,longpoll,websocket",
        "--pattern",
        "burst,storm,slow,churn,idle",
        "--subscribers",
        "40",
        "--topics",
        "4",
        "--rate",
        "80",
        "--burst",
        "8",
        "--share",
        "0.25",
        "--time",
        "1s",
        "--noise",
        "0",
    ]);
    assert_eq!(results.cells.len(), 3 * 5);
    for cell in &results.cells {
        let (total, exactly) = (&cell.total, cell.total.exactly);
        assert!(exactly.holds() && exactly.gaps == 0, "{}: {exactly:?}", cell.id);
        assert_eq!(total.generator.errors, 0, "{}: {:?}", cell.id, total.generator.first_error);
        match cell.pattern {
            Pattern::Storm | Pattern::Churn => {
                let resume = total.resume.as_ref().expect("connections were broken");
                let broken = if cell.pattern == Pattern::Storm { 40 } else { 8 };
                assert_eq!((resume.broken, resume.resumed), (broken, broken), "{}", cell.id);
            }
            _ => assert_eq!(total.resume, None, "{}", cell.id),
        }
        assert_eq!(total.latency.is_none(), cell.pattern == Pattern::Idle, "{}", cell.id);
        // A quarter of them does not read, and is left out of the latency.
        let listeners = if cell.pattern == Pattern::Slow { 30 } else { 40 };
        if let Some(latency) = &total.latency {
            assert_eq!(latency.count, total.published * listeners / 4, "{}", cell.id);
        }
    }
}

#[test]
fn a_server_that_runs_already_is_read_by_its_metrics() {
    let server = gateway(&[]);
    let url = format!("http://{}", server.addr);
    let words =
        ["--transport", "sse,poll", "--poll-interval", "50ms", "--subscribers", "50", "--rate", "100"];
    let (results, ..) = ran(&[&words[..], &["--url", &url, "--time", "1s", "--noise", "0"]].concat());
    valid_by_schema(&results);
    let described = &results.manifest.servers[0];
    assert!(!described.own && described.command == url && described.version.is_some(), "{described:?}");
    let clock = described.clock.as_ref().expect("it tells its time");
    assert!(clock.offset_ms.abs() <= clock.error_ms + 5.0, "on one machine there is one clock: {clock:?}");
    for cell in &results.cells {
        let cpu = cell.total.cpu.expect("the gateway has metrics");
        assert_eq!(cpu.source, CpuSource::Metrics);
        assert!(cpu.total_ns > 0 && cell.total.exactly.holds(), "{}: {cpu:?}", cell.id);
    }
}

/// A server that is none of ours: plain Server-Sent Events, one topic, no metrics, no resuming.
#[test]
fn what_cannot_be_known_is_not_measured() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    std::thread::spawn(move || foreign(&listener));
    let folder = tempfile::tempdir().expect("there is room");
    let plan = folder.path().join("plan.toml");
    let text = format!(
        "noise = 0\n[servers.foreign]\nurl = \"{url}\"\n[servers.foreign.templates.publish]\npath = \"/publish\"\n\
         [servers.foreign.templates.subscribe.sse]\npath = \"/events\"\n\
         [[cells]]\nsubscribers = 5\nrate = 50\ntime = \"500ms\"\nwarm_up = \"100ms\"\n"
    );
    std::fs::write(&plan, text).expect("there is room");
    let (results, ..) = ran(&["--plan", &plan.to_string_lossy()]);
    valid_by_schema(&results);
    let total = &results.cells[0].total;
    assert!(total.exactly.holds(), "{:?}", total.exactly);
    assert_eq!((total.cpu, total.memory), (None, None));
    assert_eq!((&total.wire.ledger, total.wire.agree), (&None, None));
    for name in ["cpu", "memory", "wire.ledger"] {
        assert!(total.not_measured.contains_key(name), "{name}: {:?}", total.not_measured);
    }
}

/// A hub of a few lines.
fn foreign(listener: &TcpListener) {
    use std::{
        io::{BufRead, BufReader, Read},
        net::TcpStream,
        sync::{Arc, Mutex},
    };
    let subscribers: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    for stream in listener.incoming().map_while(Result::ok) {
        let subscribers = Arc::clone(&subscribers);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().expect("it is open"));
            let mut writer = stream;
            loop {
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if line == "\r\n" {
                        break;
                    }
                    lines.push(line.to_ascii_lowercase());
                }
                if lines[0].starts_with("get /events") {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n";
                    let _ = writer.write_all(head.as_bytes());
                    subscribers.lock().unwrap().push(writer);
                    return;
                }
                let length =
                    lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                let _ = reader.read_exact(&mut body);
                let event = format!("data: {}\n\n", String::from_utf8_lossy(&body));
                if !body.is_empty() {
                    for mut subscriber in subscribers.lock().unwrap().iter() {
                        let _ = subscriber.write_all(event.as_bytes());
                    }
                }
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
    }
}

#[test]
fn a_server_that_asks_and_does_not_read_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    std::thread::spawn(move || pinging(&listener));
    let words = ["--adapter", "ws", "--transport", "websocket", "--subscribers", "1", "--time", "500ms"];
    let (mut command, _folder) = command(&[&words[..], &["--noise", "0", "--url", &url]].concat());
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("asks and reads no answers"), "{said}");
}

/// Pings its subscribers for as long as they take it, and reads nothing of what they say.
fn pinging(listener: &TcpListener) {
    use std::io::Read;
    for mut stream in listener.incoming().map_while(Result::ok) {
        std::thread::spawn(move || {
            let mut request = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut request) {
                let text = String::from_utf8_lossy(&request[..count]).to_ascii_lowercase();
                if text.contains("upgrade: websocket") {
                    let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
                    let pings = [&[0x89, 125][..], &[b'p'; 125]].concat().repeat(512);
                    while stream.write_all(&pings).is_ok() {}
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
    }
}

#[test]
fn mistakes_are_named() {
    let said = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(words).output().expect("it starts");
        assert!(!output.status.success(), "{words:?} is no mistake");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (words, wanted) in [
        (&["--url", "https://example.org"][..], "no TLS"),
        (&["--url", &format!("http://{unused}")], "refused"),
        (&["--plan", "/nowhere.toml"], "/nowhere.toml"),
        (&["--server", "/bin/false"], "/bin/false serve"),
        (&["--payload", "5"], "`payload`"),
        (&["--out", "/proc/nowhere"], "/proc/nowhere"),
        (&["rivals", "pigeon"], "`pigeon`"),
        (&["compare", "/nowhere.json", "/nowhere.json"], "/nowhere.json"),
    ] {
        let text = said(words);
        assert!(text.contains(wanted), "{words:?}: {text}");
    }
}

#[test]
fn two_documents_are_compared_and_a_report_is_made_again() {
    let (_, _, folder) = ran(&[
        "--transport",
        "sse",
        "--subscribers",
        "10",
        "--time",
        "1s",
        "--noise",
        "2",
        "--server",
        &program().to_string_lossy(),
    ]);
    let json = folder.path().join("report.json");
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(words).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let json = json.to_string_lossy();
    assert!(
        run(&["compare", &json, &json]).contains("no difference")
            || run(&["compare", &json, &json]).contains("not comparable")
    );
    let html = folder.path().join("again.html");
    run(&["report", &json, "--out", &html.to_string_lossy()]);
    assert_eq!(
        std::fs::read_to_string(html).expect("it was written"),
        std::fs::read_to_string(folder.path().join("report.html")).expect("it was written"),
    );
    let plan = run(&["plan"]);
    assert!(loadtest::plan::Plan::parse(&plan).is_ok(), "{plan}");
}

/// Real servers of other hands behind the adapters: installed if they are missing, started, and served the same load.
#[test]
fn rivals_are_served_the_same_load() {
    let program = program();
    let words =
        ["rivals", "--subscribers", "20", "--rate", "40", "--time", "500ms", "--poll-interval", "200ms"];
    let more = ["--repeat", "1", "--noise", "0", "--server", &program.to_string_lossy()];
    let (results, output, _folder) = ran(&[&words[..], &more].concat());
    valid_by_schema(&results);
    let said = String::from_utf8_lossy(&output.stdout);
    for (server, transports) in [("fanlight", 5), ("nchan", 5), ("socketio", 1), ("ws", 1)] {
        let cells: Vec<_> = results.cells.iter().filter(|cell| cell.server == server).collect();
        assert_eq!(cells.len(), transports, "{server}: {said}");
        for cell in cells {
            let exactly = cell.total.exactly;
            assert!(exactly.holds() && exactly.established == 20, "{}: {exactly:?}", cell.id);
            assert!(cell.total.cpu.is_some_and(|cpu| cpu.total_ns > 0), "{}", cell.id);
        }
        let described = results.manifest.servers.iter().find(|held| held.name == server);
        assert!(described.is_some_and(|server| server.own && server.version.is_some()), "{described:?}");
    }
}
