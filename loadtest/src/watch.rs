//! A server seen from outside: its processor time and memory, and the kernel's memory for sockets.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use crate::results::CpuSource;

/// Where to look.
#[derive(Clone, Debug)]
pub enum Watch {
    /// A process of this machine, and its children.
    Process(u32),
    /// The server's own metrics.
    Metrics(crate::http::Place),
    /// Nowhere.
    Nothing,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Processor time in all.
    pub cpu_ns: u64,
    /// In user space, as the kernel's ticks have it; its sum with `kernel_ns` is not `cpu_ns`.
    pub user_ns: Option<u64>,
    /// In the kernel.
    pub kernel_ns: Option<u64>,
    /// Threads were ready to run and had no core.
    pub waited_ns: Option<u64>,
    /// Resident set.
    pub rss_bytes: Option<u64>,
}

/// A look that may take its time.
#[derive(Debug)]
pub enum Look {
    /// It is done.
    Done(Option<Seen>),
    /// It is on its way.
    Waits(JoinHandle<Option<Seen>>),
}

impl Look {
    /// What was seen.
    pub fn seen(self) -> Option<Seen> {
        match self {
            Self::Done(seen) => seen,
            Self::Waits(thread) => thread.join().ok().flatten(),
        }
    }
}

impl Watch {
    /// Where figures come from, if from anywhere.
    pub fn source(&self) -> Option<CpuSource> {
        match self {
            Self::Process(_) => Some(CpuSource::Proc),
            Self::Metrics(_) => Some(CpuSource::Metrics),
            Self::Nothing => None,
        }
    }

    /// Looks, without holding up whoever asks.
    pub fn look(&self) -> Look {
        match self {
            Self::Process(_) | Self::Nothing => Look::Done(self.quick()),
            Self::Metrics(place) => {
                let place = place.clone();
                Look::Waits(thread::spawn(move || metrics(&place)))
            }
        }
    }

    /// What can be seen at once.
    pub fn quick(&self) -> Option<Seen> {
        match self {
            Self::Process(id) => process(*id),
            Self::Metrics(_) | Self::Nothing => None,
        }
    }
}

fn process(id: u32) -> Option<Seen> {
    let mut seen = Seen {
        user_ns: Some(0),
        kernel_ns: Some(0),
        waited_ns: Some(0),
        rss_bytes: Some(0),
        ..Seen::default()
    };
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    for folder in family(id) {
        // `/proc/PID/stat` counts threads that have ended, `schedstat` is exact and does not.
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        seen.user_ns = seen.user_ns.map(|sum| sum + ticks(11) * tick);
        seen.kernel_ns = seen.kernel_ns.map(|sum| sum + ticks(12) * tick);
        seen.rss_bytes = seen.rss_bytes.map(|sum| sum + ticks(21) * rustix::param::page_size() as u64);
        for thread in fs::read_dir(folder.join("task")).ok()?.flatten() {
            let [cpu, waited] = schedstat(&thread.path().join("schedstat"));
            seen.cpu_ns += cpu;
            seen.waited_ns = seen.waited_ns.map(|sum| sum + waited);
        }
    }
    Some(seen)
}

/// A process and its children.
fn family(id: u32) -> Vec<PathBuf> {
    let folder = |id: u32| PathBuf::from(format!("/proc/{id}"));
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok()).map(folder);
    std::iter::once(folder(id)).chain(children).collect()
}

fn schedstat(path: &Path) -> [u64; 2] {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)]
}

fn metrics(place: &crate::http::Place) -> Option<Seen> {
    let text = crate::http::get(place).ok()?.text();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let ns = |name: &str| value(name).map(|seconds| (seconds * 1e9) as u64);
    let (cpu_ns, user_ns) = (ns("process_cpu_seconds_total")?, ns("process_cpu_user_seconds_total"));
    Some(Seen {
        cpu_ns,
        user_ns,
        kernel_ns: user_ns.map(|user| cpu_ns.saturating_sub(user)),
        waited_ns: None,
        rss_bytes: value("process_resident_memory_bytes").map(|bytes| bytes as u64),
    })
}

/// The kernel's memory for sockets, of all programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// In TCP's buffers.
    pub buffers_bytes: u64,
    /// In its slabs: sockets, inodes, descriptors, and all else that is small.
    pub slab_bytes: u64,
}

impl Kernel {
    /// Looks at it.
    pub fn look() -> Self {
        let sockstat = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
        let tcp = sockstat.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
        let pages = tcp.split_whitespace().skip_while(|word| *word != "mem").nth(1);
        let pages: u64 = pages.and_then(|pages| pages.parse().ok()).unwrap_or(0);
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let slab = meminfo.lines().find_map(|line| line.strip_prefix("Slab:")).unwrap_or_default();
        let slab: u64 = slab.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Self { buffers_bytes: pages * rustix::param::page_size() as u64, slab_bytes: slab * 1024 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let watch = Watch::Process(std::process::id());
        let before = watch.quick().expect("it runs");
        let mut sum = 0_u64;
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 60 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        std::hint::black_box(sum);
        let after = watch.look().seen().expect("it runs");
        let spent = after.cpu_ns - before.cpu_ns;
        assert!(spent > 5_000_000, "{spent} ns of processor time after 60 ms of work");
        assert!(after.rss_bytes > Some(1 << 20));
        assert_eq!(Watch::Nothing.look().seen(), None);
    }
}
