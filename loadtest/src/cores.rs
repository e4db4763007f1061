//! Cores: servers on some, the generator on the others, so that neither takes the other's time.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who runs where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cores {
    /// Of servers; empty if they run anywhere.
    pub server: Vec<usize>,
    /// Of the generator and the relay; empty if they run anywhere.
    pub generator: Vec<usize>,
    /// How many there are.
    pub all: usize,
}

impl Cores {
    /// Divides the cores that this process may use: one for the generator, one for the relay where there are three, the
    /// rest for servers, at most `servers`. A single core is not divided.
    pub fn divide(servers: Option<usize>) -> Self {
        let Ok(set) = sched_getaffinity(None) else { return Self { all: 1, ..Self::default() } };
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
        let own = match all.len() {
            0 | 1 => return Self { all: all.len().max(1), ..Self::default() },
            2 => 1,
            _ => 2,
        };
        let most = servers.unwrap_or(1).clamp(1, all.len() - own);
        Self { server: all[..most].to_vec(), generator: all[all.len() - own..].to_vec(), all: all.len() }
    }

    /// Binds the calling thread, and those that it starts, to the generator's cores.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn bind_generator(&self) -> io::Result<()> {
        bind(&self.generator)
    }

    /// Does something on the servers' cores: what is started there stays there.
    ///
    /// # Errors
    /// What it does.
    pub fn on_servers<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before = sched_getaffinity(None)?;
        bind(&self.server)?;
        let done = work();
        sched_setaffinity(None, &before)?;
        done
    }
}

fn bind(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}
