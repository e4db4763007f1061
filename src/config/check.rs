//! What makes no sense, refused before anything starts.

use std::{collections::BTreeSet, io, net::SocketAddr, time::Duration};

use bytesize::ByteSize;
use tracing_subscriber::EnvFilter;

use super::{Config, units};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{file} is not valid TOML: {why}")]
    NotToml {
        /// Its name.
        file: String,
        /// What the parser says, with line and column.
        why: String,
    },
    /// A key of the file is no setting.
    #[error(
        "unknown setting `{key}` in {file}{}",
        hint.as_ref().map_or_else(
            || "; `fanlight config` prints all that there are".to_owned(),
            |hint| format!("; did you mean `{hint}`?"),
        )
    )]
    Unknown {
        /// The key.
        key: String,
        /// The file's name.
        file: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A value that cannot be read, or makes no sense.
    #[error("{key} = {value}{}: {why}", origin.as_ref().map_or(String::new(), |origin| format!(" (from {origin})")))]
    Refused {
        /// The setting.
        key: String,
        /// Its value, as given.
        value: String,
        /// What gave it, if it is known.
        origin: Option<String>,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Config {
    /// Whether the settings make sense, each and together.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_addresses()?;
        self.check_origins()?;

        at_least_one("history-events", self.history_events)?;
        at_least_one("max-topics", self.max_topics)?;
        at_least_one("max-connections", self.max_connections)?;
        at_least_one("max-connections-per-address", self.max_connections_per_address)?;
        if self.cores > 1024 {
            return Err(refused("cores", self.cores, "more than 1024 hubs; 0 means one for every core"));
        }

        // Below 100 ms a deadline no longer tells a slow peer from a busy machine. Above a minute
        // proxies cut a silent stream, and a request may not ask for more either.
        let (instant, minute) = (Duration::from_millis(100), Duration::from_secs(60));
        span("heartbeat", self.heartbeat, instant, minute)?;
        span("longpoll-timeout", self.longpoll_timeout, instant, minute)?;
        let day = Duration::from_secs(24 * 3600);
        span("retry", self.retry, instant, day)?;
        span("head-timeout", self.head_timeout, instant, day)?;
        span("body-timeout", self.body_timeout, instant, day)?;
        span("write-stall", self.write_stall, instant, day)?;
        span("history-age", self.history_age, Duration::from_millis(1), 36_500 * day)?;
        span("drain-delay", self.drain_delay, Duration::ZERO, day)?;
        span("drain-timeout", self.drain_timeout, Duration::ZERO, day)?;

        bytes("max-event", self.max_event, ByteSize::b(1), ByteSize::mib(64))?;
        bytes("max-batch", self.max_batch, self.max_event, ByteSize::gib(1))?;
        bytes("history-bytes", self.history_bytes, self.max_event, ByteSize::tib(1))?;
        // hyper takes no buffer below 8 KiB.
        bytes("max-head", self.max_head, ByteSize::kib(8), ByteSize::mib(1))?;
        bytes("send-buffer", self.send_buffer, ByteSize::kib(4), ByteSize::mib(64))?;

        EnvFilter::try_new(&self.log_level).map(drop).map_err(|error| {
            refused(
                "log-level",
                format!("{:?}", self.log_level),
                &format!("{error}; write a level such as info"),
            )
        })
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(refused("listen", "[]", "nowhere to listen: give at least one address"));
        }
        let mut seen = BTreeSet::new();
        // Port 0 is another free port each time.
        if let Some(twice) = self.listen.iter().find(|addr| addr.port() != 0 && !seen.insert(**addr)) {
            return Err(refused("listen", twice, "given twice"));
        }
        if let Some(addr) = self.publish_listen
            && seen.contains(&addr)
        {
            let why = "also a `listen` address: publishing needs one of its own, or none to be taken on all";
            return Err(refused("publish-listen", addr, why));
        }
        let open = |key, addr: &SocketAddr| {
            let why = "it is reachable from other machines, and nobody has to authenticate there. Listen on \
                       127.0.0.1 or [::1], or say --insecure-open (FANLIGHT_INSECURE_OPEN=true, in the file \
                       insecure-open = true) where everyone who can reach it may publish and subscribe";
            match addr.ip().to_canonical().is_loopback() || self.insecure_open {
                true => Ok(()),
                false => Err(refused(key, addr, why)),
            }
        };
        let mut addresses = self.listen.iter().chain(&self.publish_listen);
        if self.lab
            && let Some(addr) = addresses.find(|addr| !addr.ip().to_canonical().is_loopback())
        {
            let why = format!(
                "the lab opens ports for everyone who asks, so it is for loopback only, and {addr} is reachable from \
                 other machines. Listen on 127.0.0.1 or [::1], or leave the lab off"
            );
            return Err(refused("lab", true, &why));
        }
        self.listen.iter().try_for_each(|addr| open("listen", addr))?;
        self.publish_listen.iter().try_for_each(|addr| open("publish-listen", addr))
    }

    fn check_origins(&self) -> Result<(), ConfigError> {
        let sound = |origin: &str| {
            let authority =
                origin.split_once("://").map(|(scheme, rest)| (!scheme.is_empty()).then_some(rest));
            let plain = |rest: &str| !rest.is_empty() && !rest.contains(['/', '?', '#', '*', ' ', '@']);
            origin == "*" || authority.flatten().is_some_and(plain)
        };
        match self.allow_origin.iter().find(|origin| !sound(origin)) {
            None => Ok(()),
            Some(origin) => {
                let why = "not an origin: write scheme, host and port without a path, such as \
                           https://example.com, or * for all";
                Err(refused("allow-origin", format!("{origin:?}"), why))
            }
        }
    }
}

fn at_least_one(key: &str, value: usize) -> Result<(), ConfigError> {
    match value {
        0 => Err(refused(key, value, "it has to be at least 1")),
        _ => Ok(()),
    }
}

fn span(key: &str, value: Duration, least: Duration, most: Duration) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let show = humantime::format_duration;
    let why = format!("it has to be between {} and {}", show(least), show(most));
    Err(refused(key, show(value), &why))
}

fn bytes(key: &str, value: ByteSize, least: ByteSize, most: ByteSize) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let show = units::show_size;
    // The least of two settings is the third: an event has to fit.
    let event = if matches!(key, "max-batch" | "history-bytes") { " (max-event)" } else { "" };
    let why = format!("it has to be between {}{event} and {}", show(least), show(most));
    Err(refused(key, show(value), &why))
}

fn refused(key: &str, value: impl ToString, why: &str) -> ConfigError {
    ConfigError::Refused { key: key.to_owned(), value: value.to_string(), origin: None, why: why.to_owned() }
}
