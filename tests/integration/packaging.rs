//! What a package installs beside the program, and what it runs.

use std::process::{Command, Output};

use crate::{
    harness,
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
