//! What the gateway answers, as an OpenAPI document: `/openapi.json`.
//!
//! What a transport takes, and what each problem is, comes from where the gateway itself has it.

mod lab;

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response as Answer};
use serde_json::{Value, json};
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, HttpMethod, Info, License, OpenApi, OpenApiBuilder,
    OpenApiVersion, PathItem, Paths, Ref, RefOr, Required, Response, ResponseBuilder, Schema, Server, Tag,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
};

use super::{App, endpoints, request};
use crate::{
    config::Config,
    error::Code,
    page::File,
    transport::{self, Hold, Transport, query},
};

/// A document loads nothing.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const SCHEMAS: &str = include_str!("openapi/schemas.json");
const ABOUT: &str = "Publish once; deliver by polling, long polling, chunked streaming, SSE or WebSocket: the same \
                     bytes and the same cursor on each. A GET may be asked as a HEAD. Any other path is a 404, any \
                     other method a 405, and what breaks a 500; each a problem as below.";

/// What refuses a request before its endpoint sees it.
const ALWAYS: [Code; 4] = [Code::InvalidRequest, Code::NotAllowed, Code::UriTooLong, Code::HeadTooLarge];
/// What refuses one on a connection too many.
const CROWDED: [Code; 2] = [Code::TooManyRequests, Code::Unavailable];
/// What a body can be refused for.
const BODY: [Code; 3] = [Code::RequestTimeout, Code::TooLarge, Code::UnsupportedMediaType];

/// `/openapi.json`: what this listener serves.
pub(super) async fn serve(State(app): State<App>, headers: HeaderMap) -> Answer {
    let described = app.gateway.0.described[app.role as usize].get_or_init(|| {
        let served = endpoints(app.role, app.lab);
        let document =
            document(app.gateway.config(), |path| served.iter().any(|(served, _)| *served == path));
        let json = document.to_json().expect("a document has no keys but strings");
        File::new("application/json", POLICY, json)
    });
    described.answer(&headers)
}

/// The description of those paths that a listener serves.
fn document(config: &Config, is_served: impl Fn(&str) -> bool) -> OpenApi {
    let mut paths = Paths::new();
    for (path, method, operation) in operations(config) {
        if is_served(path) {
            match paths.paths.get_mut(path) {
                Some(item) => item.merge_operations(PathItem::new(method, operation)),
                None => _ = paths.paths.insert(path.to_owned(), PathItem::new(method, operation)),
            }
        }
    }
    let schemas: BTreeMap<String, Schema> = serde_json::from_str(SCHEMAS).expect("the schemas are schemas");
    let mut info = Info::new("Fanlight", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
    info.license = Some(license);
    OpenApiBuilder::new()
        // The first that knows streams (`itemSchema`).
        .openapi(OpenApiVersion::Version32)
        .info(info)
        .servers(Some([Server::new(".")]))
        .tags(Some([
            tag("Subscribe", "Events, over the transport of one's choice."),
            tag("Publish", "Events, one or many at once."),
            tag("Operate", "For those who run the gateway."),
            tag("Lab", "Connections as they are elsewhere: `--lab`."),
        ]))
        .paths(paths)
        .components(Some(ComponentsBuilder::new().schemas_from_iter(schemas).build()))
        .build()
}

fn tag(name: &str, description: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(description.to_owned());
    tag
}

fn operations(config: &Config) -> Vec<(&'static str, HttpMethod, Operation)> {
    let mut all = Vec::new();
    for (path, transport) in [
        ("/v1/poll", transport::ALL[0]),
        ("/v1/longpoll", transport::ALL[1]),
        ("/v1/chunked", transport::ALL[2]),
        ("/v1/sse", transport::ALL[3]),
    ] {
        let (about, answers) = subscription(transport);
        let described = |id: String| {
            let mut operation = operation("Subscribe", id, about);
            operation = if transport.name() == "sse" { operation } else { refused(operation, &CROWDED) };
            for (status, answer) in &answers {
                operation = operation.response(*status, answer.clone());
            }
            operation.parameter(last_event_id())
        };
        let get = described(transport.name().to_owned())
            .parameters(Some(transport.fields().iter().map(|field| query_field(transport, field, config))));
        all.push((path, HttpMethod::Get, with_refusals(get, &[Code::NotAcceptable])));
        let post = described(format!("{}Form", transport.name())).request_body(Some(form(transport, config)));
        let mut codes = BODY.to_vec();
        codes.push(Code::NotAcceptable);
        all.push((path, HttpMethod::Post, with_refusals(post, &codes)));
    }
    all.extend(websockets(config));
    all.push(("/v1/publish", HttpMethod::Post, publish(config)));
    all.extend(others());
    all.extend(lab::operations());
    all
}

fn operation(tag: &str, id: String, about: &str) -> OperationBuilder {
    let (summary, description) = about.split_once('\n').unwrap_or((about, ""));
    OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(description).filter(|text| !text.is_empty()))
}

