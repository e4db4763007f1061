//! Judgements: whether a figure can be trusted, and whether two differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the load test itself could have shaped a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// If not, the figures are there, and are not to be used.
    pub valid: bool,
    /// Why not, in sentences. Empty if it is.
    pub reasons: Vec<String>,
    /// What a reader should know besides, though it does not make the figures worthless.
    pub notes: Vec<String>,
}

impl Validity {
    /// Valid if there is no reason against it.
    pub fn new(reasons: Vec<String>, notes: Vec<String>) -> Self {
        Self { valid: reasons.is_empty(), reasons, notes }
    }
}

/// How the generator fared: what its validity is judged by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Share of one core that the generating thread used in the window, 0 to 1.
    pub cpu_share: f64,
    /// The same of the shaping relay's thread; 0 without one.
    pub relay_cpu_share: f64,
    /// Share of the window in which generator or relay was ready to run and had no core.
    pub waited_share: f64,
    /// How late publishes left, 99th percentile.
    pub publish_lag_p99_ms: f64,
    /// The same, the latest.
    pub publish_lag_max_ms: f64,
    /// How late the relay passed bytes on, 99th percentile; 0 without one.
    pub relay_lag_p99_ms: f64,
    /// The longest time between two looks at the sockets.
    pub longest_turn_ms: f64,
    /// Errors of sockets, and answers that were refusals.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// Share of the machine's time that its hypervisor took away in the window.
    pub stolen_share: f64,
}

/// What can be compared. The lower, the better, in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The median latency, in milliseconds.
    LatencyP50,
    /// The 99th percentile of latency, in milliseconds.
    LatencyP99,
    /// The server's processor time per delivery, in nanoseconds.
    CpuPerDelivery,
    /// Bytes per delivery, both directions, by our own sockets.
    BytesPerDelivery,
}

impl Metric {
    /// All, in the order of tables.
    pub const ALL: [Self; 4] =
        [Self::LatencyP50, Self::LatencyP99, Self::CpuPerDelivery, Self::BytesPerDelivery];

    /// What it is called in sentences, and its unit.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::LatencyP50 => ("median latency", "ms"),
            Self::LatencyP99 => ("99th percentile of latency", "ms"),
            Self::CpuPerDelivery => ("server CPU per delivery", "ns"),
            Self::BytesPerDelivery => ("bytes per delivery", "B"),
        }
    }
}

/// A figure and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Of latencies and processor time the mean of the middle three fifths of the stretches' values, so that one bad
    /// stretch does not move it; of bytes all bytes over all deliveries.
    pub value: f64,
    /// The 95 % interval's lower end (percentile bootstrap over the stretches).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Stretches.
    pub samples: usize,
}

/// The estimates of a cell. `null` where there is nothing to estimate from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimates {
    /// Median latency, in milliseconds.
    pub latency_p50: Option<Estimate>,
    /// 99th percentile of latency, in milliseconds.
    pub latency_p99: Option<Estimate>,
    /// The server's processor time per delivery, in nanoseconds.
    pub cpu_per_delivery: Option<Estimate>,
    /// Bytes per delivery by our own sockets.
    pub bytes_per_delivery: Option<Estimate>,
}

impl Estimates {
    /// One of them.
    pub fn of(&self, metric: Metric) -> Option<Estimate> {
        match metric {
            Metric::LatencyP50 => self.latency_p50,
            Metric::LatencyP99 => self.latency_p99,
            Metric::CpuPerDelivery => self.cpu_per_delivery,
            Metric::BytesPerDelivery => self.bytes_per_delivery,
        }
    }
}

/// How far apart runs of the very same thing were: what lies below is noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// The cells that were compared: the same, run after each other.
    pub cells: Vec<String>,
    /// For each metric.
    pub floors: Vec<Floor>,
}

impl Noise {
    /// The floor of a metric, as a share of the value.
    pub fn of(&self, metric: Metric) -> Option<f64> {
        self.floors.iter().find(|floor| floor.metric == metric).map(|floor| floor.relative)
    }
}

/// The noise floor of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Floor {
    /// Which.
    pub metric: Metric,
    /// The largest difference between two of the runs, as a share of the smaller.
    pub relative: f64,
}

/// What two cells are to each other in one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Which.
    pub metric: Metric,
    /// A cell's id.
    pub a: String,
    /// Another's.
    pub b: String,
    /// `b` over `a`, where both are known and `a` is not 0.
    pub ratio: Option<f64>,
    /// What can be said.
    pub verdict: Verdict,
    /// The same as a sentence.
    pub text: String,
}

/// What can be said of two figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The intervals overlap, or the difference is within the noise floor.
    NoDifference,
    /// `b` is higher than `a`.
    Higher,
    /// `b` is lower than `a`.
    Lower,
    /// One of them was not measured, or is invalid.
    NotComparable,
}
