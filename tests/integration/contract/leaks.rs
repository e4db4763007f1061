//! Connections that end badly, at every moment: nothing of them may stay.

use std::{collections::BTreeMap, time::Duration};

use rstest::rstest;

use crate::{
    frames::{handshake, text},
    harness::Server,
    http::{Conn, get, post, soon},
    process::Served,
    subscriber::Transport::{self, Chunked, Longpoll, Poll, Sse, Websocket},
};

/// Rounds, and connections that are cut at each moment in each: 100,000 over all transports.
const ROUNDS: usize = 4;
const CYCLES: usize = 700;
/// What memory may grow by once the first round is over. It goes up and down by some MiB; a kilobyte that stayed of
/// each connection would be 15.
const GROWTH: usize = 8 << 20;

/// A moment in the life of a connection.
#[derive(Clone, Copy, Debug)]
enum Moment {
    BeforeTheHead,
    InTheHead,
    BehindTheHead,
    BehindTheHello,
    WithinAnEvent,
    WithinAFrame,
    WithinAPublish,
}

use Moment::{
    BeforeTheHead, BehindTheHead, BehindTheHello, InTheHead, WithinAFrame, WithinAPublish, WithinAnEvent,
};

#[rstest]
#[tokio::test]
async fn nothing_stays_of_a_connection(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let hosted = std::env::var("FANLIGHT_TEST_PATH").is_ok_and(|path| path == "hosted");
    let mut args = vec!["--cores", "2", "--history-events", "10", "--log-level", "warn"];
    args.extend(hosted.then_some("--no-takeover"));
    let served = Served::start(&args).await;
    let gateway = served.client();
    let cursor = gateway.publish("leak", "0").await;
    let target = format!("{}?topic=leak&after={cursor}", transport.path());
    let request = if transport == Websocket { handshake(&target, &[]) } else { get(&target) };
    // Each core has been at work once.
    let mut both = [Conn::open(gateway.addr).await, Conn::open(gateway.addr).await];
    for conn in &mut both {
        conn.send(get("/healthz")).await;
        conn.answer().await;
    }
    let baseline = served.descriptors() - both.len();
    drop(both);
    let mut resident = [0; ROUNDS];
    for resident in &mut resident {
        cut_at_every_moment(gateway, transport, &request).await;
        soon(async {
            while served.descriptors() > baseline {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        *resident = served.resident();
    }
    assert!(resident[ROUNDS - 1] < resident[0] + GROWTH, "{resident:?}");
    // The gateway's own account: soon nobody is there but the connection that asks.
    soon(async {
        while present(gateway.get("/metrics").await.text()) != 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // And it serves as before.
    let mut subscriber = gateway.subscribe_now(transport, &["after"]).await.0;
    let id = gateway.publish("after", "1").await;
    assert_eq!(subscriber.event().await.id, id);
}

/// Connections, subscribers and stalled readers together, by `/metrics`.
fn present(metrics: &str) -> f64 {
    let counted = ["fanlight_connections ", "fanlight_subscribers{", "fanlight_stalled "];
    let lines = metrics.lines().filter(|line| counted.iter().any(|name| line.starts_with(name)));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// Opens connections and ends them: by a reset, half closed, and closed.
async fn cut_at_every_moment(gateway: &Server, transport: Transport, request: &str) {
    let large = format!("{:?}", "x".repeat(60_000));
    let moments = [
        BeforeTheHead,
        InTheHead,
        BehindTheHead,
        BehindTheHello,
        WithinAnEvent,
        WithinAFrame,
        WithinAPublish,
    ];
    for moment in moments {
        for cycle in 0..CYCLES {
            let mut conn = match moment {
                WithinAnEvent => Conn::open_narrow(gateway.addr).await,
                _ => Conn::open(gateway.addr).await,
            };
            match moment {
                BeforeTheHead => {}
                WithinAPublish => {
                    let publish = post("/v1/publish?topic=a", &["Content-Type: text/plain"], "half");
                    conn.send(&publish[..publish.len() - 2]).await;
                }
                InTheHead => conn.send(&request[..request.len() / 2]).await,
                _ => conn.send(&request).await,
            }
            if matches!(moment, BehindTheHello | WithinAnEvent | WithinAFrame) && transport.streams() {
                soon(conn.through(b"hello")).await.expect("the hello");
            }
            if moment_is_last(moment, cycle) {
                // Those that are still there do not read it.
                gateway.publish("leak", &large).await;
            }
            if let WithinAFrame = moment
                && transport == Websocket
            {
                let frame = text(r#"{"op":"publish","topic":"other","data":1}"#);
                conn.send(&frame[..frame.len() / 2]).await;
            }
            match cycle % 3 {
                0 => conn.reset(),
                1 => conn.half_close().await,
                _ => drop(conn),
            }
        }
    }
}

fn moment_is_last(moment: Moment, cycle: usize) -> bool {
    matches!(moment, WithinAnEvent) && cycle.is_multiple_of(10)
}

/// A SIGTERM is answered by a drain: what was begun ends, everyone is told, and the exit is a clean one.
#[rstest]
#[tokio::test]
async fn a_signal_drains(#[values("TERM", "INT")] signal: &str) {
    let served = Served::start(&[]).await;
    assert!(served.first_line.starts_with("listening on http://127.0.0.1:"), "{}", served.first_line);
    let gateway = served.client();
    let mut streams = BTreeMap::new();
    for transport in [Chunked, Sse, Websocket] {
        streams.insert(transport.path(), gateway.subscribe_now(transport, &["a"]).await.0);
    }
    // A publish whose body is still under way.
    let mut publisher = Conn::open(gateway.addr).await;
    publisher
        .send(
            "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
             Content-Length: 4\r\n\r\nla",
        )
        .await;
    crate::kernel::read_by_peer(gateway.addr, &publisher).await;
    served.signal(signal);
    tokio::time::sleep(Duration::from_millis(200)).await;
    publisher.send("st").await;
    let answer = publisher.answer().await;
    assert_eq!(answer.status(), 200);
    for stream in streams.values_mut() {
        assert_eq!(stream.event().await.id, answer.json()["id"]);
    }
    let (status, rest) = served.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(rest, "");
}
