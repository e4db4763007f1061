//! `fanlight demo`.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Args;
use fanlight::{app::Gateway, config::Config, server};
use tokio_stream::StreamExt as _;

use super::{FAILED, REFUSED, bind, fail, print, runtime, serve::start_log, signals::Signals};
use crate::host;

/// Run a gateway on loopback that publishes this host's own live figures (the default)
///
/// CPU, memory, load, network and disks are published once a second under `host/…`. The lab is on: its page
/// can shape connections. What it prints are commands to try.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to listen: a loopback address and a port, 0 for any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
}

impl Demo {
    pub(crate) fn run(&self) -> ExitCode {
        // Whoever looks at a terminal wants no line for each connection of a page.
        let log_level = "info,fanlight::connection=warn".to_owned();
        let config = Config { listen: vec![self.listen], log_level, lab: true, ..Config::default() };
        if !self.listen.ip().to_canonical().is_loopback() {
            let why = "the demo is open to everyone who can reach it, so it listens on loopback only \
                       (127.0.0.1 or [::1]); `fanlight serve` is for other addresses";
            return fail(REFUSED, format_args!("--listen {}: {why}", self.listen));
        }
        let _log = start_log(&config);
        match demo(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(FAILED, why),
        }
    }
}

fn demo(config: Config) -> Result<(), String> {
    let listeners = bind::bind(&config)?;
    runtime().map_err(|error| error.to_string())?.block_on(async {
        let signals = Signals::new().map_err(|error| error.to_string())?;
        for addr in bind::addresses(&listeners.gateway) {
            print(format_args!("listening on http://{addr}"));
            print(invitation(addr));
        }
        let gateway = Gateway::new(config);
        let publisher = tokio::spawn(publish_figures(gateway.clone()));
        let drained = server::run(gateway, listeners, signals.shutdown()).await;
        publisher.abort();
        drained.map_err(|error| error.to_string())
    })
}

async fn publish_figures(gateway: Gateway) {
    let mut figures = std::pin::pin!(host::figures(Duration::from_secs(1)));
    while let Some(figures) = figures.next().await {
        for figure in figures {
            let data = figure.data.to_string();
            if let Err(problem) = gateway.publish_json(&figure.topic, Some(figure.kind), data.as_bytes()) {
                tracing::warn!(topic = figure.topic, ?problem, "a figure was not published");
            }
        }
    }
}

fn invitation(addr: SocketAddr) -> String {
    let url = format!("http://{addr}");
    let given =
        if addr.port() == 8080 && addr.ip().is_ipv4() { String::new() } else { format!(" --url {url}") };
    format!(
        "
This host's CPU, memory, load, network and disks are published under host/… once a second.
The same events over each transport:

  curl -N '{url}/v1/sse?topic=host/load'
  curl -N '{url}/v1/chunked?topic=host/cpu/*'
  curl '{url}/v1/poll?topic=host/**&last=1'
  curl '{url}/v1/longpoll?topic=host/memory&after='$(curl -s {url}/v1/cursor | cut -d'\"' -f4)
  fanlight subscribe 'host/**' --transport websocket{given}

Publish your own:

  curl '{url}/v1/publish?topic=orders/42/status' --json '{{\"state\":\"picked up\"}}'
  journalctl -f -o json | fanlight publish logs/journal{given}

Ctrl-C ends it."
    )
}
