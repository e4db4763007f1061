//! The fields of a subscriber: the query on the first line, a form on the second, `Last-Event-ID` on the third.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use fanlight::{
    bus::reader::Position,
    config::Config,
    transport::{self, query::Query},
};
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [query, form] = [(); 2].map(|()| lines.next().unwrap_or_default());
    let presented = lines.next().map(str::as_bytes);
    for transport in transport::ALL {
        match Query::parse(transport, [query, form], presented, &CONFIG) {
            Ok(read) => {
                assert!(read.subscription.len() <= CONFIG.max_topics);
                assert!((1..=1000).contains(&read.limit));
                assert!(read.timeout <= Duration::from_secs(60));
                assert!(
                    read.heartbeat >= Duration::from_secs(5) && read.heartbeat <= Duration::from_secs(60)
                );
                if let Position::Presented(text) = &read.position {
                    assert!(text.len() <= 255 && !text.is_empty());
                }
                assert!(read.until.is_none() || transport.name() == "poll");
            }
            Err(problem) => {
                assert!(problem.field.is_some(), "a fault names its field: {problem}");
                let document: serde_json::Value =
                    serde_json::from_slice(&problem.document()).expect("a problem is JSON");
                assert_eq!(document["status"], 400);
            }
        }
    }
});
