//! The ledger for its clients: `/v1/ledger`, and live as events on `$ledger/ID`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, header},
    response::IntoResponse,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{App, Gateway, request};
use crate::{
    error::Problem,
    fields::Fields,
    ledger::{Client, account},
    publish::wall_clock,
    topic::Topic,
    transport::query,
};

/// How often an account that changes is told to those who listen.
const TELL: Duration = Duration::from_millis(500);
/// Accounts that are told at a time: who listens to very many of them is not to keep the log busy.
const TOLD: usize = 1024;

/// `/v1/ledger`: what a client's requests came to.
pub(super) async fn serve(State(app): State<App>, request: Request) -> Result<Response<Body>, Problem> {
    request::accepts(request.headers(), "application/json")?;
    let mut fields = Fields::split("ledger", &["client"], [request.uri().query().unwrap_or_default(), ""])?;
    let id = query::client(&mut fields)?.ok_or_else(|| Problem::invalid("client", "it is missing"))?;
    let document = match app.gateway.metrics().ledger.client(&id) {
        Some(client) => {
            app.gateway.audit(vec![client.clone()], true).await;
            client.document(&wall_clock())
        }
        None => account::empty_document(&id, &wall_clock()),
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, document.to_string()).into_response())
}

impl Gateway {
    /// Publishes the accounts that change and that somebody listens to, again and again.
    pub(crate) async fn tell_accounts_for_ever(self) {
        let mut tick = interval(TELL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changed: Vec<Arc<Client>> = Vec::new();
        loop {
            tick.tick().await;
            for client in self.metrics().ledger.changed() {
                if !changed.iter().any(|known| Arc::ptr_eq(known, &client)) {
                    changed.push(client);
                }
            }
            if changed.is_empty() {
                continue;
            }
            let listened = self.audit(changed.clone(), false).await;
            let mut listened = listened.into_iter();
            changed.retain(|_| listened.next().unwrap_or_default());
            let told: Vec<Arc<Client>> = changed.drain(..changed.len().min(TOLD)).collect();
            self.audit(told.clone(), true).await;
            for client in told {
                // What was just looked up is told now.
                client.has_changed();
                let document = client.document(&wall_clock()).to_string();
                self.0.publisher.tell(topic(&client), document.as_bytes());
            }
        }
    }

    /// Asks every core whether somebody listens to each account; `settles` if the segments of its connections are to
    /// be booked too.
    async fn audit(&self, clients: Vec<Arc<Client>>, settles: bool) -> Vec<bool> {
        let clients: Vec<_> = clients.into_iter().map(|client| (client.clone(), topic(&client))).collect();
        match clients.is_empty() {
            true => Vec::new(),
            false => self.0.watch.audit(&clients.into(), settles).await,
        }
    }
}

/// Where an account is told.
fn topic(client: &Client) -> Topic {
    Topic::parse(&format!("$ledger/{}", client.id())).expect("an account's name is a segment of a topic")
}
