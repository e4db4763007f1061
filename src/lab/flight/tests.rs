use proptest::prelude::*;

use super::*;

/// One direction of a connection, and the link that it has for itself.
struct Bench {
    flight: Flight,
    link: Link,
    conditions: Conditions,
    start: Instant,
}

impl Bench {
    fn new(direction: Direction, conditions: Conditions) -> Self {
        let start = Instant::now();
        let flight = Flight::new(direction, start, fastrand::Rng::with_seed(7));
        Self { flight, link: Link::new(start), conditions, start }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn send(&mut self, millis: u64, bytes: &[u8]) -> u64 {
        let now = self.at(millis);
        self.flight.send(now, Bytes::copy_from_slice(bytes), &mut self.link, &self.conditions)
    }

    /// What has arrived by then.
    fn arrived(&mut self, millis: u64) -> Vec<u8> {
        let (mut out, now) = (Vec::new(), self.at(millis));
        while let Some(Cargo::Bytes(bytes)) = self.flight.arrived(now) {
            let count = bytes.len();
            out.extend_from_slice(bytes);
            self.flight.take(count);
        }
        out
    }

    /// In which millisecond the next arrives.
    fn next(&self) -> Option<u64> {
        let due = self.flight.segments.front()?.due;
        Some(due.duration_since(self.start).as_millis() as u64)
    }

    fn change(&mut self, millis: u64, conditions: Conditions) {
        let now = self.at(millis);
        self.conditions = conditions;
        self.link.clear(now);
        self.flight.change(now, &mut self.link, &conditions);
    }
}

fn conditions(rtt_ms: u32, kbps: u32, loss: f64) -> Conditions {
    Conditions { rtt_ms, down_kbps: kbps, up_kbps: kbps, loss, ..Conditions::default() }
}

#[test]
fn half_a_round_trip_each_way() {
    let mut bench = Bench::new(Direction::Down, conditions(120, 0, 0.0));
    bench.send(10, b"a");
    bench.send(30, b"b");
    assert_eq!((bench.next(), bench.arrived(68)), (Some(70), vec![]));
    assert_eq!((bench.arrived(70), bench.next()), (b"a".to_vec(), Some(90)));
    assert_eq!((bench.arrived(90), bench.next()), (b"b".to_vec(), None));
}

/// A client's first bytes wait for the answer to its SYN; what it sends later does not.
#[test]
fn a_connection_begins_with_a_handshake() {
    let mut bench = Bench::new(Direction::Up, conditions(100, 0, 0.0));
    bench.send(0, b"a");
    bench.send(90, b"b");
    bench.send(130, b"c");
    assert_eq!(bench.arrived(148), b"");
    assert_eq!(bench.arrived(150), b"ab");
    assert_eq!(bench.next(), Some(180));
}

#[test]
fn a_link_is_as_fast_as_it_is() {
    // A byte a millisecond: a whole segment and 540 bytes.
    let mut bench = Bench::new(Direction::Down, conditions(20, 8, 0.0));
    bench.send(0, &[1; 2000]);
    assert_eq!(bench.next(), Some(1470));
    assert_eq!(bench.arrived(1470).len(), SEGMENT);
    assert_eq!(bench.next(), Some(2010));
}

#[test]
fn a_loss_stalls_what_is_behind_it() {
    let mut bench = Bench::new(Direction::Down, conditions(100, 0, 0.5));
    let mut sent = Vec::new();
    let mut lost = 0;
    for millis in 0..200 {
        sent.push(millis as u8);
        lost += bench.send(millis, &[millis as u8]);
    }
    let stalls: Vec<u64> = bench
        .flight
        .segments
        .iter()
        .map(|segment| stall(segment.losses, Duration::from_millis(100)).as_millis() as u64)
        .collect();
    // Each time the sender waits twice as long as before.
    let known = [0, 300, 900, 2100, 4500, 9300, 18_900, 20_000];
    assert!(stalls.iter().all(|stall| known.contains(stall)), "{stalls:?}");
    let drawn: u64 = bench.flight.segments.iter().map(|segment| u64::from(segment.losses)).sum();
    assert_eq!(lost, drawn);
    assert!((120..280).contains(&lost), "about as many as segments: {lost}");
    let mut due = 0;
    for (millis, stall) in stalls.iter().enumerate() {
        due = due.max(millis as u64 + 50 + stall);
        assert_eq!(bench.next(), Some(due), "segment {millis}");
        bench.flight.take(1);
    }
}

#[test]
fn what_is_under_way_is_bounded() {
    let room = |rtt_ms, kbps| {
        Bench::new(Direction::Up, conditions(rtt_ms, kbps, 0.0)).flight.room(&conditions(rtt_ms, kbps, 0.0))
    };
    assert_eq!(room(0, 0), MAX_BYTES);
    assert_eq!(room(5000, 1_000_000), MAX_BYTES);
    assert_eq!(room(0, 1), MIN_BYTES);
    // 125 bytes a millisecond, for 100 and 250 of them.
    assert_eq!(room(100, 1000), 125 * 350);
    let mut bench = Bench::new(Direction::Up, conditions(0, 1, 0.0));
    bench.send(0, &[0; 1000]);
    assert_eq!(bench.flight.room(&bench.conditions), MIN_BYTES - 1000);
    bench.flight.take(300);
    assert_eq!(bench.flight.room(&bench.conditions), MIN_BYTES - 700);
}

#[test]
fn a_change_takes_effect_on_what_is_under_way() {
    let mut bench = Bench::new(Direction::Down, conditions(1000, 8, 0.0));
    bench.send(0, &[1; 100]);
    bench.send(0, &[2; 1000]);
    // The first has left, the other has not.
    bench.change(200, conditions(400, 0, 0.0));
    assert_eq!(bench.next(), Some(300));
    assert_eq!(bench.arrived(300).len(), 100);
    assert_eq!(bench.next(), Some(400));
    // A longer way delays what left long ago no more than what leaves now.
    bench.change(350, conditions(800, 0, 0.0));
    assert_eq!(bench.next(), Some(600));
    bench.change(360, conditions(0, 0, 0.0));
    assert_eq!(bench.arrived(360), [2; 1000]);
}

#[test]
fn a_line_without_loss_makes_up_for_none() {
    let mut bench = Bench::new(Direction::Down, conditions(10, 0, 0.5));
    while bench.send(0, b"x") == 0 {}
    assert!(bench.flight.segments.back().unwrap().due > bench.at(200));
    bench.change(1, conditions(10, 0, 0.0));
    assert!(bench.flight.segments.iter().all(|segment| segment.due == bench.at(5)));
}

#[test]
fn the_end_comes_last_and_stays() {
    let mut bench = Bench::new(Direction::Up, conditions(100, 8, 0.0));
    bench.send(200, &[1; 50]);
    let now = bench.at(200);
    bench.flight.end(now, Cargo::End, &mut bench.link, &bench.conditions);
    assert_eq!(bench.arrived(298), b"");
    assert_eq!(bench.arrived(300), [1; 50]);
    assert_eq!(bench.flight.arrived(bench.at(300)), Some(&Cargo::End));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Send(usize),
    Take(usize),
    Change(u32, u32, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..400_u64).prop_map(Step::Wait),
        (1..5000_usize).prop_map(Step::Send),
        (1..5000_usize).prop_map(Step::Take),
        (0..300_u32, prop_oneof![Just(0), 8..10_000_u32], any::<bool>())
            .prop_map(|(rtt, kbps, loses)| Step::Change(rtt, kbps, loses)),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever is sent, taken and changed, in whatever order: every byte arrives once and in order, none sooner
    /// than the way takes, and what is under way is counted.
    #[test]
    fn no_byte_is_lost_doubled_or_overtaken(steps in steps(), up in any::<bool>()) {
        let direction = if up { Direction::Up } else { Direction::Down };
        let mut bench = Bench::new(direction, conditions(40, 0, 0.0));
        let (mut now, mut sent, mut got) = (0, 0_usize, 0_usize);
        let expected = |at: usize| (at % 251) as u8;
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Send(count) => {
                    let count = count.min(bench.flight.room(&bench.conditions));
                    let bytes: Vec<u8> = (sent..sent + count).map(expected).collect();
                    bench.send(now, &bytes);
                    sent += count;
                }
                Step::Take(most) => {
                    let at = bench.at(now);
                    if let Some(Cargo::Bytes(bytes)) = bench.flight.arrived(at) {
                        let count = bytes.len().min(most);
                        for (at, byte) in bytes[..count].iter().enumerate() {
                            prop_assert_eq!(*byte, expected(got + at));
                        }
                        got += count;
                        bench.flight.take(count);
                    }
                }
                Step::Change(rtt, kbps, loses) => {
                    bench.change(now, conditions(rtt, kbps, if loses { 0.3 } else { 0.0 }));
                }
            }
            prop_assert_eq!(bench.flight.bytes, sent - got);
            let dues: Vec<Instant> = bench.flight.segments.iter().map(|segment| segment.due).collect();
            prop_assert!(dues.is_sorted(), "{:?}", dues);
            for segment in &bench.flight.segments {
                prop_assert!(segment.due >= segment.entered + bench.conditions.rtt() / 2);
            }
        }
        let rest = bench.arrived(now + 10_000_000);
        prop_assert_eq!(rest.len(), sent - got);
        for (at, byte) in rest.iter().enumerate() {
            prop_assert_eq!(*byte, expected(got + at));
        }
    }
}
