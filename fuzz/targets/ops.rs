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
        let reference: Value = serde_json::from_str(reference.get()).expect("it is JSON");
        assert!(reference.is_string() || reference.is_number());
    }
    match op {
        Ok(op) => {
            let whole = whole.expect("an operation is JSON");
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
                    assert_eq!(whole["data"], serde_json::from_str::<Value>(data.get()).unwrap());
                    "publish"
                }
            };
            assert_eq!(whole["op"], word);
        }
        Err(problem) => {
            assert!(problem.field.is_some(), "a fault names its field: {problem}");
            serde_json::from_slice::<Value>(&problem.document()).expect("a problem is JSON");
        }
    }
});
