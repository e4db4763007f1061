//! A connection is a descriptor: as many as may be open are asked for, and if those are too few, that is said.

use fanlight::config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside the connections: listeners, the cores' own, connections that are being refused, what the log
/// and `/metrics` open.
const SPARE: u64 = 640;

/// Raises the limit of this process as far as it may and needs to, and warns if that is not far enough.
pub(crate) fn prepare(config: &Config) {
    let wanted = config.max_connections as u64 + SPARE;
    let limit = getrlimit(Resource::Nofile);
    let limit =
        raised(limit, wanted).filter(|raised| setrlimit(Resource::Nofile, *raised).is_ok()).unwrap_or(limit);
    if let Some(current) = limit.current.filter(|current| *current < wanted) {
        tracing::warn!(
            max_open_files = current,
            max_connections = config.max_connections,
            "connections will end at the limit of open files (ulimit -n, LimitNOFILE=), where clients are left \
             waiting: raise it, or lower max-connections to {}",
            current.saturating_sub(SPARE).max(1),
        );
    }
}

/// The limit as it can be, if that is more.
fn raised(limit: Rlimit, wanted: u64) -> Option<Rlimit> {
    let current = limit.current.filter(|current| *current < wanted)?;
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    (most > current).then_some(Rlimit { current: Some(most), maximum: limit.maximum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_and_no_farther_than_it_need() {
        let limit = |current, maximum| Rlimit { current, maximum };
        let after = |current, maximum| raised(limit(current, maximum), 1000).map(|limit| limit.current);
        assert_eq!(after(Some(100), Some(500)), Some(Some(500)));
        assert_eq!(after(Some(100), Some(5000)), Some(Some(1000)));
        assert_eq!(after(Some(100), None), Some(Some(1000)));
        assert_eq!(after(Some(100), Some(100)), None);
        assert_eq!(after(Some(2000), None), None);
        assert_eq!(after(None, None), None);
    }
}
