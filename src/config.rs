//! What a gateway can be told: every limit with its default.
//!
//! The list below is the only one. From it come the record [`Config`], the flags of the command
//! (`--history-age 1h`), the variables (`FANLIGHT_HISTORY_AGE=1h`), the keys of the file
//! (`history-age = "1h"`) and the page that `fanlight config` prints: the same word everywhere.
//! [`Config::layered`] puts the layers over one another, [`Config::check`] refuses what makes no sense.

mod check;
mod layers;
#[cfg(test)]
mod tests;
pub mod units;

use std::{net::SocketAddr, time::Duration};

use bytesize::ByteSize;

pub use self::{
    check::ConfigError,
    layers::Given,
    units::{LogFormat, Unit},
};

/// One setting as it stands in a [`Config`].
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its key in the file, which is also its flag without the dashes: `history-age`.
    pub key: String,
    /// The heading it stands under.
    pub group: &'static str,
    /// What it does, in a paragraph or two.
    pub about: String,
    /// What its value is called in a help text: `DURATION`.
    pub value_name: &'static str,
    /// The value as TOML, if it has one.
    pub value: Option<toml::Value>,
    /// Whether it takes several values.
    pub many: bool,
    /// Whether it is a switch, on when it is merely named.
    pub switch: bool,
}

macro_rules! settings {
    ($($group:literal { $(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $default:expr, $value_name:literal;
    )+ })+) => {
        /// The effective configuration of one gateway.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $($(
            $(#[doc = $doc])+
            pub $field: $type,
        )+)+ }

        impl Default for Config {
            fn default() -> Self {
                Self { $($( $field: $default, )+)+ }
            }
        }

        impl Config {
            /// Every setting with its value, in the order of the list.
            pub fn settings(&self) -> Vec<Setting> {
                vec![$($( Setting {
                    key: layers::key(stringify!($field)),
                    group: $group,
                    about: layers::about(concat!($($doc, "\n"),+)),
                    value_name: $value_name,
                    value: self.$field.to_toml(),
                    many: <$type as Unit>::MANY,
                    switch: <$type as Unit>::SWITCH,
                }, )+)+]
            }

            /// Takes each setting from `layers`, or its default where they are silent.
            fn from_layers(layers: &layers::Layers) -> Result<Self, ConfigError> {
                Ok(Self { $($(
                    $field: layers.read(&layers::key(stringify!($field)))?.unwrap_or($default),
                )+)+ })
            }
        }
    };
}

settings! {
    "Listening" {
        /// Where the gateway listens: an IP address and a port, 0 for any free one. Several may be given.
        listen: Vec<SocketAddr> = vec![SocketAddr::from(([127, 0, 0, 1], 8080))], "ADDR:PORT";
        /// Where publishing is taken. Without it, on every `listen` address; with it, only there.
        publish_listen: Option<SocketAddr> = None, "ADDR:PORT";
        /// Hubs that deliver, one thread each; 0 means one for every core of the machine.
        cores: usize = 0, "N";
        /// Origins whose pages may read and publish beside the gateway's own, such as
        /// `https://example.com`; `*` for all. Several may be given.
        allow_origin: Vec<String> = Vec::new(), "ORIGIN";
        /// Serve addresses beyond loopback although nobody has to authenticate.
        ///
        /// Whoever can reach such an address can then publish and subscribe: it is for networks whose
        /// every member is trusted, or where a proxy in front does the refusing.
        insecure_open: bool = false, "BOOL";
        /// Let whoever can reach the gateway open lines: ports whose connections are shaped (`/v1/lab`).
        ///
        /// For the comparison page, which shows what distance, bandwidth and loss do to each transport. On
        /// loopback only.
        lab: bool = false, "BOOL";
    }
    "History" {
        /// Events held per topic.
        history_events: usize = 1000, "N";
        /// How long an event is held.
        history_age: Duration = Duration::from_secs(3600), "DURATION";
        /// Memory for all held events together.
        history_bytes: ByteSize = ByteSize::mib(256), "SIZE";
    }
    "Limits" {
        /// The largest event, measured as its `data` was published.
        max_event: ByteSize = ByteSize::kib(64), "SIZE";
        /// The largest batch of events in one publish request.
        max_batch: ByteSize = ByteSize::mib(1), "SIZE";
        /// Topics and patterns in one subscription.
        max_topics: usize = 128, "N";
        /// Connections in all.
        max_connections: usize = 100_000, "N";
        /// Connections from one address.
        max_connections_per_address: usize = 100_000, "N";
        /// The largest request head.
        max_head: ByteSize = ByteSize::kib(16), "SIZE";
        /// How long a client may take to send a request head.
        head_timeout: Duration = Duration::from_secs(10), "DURATION";
        /// How long a client may take to send a request body.
        body_timeout: Duration = Duration::from_secs(30), "DURATION";
    }
    "Delivery" {
        /// How long a stream may be silent before a heartbeat.
        heartbeat: Duration = Duration::from_secs(15), "DURATION";
        /// How long a long poll waits when the request does not say.
        longpoll_timeout: Duration = Duration::from_secs(25), "DURATION";
        /// What an EventSource is told to wait before it reconnects.
        retry: Duration = Duration::from_secs(2), "DURATION";
        /// How long a connection may refuse to take a byte before it is cut.
        write_stall: Duration = Duration::from_secs(30), "DURATION";
        /// Compress what a WebSocket client receives, if it offers to (permessage-deflate, RFC 7692).
        ///
        /// Saves bytes and costs time: each event is compressed for each connection. Off, so that the
        /// transports can be compared.
        websocket_compression: bool = false, "BOOL";
        /// Leave every connection to the HTTP library.
        ///
        /// Without it streams, long polls and WebSockets over cleartext HTTP/1.1 are delivered straight to
        /// their sockets, for a fraction of the memory and the time. The bytes are the same.
        no_takeover: bool = false, "BOOL";
        /// The kernel's send buffer of a connection.
        send_buffer: ByteSize = ByteSize::kib(64), "SIZE";
    }
    "Shutdown" {
        /// How long `/readyz` fails before the listeners close, so that a load balancer sees it first.
        drain_delay: Duration = Duration::ZERO, "DURATION";
        /// How long connections may take to end once the listeners closed.
        drain_timeout: Duration = Duration::from_secs(10), "DURATION";
    }
    "Logging" {
        /// How a line of the log is written to standard error: `text` or `json`.
        log_format: LogFormat = LogFormat::Text, "FORMAT";
        /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, or a level per module such as
        /// `info,fanlight::server=debug`.
        log_level: String = "info".to_owned(), "FILTER";
    }
}
