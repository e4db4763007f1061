use std::{
    io::Cursor,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use reqwest::Url;

use super::*;

/// What a gateway was sent, and how it answers: given the key and the body, an answer or none for 'yes'.
type Behaviour = dyn FnMut(&str, &str) -> Option<Response> + Send;

#[derive(Clone)]
struct Fake {
    behaviour: Arc<Mutex<Box<Behaviour>>>,
    /// Key and body of every request.
    seen: Arc<Mutex<Vec<(String, String)>>>,
    /// The lines that it said yes to.
    taken: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(behaviour: impl FnMut(&str, &str) -> Option<Response> + Send + 'static) -> (Self, Url) {
        let behaviour: Box<Behaviour> = Box::new(behaviour);
        let fake =
            Self { behaviour: Arc::new(Mutex::new(behaviour)), seen: Arc::default(), taken: Arc::default() };
        let router = Router::new().route("/v1/publish", post(answer)).with_state(fake.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/publish?topic=t", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, url.parse().unwrap())
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    assert_eq!(headers["content-type"], "application/x-ndjson");
    fake.seen.lock().unwrap().push((key.clone(), body.clone()));
    if let Some(answer) = (fake.behaviour.lock().unwrap())(&key, &body) {
        return answer;
    }
    let ids: Vec<_> = body.lines().map(|_| "e-1").collect();
    fake.taken.lock().unwrap().extend(body.lines().map(str::to_owned));
    serde_json::json!({ "ids": ids }).to_string().into_response()
}

fn problem(status: u16, field: &str) -> Option<Response> {
    let status = StatusCode::from_u16(status).unwrap();
    let text =
        serde_json::json!({ "title": "No", "status": status.as_u16(), "detail": "why", "field": field });
    Some((status, text.to_string()).into_response())
}

struct Run {
    ended: Result<(), String>,
    report: Report,
    waiting: usize,
}

async fn publish(url: Url, text: &str, form: As, retry_for: Duration) -> Run {
    let input = Input::read(Cursor::new(text.to_owned().into_bytes()), 1000);
    let mut report = Report::new();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut publisher = Publisher {
        form,
        input: &input,
        sender: Sender::new(client, url, retry_for),
        waiting: VecDeque::new(),
        bytes: batch::BYTES,
        report: &mut report,
    };
    let ended = publisher.run().await;
    let waiting = publisher.waiting.len();
    Run { ended, report, waiting }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn everything_arrives_once_and_in_order_in_bounded_batches() {
    let (fake, url) = Fake::start(|_, _| None).await;
    let text: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
    let run = publish(url, &text, As::Auto, PATIENCE).await;
    assert_eq!((run.ended, run.report.published, run.report.in_hand), (Ok(()), 20_000, 0));
    let expected: Vec<_> = (0..20_000).map(|i| format!("\"line {i}\"")).collect();
    assert_eq!(fake.taken(), expected);
    let requests = fake.requests();
    assert!(requests.iter().all(|(_, body)| body.lines().count() <= batch::EVENTS));
    assert!(requests.len() < 60, "{} batches for 20,000 lines", requests.len());
    let keys: std::collections::BTreeSet<_> = requests.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), requests.len(), "a key was used twice");
}

#[tokio::test]
async fn a_batch_is_bounded_in_bytes_as_it_is_sent() {
    let (fake, url) = Fake::start(|_, _| None).await;
    // Each byte becomes six: \u0001.
    let text = format!("{}\n", "\u{1}".repeat(900)).repeat(500);
    let run = publish(url, &text, As::Text, PATIENCE).await;
    assert_eq!(run.report.published, 500);
    assert!(fake.requests().iter().all(|(_, body)| body.len() <= batch::BYTES));
}

#[tokio::test]
async fn one_bad_line_is_found_and_the_rest_goes_on_in_order() {
    let (fake, url) = Fake::start(|_, body| body.contains("bad").then(|| problem(400, "body"))?).await;
    let text: String =
        (1..=300).map(|i| if i == 7 || i == 200 { "bad\n".to_owned() } else { format!("{i}\n") }).collect();
    let run = publish(url, &text, As::Text, PATIENCE).await;
    assert_eq!((run.ended, run.report.published, run.report.refused), (Ok(()), 298, 2));
    let expected: Vec<_> = (1..=300).filter(|i| *i != 7 && *i != 200).map(|i| format!("\"{i}\"")).collect();
    assert_eq!(fake.taken(), expected);
}

#[tokio::test]
async fn lines_that_cannot_be_events_are_counted_and_never_sent() {
    let (fake, url) = Fake::start(|_, _| None).await;
    let text = format!("{{\"a\":1}}\n{}\nnot json\n\n[2]", "x".repeat(2000));
    let run = publish(url, &text, As::Json, PATIENCE).await;
    assert_eq!((run.report.published, run.report.refused, run.report.in_hand), (2, 2, 0));
    assert_eq!(fake.taken(), ["{\"a\":1}", "[2]"]);
}

#[tokio::test]
async fn what_may_have_been_taken_is_sent_again_under_the_same_key() {
    let mut count = 0;
    let (fake, url) = Fake::start(move |_, _| {
        count += 1;
        let unavailable =
            |retry: &str| (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", retry)], "").into_response();
        match count {
            1 => problem(500, ""),
            2 => Some(unavailable("1")),
            3 => problem(429, ""),
            _ => None,
        }
    })
    .await;
    let begun = std::time::Instant::now();
    let run = publish(url, "a\nb\n", As::Auto, PATIENCE).await;
    assert_eq!((run.ended, run.report.published), (Ok(()), 2));
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After was not honoured");
    let requests = fake.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
}

#[tokio::test]
async fn a_gateway_that_never_answers_ends_it_with_what_is_unsent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/publish?topic=t", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let run = publish(url, "a\nb\n", As::Auto, Duration::from_millis(300)).await;
    assert!(run.ended.unwrap_err().contains("cannot connect"));
    assert_eq!((run.report.published, run.report.in_hand), (0, 2));
}

#[tokio::test]
async fn what_no_change_of_the_events_would_help_ends_it_at_once() {
    for (status, field) in [(403, "topic"), (404, ""), (400, "type")] {
        let (fake, url) = Fake::start(move |_, _| problem(status, field)).await;
        let run = publish(url, "a\nb\nc\n", As::Auto, PATIENCE).await;
        assert!(run.ended.unwrap_err().contains(&format!("{status} No: why")));
        assert_eq!((run.report.in_hand, run.waiting, fake.requests().len()), (3, 0, 1));
    }
}

#[tokio::test]
async fn an_answer_that_no_gateway_gives_is_no_success() {
    let (_fake, url) = Fake::start(|_, _| Some("hello".into_response())).await;
    let run = publish(url, "a\n", As::Auto, PATIENCE).await;
    assert!(run.ended.unwrap_err().contains("not the answer of a Fanlight gateway"));
    assert_eq!((run.report.published, run.report.in_hand), (0, 1));
}

#[tokio::test]
async fn batches_shrink_for_a_gateway_that_takes_less() {
    let (fake, url) = Fake::start(|_, body| (body.len() > 100_000).then(|| problem(413, "body"))?).await;
    let text = format!("{}\n", "x".repeat(900)).repeat(3000);
    let run = publish(url, &text, As::Text, PATIENCE).await;
    assert_eq!((run.ended, run.report.published, run.report.refused), (Ok(()), 3000, 0));
    let refused = fake.requests().iter().filter(|(_, body)| body.len() > 100_000).count();
    assert!(refused <= 8, "{refused} batches were too large");
}
