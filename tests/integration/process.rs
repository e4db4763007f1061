//! The command as a process.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use crate::{
    harness::Server,
    http::{soon, until},
};

/// The program with arguments, and nothing of this process's own settings.
pub(crate) fn fanlight(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanlight"));
    // What is freed goes back to the kernel at once, so that memory that is measured is memory that is held.
    command.env("MIMALLOC_PURGE_DELAY", "0");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FANLIGHT_")) {
        command.env_remove(name);
    }
    command
}

/// A running `fanlight serve` on a port of its own. It is killed when dropped.
pub(crate) struct Served {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    pub(crate) first_line: String,
    client: Server,
}

impl Served {
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::run(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()).await
    }

    /// Runs any subcommand that serves, and reads the address from its first line.
    pub(crate) async fn run(args: &[&str]) -> Self {
        let mut child = fanlight(args).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        let (first_line, stdout) = soon(read).await.unwrap();
        let addr: Option<SocketAddr> = first_line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.strip_suffix('\n'))
            .and_then(|addr| addr.parse().ok());
        let Some(addr) = addr else {
            let _ = child.kill();
            panic!("the first line is {first_line:?}, the end {:?}", child.wait());
        };
        Self { child, stdout: Some(stdout), first_line, client: Server::elsewhere(addr) }
    }

    /// What a test asks it through.
    pub(crate) fn client(&self) -> &Server {
        &self.client
    }

    /// Bytes of memory it holds.
    pub(crate) fn resident(&self) -> usize {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        open.expect("Linux").count()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end: how it ended, and what else it had printed.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        let mut printed = String::new();
        self.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (status.unwrap(), printed)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
