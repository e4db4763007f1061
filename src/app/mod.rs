//! The application: which path leads where. The one file that names everything.

mod answer;
mod guard;
mod lab;
mod ledger;
mod observe;
mod openapi;
mod publish;
mod reader;
mod request;
mod subscribe;
mod upgrade;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, Response, header},
    middleware,
    response::IntoResponse,
    routing::{MethodRouter, get, post},
};
use futures_util::{FutureExt as _, future::LocalBoxFuture};
use tokio::time::{MissedTickBehavior, interval};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    bus::{
        Bus,
        log::{Bounds, Budget},
    },
    config::Config,
    delivery::{hub::Hub, taken},
    error::{Code, Problem},
    event::{Cursor, Epoch},
    lab::Lab,
    metrics::Metrics,
    page,
    publish::{Content, Publisher},
    transport::{Transport, chunked::Chunked, longpoll::Longpoll, poll::Poll, sse::Sse},
};

pub use guard::{Crowded, OnLine};
use observe::Watch;

/// How often what is too old is evicted.
const EXPIRE: Duration = Duration::from_secs(1);
/// What an operation on a WebSocket may add to the event that it publishes, in bytes.
const OPERATION: usize = 4 << 10;

/// A gateway: its bus and its configuration. Its clones are the same gateway.
#[derive(Clone, Debug)]
pub struct Gateway(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    bus: Arc<Bus>,
    metrics: Arc<Metrics>,
    publisher: Publisher,
    watch: Watch,
    /// If there is one. Only a server of the gateway's own has lines.
    lab: Option<Arc<Lab>>,
    /// The OpenAPI document of each role's listeners, once somebody asked.
    described: [OnceLock<page::File>; 3],
    phase: AtomicU8,
    publishing: AtomicUsize,
    /// Bytes of bodies that are not whole yet.
    arriving: AtomicUsize,
}

/// How far the gateway is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It serves, and asks to be given no more (`/readyz`).
    Leaving,
    /// It takes no new subscriber and no new event.
    Draining,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Publishing and subscribing.
    Both,
    /// Subscribing; publishing has a listener of its own.
    Subscribe,
    /// Publishing.
    Publish,
}

/// What the handlers of one hub share.
#[derive(Clone, Debug)]
struct App {
    gateway: Gateway,
    hub: Arc<Hub>,
    role: Role,
    /// Whether the lab is there.
    lab: bool,
}

impl Gateway {
    /// A gateway with an empty log.
    pub fn new(config: Config) -> Self {
        let bounds = Bounds {
            events: config.history_events,
            age: config.history_age,
            bytes: config.history_bytes.as_u64(),
        };
        let bus = Arc::new(Bus::new(Epoch(fastrand::u64(..)), bounds));
        let metrics = Arc::new(Metrics::new(&bus));
        let publisher = Publisher::new(bus.clone(), config.max_event, metrics.clone());
        let lab = config.lab.then(|| Arc::new(Lab::new(metrics.lines.clone())));
        Self(Arc::new(Shared {
            config,
            bus,
            metrics,
            publisher,
            lab,
            watch: Watch::default(),
            described: Default::default(),
            phase: AtomicU8::new(Phase::Serving as u8),
            publishing: AtomicUsize::new(0),
            arriving: AtomicUsize::new(0),
        }))
    }

    /// Publishes an event from within the process.
    ///
    /// # Errors
    /// The [`Problem`] that a client would get.
    pub fn publish_json(&self, topic: &str, kind: Option<&str>, data: &[u8]) -> Result<Cursor, Problem> {
        let draft = self.0.publisher.draft(topic, kind, Content::Json(data))?;
        Ok(self.0.publisher.publish(vec![draft], None)?[0])
    }

