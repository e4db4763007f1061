//! How to subscribe to a server and how to publish to it: templates, read from TOML. `loadtest/adapters/` has those that
//! come with the load test; a plan may have its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    decode::Cut,
    template::{Template, Values},
};
use crate::results::Transport;

/// An adapter as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// Where the ledger is; the client's name is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// Where Prometheus' metrics are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// What stands before the client's name in a query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// What stands before the seconds of silence before a heartbeat in a query, where streams can ask for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub heartbeat: String,
    /// What stands before the seconds that a long poll is held in a query, where it can ask for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub timeout: String,
    /// How an event is published.
    pub publish: Request,
    /// How each transport is subscribed to.
    pub subscribe: BTreeMap<Transport, Subscribe>,
}

/// A request that publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The target.
    pub path: String,
    /// Further fields; `Content-Type` is JSON's unless it is here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default = "data")]
    pub body: String,
}

fn data() -> String {
    "{data}".to_owned()
}

/// A subscription over one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Subscribe {
    /// The target of the first request.
    pub path: String,
    /// Its fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `GET`, if nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The target of a request that goes on from the last answer, or resumes a stream. Without it a reconnect begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Its fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub next_headers: BTreeMap<String, String>,
    /// What `next` is filled with: name → where it comes from, the first that is there. `header:NAME`; `json:KEY`, the
    /// string behind that key in a unit; `line:PREFIX`, the rest of a stream's line.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keep: BTreeMap<String, Vec<String>>,
    /// Messages to send once a WebSocket is open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub say: Vec<String>,
    /// Messages to answer: what comes → what goes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub answer: BTreeMap<String, String>,
    /// What in a poll's answer says that the next should follow at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
    /// An answer holds one event at most: a poll asks until there is none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// What a stream's events are told apart by: `lines` if nothing is said, `chunks`.
    #[serde(skip_serializing_if = "is_lines")]
    pub unit: Cut,
    /// What tells of a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// The first request of a long poll is answered only when there is an event.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

fn is_lines(cut: &Cut) -> bool {
    *cut == Cut::Lines
}

/// Where something kept comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field of the head.
    Header(String),
    /// What stands before a string in a unit: `"KEY":"`.
    Json(Vec<u8>),
    /// What a line begins with.
    Line(Vec<u8>),
}

/// An adapter for one transport, ready to use.
#[derive(Clone, Debug)]
pub struct Ready {
    first: Whole,
    next: Option<Whole>,
    publish: Whole,
    /// In the order of their places.
    pub keep: Vec<Vec<Source>>,
    /// WebSocket messages to send at first.
    pub say: Vec<Template>,
    /// WebSocket messages to answer.
    pub answer: Vec<(Vec<u8>, Vec<u8>)>,
    /// See [`Subscribe::more`].
    pub more: Option<Vec<u8>>,
    /// See [`Subscribe::single`].
    pub single: bool,
    /// What is a unit.
    pub cut: Cut,
    /// See [`Subscribe::gap`].
    pub gap: Option<Vec<u8>>,
    /// See [`Subscribe::silent`].
    pub silent: bool,
}

/// A whole request: what stands before its length, and its body.
#[derive(Clone, Debug)]
struct Whole {
    head: Template,
    body: Option<Template>,
}

impl Adapter {
    /// One of those that come with the load test, by its name.
    pub fn named(name: &str) -> Option<Self> {
        let text = match name {
            "fanlight" => include_str!("../../adapters/fanlight.toml"),
            "nchan" => include_str!("../../adapters/nchan.toml"),
            "socketio" => include_str!("../../adapters/socketio.toml"),
            "ws" => include_str!("../../adapters/ws.toml"),
            "mercure" => include_str!("../../adapters/mercure.toml"),
            "centrifugo" => include_str!("../../adapters/centrifugo.toml"),
            _ => return None,
        };
        Some(toml::from_str(text).expect("the adapters that come along can be read"))
    }

