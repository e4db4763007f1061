//! The command line: what is asked for, and who answers it.

mod backoff;
mod bind;
mod client;
mod config;
mod demo;
mod descriptors;
mod health;
mod http;
mod publish;
mod serve;
mod settings;
mod shell;
mod signals;
mod subscribe;

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// A realtime notification gateway: publish once, deliver by polling, long polling, chunked streaming,
/// Server-Sent Events or WebSocket.
///
/// Without a command it is `fanlight demo`: a gateway on loopback that publishes this host's own live
/// figures.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::Demo,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Config(config::Config),
    Publish(publish::Publish),
    Subscribe(subscribe::Subscribe),
    Health(health::Health),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Parses the command line, does what it says, and tells the exit status.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Demo(cli.demo)) {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::Publish(publish) => publish.run(),
        Command::Subscribe(subscribe) => subscribe.run(),
        Command::Health(health) => health.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

/// What was asked for could not be done.
const FAILED: u8 = 1;
/// What was asked for makes no sense, or the gateway says so.
const REFUSED: u8 = 2;

/// Says on standard error why it ends, and gives the status to end with.
fn fail(status: u8, why: impl Display) -> ExitCode {
    tell(format_args!("fanlight: {why}"));
    ExitCode::from(status)
}

/// A line on standard error. That nobody reads it is no reason to end.
fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line on standard output. That nobody reads it is no reason to end.
fn print(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// A runtime for a command that talks to one gateway, or waits for one.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_the_demo() {
        let cli = Cli::try_parse_from(["fanlight", "--listen", "127.0.0.1:9"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.demo.listen, "127.0.0.1:9".parse().unwrap());
        assert!(Cli::try_parse_from(["fanlight", "--listen", "127.0.0.1:9", "config"]).is_err());
    }
}
