//! Figures: distributions, bookkeeping, processor, memory and bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How durations were distributed. Merged HDR histograms, three significant digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// The shortest.
    pub min_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Rising, from 0 to 1: at least 0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999 and 1, and more for a smooth curve.
    pub percentiles: Vec<Percentile>,
    /// A compact histogram, rising, empty buckets left out.
    pub histogram: Vec<Bucket>,
}

impl Distribution {
    /// The value at a quantile (0 to 1) of those that are listed: the next one up.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        self.percentiles.iter().find(|p| p.quantile >= quantile - 1e-9).map(|p| p.ms)
    }
}

/// A point of a percentile curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentile {
    /// 0 to 1.
    pub quantile: f64,
    /// That share took at most so long.
    pub ms: f64,
}

/// A part of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// The upper end, which belongs to it. The lower end is the one before, or 0. Ends grow by a tenth.
    pub to_ms: f64,
    /// How many.
    pub count: u64,
}

/// Exactly-once bookkeeping, over all subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exactly {
    /// Subscribers that received a marked event before anything was measured: only they count.
    pub established: u64,
    /// Deliveries that were due: the events of its topic, for each subscriber.
    pub expected: u64,
    /// Deliveries that came, each counted once.
    pub delivered: u64,
    /// Deliveries that did not come before the end of the wait for the last ones.
    pub missed: u64,
    /// Deliveries that came again.
    pub duplicated: u64,
    /// Deliveries that came after a later event of their topic.
    pub out_of_order: u64,
    /// Gaps that the server told of.
    pub gaps: u64,
}

impl Exactly {
    /// Whether each subscriber received each event once and in order.
    pub fn holds(&self) -> bool {
        self.missed == 0 && self.duplicated == 0 && self.out_of_order == 0 && self.delivered == self.expected
    }
}

/// The server's processor time: all its processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cpu {
    /// Where it comes from.
    pub source: CpuSource,
    /// In all.
    pub total_ns: u64,
    /// In user space. The kernel samples the split; `null` where there were too few samples to mean anything.
    pub user_ns: Option<u64>,
    /// In the kernel, on the server's behalf (system calls, its share of the network stack).
    pub kernel_ns: Option<u64>,
    /// Deliveries of the same interval.
    pub deliveries: u64,
    /// Per delivery. `null` where nothing was delivered.
    pub total_ns_per_delivery: Option<f64>,
    /// The same, in user space.
    pub user_ns_per_delivery: Option<f64>,
    /// The same, in the kernel.
    pub kernel_ns_per_delivery: Option<f64>,
    /// Per subscriber and second: the cost of an idle connection, where nothing is published.
    pub total_ns_per_subscriber_second: f64,
    /// How long the server's threads were ready to run and did not, because something else had the core.
    pub waited_ns: Option<u64>,
}

/// Where processor time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CpuSource {
    /// `/proc/PID`: exact to a context switch.
    Proc,
    /// The server's own `/metrics`: `process_cpu_seconds_total`.
    Metrics,
}

/// The server's memory, and the kernel's for its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Resident set before anyone was connected.
    pub rss_before_bytes: u64,
    /// With all subscribers connected and marked, before the load.
    pub rss_connected_bytes: u64,
    /// The most that was seen under load.
    pub rss_peak_bytes: u64,
    /// What each connection behind the first tenth added: the first ones of a process cost more than the next. `null`
    /// where it could not be told from noise (fewer than 500 subscribers). Resident memory comes in pages, perhaps of
    /// 2 MiB: take thousands.
    pub rss_bytes_per_connection: Option<f64>,
    /// The kernel's memory in TCP buffers for each connection, both ends of it (`/proc/net/sockstat`). Other programs'
    /// sockets are in it.
    pub socket_buffer_bytes_per_connection: Option<f64>,
    /// The kernel's other memory for each connection, both ends of it: sockets, inodes, descriptors (`Slab` in
    /// `/proc/meminfo`).
    pub socket_slab_bytes_per_connection: Option<f64>,
}

