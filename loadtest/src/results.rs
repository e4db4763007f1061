//! The results document: what a run writes as JSON, and what every table and plot is a rendering of.
//!
//! Its schema is `loadtest/schema/results.schema.json`, made from these types (`loadtest schema`). Three rules hold
//! throughout: a figure that was not measured is `null`, and `not_measured` says why; times are in the unit that the
//! name ends with; and a figure per delivery counts the deliveries of the same interval.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod measures;
mod verdicts;

pub use measures::{
    Bucket, Connecting, Cpu, CpuSource, Distribution, Exactly, Kinds, LedgerBytes, Memory, Percentile, Point,
    Resume, Segments, SocketBytes, Wire,
};
pub use verdicts::{Comparison, Estimate, Estimates, Floor, Generator, Metric, Noise, Validity, Verdict};

/// The version of this document's shape.
pub const SCHEMA: &str = "fanlight-loadtest/1";

/// All that a run found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was run, where and how.
    pub manifest: Manifest,
    /// How far apart two runs of the same thing lie, if that was measured.
    pub noise: Option<Noise>,
    /// One for each point of the matrix, in the order of the plan.
    pub cells: Vec<Cell>,
    /// Which cells differ, and in what.
    pub comparisons: Vec<Comparison>,
    /// Invalid if any cell is; the reasons name the cells.
    pub validity: Validity,
}

/// What is needed to judge, and to repeat, a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// What the run is called.
    pub title: String,
    /// The commit of the tree that the load test was built from, if that is known.
    pub commit: Option<String>,
    /// Whether files of the tree differed from the commit.
    pub dirty: bool,
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The command line.
    pub command: String,
    /// The plan, as TOML: the whole of it, with what the command line changed.
    pub plan: String,
    /// The generator of random numbers began here (phases of polls, the order of cells, the bootstrap).
    pub seed: u64,
    /// Where it ran.
    pub machine: Machine,
    /// `sysctl` values that shape results, and what else was set: name → value.
    pub settings: BTreeMap<String, String>,
    /// Programs and their versions: `loadtest`, `fanlight`, `nginx`, `node`, …
    pub versions: BTreeMap<String, String>,
    /// What was measured.
    pub servers: Vec<Server>,
}

/// The machine of the load test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that the load test may use.
    pub cores: usize,
    /// Memory in all.
    pub memory_bytes: u64,
    /// `uname -sr`.
    pub kernel: String,
    /// `virtual` if the processor says that a hypervisor runs it, else `bare`.
    pub kind: String,
    /// The cores that servers were bound to; empty if they were not.
    pub server_cores: Vec<usize>,
    /// The cores that the generator and the shaping relay were bound to; empty if they were not.
    pub generator_cores: Vec<usize>,
}

/// A server under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    /// Its name in cells: `fanlight`, `nchan`, …
    pub name: String,
    /// Whether the load test started it. If so, there is a fresh one for each repetition.
    pub own: bool,
    /// Its command line if it was started, else its URL.
    pub command: String,
    /// What it says of itself.
    pub version: Option<String>,
    /// How its clock differs from this machine's, where the server tells its time.
    pub clock: Option<Clock>,
}

/// How far a server's clock is ahead of this machine's, as an exchange of messages shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// Server's time minus ours, in milliseconds.
    pub offset_ms: f64,
    /// It may be wrong by so much either way: half the shortest round trip, and what the server rounds.
    pub error_ms: f64,
}

/// A way from the server to its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Short polling.
    Poll,
    /// Long polling.
    Longpoll,
    /// Chunked HTTP streaming.
    Chunked,
    /// Server-Sent Events.
    Sse,
    /// WebSocket.
    Websocket,
}

impl Transport {
    /// All, in the order of tables.
    pub const ALL: [Self; 5] = [Self::Poll, Self::Longpoll, Self::Chunked, Self::Sse, Self::Websocket];

    /// The name that it has everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Longpoll => "longpoll",
            Self::Chunked => "chunked",
            Self::Sse => "sse",
            Self::Websocket => "websocket",
        }
    }

    /// Whether one exchange goes on for as long as the subscription.
    pub fn streams(self) -> bool {
        matches!(self, Self::Chunked | Self::Sse | Self::Websocket)
    }
}

