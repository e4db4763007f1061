//! `fanlight health`.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{FAILED, fail, http::Gateway, print, runtime};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ask a gateway whether it takes new clients
///
/// Ends with status 0 if it does, 1 if it does not or cannot be reached: what a container's health check wants.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The gateway
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = Gateway::parse)]
    url: Gateway,
}

impl Health {
    pub(crate) fn run(&self) -> ExitCode {
        match runtime().map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(self.ask())) {
            Ok(()) => {
                print("ready");
                ExitCode::SUCCESS
            }
            Err(why) => fail(FAILED, why),
        }
    }

    async fn ask(&self) -> Result<(), String> {
        let url = self.url.endpoint("readyz");
        let asked = self.url.client().map_err(|error| error.to_string())?.get(url.clone()).timeout(PATIENCE);
        match asked.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{url}: {}", answer.status())),
            Err(error) => Err(format!("{url}: {}", error.without_url())),
        }
    }
}
