//! `fanlight serve`.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::Args;
use fanlight::{
    app::Gateway,
    config::{Config, LogFormat},
    server,
};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::{FAILED, REFUSED, bind, descriptors, fail, print, runtime, settings::Settings, signals::Signals};

/// How values are written, for the help texts.
pub(super) const UNITS: &str = "\
A DURATION is a number and its unit: 500ms, 15s, 5m, 1h. A SIZE is a number and its unit: 64KiB, 256MiB, \
1GB. In a variable and after a flag several values are separated by commas.";

/// Run a gateway
///
/// The first lines on standard output are `listening on http://ADDR:PORT`, one for each address; the log
/// goes to standard error. SIGTERM, SIGINT or SIGHUP drains the gateway: its subscribers are told to
/// reconnect elsewhere, and it ends with status 0. A second signal ends it at once.
#[derive(Debug, Args)]
#[command(after_help = UNITS)]
pub(crate) struct Serve {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(crate) fn run(&self) -> ExitCode {
        let config = match self.settings.load() {
            Ok(config) => config,
            Err(error) => return fail(REFUSED, error),
        };
        let _log = start_log(&config);
        for variable in super::settings::unknown(std::env::vars_os()) {
            tracing::warn!(
                "{variable} is no setting and was not read; `fanlight config` prints all that there are"
            );
        }
        descriptors::prepare(&config);
        match serve(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(FAILED, why),
        }
    }
}

fn serve(config: Config) -> Result<(), String> {
    let listeners = bind::bind(&config)?;
    runtime().map_err(|error| error.to_string())?.block_on(async {
        // Before anything is printed: who reads the line may send a signal at once.
        let signals = Signals::new().map_err(|error| error.to_string())?;
        for addr in bind::addresses(&listeners.gateway) {
            print(format_args!("listening on http://{addr}"));
        }
        for addr in bind::addresses(listeners.publish.as_slice()) {
            print(format_args!("publishing on http://{addr}"));
        }
        let drained = server::run(Gateway::new(config), listeners, signals.shutdown());
        drained.await.map_err(|error| error.to_string())
    })
}

/// Sends the log to standard error as the configuration says, from a thread of its own: whoever reads it slowly
/// loses lines, and does not hold up a core. What is left is written when the guard goes.
pub(crate) fn start_log(config: &Config) -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(io::stderr());
    // A filter that cannot be read was refused with the configuration.
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_default();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match config.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    guard
}