    /// Those that come with the load test.
    pub const NAMES: [&'static str; 6] = ["fanlight", "nchan", "socketio", "ws", "mercure", "centrifugo"];

    /// Makes it ready for one transport, `host` being what requests name, and `base` the path before all targets.
    ///
    /// # Errors
    /// If it has not that transport, or a template cannot be read.
    pub fn ready(&self, transport: Transport, host: &str, base: &str) -> Result<Ready, String> {
        let Some(subscribe) = self.subscribe.get(&transport) else {
            return Err(format!("it has no `{}`", transport.name()));
        };
        let names: Vec<String> = subscribe.keep.keys().cloned().collect();
        let upgrade = transport == Transport::Websocket;
        let method = subscribe.method.as_deref().unwrap_or("GET");
        let whole = |path: &str, headers: &BTreeMap<String, String>| {
            let lines =
                lines(method, &format!("{base}{path}"), host, headers, upgrade, subscribe.body.is_some());
            let body = subscribe.body.as_deref().map(|body| Template::parse(body, &names)).transpose()?;
            Ok::<_, String>(Whole { head: Template::parse(&lines, &names)?, body })
        };
        let first = whole(&subscribe.path, &subscribe.headers)?;
        let next = subscribe.next.as_deref().map(|path| whole(path, &subscribe.next_headers)).transpose()?;
        let head =
            lines("POST", &format!("{base}{}", self.publish.path), host, &self.publish.headers, false, true);
        let publish = Whole {
            head: Template::parse(&head, &[])?,
            body: Some(Template::parse(&self.publish.body, &[])?),
        };
        let sources = |sources: &Vec<String>| sources.iter().map(|text| source(text)).collect();
        Ok(Ready {
            first,
            next,
            publish,
            keep: subscribe.keep.values().map(sources).collect::<Result<_, String>>()?,
            say: subscribe.say.iter().map(|text| Template::parse(text, &[])).collect::<Result<_, _>>()?,
            answer: subscribe
                .answer
                .iter()
                .map(|(from, to)| (from.clone().into(), to.clone().into()))
                .collect(),
            more: subscribe.more.clone().map(String::into_bytes),
            single: subscribe.single,
            cut: if transport.streams() { subscribe.unit } else { Cut::Whole },
            gap: subscribe.gap.clone().map(String::into_bytes),
            silent: subscribe.silent,
        })
    }
}

impl Ready {
    /// The request that opens a subscription, or goes on from what was kept of it.
    pub fn subscribe(&self, values: Values<'_>, out: &mut Vec<u8>) {
        match &self.next {
            Some(next) if !values.kept.is_empty() && values.kept.iter().all(|value| !value.is_empty()) => {
                next.render(values, out);
            }
            _ => self.first.render(values, out),
        }
    }

    /// Whether a subscription can go on where another ended.
    pub fn resumes(&self) -> bool {
        self.next.is_some()
    }

    /// The request that publishes.
    pub fn publish(&self, values: Values<'_>, out: &mut Vec<u8>) {
        self.publish.render(values, out);
    }
}

impl Whole {
    fn render(&self, values: Values<'_>, out: &mut Vec<u8>) {
        self.head.render(values, out);
        let Some(body) = &self.body else {
            out.extend_from_slice(b"\r\n");
            return;
        };
        let mut text = Vec::new();
        body.render(values, &mut text);
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", text.len()).as_bytes());
        out.extend_from_slice(&text);
    }
}

fn lines(
    method: &str,
    path: &str,
    host: &str,
    headers: &BTreeMap<String, String>,
    upgrade: bool,
    body: bool,
) -> String {
    let mut lines = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if upgrade {
        // RFC 6455's own example of a key: nobody here needs it to be secret.
        lines += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    }
    let typed = headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    if body && !typed {
        lines += "Content-Type: application/json\r\n";
    }
    for (name, value) in headers {
        lines += &format!("{name}: {value}\r\n");
    }
    lines
}

fn source(text: &str) -> Result<Source, String> {
    match text.split_once(':') {
        Some(("header", name)) => Ok(Source::Header(name.to_owned())),
        Some(("json", key)) => Ok(Source::Json(format!("\"{key}\":\"").into_bytes())),
        Some(("line", prefix)) => Ok(Source::Line(prefix.as_bytes().to_vec())),
        _ => Err(format!("`{text}` is none of `header:NAME`, `json:KEY`, `line:PREFIX`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_come_along_can_be_used() {
        for name in Adapter::NAMES {
            let adapter = Adapter::named(name).expect("it has that name");
            for transport in adapter.subscribe.keys() {
                adapter.ready(*transport, "localhost", "").expect("its templates can be read");
            }
        }
        assert_eq!(Adapter::named("fanlight").unwrap().subscribe.len(), Transport::ALL.len());
        assert_eq!(Adapter::named("pigeon"), None);
    }

    #[test]
    fn a_subscription_goes_on_from_what_was_kept() {
        let ready = Adapter::named("fanlight").unwrap().ready(Transport::Poll, "h:1", "/base").unwrap();
        let text = |kept: &[String]| {
            let mut out = Vec::new();
            ready
                .subscribe(Values { topic: "a/b", client: "&client=c", kept, ..Values::default() }, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text(&[String::new()]),
            "GET /base/v1/poll?topic=a/b&client=c HTTP/1.1\r\nHost: h:1\r\n\r\n"
        );
        let next = text(&["k-7".to_owned()]);
        assert!(next.starts_with("GET /base/v1/poll?topic=a/b&after=k-7&client=c HTTP/1.1\r\n"), "{next}");
    }

    #[test]
    fn a_publish_says_its_length() {
        let ready = Adapter::named("mercure").unwrap().ready(Transport::Sse, "h", "").unwrap();
        let mut out = Vec::new();
        ready.publish(Values { topic: "a", data: b"{}", ..Values::default() }, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("Content-Length: 19\r\n\r\ntopic=a&data=%7B%7D"), "{text}");
        assert!(text.contains("Content-Type: application/x-www-form-urlencoded\r\n"), "{text}");
    }
}
