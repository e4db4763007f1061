//! Server-Sent Events: one answer that goes on, a document a block.

use async_stream::try_stream;
use tokio_stream::Stream;

use super::{
    Connection, HEARTBEAT,
    document::{self, Control, Message},
    part,
    sse_parser::{Parser, Said},
};
use crate::cli::http::Failure;

/// What comes over one connection.
pub(super) fn messages(connection: Connection) -> impl Stream<Item = Result<Message, Failure>> {
    try_stream! {
        let mut response = connection.get("v1/sse", &[("heartbeat", HEARTBEAT)]).await?;
        let mut parser = Parser::default();
        let mut retry = None;
        while let Some(part) = part(&mut response).await? {
            for said in parser.feed(&part)? {
                match said {
                    Said::Retry(wait) => {
                        retry = Some(wait);
                        yield Message::bare(Control::Retry(wait));
                    }
                    // The event's name only tells browsers apart what the document says as well.
                    Said::Data(data) => yield document::read(data).map_err(|failure| match failure {
                        // A 429 or 503 comes as a block here, its Retry-After as `retry:`.
                        Failure::Unavailable { problem, .. } => {
                            Failure::Unavailable { problem, retry_after: retry }
                        }
                        other => other,
                    })?,
                }
            }
        }
    }
}