/// What a transport's endpoint is for, and its answers.
fn subscription(transport: &dyn Transport) -> (&'static str, Vec<(&'static str, Response)>) {
    let (_, media_type) = transport.head()[0];
    let polled = |empty: &str| {
        let cursor =
            || header("The cursor that the next request presents.", json!({"$ref": schema_name("Cursor")}));
        let events = ResponseBuilder::new()
            .description("Events, or the cursor to begin with.")
            .content(media_type, content(json!({"$ref": schema_name("Answer")})))
            .header("Fanlight-Cursor", cursor());
        let nothing = ResponseBuilder::new().description(empty).header("Fanlight-Cursor", cursor());
        vec![("200", events.build()), ("204", nothing.build())]
    };
    let stream = |what: &str| {
        let mut items = content(json!({"type": "string"}));
        items.item_schema = Some(schema(json!({"$ref": schema_name("Message")})));
        let answer = ResponseBuilder::new().description(what).content(media_type, items);
        vec![("200", answer.build())]
    };
    match (transport.hold(), transport.name()) {
        (Hold::Not, _) => ("Ask for events (short polling)\nIt is answered at once.", polled("Nothing new.")),
        (Hold::UntilSomething, _) => (
            "Wait for events (long polling)\nWith `after` it is answered when there is an event, or after `timeout`.",
            polled("Nothing came before the time-out."),
        ),
        (Hold::ForGood, "sse") => (
            "Stream events (Server-Sent Events)\nFor a browser's EventSource, which comes back by itself with the \
             id of the last event. It gives up for good on any status but 200, so on a connection too many, and \
             while the gateway goes, it gets a 200 with a `retry:`, an `error` control and the end.",
            stream("Events as `data:`, each with its `id:`; controls as `event: control`. It has no end."),
        ),
        (Hold::ForGood, _) => (
            "Stream events (chunked NDJSON)",
            stream("`hello`, then an event or a control a line. It has no end."),
        ),
    }
}

