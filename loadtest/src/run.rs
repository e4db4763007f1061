//! Runs a plan: each repetition of each cell, on a fresh server, and what comes of it.

use std::{collections::BTreeMap, time::Instant};

use crate::{
    account::Account,
    cores::Cores,
    interrupt, manifest,
    plan::{Plan, Spec},
    police::{self, Case},
    results::{Cell, Floor, Metric, Noise, Purpose, Repetition, Results, SCHEMA, Transport, Validity},
    stats::interval,
};

mod compare;
mod once;
mod target;

pub use compare::across;
pub use target::Target;

/// Told while a plan runs.
pub trait Listener {
    /// A run of a cell begins, the `n`-th of `all`.
    fn begins(&mut self, spec: &Spec, n: usize, all: usize);
    /// It is that far.
    fn stage(&mut self, stage: crate::engine::Stage);
    /// It is over.
    fn ends(&mut self, spec: &Spec, result: Result<&Repetition, &str>);
}

/// What is kept of a cell while others run.
struct Progress {
    spec: Spec,
    account: Option<Account>,
    repetitions: Vec<Repetition>,
    failures: Vec<String>,
}

/// Runs a plan. Cells that cannot be measured are told to the listener, and are invalid in the results' validity; there is
/// no result if none could be.
///
/// # Errors
/// What makes the whole impossible.
pub fn run(
    plan: &Plan,
    targets: &BTreeMap<String, Target>,
    cores: &Cores,
    listener: &mut dyn Listener,
) -> Result<Results, String> {
    let specs = plan.specs()?;
    // A subscriber's socket, its two in the relay, and some more.
    let sockets = |spec: &Spec| spec.load.subscribers as u64 * if spec.shape.is_none() { 1 } else { 3 };
    manifest::allow_descriptors(specs.iter().map(sockets).max().unwrap_or(0) + 256)?;
    cores.bind_generator().map_err(|error| format!("binding to cores: {error}"))?;
    let mut manifest = manifest::manifest(&plan.title, &plan.shown(), plan.seed, cores);
    let start = Instant::now();
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut cells: Vec<Progress> = specs
        .into_iter()
        .map(|spec| Progress { spec, account: None, repetitions: Vec::new(), failures: Vec::new() })
        .collect();
    let order = order(&cells, &mut random);
    let all = order.len();
    let mut errors = 0;
    let mut reasons = Vec::new();
    for (n, place) in order.into_iter().enumerate() {
        let cell = &mut cells[place];
        let target = targets
            .get(&cell.spec.server)
            .ok_or_else(|| format!("there is no server `{}`", cell.spec.server))?;
        listener.begins(&cell.spec, n, all);
        let at_s = start.elapsed().as_secs_f64();
        let mut tell = |stage| listener.stage(stage);
        match once::run(&cell.spec, target, cores, random.u64(..), &mut tell) {
            Ok((account, series)) => {
                let measures = account.measures();
                let validity = judge(&cell.spec, &measures, cores, target);
                let repetition = Repetition { at_s, measures, series, validity };
                listener.ends(&cell.spec, Ok(&repetition));
                cell.repetitions.push(repetition);
                match &mut cell.account {
                    Some(sum) => sum.add(&account),
                    None => cell.account = Some(account),
                }
            }
            Err(_) if interrupt::asked() => {
                reasons.push(format!("Interrupted after {n} of {all} runs."));
                break;
            }
            Err(error) => {
                listener.ends(&cell.spec, Err(&error));
                cell.failures.push(error);
                errors += 1;
                // A server that does not start will not start the next time.
                if errors == n + 1 && errors >= 3 {
                    return Err(cell.failures.join("; "));
                }
            }
        }
    }
    manifest.seconds = start.elapsed().as_secs_f64();
    for target in targets.values() {
        manifest.servers.push(target.described());
        manifest.versions.extend(target.version().map(|version| (target.name.clone(), version)));
    }
    let failures: Vec<String> = cells
        .iter()
        .flat_map(|cell| cell.failures.iter().map(|failure| format!("{}: {failure}", cell.spec.id())))
        .collect();
    let cells: Vec<Cell> = cells.into_iter().filter_map(|cell| finished(cell, plan.seed)).collect();
    reasons.extend(failures);
    if cells.is_empty() {
        return Err(reasons.join("; "));
    }
    let noise = noise(&cells);
    let comparisons = compare::all(&cells, noise.as_ref());
    reasons.extend(
        cells
            .iter()
            .filter(|cell| !cell.validity.valid)
            .map(|cell| format!("{}: {}", cell.id, cell.validity.reasons.join(" "))),
    );
    let mut notes = Vec::new();
    if cores.server.is_empty() {
        notes.push("Server and generator share a core: each takes the other's time.".to_owned());
    }
    if cfg!(debug_assertions) {
        notes.push("This is a debug build: use --release for figures.".to_owned());
    }
    Ok(Results {
        schema: SCHEMA.to_owned(),
        manifest,
        noise,
        cells,
        comparisons,
        validity: Validity::new(reasons, notes),
    })
}