    /// The whole gateway as a router, to be served by itself or nested under a path of another
    /// application. It has a hub of its own, which runs on the current runtime.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn router(&self) -> Router {
        let hub = self.hub();
        self.watch(hub.clone(), None);
        let running = hub.clone();
        tokio::spawn(async move { running.run().await });
        tokio::spawn(self.clone().expire_for_ever());
        Self::routes(App { gateway: self.clone(), hub, role: Role::Both, lab: false })
    }

    /// What the gateway counts of itself.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// A hub for one core.
    pub(crate) fn hub(&self) -> Arc<Hub> {
        Hub::new(self.0.bus.clone(), self.0.publisher.clone(), self.0.metrics.clone())
    }

    /// Has a core asked who is there.
    pub(crate) fn watch(&self, hub: Arc<Hub>, door: Option<taken::Door>) {
        self.0.watch.core(hub, door);
    }

    /// What the gateway was told.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The answers of a listener, whose subscribers are in this hub.
    pub(crate) fn answers(&self, hub: Arc<Hub>, role: Role) -> Answers {
        let lab = self.0.lab.is_some() && role != Role::Publish;
        let app = App { gateway: self.clone(), hub, role, lab };
        Answers { routes: Self::routes(app.clone()), app }
    }

    /// The routes of a listener.
    fn routes(app: App) -> Router {
        let mut routes = Router::new().merge(reader::router());
        for (path, answers) in endpoints(app.role, app.lab) {
            routes = routes.route(path, answers);
        }
        if app.role != Role::Publish {
            routes = routes.merge(page::router(app.lab));
        }
        routes
            .fallback(answer::not_found)
            .method_not_allowed_fallback(answer::method_not_allowed)
            .layer(guard::cors(&app.gateway))
            // Here, so that it is counted, and around everything.
            .layer(CatchPanicLayer::custom(answer::panicked))
            .layer(middleware::from_fn_with_state(app.clone(), guard::check))
            .layer(CatchPanicLayer::custom(answer::panicked))
            .with_state(app)
    }

    /// What the taken connections of a core have to know.
    pub(crate) fn taken_settings(&self, idle: Duration) -> taken::Settings {
        let config = self.config();
        taken::Settings {
            bus: self.0.bus.clone(),
            publisher: self.0.publisher.clone(),
            metrics: self.0.metrics.clone(),
            max_topics: config.max_topics,
            max_message: self.max_message(),
            retry: config.retry,
            write_stall: config.write_stall,
            idle,
            cursor_field: answer::CURSOR,
        }
    }

    /// The largest message on a WebSocket, in bytes.
    fn max_message(&self) -> usize {
        self.config().max_event.as_u64() as usize + OPERATION
    }

    pub(crate) fn bus(&self) -> &Arc<Bus> {
        &self.0.bus
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }

    /// The lab, if there is one.
    pub(crate) fn lab(&self) -> Option<&Arc<Lab>> {
        self.0.lab.as_ref()
    }

    /// Evicts what has become too old, again and again.
    pub(crate) async fn expire_for_ever(self) {
        let mut tick = interval(EXPIRE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = self.0.publisher.now();
            self.0.bus.expire(now);
            self.0.metrics.ledger.sweep();
            self.0.watch.sample(now, &self.0.metrics);
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Release);
    }

    /// Publishes that were begun and are not answered yet.
    pub(crate) fn publishing(&self) -> usize {
        self.0.publishing.load(Ordering::Acquire)
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.0.phase.load(Ordering::Acquire) >= phase as u8
    }

    /// Refuses what is new while the gateway goes.
    fn admit(&self) -> Result<(), Problem> {
        if self.is_in(Phase::Draining) {
            let retry = crate::delivery::hosted::spread(self.config().retry);
            return Err(Problem::new(Code::Unavailable, "the gateway is shutting down").retry_after(retry));
        }
        Ok(())
    }

    /// Counts a publish that is not answered yet.
    fn begin_publish(&self) -> Publishing {
        self.0.publishing.fetch_add(1, Ordering::AcqRel);
        Publishing(self.clone())
    }
}

/// What a listener answers.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    app: App,
    routes: Router,
}

