//! The scenarios, each of which adds its figures to the report.

use std::{
    collections::BTreeMap,
    io,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    load::{Client, Load, Outcome, Pace, hammer},
    report::{Report, Row, median},
    servers::{
        Programs, Server,
        Target::{self, Floor, Hosted, Nchan, Taken},
        socket_memory,
    },
    wire::{
        self,
        Kind::{self, Chunked, Longpoll, Sse, Websocket},
    },
};

/// Bytes of data in an event.
const SIZE: usize = 200;
/// So much history that no subscriber is overrun by a burst.
const DEEP: [&str; 4] = ["--history-events", "200000", "--history-bytes", "1GiB"];

/// What all scenarios share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Where the servers are.
    pub(crate) programs: Programs,
    /// Repetitions.
    pub(crate) repeat: usize,
    /// For how long each run is measured.
    pub(crate) time: Duration,
    /// A share of the connections.
    pub(crate) scale: f64,
}

type Figures = BTreeMap<(&'static str, &'static str), Vec<Outcome>>;

impl Bench {
    fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(1)
    }

    fn load(&self, pace: Pace) -> Load {
        Load { pace, size: SIZE, time: self.time, warm_up: Duration::from_secs(1), latency: false }
    }

    fn start(&self, target: Target, args: &[&str]) -> io::Result<Server> {
        Server::start(target, &self.programs, "0", args)
    }

    /// One run on a fresh server.
    fn once(&self, target: Target, kind: Kind, subscribers: usize, load: Load) -> io::Result<Outcome> {
        let server = self.start(target, &DEEP)?;
        let mut client = Client::new(&server, kind)?;
        client.subscribe(subscribers, |_| "bench".to_owned(), "")?;
        client.run(&server, "bench", load)
    }

    /// All of them in turn, again and again.
    fn interleaved(&self, all: &[(Target, Kind)], subscribers: usize, load: Load) -> io::Result<Figures> {
        let mut figures = Figures::new();
        for _ in 0..self.repeat {
            for (target, kind) in all {
                let outcome = self.once(*target, *kind, subscribers, load)?;
                figures.entry((target.name(), kind.name())).or_default().push(outcome);
            }
        }
        Ok(figures)
    }
}

fn of(figures: &Figures, target: Target, kind: Kind, value: impl Fn(&Outcome) -> f64) -> f64 {
    let outcomes = figures.get(&(target.name(), kind.name()));
    median(outcomes.into_iter().flatten().map(value).collect())
}

/// What makes a run doubtful.
fn remark(figures: &Figures, target: Target, kind: Kind, paced: bool) -> String {
    let outcomes: Vec<&Outcome> = figures.get(&(target.name(), kind.name())).into_iter().flatten().collect();
    let mut remark = Vec::new();
    let wrong: u64 = outcomes.iter().map(|outcome| outcome.wrong).sum();
    if wrong > 0 {
        remark.push(format!("INVALID: {wrong} deliveries lost, doubled or out of order"));
    }
    let client = median(outcomes.iter().map(|outcome| outcome.client).collect());
    if client >= 0.95 {
        remark.push(format!("the client was the bottleneck ({:.0} % of its core)", client * 100.0));
    }
    let lag = outcomes.iter().map(|outcome| outcome.lag).fold(0.0, f64::max);
    if paced && lag > 25.0 {
        remark.push(format!("a publish was {lag:.0} ms late"));
    }
    remark.join("; ")
}

fn what(target: Target, kind: Kind) -> String {
    format!("{}, {}", target.name(), kind.name())
}

