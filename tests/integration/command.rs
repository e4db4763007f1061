//! The command, as a person and a script meet it.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use rstest::rstest;

use crate::{
    process::{Served, fanlight},
    subscriber::Transport,
};

/// Runs it to its end with this on its standard input.
async fn run(args: Vec<String>, input: &str) -> Output {
    let input = input.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut child =
            fanlight(&args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().unwrap();
        let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        drop(writing.join());
        output
    });
    crate::http::soon(run).await.unwrap()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// What one program's lines become, as every transport's subscriber prints it.
#[tokio::test]
async fn lines_go_in_and_come_out_over_every_transport() {
    let served = Served::start(&[]).await;
    let url = format!("http://{}", served.client().addr);
    let lines: String = (0..500).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let published = run(words(&format!("publish logs/app --url {url}")), &lines).await;
    assert!(published.status.success(), "{published:?}");
    let said = String::from_utf8(published.stderr).unwrap();
    assert!(said.contains("500"), "the count at the end: {said}");

    let mut outputs = Vec::new();
    for transport in Transport::ALL {
        let name = transport.path().rsplit('/').next().unwrap().to_owned();
        let args =
            format!("subscribe logs/** --url {url} --after earliest --limit-events 500 --transport {name}");
        let output = run(words(&args), "").await;
        assert!(output.status.success(), "{name}: {output:?}");
        outputs.push(String::from_utf8(output.stdout).unwrap());
    }
    assert_eq!(outputs[0].lines().count(), 500);
    assert!(outputs[0].lines().last().unwrap().ends_with(r#""data":{"n":499}}"#), "{}", outputs[0]);
    assert!(outputs.iter().all(|output| *output == outputs[0]), "the same documents, whatever the transport");
}

#[tokio::test]
async fn what_is_refused_is_said_and_counted() {
    let served = Served::start(&["--max-event", "16"]).await;
    let url = format!("http://{}", served.client().addr);
    let long = "x".repeat(40);
    let args = words(&format!("publish logs/app --url {url} --as text"));
    let output = run(args, &format!("one\n{long}\ntwo\n")).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains('2'), "its line number: {said}");
    let held = served.client().get("/v1/poll?topic=logs/app&after=earliest").await;
    let data: Vec<_> = held.json()["events"].as_array().unwrap().iter().map(|e| e["data"].clone()).collect();
    assert_eq!(data, ["one", "two"], "the rest went on");

    let refused = run(words(&format!("subscribe a//b --url {url}")), "").await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[rstest]
#[case("serve --listen 0.0.0.0:0", "--insecure-open")]
#[case("serve --listen 127.0.0.1:0 --history-events 0", "history-events")]
#[case("serve --listen 127.0.0.1:0 --heartbeat 2m", "heartbeat")]
#[case("serve --listen 0.0.0.0:0 --insecure-open --lab", "lab = true (from --lab)")]
#[case("serve --listen 127.0.0.1:0 --publish-listen 0.0.0.0:0 --insecure-open --lab", "the lab")]
#[case("--listen 0.0.0.0:0", "loopback")]
#[tokio::test]
async fn what_makes_no_sense_does_not_start(#[case] args: &str, #[case] word: &str) {
    let output = run(words(args), "").await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(word), "{said}");
    assert!(output.stdout.is_empty());
}

/// What `config` prints is a file that means the same.
#[tokio::test]
async fn the_effective_configuration_is_a_file() {
    let given = words("config --history-age 5m --listen 127.0.0.1:7,[::1]:7 --no-takeover");
    let printed = run(given, "").await;
    assert!(printed.status.success(), "{printed:?}");
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("fanlight.toml");
    std::fs::write(&path, &printed.stdout).unwrap();
    let again = run(words(&format!("config --config {}", path.display())), "").await;
    assert_eq!(String::from_utf8(again.stdout).unwrap(), String::from_utf8(printed.stdout).unwrap());
}

/// The demo publishes this host's own figures.
#[tokio::test]
async fn the_demo_shows_this_host() {
    let served = Served::run(&["demo", "--listen", "127.0.0.1:0"]).await;
    let url = format!("http://{}", served.client().addr);
    let args = words(&format!("subscribe host/cpu/* host/memory host/load --url {url} --limit-events 4"));
    let output = run(args, "").await;
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    for line in printed.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(document["topic"].as_str().unwrap().starts_with("host/"), "{line}");
        assert!(document["data"].is_object(), "{line}");
    }
    assert!(served.client().get("/").await.text().contains("<title>Fanlight</title>"));
}
