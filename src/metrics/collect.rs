//! What is not counted but looked up when it is asked for: what the log holds, and what the kernel says of the
//! process.

use std::{fmt, sync::Arc};

use procfs::{WithCurrentSystemInfo as _, process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::bus::Bus;

/// What the log holds.
#[derive(Debug)]
pub(super) struct Held(pub(super) Arc<Bus>);

impl Collector for Held {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let held = self.0.held();
        let gauges = [
            ("log_events", "Events that are held", held.events as u64),
            ("log_topics", "Topics of which an event is held", held.topics as u64),
            ("log_bytes", "Memory of the events that are held", held.bytes),
            ("log_head", "The offset of the newest event", held.head),
        ];
        for (name, about, value) in gauges {
            gauge(&mut encoder, name, about, value as f64)?;
        }
        counter(&mut encoder, "log_evictions", "Events that are no longer held", held.evictions as f64)
    }
}

/// What the kernel says of the process, under the names that every Prometheus client uses for it.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Without /proc there is nothing to say.
        let Ok(process) = process::Process::myself() else { return Ok(()) };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second() as f64;
            let cpu = (stat.utime + stat.stime) as f64 / ticks;
            counter(&mut encoder, "process_cpu_seconds", "CPU time in user space and in the kernel", cpu)?;
            let user = stat.utime as f64 / ticks;
            counter(&mut encoder, "process_cpu_user_seconds", "CPU time in user space", user)?;
            let resident = stat.rss_bytes().get() as f64;
            gauge(&mut encoder, "process_resident_memory_bytes", "Memory in use", resident)?;
            let virtual_memory = stat.vsize as f64;
            gauge(&mut encoder, "process_virtual_memory_bytes", "Address space", virtual_memory)?;
            gauge(&mut encoder, "process_threads", "Threads", stat.num_threads as f64)?;
            if let Ok(boot) = procfs::boot_time_secs() {
                let start = boot as f64 + stat.starttime as f64 / ticks;
                gauge(&mut encoder, "process_start_time_seconds", "When it began (Unix time)", start)?;
            }
        }
        if let Ok(open) = process.fd_count() {
            gauge(&mut encoder, "process_open_fds", "Descriptors that are open", open as f64)?;
        }
        if let Ok(limits) = process.limits() {
            let most = match limits.max_open_files.soft_limit {
                process::LimitValue::Value(most) => most as f64,
                process::LimitValue::Unlimited => f64::INFINITY,
            };
            gauge(&mut encoder, "process_max_fds", "Descriptors that may be open", most)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, about: &str, value: f64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, about, None, gauge.metric_type())?)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, about: &str, value: f64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, about, None, counter.metric_type())?)
}
