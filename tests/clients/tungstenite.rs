use std::time::Duration;

use futures_util::StreamExt;
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// Follows a topic over WebSocket.
pub async fn follow(base: &str, topic: &str, mut cursor: String, show: impl Fn(&str) -> Option<String>) {
    loop {
        let url = format!("{}/v1/websocket?topic={topic}&after={cursor}", base.replace("http", "ws"));
        if let Ok((mut socket, _)) = connect_async(url).await {
            // Pings are answered, and our close too, while it is read.
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Text(document) = message
                    && let Some(id) = show(&document)
                {
                    cursor = id;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