/// CPU per delivery, 1,000 subscribers × 20 events a second.
pub(crate) fn paced(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let mut all = Vec::new();
    for kind in [Sse, Chunked, Websocket, Longpoll] {
        for target in [Taken, Hosted, Nchan, Floor] {
            all.push((target, kind));
        }
    }
    let load = bench.load(Pace::Paced(20.0));
    let figures = bench.interleaved(&all, bench.scaled(1000), load)?;
    for (target, kind) in all {
        let value = of(&figures, target, kind, Outcome::cpu_per_delivery);
        let user = of(&figures, target, kind, |o| o.user as f64 / 1000.0 / o.deliveries.max(1) as f64);
        let by_nchan = value / of(&figures, Nchan, kind, Outcome::cpu_per_delivery);
        let by_floor = value / of(&figures, Floor, kind, Outcome::cpu_per_delivery);
        let met = match (target, kind) {
            (Taken, Longpoll) => Some(by_nchan <= 0.65),
            (Taken, _) => Some(by_nchan <= 0.85 && by_floor <= 1.10),
            (Hosted, Sse | Websocket) => Some(by_floor <= 1.3),
            _ => None,
        };
        let bar = match (target, kind) {
            (Taken, Longpoll) => format!("≤ 0.65 × nchan: {by_nchan:.2}"),
            (Taken, _) => format!("≤ 0.85 × nchan: {by_nchan:.2}; ≤ 1.10 × floor: {by_floor:.2}"),
            (Hosted, Sse | Websocket) => format!("≤ 1.3 × floor: {by_floor:.2}"),
            _ => format!("{by_nchan:.2} × nchan, {by_floor:.2} × floor"),
        };
        let doubts = remark(&figures, target, kind, true);
        let remark = format!("{user:.2} µs in user space {doubts}");
        let figure = "CPU per delivery, 1,000 × 20/s".to_owned();
        report.add(Row { figure, what: what(target, kind), value, unit: "µs", bar, met, remark });
    }
    Ok(())
}

/// Deliveries a second when publishers do not hold back.
pub(crate) fn saturation(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let all: Vec<(Target, Kind)> =
        [Sse, Websocket].into_iter().flat_map(|kind| [Taken, Nchan].map(|target| (target, kind))).collect();
    let mut cpu = BTreeMap::new();
    for (figure, pace, times) in [
        ("deliveries/s, 8 waiting publishers", Pace::Waiting(8), 10.0),
        ("deliveries/s, one pipelines 200", Pace::Pipelined(200), 20.0),
    ] {
        let figures = bench.interleaved(&all, bench.scaled(1000), bench.load(pace))?;
        for (target, kind) in &all {
            let value = of(&figures, *target, *kind, Outcome::rate);
            let by_nchan = value / of(&figures, Nchan, *kind, Outcome::rate);
            let each = of(&figures, *target, *kind, Outcome::cpu_per_delivery);
            let mut bar = format!("{by_nchan:.1} × nchan");
            let mut met = None;
            if *target == Taken {
                bar = format!("≥ {times} × nchan: {by_nchan:.1}");
                met = Some(by_nchan >= times);
                if let Some(waiting) = cpu.insert(kind.name(), each) {
                    bar += &format!("; no more CPU per delivery than with 8: {:.2}", each / waiting);
                    met = Some(by_nchan >= times && each <= waiting);
                }
            }
            let doubts = remark(&figures, *target, *kind, false);
            let remark = format!("{each:.2} µs of CPU each {doubts}");
            let (figure, what) = (figure.to_owned(), what(*target, *kind));
            report.add(Row { figure, what, value, unit: "/s", bar, met, remark });
        }
    }
    let all = [(Taken, Sse), (Taken, Websocket)];
    let offered = 1000.0 * bench.scaled(1000) as f64;
    let figures = bench.interleaved(&all, bench.scaled(1000), bench.load(Pace::Offered(4, 1000.0)))?;
    for (target, kind) in all {
        let value = of(&figures, target, kind, Outcome::rate);
        let share = value / offered;
        report.add(Row {
            figure: "1,000 subscribers × 1,000/s offered by 4".to_owned(),
            what: what(target, kind),
            value,
            unit: "/s",
            bar: format!("≥ 0.97 of the offered: {share:.3}"),
            met: Some(share >= 0.97),
            remark: remark(&figures, target, kind, false),
        });
    }
    Ok(())
}

