//! `fanlight completions` and `fanlight man`: what a package installs beside the program.

use std::{io, process::ExitCode};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, FAILED, fail};

/// Print a shell's completions for this command
///
/// For bash: fanlight completions bash > /usr/share/bash-completion/completions/fanlight
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> ExitCode {
        clap_complete::generate(self.shell, &mut Cli::command(), "fanlight", &mut io::stdout());
        ExitCode::SUCCESS
    }
}

/// Print the manual page
///
/// To read it: fanlight man | man -l -
#[derive(Debug, Args)]
pub(crate) struct Man {}

impl Man {
    pub(crate) fn run(&self) -> ExitCode {
        let mut command = Cli::command();
        command.build();
        // One page: the command, then each of its own.
        let pages = std::iter::once(command.clone()).chain(command.get_subcommands().cloned());
        for page in pages.filter(|page| !page.is_hide_set() && page.get_name() != "help") {
            if let Err(error) = clap_mangen::Man::new(page).render(&mut io::stdout()) {
                return fail(FAILED, error);
            }
        }
        ExitCode::SUCCESS
    }
}
