//! A realtime notification gateway: publish once, deliver over the transport each subscriber chose.
//!
//! ```text
//! server                       listeners, a thread per core, the way down
//! app                          routes and layers
//! delivery   publish   lab     moves bytes; the one way in; lines that are shaped
//! transport  bus  metrics      what stands on the wire; the log; what is counted
//! event  topic  wsframe  ledger  fields  error  config  page  sync
//! ```
//!
//! A module imports from the lines below its own. [`app::Gateway`] is where everything meets: serve it with
//! [`server::run`], or nest its router into another application:
//!
//! ```
//! use fanlight::{app::Gateway, config::Config};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), fanlight::error::Problem> {
//! let gateway = Gateway::new(Config::default());
//! let app: axum::Router = axum::Router::new().nest("/realtime", gateway.router());
//! let id = gateway.publish_json("orders/42/status", Some("picked-up"), br#"{"by":"Kim"}"#)?;
//! assert_eq!(id.offset, 1);
//! # drop(app);
//! # Ok(()) }
//! ```

pub mod app;
pub mod bus;
pub mod config;
pub mod delivery;
pub mod error;
pub mod event;
pub mod fields;
pub mod lab;
pub mod ledger;
pub mod metrics;
pub mod page;
pub mod publish;
pub mod server;
mod sync;
pub mod topic;
pub mod transport;
pub mod wsframe;
