//! The page at `/`, carried inside the binary.
//!
//! `build.rs` builds it from `web/`. Files whose name has the hash of their content may be kept for ever; of all
//! others a browser asks each time (`no-cache`) and mostly hears 304. `FILE.gz` is the same compressed, for whoever
//! takes that.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::OriginalUri,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};

/// Nothing but the gateway's own files and endpoints: whatever an event's data holds, it runs nothing and
/// calls nowhere. `'self'` covers `ws:` and `wss:` to the same host (Chromium 71, Firefox 50, Safari 16).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// In lab mode each lane has a port of its own.
const LAB_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self' http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:*; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path and content of every file, or why there is none.
type Built = Result<&'static [(&'static str, &'static [u8])], &'static str>;
const BUILT: Built = include!(concat!(env!("OUT_DIR"), "/page.rs"));
/// What stands in for it.
const UNBUILT: &str = include_str!("page/unbuilt.html");

/// The page's routes. GET, and so HEAD; every address in them is relative to the page's own, so the router may
/// be nested under another path. `lab`: whether the page may call other ports of this host.
pub fn router<S: Clone + Send + Sync + 'static>(lab: bool) -> Router<S> {
    serving(BUILT, lab)
}

fn serving<S: Clone + Send + Sync + 'static>(built: Built, lab: bool) -> Router<S> {
    let policy = if lab { LAB_POLICY } else { POLICY };
    let files = match built {
        Ok(files) => files,
        Err(why) => {
            let file = File::new(HTML, POLICY, UNBUILT.replace("{why}", &escaped(why)));
            return Router::new()
                .route("/", get(move |headers: HeaderMap| async move { file.answer(&headers) }));
        }
    };
    let packed = |path: &str| {
        let (_, packed) = files.iter().find(|(name, _)| name.strip_suffix(".gz") == Some(path))?;
        Some(*packed)
    };
    let plain = files.iter().filter(|(path, _)| !path.ends_with(".gz"));
    plain.fold(Router::new(), |router, &(path, content)| {
        if path == "/index.html" {
            // The page must not have to ask: a 404 would stand in its console.
            let html = String::from_utf8_lossy(content)
                .replace("data-lab=\"off\"", if lab { LAB_ON } else { LAB_OFF });
            let html: Arc<str> = html.into();
            return router.route("/", get(move |uri, headers| index(uri, headers, policy, html.clone())));
        }
        let mut file = File::new(media_type(path), policy, content);
        file.is_immutable = path.starts_with("/assets/");
        if let Some(packed) = packed(path) {
            file = file.packed(packed);
        }
        router.route(path, get(move |headers: HeaderMap| async move { file.answer(&headers) }))
    })
}

