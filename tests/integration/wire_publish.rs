//! Publishing: what may be sent, what becomes of it, and what is left of what was refused.

use rstest::rstest;

use crate::{
    harness,
    http::{Conn, post},
};

#[rstest]
#[case("application/json", b" {\"a\":\r\n 1.50}\n", r#","data":{"a":   1.50}}"#)]
#[case("application/vnd.x+json; charset=utf-8", b"null", r#","data":null}"#)]
#[case("text/plain", b"a\r\nb\0\xEF\xBB\xBF\xE2\x80\xA8", "")]
#[case("image/png", b"\x00\xFF\x07", r#","datacontenttype":"image/png","data_base64":"AP8H"}"#)]
#[tokio::test]
async fn what_is_sent_is_what_comes(#[case] media_type: &str, #[case] body: &[u8], #[case] tail: &str) {
    let server = harness::start();
    let content = format!("Content-Type: {media_type}");
    let request = post("/v1/publish?topic=a/b&type=t", &[&content], body);
    let answer = server.ask(request).await;
    let epoch = server.epoch().await;
    assert_eq!(epoch.mask(&answer.body), "{\"id\":\"E-1\"}");
    answer.head.has(&[("content-type", "application/json")]);
    let poll = server.get("/v1/poll?topic=a/b&last=1").await;
    let document = epoch.mask(&poll.body);
    let document =
        document.strip_prefix("{\"events\":[").unwrap().strip_suffix("],\"cursor\":\"E-1\"}").unwrap();
    let head = r#"{"id":"E-1","topic":"a/b","type":"t","time":"T""#;
    if media_type == "text/plain" {
        let value: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(value["data"].as_str().unwrap().as_bytes(), body);
    } else {
        assert_eq!(document, format!("{head}{tail}"));
    }
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let server = harness::start();
    let epoch = server.epoch().await;
    let ndjson = ["Content-Type: application/x-ndjson"];
    let answer = server.ask(post("/v1/publish?topic=a", &ndjson, "1\n\n{\"x\":2}\r\n3")).await;
    assert_eq!(epoch.mask(&answer.body), r#"{"ids":["E-1","E-2","E-3"]}"#);
    let own = "{\"topic\":\"b\",\"data\":1,\"type\":\"t\"}\n{\"topic\":\"c\",\"data_base64\":\"AP8H\"}\n\
               {\"topic\":\"d\",\"data\":null}";
    let answer = server.ask(post("/v1/publish", &ndjson, own)).await;
    assert_eq!(epoch.mask(&answer.body), r#"{"ids":["E-4","E-5","E-6"]}"#);
    for (body, field) in [
        ("{\"topic\":\"b\",\"data\":1}\nnonsense", "body"),
        ("{\"topic\":\"b\",\"data\":1}\n{\"topic\":\"b\"}", "data"),
        ("{\"topic\":\"b\",\"data\":1}\n{\"topic\":\"b//\",\"data\":1}", "topic"),
        ("{\"topic\":\"b\",\"data\":1}\n{\"topic\":\"b\",\"data_base64\":\"!\"}", "data_base64"),
        ("\n\n", "body"),
    ] {
        let answer = server.ask(post("/v1/publish", &ndjson, body)).await;
        answer.is_problem(400, "invalid-request", Some(field));
        assert!(body.trim().is_empty() || answer.text().contains("line 2"), "{}", answer.text());
    }
    assert_eq!(server.cursor().await, epoch.at(6), "nothing was left behind");
}

#[tokio::test]
async fn a_key_is_answered_once() {
    let server = harness::start();
    let keyed = async |topic: &str, key: &str, body: &str| {
        let key = format!("Idempotency-Key: {key}");
        let headers = ["Content-Type: application/json", &key];
        server.ask(post(&format!("/v1/publish?topic={topic}"), &headers, body)).await
    };
    let first = keyed("a", "k", "1").await;
    assert_eq!(keyed("a", "k", "1").await.body, first.body);
    keyed("a", "k", "2").await.is_problem(422, "idempotency-mismatch", Some("Idempotency-Key"));
    assert_ne!(keyed("b", "k", "1").await.body, first.body, "keys are scoped by topic");
    keyed("a", "%20 %20", "1").await.is_problem(400, "invalid-request", Some("Idempotency-Key"));
    keyed("a", &"k".repeat(256), "1").await.is_problem(400, "invalid-request", Some("Idempotency-Key"));
    assert!(server.cursor().await.ends_with("-2"));
}

#[rstest]
#[case("application/json", b"{", 400, "invalid-request", "body")]
#[case("application/json", b"\"\xFF\"", 400, "invalid-request", "body")]
#[case("text/plain", b"\xFF", 400, "invalid-request", "body")]
#[case("text/plain; charset=latin1", b"a", 415, "unsupported-media-type", "Content-Type")]
#[case("application/x-www-form-urlencoded", b"a=b", 415, "unsupported-media-type", "Content-Type")]
#[case("nonsense", b"a", 415, "unsupported-media-type", "Content-Type")]
#[tokio::test]
async fn a_bad_body_leaves_nothing(
    #[case] media_type: &str,
    #[case] body: &[u8],
    #[case] status: u16,
    #[case] word: &str,
    #[case] field: &str,
) {
    let server = harness::start();
    let answer =
        server.ask(post("/v1/publish?topic=a", &[&format!("Content-Type: {media_type}")], body)).await;
    answer.is_problem(status, word, Some(field));
    assert!(server.cursor().await.ends_with("-0"));
}

#[rstest]
#[case("text/plain", 64 << 10)]
#[case("application/x-ndjson", 1 << 20)]
#[tokio::test]
async fn each_size_has_its_limit(#[case] media_type: &str, #[case] limit: usize) {
    let server = harness::start();
    let content = format!("Content-Type: {media_type}");
    // A batch of many small lines (and blanks up to its size), or one text.
    let body = |size: usize| match limit > 64 << 10 {
        true => "1234567890123456\n".repeat(size / 17) + &" ".repeat(size % 17),
        false => "x".repeat(size),
    };
    let answer = server.ask(post("/v1/publish?topic=a", &[&content], body(limit))).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let head = server.cursor().await;
    // So much more that the client is still sending when it is refused.
    for more in [2, 1 << 20] {
        let answer = server.ask(post("/v1/publish?topic=a", &[&content], body(limit + more))).await;
        answer.is_problem(413, "too-large", Some("body"));
    }
    assert_eq!(server.cursor().await, head);
}

#[tokio::test]
async fn chunks_in_every_spelling() {
    let server = harness::start();
    let mut conn = Conn::open(server.addr).await;
    conn.send(
        "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
         Transfer-Encoding: chunked\r\n\r\n0A;x=y\r\n0123456789\r\n00b\r\nabcdefghijk\r\n0\r\nx-trailer: 1\r\n\r\n",
    )
    .await;
    assert_eq!(conn.answer().await.status(), 200);
    let held = server.get("/v1/poll?topic=a&last=1").await;
    assert_eq!(held.json()["events"][0]["data"], "0123456789abcdefghijk");
    conn.send(
        "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
         Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    )
    .await;
    conn.answer().await.is_problem(400, "invalid-request", Some("body"));
}

#[tokio::test]
async fn who_asks_before_it_sends_too_much_sends_nothing() {
    let server = harness::start();
    for (media_type, length, status) in [
        ("text/plain", 65_537_u64, 413),
        ("application/x-ndjson", u64::MAX >> 1, 413),
        ("text/plain", 3, 100),
    ] {
        let mut conn = Conn::open(server.addr).await;
        conn.send(format!(
            "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
        assert_eq!(conn.head().await.status, status, "{length} bytes");
    }
}

// 1. A client begins to send many batches, and never ends one. 2. Each took up to 2 MiB for as long as 30 s, and there may
// be as many as connections.
#[tokio::test]
async fn what_is_not_whole_yet_takes_so_much_memory_and_no_more() {
    const MANY: usize = 70;
    let server = harness::start();
    let head = "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/x-ndjson\r\nContent-Length: 1048576\r\n\r\n";
    let part = [head.as_bytes(), "1\n".repeat(524_287).as_bytes()].concat();
    let mut connections = Vec::new();
    for _ in 0..MANY {
        let mut conn = Conn::open(server.addr).await;
        conn.try_send(&part).await;
        connections.push(conn);
    }
    // Those for whom there is no room are told; the others go on waiting for the rest.
    let refusals = async || {
        let metrics = server.get("/metrics").await;
        let line = metrics
            .text()
            .lines()
            .find(|line| line.contains("{problem=\"unavailable\"}"))
            .unwrap()
            .to_owned();
        line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    until_async(async || refusals().await >= MANY - 65).await;
    assert!(refusals().await <= MANY / 2, "most of them fit");
    drop(connections);
    let json = ["Content-Type: application/json"];
    until_async(async || server.ask(post("/v1/publish?topic=a", &json, "1")).await.status() == 200).await;
}

async fn until_async(mut holds: impl AsyncFnMut() -> bool) {
    crate::http::soon(async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

// 1. A batch holds half a million lines, each of them a `1`. 2. Each becomes an event with a topic and a time, so that
// one request of 1 MiB took 365 MB.
#[tokio::test]
async fn a_batch_of_very_many_events_is_too_large() {
    let server = harness::start();
    let before = server.cursor().await;
    let batch = async |lines: usize| {
        let topic = ["segment-of-some-15"; 12].join("/");
        let target = format!("/v1/publish?topic={topic}");
        server.ask(post(&target, &["Content-Type: application/x-ndjson"], "1\n".repeat(lines))).await
    };
    let answer = batch(400_000).await;
    answer.is_problem(413, "too-large", Some("body"));
    assert!(answer.text().contains("send fewer at a time"), "{}", answer.text());
    assert_eq!(server.cursor().await, before, "nothing was left behind");
    assert_eq!(batch(40_000).await.status(), 200);
}
