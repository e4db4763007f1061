//! This host's live figures, as the operating system gives them.
//!
//! A figure that the system does not give is left out: nothing here is made up, and no zero stands for
//! 'unknown'. Rates are differences of the system's own counters over the time that really passed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_stream::stream;
use serde_json::{Map, Value, json};
use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, Networks, System};
use tokio::time::MissedTickBehavior;
use tokio_stream::Stream;

/// One figure, ready to be published.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// Where: `host/cpu/0`.
    pub(crate) topic: String,
    /// The event's type: `cpu`.
    pub(crate) kind: &'static str,
    /// What: an object.
    pub(crate) data: Value,
}

/// All figures, once `every` so often; the first after the first span, as rates need two readings.
///
/// A reading that takes longer than `every` skips the ticks that it missed.
pub(crate) fn figures(every: Duration) -> impl Stream<Item = Vec<Figure>> {
    stream! {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tick.tick().await;
        // A file system may take its time to answer: that is nothing for an async thread.
        let Ok(mut host) = tokio::task::spawn_blocking(Host::new).await else { return };
        loop {
            tick.tick().await;
            let reading = tokio::task::spawn_blocking(move || {
                let figures = host.read();
                (host, figures)
            });
            let Ok((read, figures)) = reading.await else { return };
            host = read;
            yield figures;
        }
    }
}

/// How long the counters of something that has gone are kept.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The readers, and what the counters said last.
struct Host {
    system: Option<System>,
    networks: Option<Networks>,
    disks: Option<Disks>,
    counters: HashMap<String, (Instant, [u64; 4])>,
}

impl Host {
    /// Opens what there is, and takes the first reading, which the second is compared with.
    fn new() -> Self {
        let mut host = Self {
            system: System::new().ok(),
            networks: Networks::new().ok(),
            disks: Disks::new().ok(),
            counters: HashMap::new(),
        };
        host.read();
        host
    }

    fn read(&mut self) -> Vec<Figure> {
        let mut figures = Vec::new();
        self.read_system(&mut figures);
        self.read_load(&mut figures);
        self.read_networks(&mut figures);
        self.read_disks(&mut figures);
        // Interfaces of containers come and go under ever new names.
        self.counters.retain(|_, (read, _)| read.elapsed() < FORGOTTEN);
        figures
    }

    fn read_system(&mut self, figures: &mut Vec<Figure>) {
        let Some(system) = &mut self.system else { return };
        system.refresh_cpu_specifics(CpuRefreshKind::everything());
        system.refresh_memory_specifics(MemoryRefreshKind::everything());
        for (core, cpu) in system.cpus().iter().enumerate() {
            let mut data = json!({ "usage_percent": rounded(f64::from(cpu.usage()), 1) });
            if cpu.frequency() > 0 {
                data["frequency_mhz"] = cpu.frequency().into();
            }
            figures.push(Figure { topic: format!("host/cpu/{core}"), kind: "cpu", data });
        }
        if system.total_memory() > 0 {
            let data = json!({
                "total_bytes": system.total_memory(),
                "used_bytes": system.used_memory(),
                "available_bytes": system.available_memory(),
                "swap_total_bytes": system.total_swap(),
                "swap_used_bytes": system.used_swap(),
            });
            figures.push(Figure { topic: "host/memory".to_owned(), kind: "memory", data });
        }
    }

    fn read_load(&self, figures: &mut Vec<Figure>) {
        if let Ok(load) = System::load_average() {
            let data = json!({
                "one_minute": rounded(load.one, 2),
                "five_minutes": rounded(load.five, 2),
                "fifteen_minutes": rounded(load.fifteen, 2),
            });
            figures.push(Figure { topic: "host/load".to_owned(), kind: "load", data });
        }
    }

    fn read_networks(&mut self, figures: &mut Vec<Figure>) {
        let Some(networks) = &mut self.networks else { return };
        networks.refresh(true);
        for (name, network) in networks.iter() {
            let topic = format!("host/network/{}", segment(&name.to_string_lossy()));
            let totals = [
                network.total_received(),
                network.total_transmitted(),
                network.total_packets_received(),
                network.total_packets_transmitted(),
            ];
            let names = ["received_bytes", "sent_bytes", "received_packets", "sent_packets"];
            let mut data = Map::new();
            add_rates(&mut data, names, rates(&mut self.counters, &topic, totals));
            data.extend(
                names.iter().zip(totals).map(|(name, total)| (format!("{name}_total"), total.into())),
            );
            figures.push(Figure { topic, kind: "network", data: data.into() });
        }
    }

    fn read_disks(&mut self, figures: &mut Vec<Figure>) {
        let Some(disks) = &mut self.disks else { return };
        disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage().with_io_usage());
        for disk in disks.iter() {
            let name = disk.name().to_string_lossy();
            let topic = format!("host/disk/{}", segment(name.strip_prefix("/dev/").unwrap_or(&name)));
            // One device mounted in several places is still one disk.
            if disk.total_space() == 0 || figures.iter().any(|figure| figure.topic == topic) {
                continue;
            }
            let usage = disk.usage();
            let totals = [usage.total_read_bytes, usage.total_written_bytes, 0, 0];
            let mut data = Map::new();
            // Without a device of its own (overlay, network) the system counts nothing.
            if totals != [0; 4] {
                let rates = rates(&mut self.counters, &topic, totals);
                add_rates(&mut data, ["read_bytes", "written_bytes"], rates);
            }
            data.insert("total_bytes".to_owned(), disk.total_space().into());
            data.insert("available_bytes".to_owned(), disk.available_space().into());
            figures.push(Figure { topic, kind: "disk", data: data.into() });
        }
    }
}

/// How fast each counter grew since it was last read, a second; nothing the first time, nor for a counter
/// that went back.
fn rates(
    counters: &mut HashMap<String, (Instant, [u64; 4])>,
    topic: &str,
    totals: [u64; 4],
) -> [Option<u64>; 4] {
    let now = Instant::now();
    let Some((then, before)) = counters.insert(topic.to_owned(), (now, totals)) else {
        return [None; 4];
    };
    let seconds = now.duration_since(then).as_secs_f64();
    std::array::from_fn(|i| {
        let grown = totals[i].checked_sub(before[i]).filter(|_| seconds > 0.0)?;
        Some((grown as f64 / seconds).round() as u64)
    })
}

fn add_rates<const N: usize>(data: &mut Map<String, Value>, names: [&str; N], rates: [Option<u64>; 4]) {
    let given = names.iter().zip(rates).filter_map(|(name, rate)| Some((name, rate?)));
    data.extend(given.map(|(name, rate)| (format!("{name}_per_second"), rate.into())));
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// A name as a segment of a topic: no `/`, no `*`, nothing that does not print.
fn segment(name: &str) -> String {
    let plain = |c: char| if c == '/' || c == '*' || c.is_control() || c.is_whitespace() { '-' } else { c };
    let name: String = name.trim_matches('/').chars().take(64).map(plain).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests;