impl Answers {
    /// The answer to a request. What is asked most, and by no page, does not go through the layers that are
    /// there for pages, which would cost it as much as the rest.
    pub(crate) fn answer(&self, request: Request) -> LocalBoxFuture<'static, Response<Body>> {
        let app = &self.app;
        let by_page = request.headers().contains_key(header::ORIGIN);
        let path = if by_page { "" } else { request.uri().path() };
        match (path, request.method()) {
            (_, &Method::GET)
                if app.role != Role::Publish
                    && let Some(transport) = subscribed(path) =>
            {
                let state = State(app.clone());
                let subscribe = move |request| subscribe::serve(transport, state, request);
                self.caught(guard::passed(app, request, subscribe))
            }
            ("/v1/publish", &Method::POST) if app.role != Role::Subscribe => {
                let state = State(app.clone());
                let publish = |request| publish::serve(state, request).map(IntoResponse::into_response);
                self.caught(guard::passed(app, request, publish))
            }
            _ => self.routes.clone().oneshot(request).map(|Ok(response)| response).boxed_local(),
        }
    }

    /// An answer, or what is said when its making panics.
    fn caught(
        &self,
        answer: impl Future<Output = Response<Body>> + 'static,
    ) -> LocalBoxFuture<'static, Response<Body>> {
        let metrics = self.app.gateway.metrics().clone();
        let caught = AssertUnwindSafe(answer).catch_unwind();
        let answer = caught.map(move |answered| {
            answered.unwrap_or_else(|panic| {
                metrics.refused(Code::Internal);
                answer::panicked(panic)
            })
        });
        answer.boxed_local()
    }
}

/// Memory for all bodies together that are not whole yet: who begins to send many, and stops, takes no more than this.
const ARRIVING: usize = 64 << 20;

/// What one body takes of it.
struct Arriving<'a> {
    gateway: &'a Gateway,
    bytes: usize,
}

impl<'a> Arriving<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        Self { gateway, bytes: 0 }
    }

    /// Takes so many bytes more; whether they are there.
    fn grow(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        let all = self.gateway.0.arriving.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // A few of the largest fit in any case.
        all <= ARRIVING.max(4 * self.gateway.config().max_batch.as_u64() as usize)
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.gateway.0.arriving.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Publishing(Gateway);

impl Drop for Publishing {
    fn drop(&mut self) {
        self.0.0.publishing.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What an answer to a poll holds at most: the limit that was asked for, and 1 MiB.
fn answer_budget(limit: usize) -> Budget {
    Budget { events: limit, bytes: 1 << 20 }
}

/// The endpoints of a listener, each of which `openapi` describes.
fn endpoints(role: Role, lab: bool) -> Vec<(&'static str, MethodRouter<App>)> {
    let mut endpoints = vec![
        ("/healthz", get(answer::health)),
        ("/readyz", get(answer::ready)),
        ("/v1/cursor", get(answer::cursor)),
        ("/docs/errors", get(answer::errors)),
        ("/openapi.json", get(openapi::serve)),
    ];
    if role != Role::Subscribe {
        endpoints.extend([
            ("/v1/publish", post(publish::serve)),
            ("/v1/ledger", get(ledger::serve)),
            ("/v1/stats", get(observe::stats)),
            ("/metrics", get(observe::metrics)),
        ]);
    }
    if role != Role::Publish {
        endpoints.extend(SUBSCRIPTIONS.map(|(path, transport)| (path, subscription(transport))));
        endpoints.extend([("/v1/websocket", get(upgrade::websocket)), ("/v1/echo", get(upgrade::echo))]);
    }
    if lab {
        endpoints.extend([
            ("/v1/lab", get(lab::show)),
            ("/v1/lab/{id}", get(lab::line).put(lab::put).delete(lab::end)),
        ]);
    }
    endpoints
}

/// What is subscribed to by an ordinary request.
const SUBSCRIPTIONS: [(&str, &dyn Transport); 4] =
    [("/v1/poll", &Poll), ("/v1/longpoll", &Longpoll), ("/v1/chunked", &Chunked), ("/v1/sse", &Sse)];

fn subscribed(path: &str) -> Option<&'static dyn Transport> {
    SUBSCRIPTIONS.iter().find(|(known, _)| *known == path).map(|(_, transport)| *transport)
}

fn subscription(transport: &'static dyn Transport) -> MethodRouter<App> {
    let serve = move |app, request| subscribe::serve(transport, app, request);
    get(serve).post(serve)
}
