//! One command, watched: shown as it runs, kept to be counted, ended when its time is up.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

/// How long a command's children may keep its output open once it has ended.
const LINGER: Duration = Duration::from_secs(5);

/// How a command ended, and all that it said.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) lines: Vec<String>,
}

/// Runs a command until it ends or `deadline` is reached.
pub(crate) fn watched(command: &mut Command, deadline: Instant) -> Ended {
    // A group of its own, so that what a hanging test started ends with it.
    let spawned =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let line = format!("{}: {error}", command.get_program().display());
            println!("{line}");
            return Ended { success: false, lines: vec![line] };
        }
    };
    let (sender, receiver) = mpsc::channel();
    forward(child.stdout.take().expect("stdout is piped"), sender.clone());
    forward(child.stderr.take().expect("stderr is piped"), sender);

    let (mut lines, mut in_time) = (Vec::new(), true);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(LINGER)) {
            Ok(line) => {
                println!("{line}");
                lines.push(line);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        in_time = left > LINGER;
        // Quiet: still at work, or gone, and what it started holds the pipe.
        if !in_time || child.try_wait().is_ok_and(|status| status.is_some()) {
            println!("{}", if in_time { "left something running: ended" } else { "out of time: ended" });
            end_group(child.id());
            break;
        }
    }
    let status = child.wait();
    Ended { success: in_time && status.is_ok_and(|status| status.success()), lines }
}

fn forward(pipe: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        // By bytes: what a test prints need not be UTF-8, and must not end the reading.
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

/// Without a C library at hand the shell's own `kill` has to do it.
fn end_group(leader: u32) {
    let _ = Command::new("sh").args(["-c", &format!("kill -KILL -{leader}")]).status();
}
