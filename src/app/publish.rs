//! Publishing over HTTP.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, header},
    response::IntoResponse,
};

use super::{App, Role, request};
use crate::{
    bus::idempotency::Key,
    delivery::{
        taken::Kind,
        takeover::{Entry, Leave, Leaving, MayLeave, Media, Offer},
        told::Asked,
    },
    error::{Code, Problem},
    event::Draft,
    fields::Fields,
    publish::{Content, checked_key},
    transport::query,
};

/// `POST /v1/publish`: one event, or a batch of them.
pub(super) async fn serve(State(app): State<App>, request: Request) -> Result<Response<Body>, Problem> {
    let arrived = app.gateway.0.publisher.now();
    app.gateway.admit()?;
    let _counted = app.gateway.begin_publish();
    request::accepts(request.headers(), "application/json")?;
    let (head, body) = request.into_parts();
    let taken = head.extensions.get().is_some_and(|may: &MayLeave| may.taken && may.again);
    let config = app.gateway.config();
    let mut fields =
        Fields::split("publish", &["topic", "type", "client"], [head.uri.query().unwrap_or_default(), ""])?;
    query::client(&mut fields)?;
    let (mut topics, kind) = (fields.take_all("topic"), fields.take("type"));
    if topics.len() > 1 {
        return Err(Problem::invalid("topic", "an event has one topic"));
    }
    let (topic, kind) = (topics.pop(), kind.as_deref());
    let media_type = request::media_type(&head.headers)?;
    let format = Format::of(media_type)?;
    if topic.is_none() && !matches!(format, Format::Batch) {
        return Err(Problem::invalid("topic", "it is missing"));
    }
    let key = request::single(&head.headers, "idempotency-key", "Idempotency-Key")?;
    let key = key.map(|key| checked_key(key, "Idempotency-Key")).transpose()?;
    let limit = if matches!(format, Format::Batch) { config.max_batch } else { config.max_event };
    let body = request::body(body, &head.headers, limit.as_u64() as usize, &app.gateway).await?;

    let publisher = &app.gateway.0.publisher;
    let topic = topic.as_deref();
    let drafts = match (&format, topic) {
        (Format::Batch, topic) => publisher.batch(topic, kind, &body)?,
        (Format::Json, Some(topic)) => vec![publisher.draft(topic, kind, Content::Json(&body))?],
        (Format::Text, Some(topic)) => vec![publisher.draft(topic, kind, Content::Text(&body))?],
        (Format::Binary(media_type), Some(topic)) => {
            vec![publisher.draft(topic, kind, Content::Binary(media_type, &body))?]
        }
        (_, None) => return Err(Problem::invalid("topic", "it is missing")),
    };
    let asked = asked(&format, topic, &body, &drafts);
    let key = key.map(|key| {
        let content = [media_type.unwrap_or_default().as_bytes(), kind.unwrap_or_default().as_bytes(), &body];
        Key::new(topic.unwrap_or_default(), key, content)
    });
    let keyed = key.is_some();
    let ids = publisher.publish(drafts, key)?;
    app.gateway.metrics().publishing.observe(publisher.now().saturating_sub(arrived));
    let media = match format {
        Format::Batch => None,
        Format::Json => Some(Media::Json),
        Format::Text => Some(Media::Text),
        Format::Binary(media_type) => Some(Media::Binary(media_type.to_owned())),
    };
    if taken
        && !keyed
        && head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.headers.contains_key(header::EXPECT)
        && let (Some(media), Some(topic)) = (media, topic)
    {
        let offer = Offer {
            id: ids[0],
            target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            topic: topic.to_owned(),
            kind: kind.map(str::to_owned),
            media,
            headers: head.headers.clone(),
        };
        return Ok(leave(&app, offer));
    }
    let body = match (&format, &ids[..]) {
        (Format::Batch, ids) => {
            let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
            format!("{{\"ids\":[{}]}}", ids.join(","))
        }
        (_, ids) => format!("{{\"id\":\"{}\"}}", ids[0]),
    };
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.extensions_mut().insert(asked);
    Ok(response)
}

/// What the body was for, for the ledger.
fn asked(format: &Format<'_>, topic: Option<&str>, body: &[u8], drafts: &[Draft]) -> Asked {
    let (events, all) = (drafts.len() as u32, body.len() as u32);
    let data = drafts.iter().map(|draft| draft.payload() as u32).sum::<u32>().min(all);
    match (format, topic) {
        // Between the lines of a batch is framing, around what such a line holds an envelope.
        (Format::Batch, Some(_)) => Asked { payload: data, envelope: 0, events },
        (Format::Batch, None) => Asked { payload: data, envelope: all - data, events },
        _ => Asked { payload: all, envelope: 0, events },
    }
}

/// An answer that the connection of a publisher leaves hyper with, who will publish again.
fn leave(app: &App, offer: Offer) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    let entry = Entry {
        kind: Kind::Publish,
        reader: None,
        hello: String::new(),
        heartbeat: app.gateway.config().heartbeat,
        publishes: app.role == Role::Both,
        fresh: false,
        wait: None,
        offer: Some(Box::new(offer)),
    };
    response.extensions_mut().insert(Leaving::new(Leave::Taken(entry)));
    response
}

/// What the content type makes of a body.
enum Format<'a> {
    Batch,
    Json,
    Text,
    Binary(&'a str),
}

impl<'a> Format<'a> {
    fn of(media_type: Option<&'a str>) -> Result<Self, Problem> {
        let unsupported =
            |detail: &'static str| Err(Problem::new(Code::UnsupportedMediaType, detail).at("Content-Type"));
        let Some(media_type) = media_type else {
            return unsupported("say what the body is, such as application/json");
        };
        let essence = request::essence(media_type).to_ascii_lowercase();
        match (&*essence, essence.split_once('/')) {
            ("application/x-ndjson" | "application/ndjson" | "application/jsonl", _) => Ok(Self::Batch),
            (request::FORM, _) => unsupported(
                "an event is no form (curl -d sends one by default: add -H 'Content-Type: application/json')",
            ),
            ("application/json", _) => Ok(Self::Json),
            (json, Some(_)) if json.ends_with("+json") => Ok(Self::Json),
            (_, Some(("text", _))) => match request::parameter(media_type, "charset") {
                None => Ok(Self::Text),
                Some(charset)
                    if ["utf-8", "utf8", "us-ascii"]
                        .iter()
                        .any(|known| charset.eq_ignore_ascii_case(known)) =>
                {
                    Ok(Self::Text)
                }
                Some(_) => unsupported("a text must be UTF-8"),
            },
            (_, Some((kind, rest))) if !kind.is_empty() && !rest.is_empty() => Ok(Self::Binary(media_type)),
            _ => unsupported("it is no media type"),
        }
    }
}
