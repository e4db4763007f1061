//! A reader for the OpenAPI document, for people: `/docs`. It is carried inside the binary and loads nothing
//! from elsewhere.

use std::io::Write;

use axum::{Router, http::HeaderMap, response::Response, routing::get};
use flate2::{Compression, write::GzEncoder};
use tokio::sync::OnceCell;

use crate::page::File;

/// As the page's, but that the reader draws with styles of its own and asks the endpoints.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const HTML: &str = include_str!("reader/index.html");
const START: &str = include_str!("reader/start.js");

/// The routes of the reader; its addresses are relative, so it may be nested under another path.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = File::new("text/html; charset=utf-8", POLICY, HTML);
    let start = File::new("text/javascript; charset=utf-8", POLICY, START);
    Router::new()
        .route("/docs", get(move |headers: HeaderMap| async move { page.answer(&headers) }))
        .route("/docs/start.js", get(move |headers: HeaderMap| async move { start.answer(&headers) }))
        .route("/docs/scalar.js", get(script))
}

/// The reader itself: 5 MB, and a quarter of that on the wire.
async fn script(headers: HeaderMap) -> Response {
    static PACKED: OnceCell<File> = OnceCell::const_new();
    let packed = PACKED.get_or_init(|| async {
        // A tenth of a second of work, which no core of the gateway has to spare.
        tokio::task::spawn_blocking(pack).await.expect("what is packed does not panic")
    });
    packed.await.answer(&headers)
}

fn pack() -> File {
    let script = scalar_api_reference::get_asset("scalar.js").expect("the library carries its script");
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&script).expect("a Vec takes every byte");
    let packed = packer.finish().expect("a Vec takes every byte");
    File::new("text/javascript; charset=utf-8", POLICY, script).packed(packed)
}
