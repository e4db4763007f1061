//! A gateway, the command as a child, and what it wrote.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use loadtest::{
    cores::Cores,
    results::Results,
    server::{Running, Start, gateway},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The gateway's program: what this build of the workspace made, else one that is made now.
pub(crate) fn program() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name("fanlight");
    if own.exists() { own } else { gateway::find(|doing| eprintln!("{doing}")).expect("there is a gateway") }
}

/// A gateway that runs anywhere.
pub(crate) fn gateway(args: &[&str]) -> Running {
    let args = args.iter().map(|word| (*word).to_owned()).collect();
    Start::Gateway(program(), args).run(&Cores::default()).expect("the gateway starts")
}

/// The command, writing into a folder of its own.
pub(crate) fn command(words: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().expect("there is room");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(words).arg("--quiet").arg("--out").arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (command, folder)
}

/// What the command wrote, and how it ended.
pub(crate) fn ran(words: &[&str]) -> (Results, Output, TempDir) {
    let (mut command, folder) = command(words);
    let output = command.output().expect("it starts");
    (read(&folder, &output), output, folder)
}

/// What is in the folder of a command that has ended.
pub(crate) fn read(folder: &TempDir, output: &Output) -> Results {
    let said = String::from_utf8_lossy(&output.stderr);
    let text = std::fs::read_to_string(folder.path().join("report.json"));
    let text = text.unwrap_or_else(|error| panic!("no results ({error}); it said: {said}"));
    serde_json::from_str(&text).expect("the results can be read")
}

/// A process that is stopped and goes on.
pub(crate) struct Process(Pid);

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self(Pid::from_raw(id.cast_signed()).expect("it is no zero"))
    }

    /// Stops it for so long.
    pub(crate) fn stall(&self, time: Duration) {
        let start = Instant::now();
        kill_process(self.0, Signal::STOP).expect("it runs");
        std::thread::sleep(time.saturating_sub(start.elapsed()));
        kill_process(self.0, Signal::CONT).expect("it is there");
    }
}

/// Waits for a child, for a minute at most.
pub(crate) fn ended(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().expect("it is there").is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("it has ended")
}
