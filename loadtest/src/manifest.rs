//! What is needed to judge, and to repeat, a run: commit, machine, kernel, flags, versions.

use std::{collections::BTreeMap, fs, process::Command, time::SystemTime};

use crate::{
    cores::Cores,
    results::{Machine, Manifest},
    server::gateway,
};

/// `sysctl` values that shape results.
const SETTINGS: [&str; 7] = [
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.ip_local_port_range",
    "net.core.somaxconn",
    "kernel.sched_autogroup_enabled",
];

/// The manifest of a run that begins now.
pub fn manifest(title: &str, plan: &str, seed: u64, cores: &Cores) -> Manifest {
    let mut settings: BTreeMap<String, String> = SETTINGS
        .iter()
        .filter_map(|name| {
            let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
            Some(((*name).to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" ")))
        })
        .collect();
    if let Ok(governor) = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        settings.insert("cpufreq governor".to_owned(), governor.trim().to_owned());
    }
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    settings.insert(
        "descriptors".to_owned(),
        descriptors.map_or("unlimited".to_owned(), |most| most.to_string()),
    );
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    let versions = [("loadtest".to_owned(), format!("{} ({build})", env!("CARGO_PKG_VERSION")))].into();
    Manifest {
        title: title.to_owned(),
        commit: git(&["rev-parse", "HEAD"]),
        dirty: git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty()),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        seconds: 0.0,
        command: command(),
        plan: plan.to_owned(),
        seed,
        machine: machine(cores),
        settings,
        versions,
        servers: Vec::new(),
    }
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(gateway::tree()?).args(words).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command line, the program by its name alone: where it lies is nobody's business.
fn command() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or("loadtest").to_owned();
    let quoted = words.map(|word| if word.contains(' ') { format!("'{word}'") } else { word });
    std::iter::once(name).chain(quoted).collect::<Vec<_>>().join(" ")
}

fn machine(cores: &Cores) -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |name: &str| {
        cpuinfo.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'))
    };
    let cpu = line("model name").map_or("unknown", |(_, name)| name.trim()).to_owned();
    let hypervisor =
        line("flags").is_some_and(|(_, flags)| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let memory: u64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let uname = rustix::system::uname();
    Machine {
        cpu,
        cores: cores.all,
        memory_bytes: memory * 1024,
        kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
        kind: if hypervisor { "virtual" } else { "bare" }.to_owned(),
        server_cores: cores.server.clone(),
        generator_cores: cores.generator.clone(),
    }
}

/// Allows as many descriptors as there may be: each subscriber is one here, two in the relay,
/// and one in the server, which inherits the limit.
///
/// # Errors
/// If they are fewer than needed, and how to have more.
pub fn allow_descriptors(needed: u64) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = needed.max(most.min(1 << 20));
    let raised = Rlimit { current: Some(wanted), maximum: Some(wanted.max(most)) };
    // Only the superuser may raise the maximum; all others take what there is.
    let _ = setrlimit(Resource::Nofile, raised)
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }));
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if current < needed {
        let most = fs::read_to_string("/proc/sys/fs/nr_open").ok();
        return Err(too_few(needed, current, most.and_then(|most| most.trim().parse().ok())));
    }
    Ok(())
}

/// What is to be done; `most` is what the kernel lets anybody have.
fn too_few(needed: u64, current: u64, most: Option<u64>) -> String {
    let first = match most {
        Some(most) if most < needed => format!("sysctl fs.nr_open={needed}, and then "),
        _ => String::new(),
    };
    format!("{needed} descriptors are needed, {current} are allowed: {first}ulimit -n {needed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_can_be_followed() {
        let said = too_few(2000, 1024, Some(1 << 20));
        assert_eq!(said, "2000 descriptors are needed, 1024 are allowed: ulimit -n 2000");
        let said = too_few(3_000_256, 1024, Some(1 << 20));
        assert!(said.ends_with(": sysctl fs.nr_open=3000256, and then ulimit -n 3000256"), "{said}");
    }
}
