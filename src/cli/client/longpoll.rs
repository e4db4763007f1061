//! Long polling: a request that is answered when there is something.

use std::time::{Duration, Instant};

use async_stream::try_stream;
use tokio_stream::Stream;

use super::{
    Connection, Position, answer,
    document::{Control, Message},
};
use crate::cli::http::Failure;

/// How long the gateway is asked to wait, in seconds: well within what a connection may be silent.
const TIMEOUT: &str = "25";
/// An empty answer sooner than this was not waited for: asking again at once would only spin.
const SOON: Duration = Duration::from_secs(1);

/// What comes in answer after answer.
pub(super) fn messages(mut connection: Connection) -> impl Stream<Item = Result<Message, Failure>> {
    try_stream! {
        loop {
            let asked = Instant::now();
            let waits = matches!(connection.position, Position::Resume(_));
            let response = connection.get("v1/longpoll", &[("limit", "1000"), ("timeout", TIMEOUT)]).await?;
            let answer = answer::read(response).await?;
            let empty = answer.messages.is_empty();
            for message in answer.messages {
                yield message;
            }
            yield Message::bare(Control::Cursor(answer.cursor.clone()));
            connection.position = Position::Resume(answer.cursor);
            if waits && empty && asked.elapsed() < SOON {
                tokio::time::sleep(SOON).await;
            }
        }
    }
}
