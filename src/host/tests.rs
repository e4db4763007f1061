use std::{fs, pin::pin};

use tokio_stream::StreamExt as _;

use super::*;

const TICK: Duration = Duration::from_millis(300);

fn proc(path: &str) -> String {
    fs::read_to_string(format!("/proc/{path}")).unwrap()
}

fn find<'a>(figures: &'a [Figure], topic: &str) -> &'a Value {
    let found = figures.iter().find(|figure| figure.topic == topic);
    &found.unwrap_or_else(|| panic!("no {topic} among {figures:#?}")).data
}

async fn first() -> Vec<Figure> {
    pin!(figures(TICK)).next().await.unwrap()
}

#[tokio::test]
async fn every_core_of_proc_stat_is_there_and_a_busy_one_shows() {
    let busy = std::thread::spawn(|| {
        let begun = Instant::now();
        while begun.elapsed() < TICK * 3 {
            std::hint::spin_loop();
        }
    });
    let figures = first().await;
    let cores: Vec<_> = figures.iter().filter(|figure| figure.kind == "cpu").collect();
    let lines =
        proc("stat").lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    assert_eq!(cores.len(), lines);
    let usages: Vec<f64> = cores.iter().map(|core| core.data["usage_percent"].as_f64().unwrap()).collect();
    assert!(usages.iter().all(|usage| (0.0..=100.0).contains(usage)), "{usages:?}");
    assert!(usages.iter().sum::<f64>() > 30.0, "one core spins, yet {usages:?}");
    busy.join().unwrap();
}

#[tokio::test]
async fn memory_is_what_proc_meminfo_says() {
    let figures = first().await;
    let memory = find(&figures, "host/memory");
    let meminfo = |key: &str| -> u64 {
        let text = proc("meminfo");
        let line = text.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    assert_eq!(memory["total_bytes"], meminfo("MemTotal"));
    assert_eq!(memory["swap_total_bytes"], meminfo("SwapTotal"));
    let available = memory["available_bytes"].as_u64().unwrap();
    assert!(available.abs_diff(meminfo("MemAvailable")) < 2 << 30, "{available}");
}

#[tokio::test]
async fn load_is_what_proc_loadavg_says() {
    let figures = first().await;
    let load = find(&figures, "host/load");
    // The longest average moves least between the two readings.
    let said: f64 = proc("loadavg").split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((load["fifteen_minutes"].as_f64().unwrap() - said).abs() < 0.2, "{load} {said}");
}

#[tokio::test]
async fn traffic_on_loopback_is_counted_over_the_time_that_passed() {
    let mut figures = pin!(figures(TICK));
    figures.next().await.unwrap();
    let (near, far) = (std::net::UdpSocket::bind("127.0.0.1:0"), std::net::UdpSocket::bind("127.0.0.1:0"));
    let (near, far) = (near.unwrap(), far.unwrap());
    for _ in 0..1000 {
        near.send_to(&[0; 1000], far.local_addr().unwrap()).unwrap();
    }
    let figures = figures.next().await.unwrap();
    let loopback = find(&figures, "host/network/lo");
    // A million bytes within at most a few ticks; the system adds its headers and others' traffic.
    let rate = loopback["sent_bytes_per_second"].as_u64().unwrap();
    assert!(rate as f64 * TICK.as_secs_f64() * 2.0 > 1e6, "{loopback}");
    let total: u64 = proc("net/dev")
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap();
    let said = loopback["received_bytes_total"].as_u64().unwrap();
    assert!(said <= total && total - said < 100_000_000, "{said} {total}");
}

#[tokio::test]
async fn every_figure_can_be_published() {
    for figure in first().await {
        assert!(figure.topic.starts_with("host/") && figure.topic.split('/').all(|part| !part.is_empty()));
        assert!(figure.topic.split('/').count() <= 3 && !figure.topic.contains('*'), "{}", figure.topic);
        let data = figure.data.as_object().unwrap();
        assert!(!data.is_empty() && data.values().all(Value::is_number), "{figure:?}");
    }
}

#[test]
fn names_become_segments() {
    let cases =
        [("eth0", "eth0"), ("mapper/vg-root", "mapper-vg-root"), ("a b*\n", "a-b--"), ("", "unnamed")];
    for (name, expected) in cases {
        assert_eq!(segment(name), expected);
    }
    assert_eq!(segment(&"x".repeat(300)).len(), 64);
}

#[test]
fn a_counter_gives_no_rate_at_first_nor_when_it_went_back() {
    let mut counters = HashMap::new();
    assert_eq!(rates(&mut counters, "t", [5; 4]), [None; 4]);
    std::thread::sleep(Duration::from_millis(2));
    let next = rates(&mut counters, "t", [4, 5, 1_000_005, 5]);
    assert_eq!((next[0], next[1]), (None, Some(0)));
    assert!(next[2].unwrap() > 0);
}
