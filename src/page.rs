//! The page at `/`, carried inside the binary.
//!
//! Plain files without a build step (`web/`), so what the browser gets is what stands in the repository. They
//! change only with the binary; a browser asks each time (`no-cache`) and mostly hears 304.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// Nothing but the gateway's own files and endpoints: whatever an event's data holds, it runs nothing and
/// calls nowhere. `'self'` covers `ws:` and `wss:` to the same host (Chromium 71, Firefox 50, Safari 16).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, media type and content of every file that is served.
#[rustfmt::skip]
const FILES: [(&str, &str, &str); 15] = [
    ("/", HTML, include_str!("../web/index.html")),
    ("/icon.svg", SVG, include_str!("../web/icon.svg")),
    ("/page.css", CSS, include_str!("../web/page.css")),
    ("/page.js", JS, include_str!("../web/page.js")),
    ("/lane.js", JS, include_str!("../web/lane.js")),
    ("/problem.js", JS, include_str!("../web/problem.js")),
    ("/subscription.js", JS, include_str!("../web/subscription.js")),
    ("/tally.js", JS, include_str!("../web/tally.js")),
    ("/topics.js", JS, include_str!("../web/topics.js")),
    ("/transports/chunked.js", JS, include_str!("../web/transports/chunked.js")),
    ("/transports/longpoll.js", JS, include_str!("../web/transports/longpoll.js")),
    ("/transports/poll.js", JS, include_str!("../web/transports/poll.js")),
    ("/transports/sse.js", JS, include_str!("../web/transports/sse.js")),
    ("/transports/websocket.js", JS, include_str!("../web/transports/websocket.js")),
    ("/words.js", JS, include_str!("../web/words.js")),
];

/// The page's routes. GET, and so HEAD; every address in them is relative to the page's own, so the router may
/// be nested under another path.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, media_type, content)| {
        let file = File::new(media_type, POLICY, content);
        router.route(path, get(move |headers: HeaderMap| async move { file.answer(&headers) }))
    })
}

/// A file that the binary carries.
#[derive(Clone, Debug)]
pub struct File {
    media_type: HeaderValue,
    policy: HeaderValue,
    content: Bytes,
    is_packed: bool,
    tag: HeaderValue,
}

impl File {
    /// A file, and what it may load (its Content Security Policy).
    pub fn new(media_type: &'static str, policy: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self {
            media_type: HeaderValue::from_static(media_type),
            policy: HeaderValue::from_static(policy),
            tag: entity_tag(&content),
            content,
            is_packed: false,
        }
    }

    /// The same, of which the content is compressed with gzip.
    pub fn packed(self) -> Self {
        Self { is_packed: true, ..self }
    }

    /// The answer to a GET, or that what the browser holds is still good.
    pub fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (header::ETAG, self.tag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if names(request, &self.tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let media_type = [(header::CONTENT_TYPE, self.media_type.clone())];
        let mut response = (headers, media_type, self.content.clone()).into_response();
        if self.is_packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Whether `If-None-Match` names this version (RFC 9110, section 13.1.2: compared weakly, as a proxy that
/// compressed it may have made it weak).
fn names(request: &HeaderMap, tag: &HeaderValue) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|named| named.trim().trim_start_matches("W/"))
        .any(|named| named == "*" || named.as_bytes() == tag.as_bytes())
}

/// Another content, another tag; it need not be the same from one build to the next.
fn entity_tag(content: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()))
        .expect("hexadecimal in quotes is a header value")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: &str, path: &str, if_none_match: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("if-none-match", if_none_match)
            .body(Body::empty())
            .unwrap();
        let (head, body) = router::<()>().oneshot(request).await.unwrap().into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn every_file_comes_whole_with_its_type_and_may_not_be_guessed_at() {
        for (path, media_type, content) in FILES {
            let (status, headers, body) = ask("GET", path, "\"another\"").await;
            assert_eq!((status, body), (StatusCode::OK, content.into()), "{path}");
            assert_eq!(headers["content-type"], media_type);
            assert_eq!(headers["content-length"], content.len().to_string());
            assert_eq!(headers["cache-control"], "no-cache");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["content-security-policy"], POLICY);
        }
    }

    #[tokio::test]
    async fn head_is_get_without_the_body() {
        let (status, headers, body) = ask("HEAD", "/", "").await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        assert_eq!(headers["content-length"], FILES[0].2.len().to_string());
    }

    #[tokio::test]
    async fn what_the_browser_holds_is_not_sent_again() {
        let (_, first, _) = ask("GET", "/page.js", "").await;
        let tag = first["etag"].to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let (status, headers, body) = ask("GET", "/page.js", &known).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert_eq!(headers["etag"], tag);
        }
        let (status, ..) = ask("GET", "/page.css", tag).await;
        assert_eq!(status, StatusCode::OK, "one file's tag is not another's");
    }

    #[test]
    fn no_file_of_the_page_is_forgotten() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut there = BTreeSet::new();
        for folder in ["", "transports/"] {
            for entry in fs::read_dir(web.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if [".html", ".js", ".css", ".svg"].iter().any(|end| name.ends_with(end)) {
                    there.insert(format!("/{folder}{name}").replace("/index.html", "/"));
                }
            }
        }
        assert_eq!(there, FILES.iter().map(|(path, ..)| (*path).to_owned()).collect());
    }
}