fn websockets(config: &Config) -> [(&'static str, HttpMethod, Operation); 2] {
    let switched = |what: &str| ResponseBuilder::new().description(what).build();
    let websocket = transport::ALL[4];
    let subscribe = operation(
        "Subscribe",
        "websocket".to_owned(),
        "Stream events, change the subscription, publish (WebSocket)\nRFC 6455, version 13; the subprotocol \
         `fanlight.v1` may be named. The gateway sends a `Message` a text message, the client an `Operation`. What a \
         browser could not read from a refused handshake is told behind an accepted one: an `error`, then a close.",
    )
    .parameters(Some(websocket.fields().iter().map(|field| query_field(websocket, field, config))))
    .parameter(last_event_id())
    .response("101", switched("Text messages: each a `Message`, first `hello`."));
    let echo = operation(
        "Operate",
        "echo".to_owned(),
        "Get back what was sent (WebSocket)\nFor trying a client or a proxy.",
    )
    .response("101", switched("Each message comes back."));
    [
        ("/v1/websocket", HttpMethod::Get, with_refusals(subscribe, &[Code::UpgradeRequired])),
        ("/v1/echo", HttpMethod::Get, with_refusals(refused(echo, &CROWDED), &[Code::UpgradeRequired])),
    ]
}

fn publish(config: &Config) -> Operation {
    let any = "Any other: it becomes `data_base64`.";
    let lines = "A batch, all or nothing: with `topic` a line is an event's data, without one an object with `topic`, \
                 `data` (or `data_base64` and `datacontenttype`), and perhaps `type`.";
    let mut batch = content(json!({"type": "string"}));
    batch.description = Some(lines.to_owned());
    batch.item_schema = Some(schema(any_json()));
    let mut text = content(json!({"type": "string"}));
    text.description = Some("A text: it becomes a JSON string.".to_owned());
    let mut json = content(any_json());
    json.description = Some(format!("A JSON value of at most {}: `data`, as it is.", config.max_event));
    json.example = Some(json!({"by": "Kim"}));
    let mut bytes = Content::default();
    bytes.description = Some(any.to_owned());
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", json)
        .content("text/plain", text)
        .content("application/x-ndjson", batch)
        .content("*/*", bytes)
        .build();
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Makes it safe to send the request again: the same key gets the first answer."))
        .schema(Some(schema(json!({"type": "string", "minLength": 1, "maxLength": 255}))));
    let answer = ResponseBuilder::new()
        .description("Published: whoever subscribes from now on finds it.")
        .content("application/json", content(json!({"$ref": schema_name("Published")})));
    let topic = json!({"type": "string", "minLength": 1, "maxLength": 255});
    let described = operation(
        "Publish",
        "publish".to_owned(),
        "Publish an event, or a batch\nWhat the body is stands in `Content-Type`. A request that was refused leaves \
         nothing behind.",
    )
    .parameter(field("topic", topic, "Where to; a batch may say it line by line."))
    .parameter(field(
        "type",
        json!({"type": "string", "minLength": 1, "maxLength": 255}),
        "What the event is called.",
    ))
    .parameter(field("client", query::client_described().0, query::client_described().1))
    .parameter(key)
    .request_body(Some(body))
    .response("200", answer);
    let mut codes = BODY.to_vec();
    codes.extend([Code::NotAcceptable, Code::IdempotencyMismatch]);
    with_refusals(refused(described, &CROWDED), &codes)
}

fn others() -> Vec<(&'static str, HttpMethod, Operation)> {
    let answer = |what: &str, media_types: &[&str], schema: Value| {
        let mut answer = ResponseBuilder::new().description(what);
        for media_type in media_types {
            answer = answer.content(*media_type, content(schema.clone()));
        }
        answer.build()
    };
    let text = || json!({"type": "string"});
    let described = |tag, id: &str, about| operation(tag, id.to_owned(), about);
    let cursor = described("Subscribe", "cursor", "The newest place in the log").response(
        "200",
        answer("Where the log ends.", &["application/json"], json!({"$ref": schema_name("Head")})),
    );
    let stats = described(
        "Operate",
        "stats",
        "Who listens to what\nThe topics with the most subscribers first, and what flows.",
    )
    .parameter(many("topic", "Only these, named as they were subscribed to."))
    .parameter(field(
        "limit",
        json!({"type": "integer", "minimum": 0, "maximum": 10000, "default": 100}),
        "How many topics are listed.",
    ))
    .response("200", answer("As it is now.", &["application/json"], json!({"$ref": schema_name("Stats")})));
    let (described_client, about_client) = query::client_described();
    let mut client = field("client", described_client, about_client);
    client.required = Required::True;
    let ledger = described(
        "Operate",
        "ledger",
        "What requests cost\nEvery byte that went for the requests with this `client=`, by transport and by what it \
         was for. A client that made none has no transports.",
    )
    .parameter(client)
    .response("200", answer("As it is now.", &["application/json"], json!({"$ref": schema_name("Ledger")})));
    let metrics = described("Operate", "metrics", "Everything that is counted (Prometheus)")
        .response("200", answer("As it is now.", &["text/plain", "application/openmetrics-text"], text()));
    let health = described("Operate", "health", "Whether the process lives")
        .response("200", answer("It does.", &["text/plain"], text()));
    let ready = described("Operate", "ready", "Whether it takes new clients")
        .response("200", answer("It does.", &["text/plain"], text()));
    let errors = described("Operate", "errors", "Every problem, its cause and its cure")
        .response("200", answer("The page.", &["text/markdown"], text()));
    let openapi = described("Operate", "openapi", "This description")
        .response("200", answer("An OpenAPI document.", &["application/json"], json!({"type": "object"})));
    let accepting = [Code::NotAcceptable];
    let get = HttpMethod::Get;
    vec![
        ("/v1/cursor", get.clone(), with_refusals(refused(cursor, &CROWDED), &accepting)),
        ("/v1/ledger", get.clone(), with_refusals(refused(ledger, &CROWDED), &accepting)),
        ("/v1/stats", get.clone(), with_refusals(refused(stats, &CROWDED), &accepting)),
        ("/metrics", get.clone(), with_refusals(metrics, &[])),
        ("/healthz", get.clone(), with_refusals(health, &[])),
        ("/readyz", get.clone(), with_refusals(ready, &[Code::Unavailable])),
        ("/docs/errors", get.clone(), with_refusals(refused(errors, &CROWDED), &[])),
        ("/openapi.json", get, with_refusals(refused(openapi, &CROWDED), &[])),
    ]
}

fn with_refusals(operation: OperationBuilder, codes: &[Code]) -> Operation {
    refused(refused(operation, &ALWAYS), codes).build()
}

fn refused(operation: OperationBuilder, codes: &[Code]) -> OperationBuilder {
    codes.iter().fold(operation, |operation, code| {
        let kind = code.kind();
        let mut response = ResponseBuilder::new()
            .description(format!("{}: [`{}`](docs/errors#{})", kind.title, kind.word, kind.word))
            .content("application/problem+json", content(json!({"$ref": schema_name("Problem")})));
        if CROWDED.contains(code) {
            let after = header("Seconds to wait.", json!({"type": "integer", "minimum": 0}));
            response = response.header("Retry-After", after);
        }
        operation.response(kind.status.to_string(), response)
    })
}

/// A transport's field in the query.
fn query_field(transport: &dyn Transport, name: &'static str, config: &Config) -> Parameter {
    let (schema, about) = query::described(name, config);
    match name {
        "topic" => {
            let mut topic = many(name, about);
            topic.required = if transport.name() == "websocket" { Required::False } else { Required::True };
            topic
        }
        _ => field(name, schema, about),
    }
}

/// The same fields as a form.
fn form(transport: &dyn Transport, config: &Config) -> RequestBody {
    let fields = transport.fields().iter().map(|name| {
        let (mut described, about) = query::described(name, config);
        if *name == "topic" {
            described = json!({"type": "array", "items": described, "minItems": 1});
        }
        described["description"] = about.into();
        ((*name).to_owned(), described)
    });
    let properties: serde_json::Map<_, _> = fields.collect();
    let form = json!({"type": "object", "required": ["topic"], "properties": properties});
    RequestBodyBuilder::new()
        .description(Some("The fields of the query; at most 64 KiB."))
        .required(Some(Required::True))
        .content(request::FORM, content(form))
        .build()
}

fn field(name: &str, described: Value, about: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema(described)))
        .build()
}

