//! Short polling: a request every so often, answered at once.

use async_stream::try_stream;
use tokio_stream::Stream;

use super::{
    Connection, Position, answer,
    document::{Control, Message},
};
use crate::cli::http::Failure;

/// What comes in answer after answer.
pub(super) fn messages(mut connection: Connection) -> impl Stream<Item = Result<Message, Failure>> {
    try_stream! {
        loop {
            let response = connection.get("v1/poll", &[("limit", "1000")]).await?;
            let answer = answer::read(response).await?;
            for message in answer.messages {
                yield message;
            }
            yield Message::bare(Control::Cursor(answer.cursor.clone()));
            connection.position = Position::Resume(answer.cursor);
            if !answer.more {
                tokio::time::sleep(connection.interval).await;
            }
        }
    }
}
