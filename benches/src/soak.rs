//! Minutes at saturation: subscribers that are cut at random moments and come back, on another transport, right
//! behind the last event that they processed; some stop reading for a while. Nothing may be lost or doubled,
//! and nothing may stay.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use memchr::memmem;

use crate::{
    report::{Report, Row},
    servers::{Server, Target::Taken},
    wire::{
        self,
        Kind::{self, Chunked, Longpoll, Sse, Websocket},
    },
};

/// Subscribers at a time.
const SUBSCRIBERS: usize = 24;

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    wrong: AtomicU64,
    hops: AtomicU64,
    gaps: AtomicU64,
}

/// Runs it, and adds what came of it to the report.
pub(crate) fn run(server: Server, report: &mut Report, time: Duration) -> io::Result<()> {
    let counts = Counts::default();
    let stop = AtomicBool::new(false);
    let published = AtomicU64::new(0);
    let before = settle(&server);
    let mut middle = 0;
    std::thread::scope(|scope| -> io::Result<()> {
        let publisher = scope.spawn(|| publish(&server, &stop, &published));
        let hoppers: Vec<_> = (0..SUBSCRIBERS)
            .map(|n| {
                let (server, stop, published, counts) = (&server, &stop, &published, &counts);
                scope.spawn(move || hop(server, n as u64, stop, published, counts))
            })
            .collect();
        let (began, mut half) = (Instant::now(), true);
        while began.elapsed() < time && !publisher.is_finished() {
            std::thread::sleep(Duration::from_millis(200));
            if half && began.elapsed() > time / 2 {
                (half, middle) = (false, server.rss());
            }
        }
        let end = server.rss();
        stop.store(true, Relaxed);
        publisher.join().map_err(|_| io::Error::other("the publisher ended early"))??;
        for hopper in hoppers {
            hopper.join().map_err(|_| io::Error::other("a subscriber ended early"))??;
        }
        eprintln!("RSS {middle} KiB half-way, {end} KiB at the end");
        Ok(())
    })?;
    let after = settle(&server);
    let [delivered, wrong, hops, gaps] =
        [&counts.delivered, &counts.wrong, &counts.hops, &counts.gaps].map(|count| count.load(Relaxed));
    let published = published.load(Relaxed);
    report.add(Row {
        figure: format!("soak, {:.0} s", time.as_secs_f64()),
        what: "fanlight, all transports".to_owned(),
        value: wrong as f64,
        unit: "lost or doubled",
        bar: "0; descriptors and RSS back at the baseline".to_owned(),
        met: Some(wrong == 0 && gaps == 0 && after.0 <= before.0),
        remark: format!(
            "{published} published, {delivered} delivered, {hops} hops, {gaps} gaps; descriptors {} → {}; \
             RSS {} → {middle} half-way → {} KiB (history 512 MiB)",
            before.0, after.0, before.1, after.1
        ),
    });
    Ok(())
}

/// Descriptors and memory once nothing is under way.
fn settle(server: &Server) -> (usize, u64) {
    std::thread::sleep(Duration::from_secs(7));
    (server.descriptors(), server.rss())
}

/// Publishes as fast as the answers come, 16 at a time.
fn publish(server: &Server, stop: &AtomicBool, published: &AtomicU64) -> io::Result<()> {
    let mut stream = TcpStream::connect(server.addr)?;
    let (mut input, mut scratch) = (Vec::new(), [0; 65536]);
    while !stop.load(Relaxed) {
        let first = published.load(Relaxed);
        let mut output = Vec::new();
        for number in first..first + 16 {
            wire::publish(Taken, "bench", &wire::data(0, number, 0, 200), &mut output);
        }
        stream.write_all(&output)?;
        let mut answered = 0;
        while answered < 16 {
            let read = stream.read(&mut scratch)?;
            input.extend_from_slice(&scratch[..read]);
            let (answers, length, _) = wire::answers(&input);
            input.drain(..length);
            answered += answers;
        }
        published.store(first + 16, Relaxed);
        // What is published is to be read as well, by clients that share two cores with the server.
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// A subscriber that comes back again and again, until it has everything.
fn hop(
    server: &Server,
    seed: u64,
    stop: &AtomicBool,
    published: &AtomicU64,
    counts: &Counts,
) -> io::Result<()> {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let finder = memmem::Finder::new(wire::MARK);
    let mut position = "&after=earliest".to_owned();
    let mut next = 0;
    loop {
        let kind: Kind = [Sse, Chunked, Websocket, Longpoll][draw(4) as usize];
        if stop.load(Relaxed) && next >= published.load(Relaxed) {
            return Ok(());
        }
        let mut stream = TcpStream::connect(server.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(wire::subscribe(Taken, kind, "bench", &position).as_bytes())?;
        counts.hops.fetch_add(1, Relaxed);
        let until = next + 1 + draw(3000);
        // Some are cut before they have anything, some stall for longer than the limit.
        let mut carry = Vec::new();
        let mut scratch = vec![0; 64 << 10];
        let stalls = draw(400) == 0;
        if draw(50) == 0 {
            continue;
        }
        while next < until {
            if stalls && draw(20) == 0 {
                std::thread::sleep(Duration::from_secs(6));
            }
            let Ok(read) = stream.read(&mut scratch) else { break };
            if read == 0 {
                break;
            }
            carry.extend_from_slice(&scratch[..read]);
            let part = if kind == Longpoll {
                let (answers, length, _) = wire::answers(&carry);
                if answers == 0 { continue } else { length }
            } else {
                carry.len()
            };
            if memmem::find(&carry[..part], b"\"control\":\"gap\"").is_some() {
                counts.gaps.fetch_add(1, Relaxed);
            }
            // Only whole documents count: a client processes what it can read, and the id is in it.
            let whole = memmem::rfind(&carry[..part], b"\"}}").map_or(0, |at| at + 3);
            wire::scan(&carry[..whole], &finder, |seen| {
                counts.delivered.fetch_add(1, Relaxed);
                if seen.number != next {
                    counts.wrong.fetch_add(1, Relaxed);
                }
                next = seen.number + 1;
            });
            if let Some(at) = memmem::rfind(&carry[..whole], b"{\"id\":\"") {
                let id = &carry[at + 7..];
                let end = memchr::memchr(b'"', id).unwrap_or(0);
                position = format!("&after={}", String::from_utf8_lossy(&id[..end]));
            }
            carry.drain(..if kind == Longpoll { part } else { whole });
            if kind == Longpoll {
                // One answer, then another hop.
                break;
            }
            if stop.load(Relaxed) && next >= published.load(Relaxed) {
                return Ok(());
            }
        }
    }
}
