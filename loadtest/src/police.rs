//! Whether a result can be trusted: the load test judges itself before it judges a server.

use crate::results::{Generator, Measures, Validity};

/// A generator that is busier is near its limit: what waits for it is counted as the server's latency.
const BUSY: f64 = 0.85;
/// The same for time in which it was ready and had no core.
const WAITED: f64 = 0.10;
/// A lag that nobody could call the server's: the larger of these, and of a share of the latency that was measured.
const LAG_MS: f64 = 1.0;
const LAG_SHARE: f64 = 0.1;
/// A relay that is so much too late is another network than the one that was asked for.
const RELAY_MS: f64 = 1.0;
const RELAY_SHARE: f64 = 0.05;
/// So long without a look at the sockets is a generator that was not there.
const TURN_MS: f64 = 50.0;
/// Time that the hypervisor took away.
const STOLEN: f64 = 0.05;
/// The server's threads waited for its core: something else ran there.
const CROWDED: f64 = 0.10;

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What was measured.
    pub measures: &'a Measures,
    /// How many subscribers there should have been.
    pub subscribers: usize,
    /// The round-trip time that the relay adds.
    pub rtt_ms: f64,
    /// Whether generator and relay have one core together.
    pub shared_core: bool,
    /// Cores that the server has; 0 if it is not known.
    pub server_cores: usize,
}

/// Judges a run.
pub fn judge(case: Case<'_>) -> Validity {
    let Case { measures, subscribers, rtt_ms, shared_core, server_cores } = case;
    let generator: &Generator = &measures.generator;
    let p99 = measures.latency.as_ref().and_then(|latency| latency.at(0.99)).unwrap_or(0.0);
    let (mut reasons, mut notes) = (Vec::new(), Vec::new());
    let mut reason = |wrong: bool, text: String| {
        if wrong {
            reasons.push(text);
        }
    };
    let busy = generator.cpu_share + if shared_core { generator.relay_cpu_share } else { 0.0 };
    let who =
        if shared_core && generator.relay_cpu_share > 0.0 { "Generator and relay" } else { "The generator" };
    reason(
        busy > BUSY,
        format!("{who} used {:.0} % of a core: the load test was the bottleneck.", busy * 100.0),
    );
    reason(
        !shared_core && generator.relay_cpu_share > BUSY,
        format!("The relay used {:.0} % of its core.", generator.relay_cpu_share * 100.0),
    );
    reason(
        generator.waited_share > WAITED,
        format!(
            "The generator waited for a core {:.0} % of the time: something else ran there.",
            generator.waited_share * 100.0
        ),
    );
    reason(
        generator.publish_lag_p99_ms > LAG_MS.max(LAG_SHARE * p99),
        format!("Events left up to {:.1} ms late (99th percentile).", generator.publish_lag_p99_ms),
    );
    reason(
        generator.longest_turn_ms > TURN_MS.max(p99),
        format!("The generator did not look at its sockets for {:.0} ms.", generator.longest_turn_ms),
    );
    reason(
        generator.relay_lag_p99_ms > RELAY_MS.max(RELAY_SHARE * rtt_ms),
        format!("The relay was up to {:.1} ms late (99th percentile).", generator.relay_lag_p99_ms),
    );
    let first = generator.first_error.as_deref().unwrap_or("unknown");
    reason(generator.errors > 0, format!("{} errors; the first: {first}.", generator.errors));
    reason(
        generator.stolen_share > STOLEN,
        format!("The hypervisor took {:.0} % of the machine's time.", generator.stolen_share * 100.0),
    );
    let established = measures.exactly.established;
    reason(
        established < subscribers as u64,
        format!("Only {established} of {subscribers} subscribers received a marked event."),
    );
    let waited = measures.cpu.and_then(|cpu| cpu.waited_ns).map(|ns| ns as f64 / 1e9 / measures.seconds);
    let waited = waited.filter(|_| server_cores > 0).unwrap_or(0.0) / server_cores.max(1) as f64;
    reason(
        waited > CROWDED,
        format!(
            "The server waited for a core {:.0} % of the time: something else ran there.",
            waited * 100.0
        ),
    );

    let exactly = &measures.exactly;
    if !exactly.holds() || exactly.gaps > 0 {
        notes.push(format!(
            "Not exactly once: {} missed, {} duplicated, {} out of order, {} gaps told.",
            exactly.missed, exactly.duplicated, exactly.out_of_order, exactly.gaps
        ));
    }
    if measures.wire.agree == Some(false)
        && let Some(ledger) = &measures.wire.ledger
    {
        notes.push(format!(
            "Ledger and sockets disagree: in {} and {} B, out {} and {} B.",
            ledger.inward.sum(),
            measures.wire.sockets.in_bytes,
            ledger.out.sum(),
            measures.wire.sockets.out_bytes
        ));
    }
    Validity::new(reasons, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::Transport, sample};

    fn judged(change: impl FnOnce(&mut Measures)) -> Validity {
        let mut measures = sample::cell(sample::Shape::new(Transport::Sse, 0.0)).total;
        change(&mut measures);
        let case =
            Case { measures: &measures, subscribers: 200, rtt_ms: 0.0, shared_core: true, server_cores: 1 };
        judge(case)
    }

    #[test]
    fn a_quiet_run_is_valid() {
        assert_eq!(judged(|_| {}), Validity::new(Vec::new(), Vec::new()));
    }

    #[test]
    fn each_strain_is_a_reason() {
        let strains: [fn(&mut Measures); 10] = [
            |m| m.generator.cpu_share = 0.9,
            |m| (m.generator.cpu_share, m.generator.relay_cpu_share) = (0.5, 0.5),
            |m| m.generator.waited_share = 0.2,
            |m| m.generator.publish_lag_p99_ms = 3.0,
            |m| m.generator.longest_turn_ms = 80.0,
            |m| m.generator.relay_lag_p99_ms = 2.0,
            |m| (m.generator.errors, m.generator.first_error) = (1, Some("reset".to_owned())),
            |m| m.generator.stolen_share = 0.1,
            |m| m.exactly.established = 199,
            |m| m.cpu.as_mut().unwrap().waited_ns = Some((m.seconds * 0.2e9) as u64),
        ];
        for (n, strain) in strains.into_iter().enumerate() {
            let validity = judged(strain);
            assert!(!validity.valid && validity.reasons.len() == 1, "number {n}: {validity:?}");
        }
    }

    #[test]
    fn what_the_server_did_is_no_reason() {
        let validity = judged(|measures| {
            measures.exactly.missed = 3;
            measures.wire.agree = Some(false);
        });
        assert!(validity.valid);
        assert_eq!(validity.notes.len(), 2);
    }
}
