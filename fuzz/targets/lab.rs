//! What a line of the lab is told to be like: within its ranges, or a fault that names its member.

#![no_main]

use fanlight::lab::conditions::{Conditions, Source, Wanted};
use libfuzzer_sys::fuzz_target;

/// The largest event.
const MAX_EVENT: u64 = 1000;

fuzz_target!(|body: &[u8]| {
    match Wanted::parse(body, MAX_EVENT) {
        Ok(wanted) => {
            let (mut conditions, mut source) = (Conditions::default(), None);
            wanted.apply(&mut conditions, &mut source, "lab/own");
            assert!(conditions.rtt_ms <= 5000);
            assert!(conditions.down_kbps <= 1_000_000 && conditions.up_kbps <= 1_000_000);
            assert!((0.0..=0.5).contains(&conditions.loss));
            if let Some(Source { topic, rate, size, burst }) = &source {
                assert!(fanlight::topic::Topic::parse(topic).is_ok() && topic.starts_with("lab/"));
                assert!((0.0..=1000.0).contains(rate));
                assert!((2..=1000).contains(size) && (1..=1000).contains(burst));
            }
            // The same again changes nothing.
            let before = (conditions, source.clone());
            wanted.apply(&mut conditions, &mut source, "lab/other");
            assert_eq!((conditions, source), before);
        }
        Err(problem) => {
            assert!(problem.field.is_some(), "a fault names its field: {problem}");
            serde_json::from_slice::<serde_json::Value>(&problem.document()).expect("a problem is JSON");
        }
    }
});