const LAB_ON: &str = "data-lab=\"on\"";
const LAB_OFF: &str = "data-lab=\"off\"";
const HTML: &str = "text/html; charset=utf-8";

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => HTML,
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Its addresses begin with `./`. Nested under `/realtime` it has no slash at its end, and `./` would be the root.
async fn index(
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    policy: &'static str,
    html: Arc<str>,
) -> Response {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    if last.is_empty() {
        return File::new(HTML, policy, html.to_string()).answer(&headers);
    }
    let html = ["href", "src"].iter().fold(html.to_string(), |html, name| {
        html.replace(&format!("{name}=\"./"), &format!("{name}=\"./{}/", escaped(last)))
    });
    File::new(HTML, policy, html).answer(&headers)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// A file that the binary carries.
#[derive(Clone, Debug)]
pub struct File {
    media_type: HeaderValue,
    policy: HeaderValue,
    plain: Version,
    /// Compressed with gzip.
    packed: Option<Version>,
    /// Its address never gets another content.
    is_immutable: bool,
}

/// What is sent of it, and its entity tag.
#[derive(Clone, Debug)]
struct Version {
    content: Bytes,
    tag: HeaderValue,
}

impl Version {
    fn new(content: Bytes) -> Self {
        Self { tag: entity_tag(&content), content }
    }
}

impl File {
    /// A file, and what it may load (its Content Security Policy).
    pub fn new(media_type: &'static str, policy: &'static str, content: impl Into<Bytes>) -> Self {
        Self {
            media_type: HeaderValue::from_static(media_type),
            policy: HeaderValue::from_static(policy),
            plain: Version::new(content.into()),
            packed: None,
            is_immutable: false,
        }
    }

    /// The same, that may also be sent as this: its content compressed with gzip.
    pub fn packed(self, content: impl Into<Bytes>) -> Self {
        Self { packed: Some(Version::new(content.into())), ..self }
    }

    /// The answer to a GET, or that what the browser holds is still good.
    pub fn answer(&self, request: &HeaderMap) -> Response {
        let keep = if self.is_immutable { "max-age=31536000, immutable" } else { "no-cache" };
        let packed = self.packed.as_ref().filter(|_| takes_gzip(request));
        let Version { content, tag } = packed.unwrap_or(&self.plain);
        let headers = [
            (header::ETAG, tag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        let vary = self.packed.is_some().then_some([(header::VARY, "accept-encoding")]);
        let vary = AppendHeaders(vary.into_iter().flatten());
        if names(request, tag) {
            return (StatusCode::NOT_MODIFIED, headers, vary).into_response();
        }
        let media_type = [(header::CONTENT_TYPE, self.media_type.clone())];
        let coding = packed.map(|_| [(header::CONTENT_ENCODING, "gzip")]);
        let coding = AppendHeaders(coding.into_iter().flatten());
        (headers, vary, media_type, coding, content.clone()).into_response()
    }
}

/// Whether `Accept-Encoding` takes gzip (RFC 9110, section 12.5.3): by its name or as `*`, with a weight above 0.
fn takes_gzip(request: &HeaderMap) -> bool {
    let weight = |coding: &str| {
        list(request, header::ACCEPT_ENCODING).find_map(|entry| {
            let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
            let weight = weight.trim().strip_prefix(['q', 'Q']).and_then(|weight| weight.strip_prefix('='));
            let weight = weight.and_then(|weight| weight.parse().ok());
            name.trim().eq_ignore_ascii_case(coding).then(|| weight.unwrap_or(1.0_f32))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// Whether `If-None-Match` names this version (RFC 9110, section 13.1.2: compared weakly, as a proxy that
/// compressed it may have made it weak).
fn names(request: &HeaderMap, tag: &HeaderValue) -> bool {
    list(request, header::IF_NONE_MATCH)
        .map(|named| named.trim_start_matches("W/"))
        .any(|named| named == "*" || named.as_bytes() == tag.as_bytes())
}

/// The entries of a header that is a list, in one line or several.
fn list(request: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = request.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
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
    use std::io::Read as _;

    use axum::{body::Body, http::Request};
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: &str, path: &str, if_none_match: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        asked(router::<()>(false), method, path, if_none_match).await
    }

    async fn asked(
        router: Router,
        method: &str,
        path: &str,
        if_none_match: &str,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("if-none-match", if_none_match)
            .body(Body::empty())
            .unwrap();
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    fn built() -> &'static [(&'static str, &'static [u8])] {
        BUILT.expect("the tests are run with Node")
    }

    #[tokio::test]
    async fn every_file_comes_whole_with_its_type_and_may_not_be_guessed_at() {
        for (path, content) in built().iter().filter(|(path, _)| !path.ends_with(".gz")) {
            let path = if *path == "/index.html" { "/" } else { path };
            let (status, headers, body) = ask("GET", path, "\"another\"").await;
            assert_eq!((status, body.as_slice()), (StatusCode::OK, *content), "{path}");
            assert_ne!(headers["content-type"], "application/octet-stream", "{path}");
            assert_eq!(headers["content-length"], content.len().to_string());
            let kept = headers["cache-control"].to_str().unwrap().contains("immutable");
            assert_eq!(kept, path.starts_with("/assets/"), "{path}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["content-security-policy"], POLICY);
        }
    }

    #[tokio::test]
    async fn what_was_not_built_says_why_and_what_to_do() {
        let router = serving::<()>(Err("Node.js was <not> found"), true);
        let (status, headers, html) = asked(router, "GET", "/", "").await;
        let html = String::from_utf8(html).unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-type"], HTML);
        assert!(html.contains("Node.js was &lt;not> found") && html.contains("nodejs.org"), "{html}");
    }

    #[tokio::test]
    async fn only_in_lab_mode_may_it_call_other_ports() {
        let (_, headers, html) = asked(router(true), "GET", "/", "").await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(String::from_utf8(html).unwrap().contains("data-lab=\"on\""));
        assert_eq!(
            policy.replace(" http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:*", ""),
            POLICY
        );
    }

    #[tokio::test]
    async fn head_is_get_without_the_body() {
        let (status, headers, body) = ask("HEAD", "/", "").await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        let (_, html) = built().iter().find(|(path, _)| *path == "/index.html").unwrap();
        assert_eq!(headers["content-length"], html.len().to_string());
    }

    #[tokio::test]
    async fn what_the_browser_holds_is_not_sent_again() {
        let (_, first, _) = ask("GET", "/", "").await;
        let tag = first["etag"].to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let (status, headers, body) = ask("GET", "/", &known).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert_eq!(headers["etag"], tag);
        }
        let (status, ..) = ask("GET", "/icon.svg", tag).await;
        assert_eq!(status, StatusCode::OK, "one file's tag is not another's");
    }

    #[tokio::test]
    async fn whoever_takes_gzip_gets_it() {
        let ask = async |path: &str, accepted: &str, if_none_match: &str| {
            let request = Request::builder().uri(path);
            let request = request.header("accept-encoding", accepted).header("if-none-match", if_none_match);
            let response = router::<()>(false).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let (head, body) = response.into_parts();
            (head.status, head.headers, body.collect().await.unwrap().to_bytes())
        };
        let mut seen = 0;
        for (packed, _) in built() {
            let Some(path) = packed.strip_suffix(".gz") else { continue };
            seen += 1;
            let (_, plain, content) = ask(path, "br, gzip;Q=0, *", "").await;
            assert!(!plain.contains_key("content-encoding"), "{path}");
            for accepted in ["gzip, deflate, br", "GZIP;q=0.5", "br, *;q=0.1"] {
                let (status, headers, body) = ask(path, accepted, plain["etag"].to_str().unwrap()).await;
                assert_eq!(status, StatusCode::OK, "{path}: another version, another tag");
                assert_eq!(headers["content-encoding"], "gzip");
                assert_eq!(headers["content-length"], body.len().to_string());
                assert_eq!(headers["content-type"], plain["content-type"]);
                assert!(body.len() < content.len(), "{path}");
                let mut unpacked = Vec::new();
                GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap();
                assert_eq!(unpacked, content, "{path}");
                let (status, known, _) = ask(path, accepted, headers["etag"].to_str().unwrap()).await;
                assert_eq!(status, StatusCode::NOT_MODIFIED);
                for headers in [&plain, &headers, &known] {
                    assert_eq!(headers["vary"], "accept-encoding");
                }
            }
        }
        assert!(seen >= 3, "the client, the page's script and its style");
        let (status, ..) = ask("/client.js.gz", "gzip", "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn nested_under_a_path_it_finds_its_files() {
        for (at, page) in [("/realtime", "/realtime"), ("/a/b&c", "/a/b&c")] {
            let nested = || Router::new().nest(at, router::<()>(false));
            let (status, _, html) = asked(nested(), "GET", page, "").await;
            assert_eq!(status, StatusCode::OK, "{at}");
            let html = String::from_utf8(html).unwrap();
            let folder = at.rsplit('/').next().unwrap().replace('&', "&amp;");
            let start = html.find(&format!("src=\"./{folder}/assets/")).expect("the script's address") + 6;
            let script = &html[start..][..html[start..].find('"').unwrap()];
            let script = script.strip_prefix(&folder).unwrap_or(script).trim_start_matches('/');
            let script = script.strip_prefix(&format!("{folder}/")).unwrap_or(script);
            let (status, ..) = asked(nested(), "GET", &format!("{at}/{script}"), "").await;
            assert_eq!(status, StatusCode::OK, "{at}/{script}");
        }
    }
}
