use std::{cell::Cell, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::{LocalSet, spawn_local},
    time::{advance, timeout},
};

use super::{mover::PATIENCE, *};
use crate::lab::{conditions::Wanted, line::Line, ports::Ports};

/// A client, a shaped connection to it, and the line.
struct Bench {
    client: DuplexStream,
    gateway: Shaped,
    line: Arc<Line>,
    was_reset: Rc<Cell<bool>>,
    task: tokio::task::JoinHandle<()>,
}

fn wanted(body: &str) -> Wanted {
    Wanted::parse(body.as_bytes(), 1 << 16).unwrap()
}

impl Bench {
    fn new(conditions: &str) -> Self {
        Self::with_buffer(conditions, 1 << 20)
    }

    /// The client's socket takes so many bytes that it has not read.
    fn with_buffer(conditions: &str, buffer: usize) -> Self {
        let line = Arc::new(Line::new("x", Ports::reserve().unwrap(), &wanted(conditions), Instant::now()));
        let (client, socket) = duplex(buffer);
        let was_reset = Rc::new(Cell::new(false));
        let reset = was_reset.clone();
        let random = fastrand::Rng::with_seed(3);
        let (gateway, task) = Shaped::over(socket, line.join(), random, move || reset.set(true));
        Self { client, gateway, line, was_reset, task: spawn_local(task) }
    }

    fn change(&self, conditions: &str) {
        self.line.change(&wanted(conditions), Instant::now());
    }
}

/// Runs with a clock that stands still unless everybody waits for it.
fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), test);
}

