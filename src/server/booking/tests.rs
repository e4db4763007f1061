use std::{os::unix::net::UnixStream, sync::Arc};

use serde_json::Value;

use super::*;
use crate::{
    bus::{Bus, log::Bounds},
    config::Config,
    delivery::{
        connections::{Connections, Permit},
        told::Made,
    },
    event::Epoch,
    metrics::Metrics,
};

const HEAD: &str = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
const NOTHING: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A connection of which every request is on one account.
struct Bench {
    metrics: Arc<Metrics>,
    permit: Permit,
    booking: Booking,
    speaks: Speaks,
}

impl Bench {
    fn new() -> Self {
        let bounds = Bounds { events: 1, age: std::time::Duration::from_secs(1), bytes: 1 };
        let metrics = Arc::new(Metrics::new(&Arc::new(Bus::new(Epoch(35), bounds))));
        let connections = Arc::new(Connections::new(&Config::default(), metrics.clone()));
        let permit = connections.admit(([127, 0, 0, 1], 1).into()).unwrap();
        Self { metrics, permit, booking: Booking::default(), speaks: Speaks::default() }
    }

    fn figures(&mut self) -> &mut Figures {
        &mut self.permit.figures
    }

    fn read(&mut self, text: &str) {
        let ledger = &self.metrics.ledger;
        self.booking.read(ledger, &mut self.permit.figures, self.speaks, text.as_bytes());
    }

    fn wrote(&mut self, text: &str) {
        let ledger = &self.metrics.ledger;
        self.booking.wrote(ledger, &mut self.permit.figures, self.speaks, text.as_bytes());
    }

    fn begin(&mut self, via: Via) {
        let payer = self.metrics.ledger.payer(via, Some("c"));
        let (socket, _) = UnixStream::pair().unwrap();
        self.permit.figures.meter.go_over(&self.metrics.ledger, &socket, payer.clone());
        self.booking.begin(&mut self.permit.figures, payer, false);
    }

    fn answer(&mut self, told: Told) {
        self.booking.answer(&mut self.permit.figures, Asked::default(), told);
    }

    /// What the account says of a transport.
    fn of(&self, via: &str) -> Value {
        self.metrics.ledger.client("c").unwrap().document("")["transports"][via].clone()
    }

    fn takes_room(&self) -> bool {
        self.booking.0.is_some()
    }
}

/// A poll whose bytes come and go in pieces of so many.
fn polls(piece: usize) {
    let mut bench = Bench::new();
    let pieces = |text: &str| -> Vec<String> {
        text.as_bytes().chunks(piece).map(|piece| String::from_utf8(piece.to_vec()).unwrap()).collect()
    };
    for n in 1..4 {
        assert!(!bench.takes_room());
        pieces(HEAD).iter().for_each(|piece| bench.read(piece));
        assert!(bench.takes_room(), "nobody has the request yet");
        bench.begin(Via::Longpoll);
        assert!(!bench.takes_room(), "it waits");
        bench.answer(Told::Nothing);
        pieces(NOTHING).iter().for_each(|piece| bench.wrote(piece));
        let sums = bench.of("longpoll");
        assert_eq!(sums["in"]["empty"], n * HEAD.len());
        assert_eq!(sums["out"]["empty"], n * NOTHING.len());
        assert_eq!(sums["requests"], n);
    }
    assert!(!bench.takes_room());
}

#[test]
fn a_poll_that_waits_takes_no_room_and_is_booked_with_its_answer() {
    for piece in [1, 2, 7, usize::MAX] {
        polls(piece);
    }
}

#[test]
fn what_follows_a_poll_that_waits_is_its_own() {
    let mut bench = Bench::new();
    bench.read(HEAD);
    bench.begin(Via::Longpoll);
    bench.read(HEAD);
    assert!(bench.takes_room());
    bench.answer(Told::Whole(Box::new((Bill::of(Purpose::Payload, 2), 1))));
    bench.wrote("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab");
    bench.begin(Via::Poll);
    assert!(!bench.takes_room());
    let (longpoll, poll) = (bench.of("longpoll"), bench.of("poll"));
    assert_eq!((&longpoll["in"]["heads"], &longpoll["out"]["payload"]), (&HEAD.len().into(), &2.into()));
    assert_eq!(poll["in"]["heads"], 0, "its request waits for its answer");
    // Its client leaves.
    let figures = &mut bench.permit.figures;
    bench.booking.end(&bench.metrics.ledger, figures);
    assert_eq!(bench.of("poll")["in"]["heads"], HEAD.len());
}

#[test]
fn a_form_is_booked_as_one_with_its_head() {
    let mut bench = Bench::new();
    let form = "POST /v1/longpoll HTTP/1.1\r\ncontent-length: 7\r\n\r\n";
    bench.read(form);
    bench.begin(Via::Longpoll);
    assert!(bench.takes_room(), "its body is to come");
    bench.read("topic=a");
    assert!(!bench.takes_room());
    assert_eq!(bench.booking.leave(&mut bench.permit.figures), (form.len() + 7, 0));
    let asked = bench.figures().meter.asked;
    assert_eq!((asked, bench.takes_room()), (0, false));
}

#[test]
fn an_answer_without_an_end_takes_no_room() {
    let mut bench = Bench::new();
    bench.read(HEAD);
    bench.begin(Via::Sse);
    bench.answer(Told::Live);
    bench.speaks = Speaks::Endless;
    bench.figures().tally().made(Arc::new(Made::new(Bill::of(Purpose::Payload, 10), 2)));
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    bench.wrote(&head[..20]);
    assert!(bench.takes_room());
    bench.wrote(&format!("{}12345", &head[20..]));
    assert!(!bench.takes_room());
    assert_eq!((&bench.of("sse")["out"]["payload"], &bench.of("sse")["events"]), (&5.into(), &2.into()));
    // The rest, and what nobody said anything of: the last chunk.
    bench.wrote("12345");
    bench.wrote("0\r\n\r\n");
    bench.read("more");
    let sums = bench.of("sse");
    assert_eq!((&sums["out"]["heads"], &sums["in"]["heads"]), (&head.len().into(), &(HEAD.len() + 4).into()));
    assert_eq!((&sums["out"]["payload"], &sums["out"]["controls"]), (&10.into(), &5.into()));
    assert!(!bench.takes_room());
}
