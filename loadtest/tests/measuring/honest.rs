//! Does it see what happens, and does it say when it cannot?

use std::time::{Duration, Instant};

use loadtest::{
    results::{Metric, Point, Transport, Verdict},
    stats::interval,
};

use crate::support::{Process, command, ended, gateway, ran, read};

/// What coordinated omission hides:
///
/// 1. In a steady run of 20 s the server stands still for 2 s.
/// 2. A generator that waits for answers sends nothing meanwhile, and reports one slow event.
/// 3. Of the events that were due, a tenth waited, evenly between nothing and 2 s: the 95th percentile is 1 s, the 99th
///    1.8 s.
#[test]
fn a_stall_of_the_server_is_seen_in_full() {
    let server = gateway(&[]);
    let url = format!("http://{}", server.addr);
    let words = ["--url", &url, "--transport", "sse", "--subscribers", "20", "--rate", "50", "--time", "20s"];
    let (mut command, folder) = command(&[&words[..], &["--warm-up", "500ms", "--noise", "0"]].concat());
    let child = command.spawn().expect("it starts");
    std::thread::sleep(Duration::from_secs(8));
    Process::new(server.id()).stall(Duration::from_secs(2));
    let output = ended(child);
    let results = read(&folder, &output);
    let cell = &results.cells[0];
    assert!(cell.total.exactly.holds(), "{:?}", cell.total.exactly);
    assert_eq!(cell.total.published, 1000, "all events of the window were published on schedule");
    let latency = cell.total.latency.as_ref().expect("there are events");
    let at = |quantile| latency.at(quantile).expect("it is listed");
    assert!((800.0..=1200.0).contains(&at(0.95)), "p95 is {} ms", at(0.95));
    assert!((1600.0..=2000.0).contains(&at(0.99)), "p99 is {} ms", at(0.99));
    assert!(at(0.5) < 400.0, "p50 is {} ms", at(0.5));
    let stalled =
        cell.repetitions[0].series.iter().filter(|point| point.latency_max_ms > Some(250.0)).count();
    assert!((6..=12).contains(&stalled), "{stalled} stretches of 250 ms show the stall");
}

/// 1. The generator is stopped for 40 ms of each 50.
/// 2. What it measures then is its own lag, and has to be marked.
#[test]
fn a_throttled_generator_is_flagged() {
    let server = gateway(&[]);
    let url = format!("http://{}", server.addr);
    let words = ["--url", &url, "--transport", "sse", "--subscribers", "20", "--rate", "200", "--time", "2s"];
    let (mut command, folder) = command(&[&words[..], &["--noise", "0"]].concat());
    let mut child = command.spawn().expect("it starts");
    let process = Process::new(child.id());
    let start = Instant::now();
    while child.try_wait().expect("it is there").is_none() {
        assert!(start.elapsed() < Duration::from_secs(90), "it does not end");
        process.stall(Duration::from_millis(40));
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = ended(child);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("INVALID, not to be used"));
    let results = read(&folder, &output);
    assert!(!results.validity.valid && !results.cells[0].validity.valid);
    let reasons = results.cells[0].validity.reasons.join(" ");
    assert!(reasons.contains("ms late"), "{reasons}");
    assert!(results.comparisons.iter().all(|comparison| comparison.verdict == Verdict::NotComparable));
}

/// How wide an interval may be, as a share of its value, so that two of them, a tenth apart, are found not to overlap nine
/// times of ten: between them there has to be more than 1.28 standard deviations of the difference.
const STEADY: f64 = 0.1 / (1.0 + 1.28 * std::f64::consts::SQRT_2 / (2.0 * 1.96));

/// Of 200 pairs that are drawn from one run, at most 7 % may be called different; and where one of a pair costs a tenth
/// more, at least 9 of 10 have to be, if the machine was so steady that a tenth can be seen on it at all.
#[test]
fn the_same_is_the_same_and_a_tenth_is_a_tenth() {
    let program = crate::support::program();
    let words =
        ["--transport", "sse", "--subscribers", "50", "--rate", "40", "--time", "20s", "--noise", "0"];
    // What a disturbed run says is not to be used, as it says itself: then once more.
    let run = || ran(&[&words[..], &["--server", &program.to_string_lossy()]].concat()).0;
    let mut results = run();
    for _ in 0..4 {
        let width = interval::estimate_of(&results.cells[0].repetitions[0].series, Metric::CpuPerDelivery, 1)
            .map_or(f64::INFINITY, |cpu| (cpu.high - cpu.low) / cpu.value);
        if !results.validity.valid || width > STEADY {
            eprintln!("again, for: {:?}, an interval of {:.1} %", results.validity.reasons, width * 100.0);
            results = run();
        }
    }
    let series = &results.cells[0].repetitions[0].series;
    assert_eq!((results.cells[0].transport, series.len()), (Transport::Sse, 80));
    let mut random = fastrand::Rng::with_seed(7);
    let mut drawn = |handicap: f64| -> Vec<Point> {
        (0..series.len())
            .map(|_| {
                let point = &series[random.usize(0..series.len())];
                let dearer = |value: u64| (value as f64 * handicap) as u64;
                Point {
                    cpu_ns: point.cpu_ns.map(dearer),
                    out_bytes: dearer(point.out_bytes),
                    ..point.clone()
                }
            })
            .collect()
    };
    for metric in [Metric::CpuPerDelivery, Metric::BytesPerDelivery] {
        let mut different = |handicap: f64| {
            let pair = |seed: u64| {
                let (a, b) = (drawn(1.0), drawn(handicap));
                let of = |series: &[Point], seed| interval::estimate_of(series, metric, seed);
                interval::verdict(of(&a, seed), of(&b, seed + 1000), 0.0)
            };
            (0..200).map(pair).filter(|verdict| matches!(verdict, Verdict::Higher | Verdict::Lower)).count()
        };
        let (same, dearer) = (different(1.0), different(1.1));
        assert!(same <= 14, "{metric:?}: {same} of 200 pairs of the same are called different");
        assert!(dearer >= 180, "{metric:?}: a tenth more is found in {dearer} of 200 pairs");
    }
}
