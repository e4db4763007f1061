//! How long a connection has said nothing.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

/// Notices when a connection has said nothing for so long that it has to.
///
/// The timer is not moved at each event: at its end it is seen how long the silence was. Until then it is not looked
/// at, for at every event it would have to come from memory.
#[derive(Debug)]
pub(super) struct Silence {
    longest: Duration,
    began: Instant,
    timer: Pin<Box<Sleep>>,
    /// When the timer ends.
    due: Instant,
    /// Whom it will wake.
    waker: Option<Waker>,
}

impl Silence {
    /// It begins now.
    pub(super) fn new(longest: Duration) -> Self {
        let began = Instant::now();
        let due = began + longest;
        Self { longest, began, timer: Box::pin(sleep_until(due)), due, waker: None }
    }

    /// Something was said.
    pub(super) fn is_broken(&mut self) {
        self.began = Instant::now();
    }

    /// Waits until it has lasted for too long. The next begins then.
    pub(super) fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            if now < self.due && self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // A task that has used up its turn is polled again, but its timer is not set.
            let is_set = has_budget_remaining();
            if self.timer.as_mut().poll(cx).is_pending() {
                self.waker = is_set.then(|| cx.waker().clone());
                return Poll::Pending;
            }
            let is_too_long = self.began + self.longest <= now;
            if is_too_long {
                self.began = now;
            }
            self.waker = None;
            self.due = self.began + self.longest;
            self.timer.as_mut().reset(self.due);
            if is_too_long {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{task::consume_budget, time::sleep};

    use super::*;

    const LONGEST: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn it_is_as_long_as_nothing_is_said() {
        let began = Instant::now();
        let mut silence = Silence::new(LONGEST);
        poll_fn(|cx| silence.poll_too_long(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        assert!(poll_fn(|cx| Poll::Ready(silence.poll_too_long(cx))).await.is_pending());
        sleep(Duration::from_secs(4)).await;
        silence.is_broken();
        poll_fn(|cx| silence.poll_too_long(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 24);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_whose_turn_is_used_up_is_woken_all_the_same() {
        let mut silence = Silence::new(LONGEST);
        while has_budget_remaining() {
            consume_budget().await;
        }
        poll_fn(|cx| silence.poll_too_long(cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_polls_last_is_woken() {
        let mut silence = Silence::new(LONGEST);
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(silence.poll_too_long(&mut nobody).is_pending());
        poll_fn(|cx| silence.poll_too_long(cx)).await;
    }
}