/// Memory per idle connection.
pub(crate) fn idle(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (few, many) = (bench.scaled(5000), bench.scaled(15_000));
    for kind in [Sse, Chunked, Websocket, Longpoll] {
        for target in [Taken, Hosted, Nchan] {
            let (mut each, mut slope) = (Vec::new(), Vec::new());
            for _ in 0..bench.repeat {
                let server = bench.start(target, &[])?;
                let before = server.rss();
                let mut client = Client::new(&server, kind)?;
                client.subscribe(few, |_| "bench".to_owned(), "")?;
                client.idle(Duration::from_secs(1))?;
                let at_few = server.rss();
                client.subscribe(many - few, |_| "bench".to_owned(), "")?;
                client.idle(Duration::from_secs(1))?;
                let at_many = server.rss();
                each.push((at_many - before) as f64 / many as f64);
                slope.push((at_many as f64 - at_few as f64) / (many - few) as f64);
            }
            let (value, slope) = (median(each), median(slope));
            let most = if target == Taken { 0.75 } else { 20.0 };
            report.add(Row {
                figure: format!("RSS per idle connection at {many}"),
                what: what(target, kind),
                value,
                unit: "KiB",
                bar: if target == Nchan { String::new() } else { format!("≤ {most} KiB") },
                met: (target != Nchan).then_some(value <= most && slope <= most),
                remark: format!("slope from {few}: {slope:.2}"),
            });
        }
    }
    Ok(())
}

/// Only Fanlight, pipelined.
pub(crate) fn pipelined(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let all = [(Taken, Sse), (Taken, Websocket)];
    let figures = bench.interleaved(&all, bench.scaled(1000), bench.load(Pace::Pipelined(200)))?;
    for (target, kind) in all {
        report.add(Row {
            figure: "deliveries/s, one pipelines 200".to_owned(),
            what: what(target, kind),
            value: of(&figures, target, kind, Outcome::rate),
            unit: "/s",
            bar: String::new(),
            met: None,
            remark: remark(&figures, target, kind, false),
        });
    }
    Ok(())
}

/// Latency with 5,000 subscribers × 20 events a second.
pub(crate) fn latency(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let all: Vec<(Target, Kind)> =
        [Sse, Websocket].into_iter().flat_map(|kind| [Taken, Nchan].map(|target| (target, kind))).collect();
    let load = Load { latency: true, ..bench.load(Pace::Paced(20.0)) };
    let figures = bench.interleaved(&all, bench.scaled(5000), load)?;
    for (target, kind) in all {
        for (name, value) in [("p50", (|o| o.p50) as fn(&Outcome) -> f64), ("p99", |o| o.p99)] {
            let ms = of(&figures, target, kind, value);
            let ratio = ms / of(&figures, Nchan, kind, value);
            report.add(Row {
                figure: format!("latency {name}, 5,000 × 20/s"),
                what: what(target, kind),
                value: ms,
                unit: "ms",
                bar: if target == Taken { format!("≤ nchan's: {ratio:.2}") } else { String::new() },
                met: (target == Taken).then_some(ratio <= 1.0),
                remark: remark(&figures, target, kind, true),
            });
        }
    }
    Ok(())
}

