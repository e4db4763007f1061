//! What a package installs beside the program, and what it runs.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

use crate::{
    harness,
    http::{Conn, get},
    process::{Served, fanlight},
};

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

/// What bash offers behind `words`, the last of which is being typed.
fn bash_completes(words: &[&str]) -> Vec<String> {
    let typed = words.last().unwrap();
    let script = format!(
        "source <({program} completions bash)\n\
         COMP_WORDS=({words}) COMP_CWORD={at}\n\
         _fanlight fanlight '{typed}' '{before}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        program = env!("CARGO_BIN_EXE_fanlight"),
        words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        at = words.len() - 1,
        before = words[words.len() - 2],
    );
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash is there");
    assert!(output.status.success(), "{output:?}");
    said(&output).lines().map(str::to_owned).collect()
}

#[test]
fn bash_knows_commands_flags_and_values() {
    assert_eq!(bash_completes(&["fanlight", "sub"]), ["subscribe"]);
    assert_eq!(bash_completes(&["fanlight", "serve", "--history-a"]), ["--history-age"]);
    let shells = bash_completes(&["fanlight", "completions", ""]);
    assert!(shells.iter().any(|shell| shell == "zsh"), "{shells:?}");
}

#[test]
fn other_shells_get_completions_of_their_own() {
    for (shell, mark) in
        [("zsh", "#compdef fanlight"), ("fish", "complete -c fanlight"), ("powershell", "Register-")]
    {
        let output = fanlight(&["completions", shell]).output().unwrap();
        assert!(output.status.success());
        assert!(said(&output).contains(mark) && said(&output).contains("subscribe"), "{shell}");
    }
    assert_eq!(fanlight(&["completions", "dos"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn the_manual_has_every_command() {
    let output = fanlight(&["man"]).output().unwrap();
    assert!(output.status.success());
    for command in ["fanlight", "demo", "serve", "config", "publish", "subscribe", "health"] {
        let names = said(&output).lines().filter(|line| line.starts_with(".TH"));
        assert!(names.into_iter().any(|line| line.contains(command)), "{command}");
    }
    assert!(said(&output).contains("history\\-age"));
}

#[tokio::test]
async fn health_is_a_status() {
    let served = Served::start(&["--drain-delay", "5s"]).await;
    let url = format!("http://{}", served.client().addr);
    let output = fanlight(&["health", "--url", &url]).output().unwrap();
    assert_eq!((output.status.code(), said(&output)), (Some(0), "ready\n"));
    served.signal("TERM");
    crate::http::soon(async {
        while fanlight(&["health", "--url", &url]).output().unwrap().status.code() != Some(1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let nobody = format!("http://{}", harness::unused());
    assert_eq!(fanlight(&["health", "--url", &nobody]).output().unwrap().status.code(), Some(1));
    assert_eq!(fanlight(&["health", "--url", "ftp://x"]).output().unwrap().status.code(), Some(2));
}

/// systemd itself reads the unit, and finds little that the service could do beyond its work.
#[test]
fn the_unit_is_sound_and_closed() {
    let unit = include_str!("../../packaging/fanlight.service");
    let program = "ExecStart=/usr/local/bin/fanlight ";
    assert_eq!(unit.matches(program).count(), 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fanlight.service");
    let there = unit.replace(program, concat!("ExecStart=", env!("CARGO_BIN_EXE_fanlight"), " "));
    std::fs::write(&file, there).unwrap();
    let verified =
        Command::new("systemd-analyze").arg("verify").arg(&file).output().expect("systemd is there");
    let complaints = String::from_utf8_lossy(&verified.stderr);
    // It looks at what it needs of the machine's own units as well.
    assert!(verified.status.success() && !complaints.contains("fanlight.service"), "{complaints}");
    let exposed = ["security", "--offline=true", "--no-pager", "--threshold=15"];
    let exposure = Command::new("systemd-analyze").args(exposed).arg(&file).output().unwrap();
    assert!(exposure.status.success(), "{}", said(&exposure));
}

/// What the container runs is what the program understands.
#[test]
fn the_container_runs_what_there_is() {
    let dockerfile = include_str!("../../Dockerfile");
    let settings = dockerfile.lines().find_map(|line| line.strip_prefix("ENV ")).expect("its settings");
    let mut config = fanlight(&["config"]);
    config.envs(settings.split(' ').map(|setting| setting.split_once('=').unwrap()));
    let output = config.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("listen = [\"0.0.0.0:8080\"]"), "{}", said(&output));
    assert!(dockerfile.contains("CMD [\"fanlight\", \"health\"]"));
    // The compiler is the one that the crate asks for.
    let asked = concat!("FROM rust:", env!("CARGO_PKG_RUST_VERSION"), "-slim");
    assert!(dockerfile.contains(asked), "{asked}");
}

/// Runs `fanlight serve` behind this line of a shell, which ends with `exec`, until it listens.
async fn behind(line: &str) -> (std::process::Child, std::net::SocketAddr) {
    let fanlight = env!("CARGO_BIN_EXE_fanlight");
    let line = format!("{line} {fanlight} serve --listen 127.0.0.1:0");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        first
    });
    let first = crate::http::soon(read).await.unwrap();
    let addr = first.trim().strip_prefix("listening on http://").expect("it listens").parse().unwrap();
    (child, addr)
}

fn signal(child: &std::process::Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

/// A terminal that is closed ends a gateway as decently as Ctrl-C does.
#[tokio::test]
async fn a_terminal_that_goes_drains_the_gateway_unless_nohup_forbids_it() {
    let (child, addr) = behind("exec").await;
    let mut subscriber = Conn::open(addr).await;
    subscriber.send(get("/v1/chunked?topic=a")).await;
    subscriber.head().await;
    signal(&child, "HUP");
    let said = String::from_utf8(subscriber.rest().await).unwrap();
    assert!(said.contains("reconnect"), "{said}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));

    let (child, addr) = behind("trap '' HUP; exec").await;
    signal(&child, "HUP");
    let server = harness::Server::elsewhere(addr);
    assert_eq!(server.get("/readyz").await.text(), "ready\n", "it was told not to listen to that");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn what_an_operator_would_not_find_out_in_time_is_said_at_the_start() {
    let (child, _) = behind("ulimit -S -n 300; ulimit -H -n 1000; FANLIGHT_HISTORY_AGEE=1h exec").await;
    // Raised as far as it may be, which is too little.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(open_files.split_whitespace().nth(3), Some("1000"), "{open_files}");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("limit of open files") && log.contains("max_open_files=1000"), "{log}");
    assert!(log.contains("FANLIGHT_HISTORY_AGEE is no setting"), "{log}");
}

/// Without a descriptor left the gateway goes on with whom it has, and says so once, not for each try. (A core that had
/// not got its own by then never started, and whoever was given to it found nobody.)
#[tokio::test]
async fn a_gateway_without_descriptors_says_so() {
    let (child, addr) = behind("ulimit -n 40; exec").await;
    let mut connections = Vec::new();
    while connections.len() < 60 {
        connections.push(Conn::open(addr).await);
    }
    // Those that wait get in once the others leave.
    connections.truncate(1);
    let server = harness::Server::elsewhere(addr);
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log.matches("connections cannot be accepted").count(), 1, "{log}");
    assert!(log.contains("Too many open files"), "{log}");
}