/// What the subscribers and the publisher do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// Events at even intervals.
    Steady,
    /// As many on average, many at once.
    Burst,
    /// Nothing is published: what a connection costs.
    Idle,
    /// In the middle, all connections break; all subscribers come back at once with their cursors.
    Storm,
    /// Some subscribers do not read for most of the time.
    Slow,
    /// All the time, some connections are closed and opened anew.
    Churn,
}

/// What a cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To be compared with others; also good for fitting a cost model.
    Compare,
    /// The same thing once more, for the noise floor.
    Noise,
    /// To fit a cost model.
    Fit,
    /// To check a cost model: kept out of the fit.
    Check,
}

/// One point of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Unique in the document, readable: `fanlight/sse 200 × 10/s 200 B rtt 40 ms`.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The server's name.
    pub server: String,
    /// How events are delivered.
    pub transport: Transport,
    /// What subscribers and publisher do.
    pub pattern: Pattern,
    /// How many subscribers.
    pub subscribers: usize,
    /// Events a second to all topics together.
    pub rate: f64,
    /// Events that are published at once (1 but for bursts).
    pub burst: usize,
    /// Bytes of `data` in each event.
    pub payload_bytes: usize,
    /// Topics over which events and subscribers are spread; each subscriber has one.
    pub topics: usize,
    /// From the begin of a poll to that of the next, in seconds. `null` for what does not poll.
    pub poll_interval_s: Option<f64>,
    /// Seconds of silence before a heartbeat, as subscriptions asked for it. `null`: the server's own default.
    #[serde(default)]
    pub heartbeat_s: Option<f64>,
    /// How long a long poll is held, in seconds, as it asked for it. `null`: the server's own default.
    #[serde(default)]
    pub longpoll_timeout_s: Option<f64>,
    /// Round-trip time between client and server that the relay adds.
    pub rtt_ms: f64,
    /// Towards the client, for each connection, in kbit/s; 0 is no limit.
    pub down_kbps: f64,
    /// Towards the server.
    pub up_kbps: f64,
    /// Each run of it.
    pub repetitions: Vec<Repetition>,
    /// All repetitions together: distributions are merged, counts added, figures pooled. Equal to the only repetition
    /// where there is one.
    pub total: Measures,
    /// The figures that are compared, with 95 % intervals.
    pub estimates: Estimates,
    /// Of all repetitions.
    pub validity: Validity,
}

/// One run of a cell, on a server that was started for it (if it is one of our own).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repetition {
    /// When it began, in seconds since the run did.
    pub at_s: f64,
    /// What was measured.
    pub measures: Measures,
    /// What happened when, in steps of at most a second.
    pub series: Vec<Point>,
    /// Whether it can be trusted.
    pub validity: Validity,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measures {
    /// The length of the window in which events were measured, warm-up cut.
    pub seconds: f64,
    /// Events whose intended time lies in the window.
    pub published: u64,
    /// Bookkeeping over all subscribers, from the first marked event to the end: exactly once, or what else.
    pub exactly: Exactly,
    /// From the moment at which an event was to be published to its receipt. For what polls this is its staleness: the
    /// wait for the next poll is in it.
    pub latency: Option<Distribution>,
    /// From the moment at which a request left to its whole answer (poll and long poll).
    pub exchange: Option<Distribution>,
    /// The server's processor time in the window.
    pub cpu: Option<Cpu>,
    /// The server's memory.
    pub memory: Option<Memory>,
    /// Bytes on the subscribers' connections.
    pub wire: Wire,
    /// From `connect` to an answer that says the subscription stands.
    pub connecting: Option<Connecting>,
    /// From the moment at which connections broke until each subscriber had an event again (storm, churn).
    pub resume: Option<Resume>,
    /// How the generator fared.
    pub generator: Generator,
    /// What is `null` above, and why: name → reason.
    pub not_measured: BTreeMap<String, String>,
}
