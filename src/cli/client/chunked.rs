//! Chunked HTTP streaming: one answer that goes on, a document a line.

use async_stream::try_stream;
use tokio_stream::Stream;

use super::{
    Connection, HEARTBEAT,
    document::{self, Lines, Message},
    part,
};
use crate::cli::http::Failure;

/// What comes over one connection.
pub(super) fn messages(connection: Connection) -> impl Stream<Item = Result<Message, Failure>> {
    try_stream! {
        let mut response = connection.get("v1/chunked", &[("heartbeat", HEARTBEAT)]).await?;
        let mut lines = Lines::default();
        while let Some(part) = part(&mut response).await? {
            lines.feed(&part)?;
            while let Some(line) = lines.next() {
                yield document::read(line)?;
            }
        }
    }
}
