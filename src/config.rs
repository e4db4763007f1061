//! What a gateway can be told: every limit with its default.
//!
//! One flat record, so that a flag (`--history-age 1h`), a variable (`FANLIGHT_HISTORY_AGE=1h`) and a
//! line of the file (`history-age = "1h"`) are the same word.

use std::{net::SocketAddr, time::Duration};

use bytesize::ByteSize;

/// The effective configuration of one gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the gateway listens.
    pub listen: Vec<SocketAddr>,
    /// Where publishing is taken; without it, on every `listen` address. With it, only there.
    pub publish_listen: Option<SocketAddr>,
    /// Hubs, one thread each; 0 means one for every core of the machine.
    pub cores: usize,
    /// Origins other than its own whose pages may read and publish; `*` for all.
    pub allow_origin: Vec<String>,
    /// Serve addresses beyond loopback although nobody has to authenticate.
    pub insecure_open: bool,

    /// Events held per topic.
    pub history_events: usize,
    /// How long an event is held.
    pub history_age: Duration,
    /// Memory for all held events.
    pub history_bytes: ByteSize,

    /// The largest event document's `data`, as published.
    pub max_event: ByteSize,
    /// The largest batch.
    pub max_batch: ByteSize,
    /// Topics and patterns in one subscription.
    pub max_topics: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections from one address.
    pub max_connections_per_address: usize,
    /// The largest request head.
    pub max_head: ByteSize,
    /// How long a client may take to send a request head.
    pub head_timeout: Duration,
    /// How long a client may take to send a request body.
    pub body_timeout: Duration,

    /// How long a stream may be silent before a heartbeat.
    pub heartbeat: Duration,
    /// How long a long poll waits when the request does not say.
    pub longpoll_timeout: Duration,
    /// What an EventSource is told to wait before it reconnects.
    pub retry: Duration,
    /// How long a connection may refuse to take a byte before it is cut.
    pub write_stall: Duration,
    /// The kernel's send buffer of a connection.
    pub send_buffer: ByteSize,

    /// How long `/readyz` fails before the listeners close.
    pub drain_delay: Duration,
    /// How long connections may take to end once the listeners closed.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            publish_listen: None,
            cores: 0,
            allow_origin: Vec::new(),
            insecure_open: false,
            history_events: 1000,
            history_age: Duration::from_secs(3600),
            history_bytes: ByteSize::mib(256),
            max_event: ByteSize::kib(64),
            max_batch: ByteSize::mib(1),
            max_topics: 128,
            max_connections: 100_000,
            max_connections_per_address: 100_000,
            max_head: ByteSize::kib(16),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            longpoll_timeout: Duration::from_secs(25),
            retry: Duration::from_secs(2),
            write_stall: Duration::from_secs(30),
            send_buffer: ByteSize::kib(64),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
        }
    }
}