/// The order of runs: those for the noise first; then a repetition of each cell, shuffled, and again.
fn order(cells: &[Progress], random: &mut fastrand::Rng) -> Vec<usize> {
    let of =
        |noise: bool| (0..cells.len()).filter(move |n| (cells[*n].spec.purpose == Purpose::Noise) == noise);
    let mut order: Vec<usize> = of(true).collect();
    let rounds = cells.iter().map(|cell| cell.spec.repeat).max().unwrap_or(0);
    for round in 0..rounds {
        let mut turn: Vec<usize> = of(false).filter(|n| cells[*n].spec.repeat > round).collect();
        random.shuffle(&mut turn);
        order.extend(turn);
    }
    order
}

fn judge(spec: &Spec, measures: &crate::results::Measures, cores: &Cores, target: &Target) -> Validity {
    police::judge(Case {
        measures,
        subscribers: spec.load.subscribers,
        rtt_ms: spec.shape.rtt.as_secs_f64() * 1000.0,
        shared_core: cores.generator.len() < 2,
        server_cores: if target.is_own() { cores.server.len() } else { 0 },
    })
}

fn finished(cell: Progress, seed: u64) -> Option<Cell> {
    let Progress { spec, account, repetitions, .. } = cell;
    let total = account?.measures();
    let series: Vec<_> = repetitions.iter().flat_map(|repetition| repetition.series.clone()).collect();
    let tell = |all: &dyn Fn(&Validity) -> Vec<String>| -> Vec<String> {
        let several = repetitions.len() > 1;
        let each = repetitions.iter().enumerate().flat_map(|(n, repetition)| {
            let texts = all(&repetition.validity);
            texts
                .into_iter()
                .map(move |text| if several { format!("Repetition {}: {text}", n + 1) } else { text })
        });
        each.collect()
    };
    let validity =
        Validity::new(tell(&|validity| validity.reasons.clone()), tell(&|validity| validity.notes.clone()));
    let load = &spec.load;
    Some(Cell {
        id: spec.id(),
        purpose: spec.purpose,
        server: spec.server.clone(),
        transport: load.transport,
        pattern: load.pattern,
        subscribers: load.subscribers,
        rate: load.gap().map_or(0.0, |_| load.rate),
        burst: load.burst,
        payload_bytes: load.payload,
        topics: load.topics,
        poll_interval_s: (load.transport == Transport::Poll).then_some(load.poll_interval.as_secs_f64()),
        heartbeat_s: load.asked_heartbeat().map(|heartbeat| heartbeat.as_secs_f64()),
        longpoll_timeout_s: load.asked_timeout().map(|timeout| timeout.as_secs_f64()),
        rtt_ms: spec.shape.rtt.as_secs_f64() * 1000.0,
        down_kbps: spec.shape.down / 1000.0,
        up_kbps: spec.shape.up / 1000.0,
        estimates: interval::estimates(&series, seed),
        repetitions,
        total,
        validity,
    })
}

fn noise(cells: &[Cell]) -> Option<Noise> {
    let runs: Vec<&Cell> = cells.iter().filter(|cell| cell.purpose == Purpose::Noise).collect();
    let estimates: Vec<_> = runs.iter().map(|cell| cell.estimates).collect();
    let floor = |metric| interval::floor(&estimates, metric).map(|relative| Floor { metric, relative });
    let floors: Vec<Floor> = Metric::ALL.into_iter().filter_map(floor).collect();
    (!floors.is_empty()).then(|| Noise { cells: runs.iter().map(|cell| cell.id.clone()).collect(), floors })
}
