//! What a WebSocket client asks for in a message.

#![no_main]

use fanlight::transport::op::{Op, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let (reference, op) = parse(text);
    let whole: Option<Value> = serde_json::from_str(text).ok();
    if let Some(reference) = reference {
        assert!(reference.get().len() <= 64);
        // It is repeated as it is written: a number need not be one that a double holds.
        assert!(
            reference.get().starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
        );
    }
    match op {
        Ok(op) => {
            // As is a number in the data; what holds one cannot be read to compare with.
            let Some(whole) = whole else { return };
            let word = match &op {
                Op::Subscribe { patterns, .. } => {
                    assert!(!patterns.is_empty());
                    "subscribe"
                }
                Op::Unsubscribe { patterns } => {
                    assert!(!patterns.is_empty());
                    "unsubscribe"
                }
                Op::Publish { topic, data, .. } => {
                    assert_eq!(whole["topic"], **topic);
                    assert_eq!(serde_json::from_str(data.get()).ok(), Some(whole["data"].clone()));
                    "publish"
                }
                Op::Clock => "clock",
            };
            assert_eq!(whole["op"], word);
        }
        Err(problem) => {
            assert!(problem.field.is_some(), "a fault names its field: {problem}");
            serde_json::from_slice::<Value>(&problem.document()).expect("a problem is JSON");
        }
    }
});
