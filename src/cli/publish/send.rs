//! One batch to the gateway, until it is answered or hope is lost.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde::Deserialize;

use super::batch::{self, Entry};
use crate::cli::{
    backoff::Backoff,
    http::{self, Failure, Problem},
};

/// How long a gateway may take to answer one batch.
const ANSWER: Duration = Duration::from_secs(15);
/// More than any answer to a batch: some 40 bytes an event.
const MOST_ANSWER: usize = 1024 * 1024;

/// Why a batch is not published.
#[derive(Debug, PartialEq)]
pub(crate) enum Unsent {
    /// One of its events is not taken.
    Content(Problem),
    /// Whatever its events were, it would not be taken.
    Request(Problem),
    /// The gateway did not answer for too long.
    Unanswered(String),
}

/// Sends batches, one at a time.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    url: Url,
    retry_for: Duration,
    /// Makes this run's keys unlike any other's.
    run: u128,
    batches: u64,
}

#[derive(Deserialize)]
struct Answer {
    ids: Vec<serde::de::IgnoredAny>,
}

impl Sender {
    pub(crate) fn new(client: Client, url: Url, retry_for: Duration) -> Self {
        Self { client, url, retry_for, run: fastrand::u128(..), batches: 0 }
    }

    /// Sends the batch, again and again under the same key where there is no answer or none but 'not now':
    /// what the gateway has taken already it does not take twice.
    pub(crate) async fn send(
        &mut self,
        entries: &[Entry],
        mut on_failure: impl FnMut(&Failure),
    ) -> Result<(), Unsent> {
        self.batches += 1;
        let key = format!("{:032x}-{}", self.run, self.batches);
        let body = Bytes::from(batch::body(entries));
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut failing: Option<Instant> = None;
        loop {
            let failure = match self.attempt(&key, body.clone(), entries.len()).await {
                Ok(()) => return Ok(()),
                Err(Failure::Refused(problem)) if is_content(&problem) => {
                    return Err(Unsent::Content(problem));
                }
                Err(Failure::Refused(problem)) => return Err(Unsent::Request(problem)),
                Err(failure) => failure,
            };
            on_failure(&failure);
            let asked = match &failure {
                Failure::Unavailable { retry_after, .. } => *retry_after,
                _ => None,
            };
            let left = self.retry_for.saturating_sub(failing.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() || asked.is_some_and(|asked| asked > left) {
                return Err(Unsent::Unanswered(failure.to_string()));
            }
            tokio::time::sleep(backoff.wait(asked).min(left)).await;
        }
    }

    async fn attempt(&self, key: &str, body: Bytes, events: usize) -> Result<(), Failure> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header("idempotency-key", key)
            .timeout(ANSWER)
            .body(body);
        let response = http::accepted(request.send().await.map_err(http::lost)?).await?;
        let status = response.status();
        let answer = http::body(response, MOST_ANSWER).await?;
        // Anything may listen at an address: only as many ids as events say that they are in the log.
        match serde_json::from_slice::<Answer>(&answer) {
            Ok(answer) if answer.ids.len() == events => Ok(()),
            _ => {
                let answer = String::from_utf8_lossy(&answer).chars().take(100).collect::<String>();
                Err(Failure::Refused(Problem::not_a_gateway(status, answer)))
            }
        }
    }
}

/// Whether it is the events, or one of them, and not what the request says about all of them.
fn is_content(problem: &Problem) -> bool {
    let body = problem.field.as_deref().is_none_or(|field| field == "body" || field == "data");
    matches!(problem.status, 400 | 413 | 422) && body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_body_is_the_events_fault() {
        let problem = |status, field: Option<&str>| Problem {
            status,
            field: field.map(str::to_owned),
            ..Problem::default()
        };
        for (status, field) in [(400, Some("body")), (400, None), (413, None), (422, None)] {
            assert!(is_content(&problem(status, field)), "{status} {field:?}");
        }
        for (status, field) in
            [(400, Some("topic")), (400, Some("type")), (403, None), (404, None), (415, None)]
        {
            assert!(!is_content(&problem(status, field)), "{status} {field:?}");
        }
    }
}
