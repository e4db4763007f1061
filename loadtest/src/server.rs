//! Servers that the load test starts: a fresh one for each run, bound to cores of their own.

use std::{
    fs, io,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Cores;

pub mod gateway;
pub mod rival;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(15);

/// How to start a server.
#[derive(Clone, Debug)]
pub enum Start {
    /// The gateway: the program, and further arguments.
    Gateway(PathBuf, Vec<String>),
    /// nginx with nchan.
    Nchan,
    /// A script for Node, in a folder with its packages.
    Node(PathBuf),
}

/// A running server. It is ended when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its command line.
    pub command: String,
    folder: Option<PathBuf>,
    /// The gateway is killed: it has nothing to lose, and the next one waits.
    kill: bool,
}

impl Start {
    /// Starts it.
    ///
    /// # Errors
    /// If it does not listen within 15 seconds; what it said is in the error.
    pub fn run(&self, cores: &Cores) -> io::Result<Running> {
        match self {
            Self::Gateway(program, args) => {
                let mut command = Command::new(program);
                let count = cores.server.len().max(1).to_string();
                command.args(["serve", "--listen", "127.0.0.1:0", "--cores", &count, "--log-level", "warn"]);
                command.args(args);
                spawned(command, cores, Wait::Said, None)
            }
            Self::Nchan => {
                // nginx cannot tell which port it got.
                let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
                let folder =
                    std::env::temp_dir().join(format!("loadtest-nchan-{}-{port}", std::process::id()));
                fs::create_dir_all(&folder)?;
                let text = include_str!("../rivals/nchan.conf")
                    .replace("@PORT@", &port.to_string())
                    .replace("@WORKERS@", &cores.server.len().max(1).to_string())
                    .replace("@FOLDER@", &folder.to_string_lossy());
                fs::write(folder.join("nginx.conf"), text)?;
                let mut command = Command::new(rival::nginx());
                command.arg("-c").arg(folder.join("nginx.conf"));
                spawned(command, cores, Wait::Port(port), Some(folder))
            }
            Self::Node(folder) => {
                let mut command = Command::new("node");
                command.arg(folder.join("server.mjs")).current_dir(folder);
                spawned(command, cores, Wait::Said, None)
            }
        }
    }
}

/// How one knows that a server listens.
enum Wait {
    /// It says `listening on http://ADDR:PORT`.
    Said,
    /// It takes connections there.
    Port(u16),
}

fn spawned(command: Command, cores: &Cores, wait: Wait, folder: Option<PathBuf>) -> io::Result<Running> {
    let kill = matches!(wait, Wait::Said);
    let full = format!("{command:?}").replace('"', "");
    // Where a program lies is nobody's business.
    let said = full.split_once(' ').map_or(full.clone(), |(program, rest)| {
        format!("{} {rest}", program.rsplit('/').next().unwrap_or(program))
    });
    let mut command = tied(&command, kill);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = cores.on_servers(|| command.spawn());
    let mut child = child.map_err(|error| io::Error::new(error.kind(), format!("{full}: {error}")))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Made at once, so that it is ended whatever happens below.
    let mut running =
        Running { child, addr: SocketAddr::from(([127, 0, 0, 1], 0)), command: said, folder, kill };
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        // Read to its end, so that nothing it prints holds it up.
        let Some(stdout) = stdout else { return };
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let errors = collected(stderr);
    let start = Instant::now();
    loop {
        let addr = match wait {
            Wait::Said => match lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    line.strip_prefix("listening on http://").and_then(|addr| addr.trim().parse().ok())
                }
                Err(_) => None,
            },
            Wait::Port(port) => {
                let addr = SocketAddr::from(([127, 0, 0, 1], port));
                let found = TcpStream::connect(addr).is_ok();
                if !found {
                    thread::sleep(Duration::from_millis(20));
                }
                found.then_some(addr)
            }
        };
        if let Some(addr) = addr {
            running.addr = addr;
            return Ok(running);
        }
        let ended = running.child.try_wait()?;
        if ended.is_some() || start.elapsed() > PATIENCE {
            let why = ended.map_or("does not listen".to_owned(), |status| format!("ended: {status}"));
            let errors = errors.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
            return Err(io::Error::other(format!("{full} {why}\n{}", errors.trim_end())));
        }
    }
}

/// The same command, ended by the kernel when this process is: whoever kills the load test leaves no server behind. Where
/// there is no `setpriv` (util-linux), it is as it was.
fn tied(command: &Command, kill: bool) -> Command {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("setpriv"))
        .find(|program| program.exists());
    let mut tied = match found {
        Some(setpriv) => {
            let mut tied = Command::new(setpriv);
            tied.args(["--pdeathsig", if kill { "KILL" } else { "TERM" }, "--"]).arg(command.get_program());
            tied
        }
        None => Command::new(command.get_program()),
    };
    tied.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    tied
}

/// The first that a server says on standard error.
fn collected(stderr: Option<ChildStderr>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let Some(mut stderr) = stderr else { return };
        let (mut text, mut scratch) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stderr.read(&mut scratch) {
            if text.len() < 4096 {
                text.extend_from_slice(&scratch[..count]);
            }
        }
        let _ = send.send(String::from_utf8_lossy(&text).into_owned());
    });
    receive
}

impl Running {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.kill {
            let _ = self.child.kill();
        } else if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // nginx ends its workers only when it is asked to.
            let _ = kill_process(id, Signal::TERM);
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(3) && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// The first line that a program says when it is asked for its version.
pub fn version(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}