/// What the subscribers' connections carried, from after the last one was established to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wire {
    /// The length of that interval. It is longer than the window: the warm-up and the wait for the last deliveries are
    /// in it.
    pub seconds: f64,
    /// Deliveries of that interval.
    pub deliveries: u64,
    /// Requests and handshakes of that interval.
    pub requests: u64,
    /// Requests per event that a subscriber received.
    pub requests_per_event: Option<f64>,
    /// Answers that brought nothing.
    pub empty: u64,
    /// As the load test's own sockets saw it, between client and server.
    pub sockets: SocketBytes,
    /// As the server's ledger booked it.
    pub ledger: Option<LedgerBytes>,
    /// Whether both sums agree within 1 % or 2 KiB, in each direction.
    pub agree: Option<bool>,
}

/// Bytes that were sent and received by sockets: all of HTTP and WebSocket, nothing of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SocketBytes {
    /// Towards the server.
    pub in_bytes: u64,
    /// Towards the client.
    pub out_bytes: u64,
    /// Both, per delivery.
    pub bytes_per_delivery: Option<f64>,
    /// Both, per subscriber and second.
    pub bytes_per_subscriber_second: f64,
}

/// Bytes by what they were for. `in` is towards the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerBytes {
    /// Towards the server, in the interval of [`Wire`].
    #[serde(rename = "in")]
    pub inward: Kinds,
    /// Towards the client.
    pub out: Kinds,
    /// TCP's own, where the server knows it.
    pub tcp: Option<Segments>,
}

/// Bytes of one direction by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Kinds {
    /// Heads of requests (in) and answers (out).
    pub heads: u64,
    /// The `data` of events as it was published.
    pub payload: u64,
    /// The rest of the event documents.
    pub envelope: u64,
    /// Chunk sizes, SSE fields, WebSocket headers and masks, the shell of a poll's answer.
    pub framing: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// Whole exchanges that brought nothing.
    pub empty: u64,
    /// Hello, gap, ack, error, reconnect (out), operations (in).
    pub controls: u64,
}

impl Kinds {
    /// Name and value of each, in the order of plots.
    pub fn list(&self) -> [(&'static str, u64); 7] {
        [
            ("payload", self.payload),
            ("envelope", self.envelope),
            ("framing", self.framing),
            ("heads", self.heads),
            ("empty", self.empty),
            ("heartbeats", self.heartbeats),
            ("controls", self.controls),
        ]
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.list().iter().map(|(_, bytes)| bytes).sum()
    }
}

/// TCP segments, as the server's kernel counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Segments {
    /// Towards the server.
    pub segments_in: u64,
    /// Towards the client.
    pub segments_out: u64,
    /// Sent again.
    pub retransmits: u64,
    /// Bytes of TCP/IP headers towards the server (estimated from the segments).
    pub bytes_in: u64,
    /// Towards the client.
    pub bytes_out: u64,
}

/// What it takes to connect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connecting {
    /// How long it took; up to 128 are opened at a time.
    pub time: Distribution,
    /// The server's processor time for each, all included.
    pub cpu_ns_per_connection: Option<f64>,
    /// Bytes for each until it is established, both directions (the marked event is in it).
    pub bytes_per_connection: f64,
}

/// How subscribers came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resume {
    /// Connections that were broken.
    pub broken: u64,
    /// Subscribers that had an event again.
    pub resumed: u64,
    /// From the attempt to come back to the first event that came.
    pub time: Option<Distribution>,
}

/// A stretch of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Its begin, in seconds since the window's.
    pub at_s: f64,
    /// Its length.
    pub seconds: f64,
    /// Events that were to be published in it.
    pub published: u64,
    /// Deliveries of them, whenever they came.
    pub delivered: u64,
    /// Deliveries that came in it, of whatever event.
    pub arrived: u64,
    /// The median latency of its events, by their intended time. `null` where none was delivered.
    pub latency_p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub latency_p99_ms: Option<f64>,
    /// The same, the longest.
    pub latency_max_ms: Option<f64>,
    /// The server's processor time in it.
    pub cpu_ns: Option<u64>,
    /// The server's resident set at its end.
    pub rss_bytes: Option<u64>,
    /// Bytes towards the server, by our sockets.
    pub in_bytes: u64,
    /// Bytes towards the client.
    pub out_bytes: u64,
    /// Requests that left in it.
    pub requests: u64,
    /// Connections that were open at its end.
    pub connections: u64,
}
