use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// For every setting three values that are neither the default nor each other.
const OTHERS: [(&str, [&str; 3]); 28] = [
    ("listen", ["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]),
    ("publish-listen", ["127.0.0.1:4", "127.0.0.1:5", "127.0.0.1:6"]),
    ("cores", ["1", "2", "3"]),
    ("allow-origin", ["https://a.example", "http://b.example:81", "*"]),
    ("insecure-open", ["true", "true", "true"]),
    ("lab", ["true", "true", "true"]),
    ("history-events", ["1", "2", "3"]),
    ("history-age", ["1s", "2s", "1h 30m"]),
    ("history-bytes", ["1MiB", "2MiB", "65537"]),
    ("max-event", ["1KiB", "2KiB", "65535"]),
    ("max-batch", ["2MiB", "3MiB", "65537"]),
    ("max-topics", ["1", "2", "3"]),
    ("max-connections", ["1", "2", "3"]),
    ("max-connections-per-address", ["1", "2", "3"]),
    ("max-head", ["8KiB", "32KiB", "8193"]),
    ("head-timeout", ["1s", "2s", "100ms"]),
    ("body-timeout", ["1s", "2s", "100ms"]),
    ("heartbeat", ["1s", "2s", "100ms"]),
    ("longpoll-timeout", ["1s", "2s", "100ms"]),
    ("retry", ["1s", "3s", "100ms"]),
    ("write-stall", ["1s", "2s", "100ms"]),
    ("websocket-compression", ["true", "true", "true"]),
    ("no-takeover", ["true", "true", "true"]),
    ("send-buffer", ["128KiB", "32KiB", "4097"]),
    ("drain-delay", ["1s", "2s", "1ms"]),
    ("drain-timeout", ["1s", "2s", "0s"]),
    ("log-format", ["json", "json", "json"]),
    ("log-level", ["warn", "debug", "info,fanlight::server=debug"]),
];

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("fanlight.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn given(key: &str, value: &str, origin: &str) -> Given {
    let settings = Config::default().settings();
    let many = settings.iter().find(|setting| setting.key == key).is_some_and(|setting| setting.many);
    Given { key: key.to_owned(), values: vec![value.to_owned()], many, origin: origin.to_owned() }
}

fn value(config: &Config, key: &str) -> Option<toml::Value> {
    config.settings().into_iter().find(|setting| setting.key == key).unwrap().value
}

fn refusal(text: &str, given: &[Given]) -> String {
    let (_dir, path) = file(text);
    let name = path.display().to_string();
    Config::layered(Some(&path), given).unwrap_err().to_string().replace(&name, "FILE")
}

#[test]
fn the_defaults_make_sense() {
    Config::default().check().unwrap();
    assert_eq!(Config::layered(None, &[]).unwrap(), Config::default());
}

#[test]
fn every_setting_is_described_and_tried_here() {
    let settings = Config::default().settings();
    assert!(settings.iter().all(|setting| setting.about.ends_with('.')), "{settings:#?}");
    let keys: Vec<_> = settings.iter().map(|setting| setting.key.as_str()).collect();
    assert_eq!(keys, OTHERS.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let (_dir, path) = file(&Config::default().to_toml());
    assert_eq!(Config::layered(Some(&path), &[]).unwrap(), Config::default());

    for variant in 0..3 {
        let all: Vec<_> =
            OTHERS.into_iter().map(|(key, values)| given(key, values[variant], "--flag")).collect();
        let config = Config::layered(None, &all).unwrap();
        for (key, _) in OTHERS.into_iter() {
            assert_ne!(value(&config, key), value(&Config::default(), key), "{key}");
        }
        let (_dir, path) = file(&config.to_toml());
        assert_eq!(Config::layered(Some(&path), &[]).unwrap(), config);
    }
}

#[test]
fn what_is_given_beats_the_file_and_the_file_the_default() {
    for (key, [low, high, _]) in OTHERS.into_iter() {
        let quoted = if low == "true" { low.to_owned() } else { format!("{low:?}") };
        let (_dir, path) = file(&format!("{key} = {quoted}"));
        let from_file = Config::layered(Some(&path), &[]).unwrap();
        let from_flag = Config::layered(None, &[given(key, high, "--flag")]).unwrap();
        let both = Config::layered(Some(&path), &[given(key, high, "--flag")]).unwrap();
        assert_ne!(value(&from_file, key), value(&Config::default(), key), "{key}");
        assert_eq!(both, from_flag, "{key}");
        // All the rest is untouched.
        for (other, _) in OTHERS.into_iter().filter(|(other, _)| *other != key) {
            assert_eq!(value(&from_file, other), value(&Config::default(), other), "{key} moved {other}");
        }
    }
}

#[test]
fn a_file_may_use_numbers_and_lists() {
    let text = "listen = ['127.0.0.1:1', '127.0.0.1:2']\nhistory-events = 7\nmax-event = 4096";
    let (_dir, path) = file(text);
    let config = Config::layered(Some(&path), &[]).unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.history_events, 7);
    assert_eq!(config.max_event, ByteSize::kib(4));
}

#[test]
fn a_value_that_cannot_be_read_is_named_with_its_key_and_origin() {
    let cases = [
        ("heartbeat = 15", "heartbeat = 15 (from FILE): not a duration"),
        ("heartbeat = '15'", "heartbeat = \"15\" (from FILE): not a duration"),
        ("history-events = '-1'", "history-events = \"-1\" (from FILE): not a number"),
        ("history-events = 0.5", "history-events = 0.5 (from FILE): not a number"),
        ("history-events = true", "history-events = true (from FILE): not a number"),
        ("max-event = '64 Kibi'", "max-event = \"64 Kibi\" (from FILE): not a size"),
        ("max-event = -1", "max-event = -1 (from FILE): not a size"),
        ("listen = ['localhost:80']", "listen = [\"localhost:80\"] (from FILE): not an address"),
        ("insecure-open = 'maybe'", "insecure-open = \"maybe\" (from FILE): neither true nor false"),
        ("log-format = 'xml'", "log-format = \"xml\" (from FILE): neither text nor json"),
        ("log-level = 3", "log-level = 3 (from FILE): not a text"),
        ("log-level = 'a=b=c'", "log-level = \"a=b=c\" (from FILE): "),
        ("history_age = '1h'", "unknown setting `history_age` in FILE; did you mean `history-age`?"),
        ("history-event = 7", "unknown setting `history-event` in FILE; did you mean `history-events`?"),
        ("[server]\nx = 1", "unknown setting `server` in FILE; `fanlight config` prints all"),
        ("heartbeat = ", "FILE is not valid TOML: TOML parse error at line 1"),
    ];
    for (text, message) in cases {
        let refusal = refusal(text, &[]);
        assert!(refusal.starts_with(message), "{text}: {refusal}");
    }
    let refusal = refusal("heartbeat = '1s'", &[given("heartbeat", "x", "FANLIGHT_HEARTBEAT")]);
    assert!(refusal.starts_with("heartbeat = \"x\" (from FANLIGHT_HEARTBEAT): not a"), "{refusal}");
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_its_origin() {
    let cases = [
        ("heartbeat", "0s", "between 100ms and 1m"),
        ("heartbeat", "61s", "between 100ms and 1m"),
        ("history-events", "0", "at least 1"),
        ("max-topics", "0", "at least 1"),
        ("max-connections", "0", "at least 1"),
        ("max-event", "0B", "between 1B and 64MiB"),
        ("max-batch", "1KiB", "between 64KiB (max-event) and 1GiB"),
        ("history-bytes", "1KiB", "between 64KiB (max-event) and 1TiB"),
        ("max-head", "4KiB", "between 8KiB and 1MiB"),
        ("cores", "5000", "more than 1024 hubs"),
        ("allow-origin", "https://example.com/", "not an origin"),
        ("allow-origin", "example.com", "not an origin"),
        ("listen", "0.0.0.0:8080", "say --insecure-open"),
        ("publish-listen", "[::]:8081", "say --insecure-open"),
        ("publish-listen", "127.0.0.1:8080", "also a `listen` address"),
    ];
    for (key, value, why) in cases {
        let refusal = Config::layered(None, &[given(key, value, "--flag")]).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("{key} = ")), "{refusal}");
        assert!(refusal.contains("(from --flag): ") && refusal.contains(why), "{key} {value}: {refusal}");
    }
}

#[test]
fn addresses_may_be_open_when_it_is_said_and_free_ports_repeat() {
    let open = [given("listen", "0.0.0.0:8080", "-"), given("insecure-open", "true", "-")];
    assert!(Config::layered(None, &open).is_ok());
    let free = [given("listen", "127.0.0.1:0", "-"), given("publish-listen", "127.0.0.1:0", "-")];
    assert!(Config::layered(None, &free).is_ok());
    let mapped = [given("listen", "[::ffff:127.0.0.1]:8080", "-")];
    assert!(Config::layered(None, &mapped).is_ok());
    let twice = Given { values: vec!["[::1]:1".to_owned(); 2], ..given("listen", "", "--listen") };
    let refusal = Config::layered(None, &[twice]).unwrap_err().to_string();
    assert_eq!(refusal, "listen = [::1]:1 (from --listen): given twice");
}

#[test]
fn sizes_are_written_exactly() {
    for (bytes, text) in [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1536B"), (3 << 30, "3GiB")] {
        assert_eq!(units::show_size(ByteSize::b(bytes)), text);
        assert_eq!(units::size(text), Ok(ByteSize::b(bytes)));
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let refusal = Config::layered(Some("/nowhere/x.toml".as_ref()), &[]).unwrap_err().to_string();
    assert!(refusal.starts_with("cannot read /nowhere/x.toml: No such file"), "{refusal}");
}
