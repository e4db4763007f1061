//! A cursor has one spelling, so what is read is written again as it was.

#![no_main]

use fanlight::event::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
        assert!(text.len() <= 34);
    }
    // Any place can be told and is understood.
    let mut bytes = [0; 16];
    for (at, byte) in text.bytes().take(16).enumerate() {
        bytes[at] = byte;
    }
    let [epoch, offset] = [&bytes[..8], &bytes[8..]].map(|half| u64::from_le_bytes(half.try_into().unwrap()));
    let cursor = Cursor { epoch: fanlight::event::Epoch(epoch), offset };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
});
