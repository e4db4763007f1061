//! Exactly-once bookkeeping for one subscriber of one topic.

use crate::results::Exactly;

/// What a subscriber has of its topic.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// The first and the next that is due, once there was one.
    range: Option<(u64, u64)>,
    /// What was passed over: from, and to without it. Rising.
    holes: Vec<(u64, u64)>,
    duplicated: u64,
    out_of_order: u64,
}

/// What an event was to its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The very first.
    First,
    /// The next, or one further on.
    New,
    /// One that was passed over before.
    Late,
    /// One that it had.
    Again,
}

impl Book {
    /// Enters event `number`.
    pub(super) fn enter(&mut self, number: u64) -> Came {
        let Some((_, next)) = &mut self.range else {
            self.range = Some((number, number + 1));
            return Came::First;
        };
        if number >= *next {
            if number > *next {
                self.holes.push((*next, number));
            }
            *next = number + 1;
            return Came::New;
        }
        match self.holes.iter().position(|(from, to)| (*from..*to).contains(&number)) {
            Some(place) => {
                let (from, to) = self.holes.remove(place);
                let parts = [(from, number), (number + 1, to)];
                let left = parts.into_iter().filter(|(from, to)| from < to);
                self.holes.splice(place..place, left);
                self.out_of_order += 1;
                Came::Late
            }
            None => {
                self.duplicated += 1;
                Came::Again
            }
        }
    }

    /// Whether it had any event.
    pub(super) fn established(&self) -> bool {
        self.range.is_some()
    }

    /// Deliveries that are due, of a topic of which `published` events went out.
    pub(super) fn owed(&self, published: u64) -> u64 {
        let Some((_, next)) = self.range else { return 0 };
        self.missing() + published.saturating_sub(next)
    }

    /// Events that were passed over.
    fn missing(&self) -> u64 {
        self.holes.iter().map(|(from, to)| to - from).sum()
    }

    /// Adds its sums, `published` events of its topic having gone out.
    pub(super) fn add_to(&self, published: u64, sums: &mut Exactly) {
        let Some((first, _)) = self.range else { return };
        let missed = self.owed(published);
        sums.established += 1;
        // A server may make up numbers that nobody published.
        let expected = published.saturating_sub(first);
        sums.expected += expected;
        sums.delivered += expected.saturating_sub(missed);
        sums.missed += missed;
        sums.duplicated += self.duplicated;
        sums.out_of_order += self.out_of_order;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(numbers: &[u64], published: u64) -> Exactly {
        let mut book = Book::default();
        for number in numbers {
            book.enter(*number);
        }
        let mut sums = Exactly::default();
        book.add_to(published, &mut sums);
        sums
    }

    #[test]
    fn all_in_order() {
        let sums = sums(&[2, 3, 4], 5);
        assert!(sums.holds());
        assert_eq!((sums.expected, sums.delivered), (3, 3));
    }

    #[test]
    fn each_fault_is_told_apart() {
        // 4 is late, 3 comes again, 6 and 7 never come, 9 is the last that was published.
        let sums = sums(&[2, 3, 5, 4, 3, 8], 10);
        let expected = Exactly {
            established: 1,
            expected: 8,
            delivered: 5,
            missed: 3,
            duplicated: 1,
            out_of_order: 1,
            gaps: 0,
        };
        assert_eq!(sums, expected);
        assert!(!sums.holds());
    }

    #[test]
    fn numbers_that_nobody_published_are_no_deliveries() {
        assert_eq!(sums(&[9], 5).delivered, 0);
        assert_eq!(sums(&[2, 1000], 5).delivered, 0);
    }

    #[test]
    fn a_hole_closes_from_its_middle() {
        let mut book = Book::default();
        let came: Vec<Came> = [0, 5, 3, 3, 1, 2, 4, 0].map(|number| book.enter(number)).into();
        use Came::{Again, First, Late, New};
        assert_eq!(came, [First, New, Late, Again, Late, Late, Late, Again]);
        assert_eq!(book.owed(6), 0);
    }

    #[test]
    fn who_had_nothing_is_no_subscriber() {
        assert_eq!(sums(&[], 5), Exactly::default());
        assert_eq!(Book::default().owed(5), 0);
    }
}
