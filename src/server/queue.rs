//! A queue that mostly has one place taken, or none, and then takes little room.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Queue<T> {
    first: Option<Box<T>>,
    #[expect(clippy::box_collection, reason = "each connection has two of these, and few have a rest")]
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, rest: None }
    }
}

impl<T> Queue<T> {
    pub(super) fn push_back(&mut self, value: T) {
        match &self.first {
            None => self.first = Some(Box::new(value)),
            Some(_) => self.rest.get_or_insert_default().push_back(value),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        self.rest.take_if(|rest| rest.is_empty());
        std::mem::replace(&mut self.first, next.map(Box::new)).map(|first| *first)
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.first.as_deref()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_deref_mut()
    }

    pub(super) fn back(&self) -> Option<&T> {
        self.rest.as_ref().and_then(|rest| rest.back()).or(self.first.as_deref())
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.as_mut().and_then(|rest| rest.back_mut()).or(self.first.as_deref_mut())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_goes_first() {
        let mut queue = Queue::default();
        for round in 1..4 {
            (0..round).for_each(|number| queue.push_back(number));
            assert_eq!((queue.front(), queue.back().copied()), (Some(&0), Some(round - 1)));
            *queue.back_mut().unwrap() += 10;
            *queue.front_mut().unwrap() += 100;
            let all: Vec<i32> = std::iter::from_fn(|| queue.pop_front()).collect();
            assert_eq!(all.len(), round as usize);
            assert!(all[0] >= 100 && *all.last().unwrap() % 100 == 10 + round - 1);
            assert!(queue.is_empty() && queue.rest.is_none());
        }
    }
}
