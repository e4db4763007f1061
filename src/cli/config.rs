//! `fanlight config`.

use std::process::ExitCode;

use clap::Args;

use super::{REFUSED, fail, print, serve::UNITS, settings::Settings};

/// Print the effective configuration as a TOML file
///
/// What it prints can be given back with --config.
#[derive(Debug, Args)]
#[command(after_help = UNITS)]
pub(crate) struct Config {
    #[command(flatten)]
    settings: Settings,
}

impl Config {
    pub(crate) fn run(&self) -> ExitCode {
        match self.settings.load() {
            Ok(config) => {
                print(config.to_toml().trim_end());
                ExitCode::SUCCESS
            }
            Err(error) => fail(REFUSED, error),
        }
    }
}
