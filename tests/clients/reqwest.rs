use std::time::Duration;

use futures_util::StreamExt;

/// Follows a topic over poll, longpoll or chunked.
pub async fn follow(
    base: &str,
    transport: &str,
    topic: &str,
    mut cursor: String,
    show: impl Fn(&str) -> Option<String>,
) {
    let client = reqwest::Client::new();
    loop {
        let url = format!("{base}/v1/{transport}?topic={topic}&after={cursor}");
        // An error is a connection that broke; the cursor is behind the last event that was whole.
        let _ = match transport {
            "chunked" => stream(&client, &url, &mut cursor, &show).await,
            _ => answer(&client, &url, &mut cursor, &show).await,
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn answer(
    client: &reqwest::Client,
    url: &str,
    cursor: &mut String,
    show: &impl Fn(&str) -> Option<String>,
) -> reqwest::Result<()> {
    let answer = client.get(url).send().await?;
    if answer.status() == 200 {
        let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        for event in answer["events"].as_array().into_iter().flatten() {
            show(&event.to_string());
        }
        if let Some(next) = answer["cursor"].as_str() {
            *cursor = next.to_owned();
        }
    }
    Ok(())
}

async fn stream(
    client: &reqwest::Client,
    url: &str,
    cursor: &mut String,
    show: &impl Fn(&str) -> Option<String>,
) -> reqwest::Result<()> {
    let mut pieces = client.get(url).send().await?.bytes_stream();
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await {
        text.extend_from_slice(&piece?);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            if let Some(id) = show(String::from_utf8_lossy(&line).trim_end()) {
                *cursor = id;
            }
        }
    }
    Ok(())
}
