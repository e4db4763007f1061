//! What goes over the wire: templates of requests, the answers' framing, and the marks by which events are known.

pub mod adapter;
pub mod decode;
pub mod mark;
pub mod template;
pub mod websocket;