/// Short polls a second with nothing new.
pub(crate) fn polls(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..bench.repeat {
        for target in [Taken, Nchan] {
            let server = bench.start(target, &[])?;
            let mut client = Client::new(&server, Sse)?;
            // Something must be there that is not new.
            let load = Load {
                time: Duration::from_millis(100),
                warm_up: Duration::ZERO,
                ..bench.load(Pace::Waiting(1))
            };
            client.run(&server, "bench", load)?;
            let request = match target {
                Nchan => {
                    let first = ask(server.addr, "GET /poll HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
                    let mut request = first;
                    // Past everything that is held.
                    loop {
                        let position = wire::position(Nchan, &request);
                        let text = format!("GET /poll HTTP/1.1\r\nHost: localhost\r\n{position}\r\n");
                        let answer = ask(server.addr, &text)?;
                        if answer.starts_with("HTTP/1.1 304") {
                            break text;
                        }
                        request = answer;
                    }
                }
                _ => {
                    let answer =
                        ask(server.addr, "GET /v1/poll?topic=bench HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
                    let position = wire::position(Taken, &answer);
                    format!("GET /v1/poll?topic=bench{position} HTTP/1.1\r\nHost: localhost\r\n\r\n")
                }
            };
            rates.entry(target.name()).or_default().push(hammer(server.addr, &request, 32, bench.time)?);
        }
    }
    ratio_rows(report, "short polls/s, nothing new", &rates, 0.95);
    Ok(())
}

/// Publishes a second with nobody there, and with one subscriber.
pub(crate) fn publishes(bench: &Bench, report: &mut Report) -> io::Result<()> {
    for subscribers in [0, 1] {
        let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for _ in 0..bench.repeat {
            for target in [Taken, Nchan] {
                let server = bench.start(target, &DEEP)?;
                let mut client = Client::new(&server, Sse)?;
                if subscribers > 0 {
                    client.subscribe(subscribers, |_| "bench".to_owned(), "")?;
                }
                let outcome = client.run(&server, "bench", bench.load(Pace::Waiting(8)))?;
                rates.entry(target.name()).or_default().push(outcome.publishes as f64 / outcome.seconds);
            }
        }
        ratio_rows(report, &format!("publishes/s by 8, {subscribers} subscribers"), &rates, 0.8);
    }
    Ok(())
}

fn ratio_rows(report: &mut Report, figure: &str, rates: &BTreeMap<&str, Vec<f64>>, least: f64) {
    let rate = |target: Target| median(rates.get(target.name()).cloned().unwrap_or_default());
    for target in [Taken, Nchan] {
        let ratio = rate(target) / rate(Nchan);
        report.add(Row {
            figure: figure.to_owned(),
            what: target.name().to_owned(),
            value: rate(target),
            unit: "/s",
            bar: if target == Taken { format!("≥ {least} × nchan: {ratio:.2}") } else { String::new() },
            met: (target == Taken).then_some(ratio >= least),
            remark: String::new(),
        });
    }
}

/// The head of one answer, on a connection of its own.
fn ask(addr: std::net::SocketAddr, request: &str) -> io::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(addr)?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let mut scratch = [0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut scratch)?;
        if read == 0 {
            return Err(io::Error::other("no answer"));
        }
        bytes.extend_from_slice(&scratch[..read]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// 10,000 subscribers of quiet topics come back at once, 100,000 events behind; others go on meanwhile.
pub(crate) fn resume(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (subscribers, events) = (bench.scaled(10_000), bench.scaled(100_000));
    let (mut times, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..bench.repeat {
        let server = bench.start(Taken, &DEEP)?;
        let mut quiet = Client::new(&server, Sse)?;
        let head = ask(server.addr, "GET /v1/poll?topic=x HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let start = wire::position(Taken, &head);
        let mut busy = Client::new(&server, Sse)?;
        busy.subscribe(bench.scaled(100), |_| "busy".to_owned(), "")?;
        // An event for each quiet topic, then many on another.
        publish_each(&mut quiet, subscribers)?;
        let mut filler = Client::new(&server, Sse)?;
        let many = Load {
            time: Duration::from_millis(1),
            warm_up: Duration::ZERO,
            ..bench.load(Pace::Pipelined(events))
        };
        filler.run(&server, "filler", many)?;
        let calm = Load { latency: true, ..bench.load(Pace::Paced(100.0)) };
        let before = busy.run(&server, "busy", calm)?.p99;
        // The resuming clients come from another thread, so that those who measure go on reading.
        let addr_server = &server;
        let (took, during) = std::thread::scope(|scope| -> io::Result<(f64, f64)> {
            let storm = scope.spawn(move || -> io::Result<f64> {
                let began = Instant::now();
                let mut storm = Client::new(addr_server, Sse)?;
                storm.subscribe(subscribers, |n| format!("quiet/{n}"), &start)?;
                while storm.delivered < subscribers as u64 && began.elapsed() < Duration::from_secs(30) {
                    storm.idle(Duration::from_millis(1))?;
                }
                Ok(began.elapsed().as_secs_f64())
            });
            let during = busy.run(addr_server, "busy", calm)?.p99;
            let took = storm.join().map_err(|_| io::Error::other("the storm ended early"))??;
            Ok((took, during))
        })?;
        times.push(took);
        ratios.push(during / before);
    }
    let (value, ratio) = (median(times), median(ratios));
    report.add(Row {
        figure: format!("{subscribers} resume {events} events back"),
        what: what(Taken, Sse),
        value,
        unit: "s",
        bar: format!("≤ 2 s; the others' p99 within 1.5 ×: {ratio:.2}"),
        met: Some(value <= 2.0 && ratio <= 1.5),
        remark: "client and storm share a core".to_owned(),
    });
    Ok(())
}

/// One event on each of `count` topics `quiet/N`, in batches.
fn publish_each(client: &mut Client, count: usize) -> io::Result<()> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(client.addr())?;
    for first in (0..count).step_by(2000) {
        let lines: String = (first..count.min(first + 2000))
            .map(|n| format!("{{\"topic\":\"quiet/{n}\",\"data\":{}}}\n", wire::data(0, 0, 0, SIZE)))
            .collect();
        write!(
            stream,
            "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
             Content-Length: {}\r\n\r\n{lines}",
            lines.len()
        )?;
        let (mut bytes, mut scratch) = (Vec::new(), [0; 65536]);
        while wire::answers(&bytes).0 == 0 {
            let read = stream.read(&mut scratch)?;
            bytes.extend_from_slice(&scratch[..read]);
        }
        if !bytes.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(())
}

/// CPU per publish to one topic, among 100,000 and alone.
pub(crate) fn topics(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (all, step) = (bench.scaled(100_000), 10);
    let (mut many, mut one) = (Vec::new(), Vec::new());
    for _ in 0..bench.repeat {
        for crowd in [true, false] {
            // Heartbeats are no part of a publish.
            let server = bench.start(Taken, &[&DEEP[..], &["--heartbeat", "60s"]].concat())?;
            let mut client = Client::new(&server, Sse)?;
            if crowd {
                publish_each(&mut client, all)?;
                let mut others = Client::new(&server, Sse)?;
                others.subscribe(all / step, |n| format!("quiet/{}", n * step), "")?;
                client.subscribe(1, |_| "bench".to_owned(), "")?;
                let outcome = client.run(&server, "bench", bench.load(Pace::Paced(2000.0)))?;
                many.push(outcome.cpu as f64 / 1000.0 / outcome.publishes as f64);
            } else {
                client.subscribe(1, |_| "bench".to_owned(), "")?;
                let outcome = client.run(&server, "bench", bench.load(Pace::Paced(2000.0)))?;
                one.push(outcome.cpu as f64 / 1000.0 / outcome.publishes as f64);
            }
        }
    }
    let (many, one) = (median(many), median(one));
    report.add(Row {
        figure: format!("CPU per publish among {all} topics, {} subscribed", all / step),
        what: what(Taken, Sse),
        value: many,
        unit: "µs",
        bar: format!("within 1.2 × of one topic ({one:.1} µs): {:.2}", many / one),
        met: Some(many / one <= 1.2),
        remark: String::new(),
    });
    Ok(())
}

/// Half of 5,000 connections stop reading 16 KiB events at 20 a second.
pub(crate) fn stalled(bench: &Bench, report: &mut Report) -> io::Result<()> {
    const LIMIT: f64 = 5.0;
    let count = bench.scaled(5000);
    let load = Load {
        pace: Pace::Paced(20.0),
        size: 16 << 10,
        time: Duration::from_secs(12),
        warm_up: Duration::from_secs(3),
        latency: true,
    };
    let args = ["--write-stall", "5s", "--history-bytes", "64MiB"];
    let server = bench.start(Taken, &args)?;
    let mut client = Client::new(&server, Sse)?.receive_buffer(64 << 10);
    client.subscribe(count / 2, |_| "bench".to_owned(), "")?;
    let calm = client.run(&server, "bench", load)?;
    drop((client, server));

    let server = bench.start(Taken, &args)?;
    let mut client = Client::new(&server, Sse)?.receive_buffer(64 << 10);
    client.subscribe(count, |_| "bench".to_owned(), "")?;
    let (before, sockets) = (server.rss(), socket_memory());
    client.stall(2)?;
    let descriptors = server.descriptors();
    let held = std::thread::scope(|scope| {
        let watched = &server;
        let peak = scope.spawn(move || {
            let (mut rss, mut sockets, began) = (0, 0, Instant::now());
            while began.elapsed() < Duration::from_secs(15) {
                rss = rss.max(watched.rss());
                sockets = sockets.max(socket_memory());
                std::thread::sleep(Duration::from_millis(100));
            }
            (rss, sockets)
        });
        let outcome = client.run(watched, "bench", load);
        (outcome, peak.join().unwrap_or_default())
    });
    let (outcome, (rss, peak)) = (held.0?, held.1);
    // Those that were cut are not told by a kernel that gave up on them, but the server has let them go.
    let cut = (descriptors + 1).saturating_sub(server.descriptors());
    let growth = rss.saturating_sub(before) as f64 / 1024.0;
    report.add(Row {
        figure: format!("{} of {count} never read 16 KiB × 20/s", count.div_ceil(2)),
        what: what(Taken, Sse),
        value: growth,
        unit: "MiB of RSS",
        bar: format!(
            "≤ 64 MiB; all cut within 5 s after the limit of {LIMIT} s: {cut} were; p99 within 1.3 ×: {:.2}",
            outcome.p99 / calm.p99
        ),
        met: Some(growth <= 64.0 && cut == count.div_ceil(2) && outcome.p99 / calm.p99 <= 1.3),
        remark: format!(
            "sockets' memory rose by {} MiB (receive buffers of this client among it); {} wrong",
            peak.saturating_sub(sockets) / 1024,
            outcome.wrong
        ),
    });
    Ok(())
}

/// CPU per delivery at a constant 20,000 deliveries a second, over ever more connections.
pub(crate) fn scale(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (few, many) = (bench.scaled(1000), bench.scaled(15_000));
    let mut cpu: BTreeMap<(&str, usize), Vec<f64>> = BTreeMap::new();
    for _ in 0..bench.repeat {
        for target in [Taken, Floor] {
            for count in [few, many] {
                let load = bench.load(Pace::Paced(20_000.0 * bench.scale / count as f64));
                let outcome = bench.once(target, Sse, count, load)?;
                cpu.entry((target.name(), count)).or_default().push(outcome.cpu_per_delivery());
            }
        }
    }
    for target in [Taken, Floor] {
        let value = |count: usize| median(cpu[&(target.name(), count)].clone());
        let rise = value(many) / value(few);
        report.add(Row {
            figure: format!("CPU per delivery, {many} connections at 20,000/s"),
            what: what(target, Sse),
            value: value(many),
            unit: "µs",
            bar: format!("≤ 1.15 × of {few} connections ({:.2} µs): {rise:.2}", value(few)),
            met: (target == Taken).then_some(rise <= 1.15),
            remark: String::new(),
        });
    }
    Ok(())
}

/// Two cores: how the connections are shared out, by what the gateway's threads do.
pub(crate) fn cores(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let server = Server::start(Taken, &bench.programs, "0-1", &DEEP)?;
    let mut client = Client::new(&server, Sse)?;
    client.subscribe(bench.scaled(1000), |_| "bench".to_owned(), "")?;
    let outcome = client.run(&server, "bench", bench.load(Pace::Waiting(8)))?;
    report.add(Row {
        figure: "deliveries/s, two hubs, 8 waiting publishers".to_owned(),
        what: what(Taken, Sse),
        value: outcome.rate(),
        unit: "/s",
        bar: "the client shares the second core: reported".to_owned(),
        met: None,
        remark: format!("{} wrong", outcome.wrong),
    });
    Ok(())
}

/// System calls per delivery, as strace counts them; and one connection with many topics.
pub(crate) fn sends(bench: &Bench, report: &mut Report) -> io::Result<()> {
    for kind in [Sse, Chunked, Websocket] {
        let server = bench.start(Taken, &DEEP)?;
        let mut client = Client::new(&server, kind)?;
        // So few that a traced server is not behind, and does not coalesce.
        client.subscribe(bench.scaled(100), |_| "bench".to_owned(), "")?;
        let path = std::env::temp_dir().join(format!("fanlight-benches-{}.strace", std::process::id()));
        let tracer = trace(&server, &path)?;
        let load =
            Load { time: Duration::from_secs(3), warm_up: Duration::ZERO, ..bench.load(Pace::Paced(20.0)) };
        let before = client.delivered;
        client.run(&server, "bench", load)?;
        let delivered = client.delivered - before;
        // Each publish is answered with one too.
        let answers = delivered / bench.scaled(100) as u64;
        let calls = (counted(tracer, &path)? as u64).saturating_sub(answers);
        let value = calls as f64 / delivered as f64;
        report.add(Row {
            figure: "send() per delivery".to_owned(),
            what: what(Taken, kind),
            value,
            unit: "",
            bar: "1.00".to_owned(),
            met: Some((value - 1.0).abs() < 0.005),
            remark: format!("{delivered} deliveries, and {answers} answers to publishers"),
        });
    }
    let server = bench.start(Taken, &DEEP)?;
    let mut client = Client::new(&server, Sse)?;
    let topics: Vec<String> = (0..50).map(|n| format!("quiet/{n}")).collect();
    client.subscribe(1, |_| topics.join("&topic="), "")?;
    let path = std::env::temp_dir().join(format!("fanlight-benches-{}.strace", std::process::id()));
    let tracer = trace(&server, &path)?;
    publish_each(&mut client, 50)?;
    client.idle(Duration::from_millis(500))?;
    let calls = counted(tracer, &path)?;
    report.add(Row {
        figure: "send() for an event on each of 50 topics of one connection".to_owned(),
        what: what(Taken, Sse),
        value: calls as f64,
        unit: "",
        bar: "1".to_owned(),
        met: Some(calls == 1 && client.delivered == 50),
        remark: format!("{} events came", client.delivered),
    });
    Ok(())
}

fn trace(server: &Server, path: &std::path::Path) -> io::Result<std::process::Child> {
    let id = server.processes()[0].to_string();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=sendto,sendmsg,write,writev", "-o"]).arg(path).args(["-p", &id]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(Duration::from_millis(700));
    Ok(child)
}

/// Ends a trace: how many times something was sent to a socket.
fn counted(mut tracer: std::process::Child, path: &std::path::Path) -> io::Result<u64> {
    std::thread::sleep(Duration::from_millis(300));
    Command::new("kill").args(["-INT", &tracer.id().to_string()]).status()?;
    tracer.wait()?;
    let text = std::fs::read_to_string(path)?;
    std::fs::remove_file(path)?;
    // What goes to subscribers does not wait; an answer to a publisher is sent without that flag.
    let is_send = |line: &&str| line.contains("sendto(") && line.contains("MSG_DONTWAIT");
    Ok(text.lines().filter(is_send).count() as u64)
}

/// Saturation for minutes, while connections are cut, come back on other transports, and stall.
pub(crate) fn soak(bench: &Bench, report: &mut Report, time: Duration) -> io::Result<()> {
    crate::soak::run(
        bench.start(
            Taken,
            &["--history-events", "200000", "--history-bytes", "512MiB", "--write-stall", "5s"],
        )?,
        report,
        time,
    )
}