async fn exactly(from: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[track_caller]
fn about(began: Instant, millis: u64) {
    let took = began.elapsed().as_millis() as u64;
    assert!(took.abs_diff(millis) <= 2, "{took} ms, not {millis}");
}

#[test]
fn a_round_trip_takes_as_long_as_it_should() {
    paused(async {
        for rtt in [0, 10, 120, 5000] {
            let mut bench = Bench::new(&format!(r#"{{"rtt_ms":{rtt}}}"#));
            let began = Instant::now();
            bench.client.write_all(b"ask").await.unwrap();
            assert_eq!(exactly(&mut bench.gateway, 3).await, b"ask");
            // The first waits for the handshake.
            about(began, rtt + rtt / 2);
            bench.gateway.write_all(b"answer").await.unwrap();
            assert_eq!(exactly(&mut bench.client, 6).await, b"answer");
            about(began, 2 * rtt);
            let began = Instant::now();
            bench.client.write_all(b"ask").await.unwrap();
            exactly(&mut bench.gateway, 3).await;
            about(began, rtt / 2);
        }
    });
}

#[test]
fn events_arrive_as_they_were_sent_only_later() {
    paused(async {
        let mut bench = Bench::new(r#"{"rtt_ms":200}"#);
        let began = Instant::now();
        for number in 0..20_u8 {
            bench.gateway.write_all(&[number]).await.unwrap();
            advance(Duration::from_millis(10)).await;
            // Half a round trip is ten of them.
            if number >= 10 {
                assert_eq!(exactly(&mut bench.client, 1).await, [number - 10]);
                about(began, 10 * (u64::from(number) + 1));
            }
        }
    });
}

#[test]
fn connections_share_the_bandwidth() {
    paused(async {
        // 100 bytes a millisecond.
        let mut bench = Bench::new(r#"{"down_kbps":800}"#);
        let (mut other_client, socket) = duplex(1 << 20);
        let (other, task) = Shaped::over(socket, bench.line.join(), fastrand::Rng::new(), || {});
        let task = spawn_local(task);
        let began = Instant::now();
        let write = |mut shaped: Shaped| async move {
            shaped.write_all(&[7; 100_000]).await.unwrap();
            shaped
        };
        let Bench { client, gateway, .. } = &mut bench;
        let both = async {
            tokio::join!(
                gateway.write_all(&[7; 100_000]),
                write(other),
                exactly(client, 100_000),
                exactly(&mut other_client, 100_000)
            )
        };
        let (.., first, second) = both.await;
        assert!(first == second && first.len() == 100_000);
        about(began, 2000);
        task.abort();
    });
}

#[test]
fn a_full_line_pushes_back() {
    paused(async {
        let mut bench = Bench::with_buffer("{}", 1000);
        let mut taken = 0;
        // The socket's buffer, and the bound of what is under way; then no more.
        while let Ok(count) = timeout(Duration::from_secs(1), bench.gateway.write(&[1; 10_000])).await {
            taken += count.unwrap();
        }
        assert!((256 << 10..=(256 << 10) + 1000).contains(&taken), "{taken}");
        exactly(&mut bench.client, taken).await;
        assert!(timeout(Duration::from_secs(1), bench.gateway.write(b"x")).await.is_ok());
    });
}

#[test]
fn what_nobody_reads_is_not_read_ahead() {
    paused(async {
        let mut bench = Bench::with_buffer("{}", 1000);
        let mut taken = 0;
        while let Ok(count) = timeout(Duration::from_secs(1), bench.client.write(&[1; 1000])).await {
            taken += count.unwrap();
        }
        assert!((256 << 10..=(256 << 10) + 2000).contains(&taken), "{taken}");
        exactly(&mut bench.gateway, taken).await;
        bench.client.write_all(b"x").await.unwrap();
    });
}

#[test]
fn a_change_releases_what_waits() {
    paused(async {
        let mut bench = Bench::new(r#"{"rtt_ms":5000,"down_kbps":1}"#);
        bench.gateway.write_all(&[1; 3000]).await.unwrap();
        advance(Duration::from_millis(100)).await;
        let began = Instant::now();
        bench.change(r#"{"rtt_ms":20,"down_kbps":0}"#);
        exactly(&mut bench.client, 3000).await;
        about(began, 10);
    });
}

/// Half closes pass in both directions, behind what was sent before.
#[test]
fn ends_arrive_behind_the_bytes() {
    paused(async {
        let mut bench = Bench::new(r#"{"rtt_ms":100}"#);
        let began = Instant::now();
        bench.client.write_all(b"last").await.unwrap();
        bench.client.shutdown().await.unwrap();
        let mut all = Vec::new();
        bench.gateway.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"last");
        about(began, 150);
        // An end is told to whoever asks again.
        assert_eq!(bench.gateway.read(&mut [0; 8]).await.unwrap(), 0);
        bench.gateway.write_all(b"answer").await.unwrap();
        bench.gateway.shutdown().await.unwrap();
        let mut all = Vec::new();
        bench.client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"answer");
        about(began, 200);
        assert!(!bench.was_reset.get());
    });
}

/// What was written is delivered though its writer is gone, and the connection is there until then.
#[test]
fn a_connection_outlives_its_writer() {
    paused(async {
        let Bench { mut client, mut gateway, line, task, was_reset, .. } = Bench::new(r#"{"rtt_ms":1000}"#);
        gateway.write_all(b"goodbye").await.unwrap();
        drop(gateway);
        // What the client still says is not left unread.
        client.write_all(b"thanks").await.unwrap();
        assert!(line.describe().contains(r#""connections":1"#));
        let began = Instant::now();
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"goodbye");
        about(began, 500);
        task.await.unwrap();
        assert!(line.describe().contains(r#""connections":0"#) && !was_reset.get());
    });
}

#[test]
fn nobody_waits_for_ever_for_a_client_that_takes_nothing() {
    paused(async {
        let Bench { client, mut gateway, task, .. } = Bench::with_buffer("{}", 10);
        gateway.write_all(b"more than it takes").await.unwrap();
        drop(gateway);
        let began = Instant::now();
        task.await.unwrap();
        about(began, PATIENCE.as_millis() as u64);
        drop(client);
    });
}

#[test]
fn a_cut_says_nothing_more() {
    paused(async {
        let mut bench = Bench::new(r#"{"rtt_ms":100}"#);
        bench.client.write_all(b"under way").await.unwrap();
        bench.gateway.write_all(b"under way").await.unwrap();
        advance(Duration::from_millis(20)).await;
        bench.change(r#"{"cut":true}"#);
        bench.task.await.unwrap();
        assert!(bench.was_reset.get());
        let error = bench.gateway.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(bench.gateway.write(b"x").await.is_err());
        let mut all = Vec::new();
        bench.client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"");
    });
}

#[test]
fn a_client_that_is_gone_is_noticed() {
    paused(async {
        let mut bench = Bench::new(r#"{"rtt_ms":100}"#);
        drop(bench.client);
        bench.gateway.write_all(b"x").await.unwrap();
        let began = Instant::now();
        let mut all = Vec::new();
        let read = bench.gateway.read_to_end(&mut all).await;
        assert!(read.is_ok_and(|count| count == 0), "an end was sent before");
        assert!(began.elapsed() <= Duration::from_millis(152));
        advance(Duration::from_millis(100)).await;
        assert_eq!(bench.gateway.write(b"y").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(bench.gateway);
        bench.task.await.unwrap();
    });
}

/// What a buffering proxy does to a streaming answer, and to no other.
#[test]
fn a_proxy_holds_streams_back() {
    paused(async {
        let mut bench = Bench::new(r#"{"buffering":true}"#);
        let silent = async |client: &mut DuplexStream| {
            timeout(Duration::from_secs(60), client.read(&mut [0; 1])).await.is_err()
        };
        bench.gateway.write_all(b"whole answer").await.unwrap();
        exactly(&mut bench.client, 12).await;
        bench.gateway.streams();
        bench.gateway.write_all(&[1; 4000]).await.unwrap();
        assert!(silent(&mut bench.client).await);
        bench.gateway.write_all(&[1; 100]).await.unwrap();
        exactly(&mut bench.client, 4100).await;
        bench.gateway.write_all(b"5\r\n1234\n\r\n").await.unwrap();
        assert!(silent(&mut bench.client).await);
        bench.gateway.write_all(b"0\r\n\r\n").await.unwrap();
        assert_eq!(exactly(&mut bench.client, 15).await, b"5\r\n1234\n\r\n0\r\n\r\n");
        bench.gateway.write_all(b"event").await.unwrap();
        assert!(silent(&mut bench.client).await);
        bench.change(r#"{"buffering":false}"#);
        assert_eq!(exactly(&mut bench.client, 5).await, b"event");
        bench.change(r#"{"buffering":true}"#);
        tokio::task::yield_now().await;
        bench.gateway.write_all(b"the end").await.unwrap();
        bench.gateway.shutdown().await.unwrap();
        assert_eq!(exactly(&mut bench.client, 7).await, b"the end");
    });
}

/// 1. A segment that has not arrived is looked at, and the socket is given what has: nothing yet.
/// 2. It arrives, while the task is still at work.
/// 3. The task sees that something has arrived, and takes that for a socket that takes no more: it sets no timer.
/// 4. Nobody wakes it any more; a drain waited for it until its time was up.
#[test]
fn what_arrives_within_a_turn_is_not_forgotten() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let Bench { mut client, mut gateway, .. } = Bench::new(r#"{"rtt_ms":6}"#);
        for round in 0..120 {
            let write = async {
                for _ in 0..40 {
                    gateway.write_all(b"x").await.unwrap();
                    let until = std::time::Instant::now() + Duration::from_micros(fastrand::u64(..60));
                    while std::time::Instant::now() < until {
                        tokio::task::yield_now().await;
                    }
                }
            };
            // Nothing comes behind them that would make up for it.
            let read = timeout(Duration::from_secs(10), exactly(&mut client, 40));
            let (read, ()) = tokio::join!(read, write);
            assert!(read.is_ok(), "all of them came, in round {round}");
        }
    });
}

/// Bytes of a pattern that repeats at no place where a buffer ends.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

async fn write_in_pieces(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], mut random: fastrand::Rng) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(random.usize(1..=rest.len().min(5000)));
        to.write_all(piece).await.unwrap();
        if random.u8(..4) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(..50))).await;
        }
        rest = later;
    }
    to.shutdown().await.unwrap();
}

async fn read_slowly(from: &mut (impl AsyncRead + Unpin), mut random: fastrand::Rng) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 3000];
    loop {
        let most = random.usize(1..=buffer.len());
        match from.read(&mut buffer[..most]).await.unwrap() {
            0 => return all,
            count => all.extend_from_slice(&buffer[..count]),
        }
        if random.u8(..8) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(..20))).await;
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Both ways at once, over a socket that takes little at a time, while the line changes again and again: every
    /// byte comes, in order, and then the end.
    #[test]
    fn every_byte_comes_whatever_the_line_does(
        seed in proptest::prelude::any::<u64>(),
        lengths in (0..60_000_usize, 0..60_000_usize),
        buffer in 1..5000_usize,
    ) {
        paused(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let Bench { client, gateway, line, .. } = Bench::with_buffer(r#"{"rtt_ms":40}"#, buffer);
            let (mut client_in, mut client_out) = tokio::io::split(client);
            let (mut gateway_in, mut gateway_out) = tokio::io::split(gateway);
            let (up, down) = (pattern(lengths.0), pattern(lengths.1));
            let changes = {
                let mut random = random.fork();
                async move {
                    loop {
                        tokio::time::sleep(Duration::from_millis(random.u64(..200))).await;
                        let [rtt, down, up] = [300, 9000, 9000].map(|most| random.u32(..most));
                        let loss = random.f64() * 0.1;
                        let buffering = random.bool();
                        let body = format!(
                            r#"{{"rtt_ms":{rtt},"down_kbps":{down},"up_kbps":{up},"loss":{loss},"buffering":{buffering}}}"#
                        );
                        line.change(&wanted(&body), Instant::now());
                    }
                }
            };
            let moves = async {
                tokio::join!(
                    write_in_pieces(&mut client_out, &up, random.fork()),
                    write_in_pieces(&mut gateway_out, &down, random.fork()),
                    read_slowly(&mut gateway_in, random.fork()),
                    read_slowly(&mut client_in, random.fork()),
                )
            };
            tokio::select! {
                ((), (), came_up, came_down) = moves => assert!(came_up == up && came_down == down),
                () = changes => unreachable!("it has no end"),
                () = tokio::time::sleep(Duration::from_secs(86_400)) => panic!("it never ended"),
            }
        });
    }
}
