//! How each kind of value is read from text, and written back so that nothing is lost.

use std::{fmt, net::SocketAddr, time::Duration};

use bytesize::ByteSize;
use config::{Value, ValueKind};

/// A kind of value that a setting can have.
pub trait Unit: Sized {
    /// Whether it holds several values.
    const MANY: bool = false;
    /// Whether it is a switch.
    const SWITCH: bool = false;

    /// Reads it from a layer.
    ///
    /// # Errors
    /// What is wrong with the value, and what to write in its place.
    fn read(value: &Value) -> Result<Self, String>;

    /// The value as TOML, which [`read`](Unit::read) takes back; nothing if it is not set.
    fn to_toml(&self) -> Option<toml::Value>;
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a span of time: `15s`, `1h 30m`, `250ms`.
///
/// # Errors
/// A sentence that says what to write.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|_| "not a duration: write a number and its unit, such as 15s, 500ms or 1h".to_owned())
}

/// Reads a number of bytes: `64KiB`, `256MiB`, `1GB`, `4096`.
///
/// # Errors
/// A sentence that says what to write.
pub fn size(text: &str) -> Result<ByteSize, String> {
    text.trim()
        .parse()
        .map_err(|_| "not a size: write a number and its unit, such as 64KiB or 256MiB".to_owned())
}

/// Writes a number of bytes exactly: the largest unit that divides it.
pub fn show_size(size: ByteSize) -> String {
    let bytes = size.as_u64();
    [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// A value as a person wrote it, for messages.
pub(super) fn show(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Table(_) => "{…}".to_owned(),
        other => other.to_string(),
    }
}

impl Unit for bool {
    const SWITCH: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        let text = match &value.kind {
            ValueKind::Boolean(on) => return Ok(*on),
            ValueKind::String(text) => text.as_str(),
            _ => "",
        };
        match text {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("neither true nor false".to_owned()),
        }
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some((*self).into())
    }
}

impl Unit for usize {
    fn read(value: &Value) -> Result<Self, String> {
        let number = match &value.kind {
            ValueKind::I64(number) => Self::try_from(*number).ok(),
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| "not a number: write it in digits, such as 1000".to_owned())
    }

    fn to_toml(&self) -> Option<toml::Value> {
        // TOML counts in i64; what no machine can hold is as good as the largest it can write.
        Some(i64::try_from(*self).unwrap_or(i64::MAX).into())
    }
}

impl Unit for Duration {
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) => duration(text),
            // A bare number would leave it to the reader to guess the unit.
            _ => duration(""),
        }
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(humantime::format_duration(*self).to_string().into())
    }
}

impl Unit for ByteSize {
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) => size(text),
            ValueKind::I64(bytes) => size(&bytes.to_string()),
            _ => size(""),
        }
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(show_size(*self).into())
    }
}

impl Unit for String {
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) => Ok(text.clone()),
            _ => Err("not a text: write it in quotation marks".to_owned()),
        }
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(self.clone().into())
    }
}

impl Unit for SocketAddr {
    fn read(value: &Value) -> Result<Self, String> {
        String::read(value)?.trim().parse().map_err(|_| {
            "not an address: write an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned()
        })
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

impl Unit for LogFormat {
    fn read(value: &Value) -> Result<Self, String> {
        match String::read(value)?.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("neither text nor json".to_owned()),
        }
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl<T: Unit> Unit for Option<T> {
    fn read(value: &Value) -> Result<Self, String> {
        T::read(value).map(Some)
    }

    fn to_toml(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::to_toml)
    }
}

impl<T: Unit> Unit for Vec<T> {
    const MANY: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Array(items) => items.iter().map(T::read).collect(),
            _ => Ok(vec![T::read(value)?]),
        }
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(T::to_toml).collect()))
    }
}