/// A field that may be given several times.
fn many(name: &str, about: &str) -> Parameter {
    let mut parameter = field(name, json!({"type": "array", "items": {"type": "string"}}), about);
    parameter.explode = Some(true);
    parameter
}

fn last_event_id() -> Parameter {
    let mut parameter = field(
        "Last-Event-ID",
        json!({"type": "string"}),
        "A cursor; it beats `after` and `last`. An EventSource sends it by itself.",
    );
    parameter.parameter_in = ParameterIn::Header;
    parameter
}

fn header(about: &str, described: Value) -> utoipa::openapi::Header {
    HeaderBuilder::new().description(Some(about)).schema(Some(schema(described))).build()
}

fn content(described: Value) -> Content {
    Content::new(Some(schema(described)))
}

fn any_json() -> Value {
    json!({"type": ["object", "array", "string", "number", "boolean", "null"]})
}

/// A schema as it is written in JSON.
fn schema(described: Value) -> RefOr<Schema> {
    match described.get("$ref").and_then(Value::as_str) {
        Some(name) => RefOr::Ref(Ref::new(name)),
        None => RefOr::T(serde_json::from_value(described).expect("a schema")),
    }
}

fn schema_name(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{app::Role, error};

    fn whole() -> OpenApi {
        document(&Config::default(), |_| true)
    }

    #[test]
    fn every_endpoint_is_described_and_no_other() {
        let endpoints: BTreeSet<String> =
            endpoints(Role::Both, true).iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(endpoints, whole().paths.paths.keys().cloned().collect());
    }

    #[test]
    fn a_listener_describes_what_it_serves() {
        let described = |role| {
            document(&Config::default(), |path| {
                endpoints(role, role != Role::Publish).iter().any(|(p, _)| *p == path)
            })
        };
        assert!(!described(Role::Subscribe).paths.paths.contains_key("/v1/publish"));
        assert!(!described(Role::Publish).paths.paths.contains_key("/v1/sse"));
    }

    /// A keyword that the library does not know would be dropped in silence.
    #[test]
    fn no_word_of_a_schema_is_lost() {
        let written: Value = serde_json::from_str(SCHEMAS).unwrap();
        let document = serde_json::to_value(whole()).unwrap();
        assert_eq!(document["components"]["schemas"], written);
    }

    #[test]
    fn every_problem_is_described() {
        let document = whole().to_json().unwrap();
        // Those of a path that is none, a method that is none, and our own fault.
        let elsewhere = [Code::NotFound, Code::MethodNotAllowed, Code::Internal];
        for code in error::ALL.iter().filter(|code| !elsewhere.contains(code)) {
            assert!(document.contains(&format!("docs/errors#{}", code.kind().word)), "{code:?}");
        }
    }
}
