//! The servers that are measured: each started anew on core 0, and looked at from outside.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Which server, and by which of its ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Fanlight as it is.
    Taken,
    /// Fanlight with `--no-takeover`.
    Hosted,
    /// nginx with nchan: one worker, memory store.
    Nchan,
    /// The bare epoll loop.
    Floor,
}

impl Target {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Taken => "fanlight",
            Self::Hosted => "fanlight --no-takeover",
            Self::Nchan => "nchan",
            Self::Floor => "floor",
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The gateway.
    pub(crate) fanlight: PathBuf,
    /// The floor.
    pub(crate) floor: PathBuf,
}

/// A running server. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Which.
    pub(crate) target: Target,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    directory: Option<PathBuf>,
}

const NCHAN: &str = r"
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
worker_processes 1;
worker_rlimit_nofile 65000;
daemon off;
user root;
pid DIR/nginx.pid;
error_log DIR/error.log warn;
events { worker_connections 40000; multi_accept on; }
http {
  access_log off;
  keepalive_timeout 3600; keepalive_requests 100000000;
  tcp_nodelay on;
  client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  nchan_shared_memory_size 512M;
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location = /pub { nchan_publisher; nchan_channel_id t; nchan_message_buffer_length 20000; nchan_message_timeout 10m; client_max_body_size 1m; client_body_buffer_size 64k; }
    location = /sub { nchan_subscriber websocket eventsource longpoll http-chunked; nchan_channel_id t; nchan_subscriber_first_message newest; nchan_subscriber_timeout 0; }
    location = /poll { nchan_subscriber intervalpoll; nchan_channel_id t; nchan_subscriber_first_message newest; }
  }
}
";

impl Server {
    /// Starts a server on the given cores; `args` are for the gateway.
    ///
    /// # Errors
    /// If it does not start, or does not listen within ten seconds.
    pub(crate) fn start(target: Target, programs: &Programs, cores: &str, args: &[&str]) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut directory = None;
        match target {
            Target::Taken | Target::Hosted => {
                let listen = addr.to_string();
                let count = if cores.contains(['-', ',']) { "2" } else { "1" };
                command.arg(&programs.fanlight).args(["serve", "--listen", &listen, "--cores", count]);
                command.args(args);
                if target == Target::Hosted {
                    command.arg("--no-takeover");
                }
            }
            Target::Floor => {
                command.arg(&programs.floor).arg(port.to_string()).arg("send");
            }
            Target::Nchan => {
                let path =
                    std::env::temp_dir().join(format!("fanlight-benches-{}-{port}", std::process::id()));
                fs::create_dir_all(&path)?;
                let text = NCHAN.replace("PORT", &port.to_string()).replace("DIR", &path.to_string_lossy());
                fs::write(path.join("nginx.conf"), text)?;
                command.args(["nginx", "-c"]).arg(path.join("nginx.conf"));
                directory = Some(path);
            }
        }
        let child = command.stdout(Stdio::piped()).spawn()?;
        let mut server = Self { child, target, addr, directory };
        if let Some(stdout) = server.child.stdout.take() {
            // Kept open, and read to its end, so that nothing it prints holds it up.
            std::thread::spawn(move || BufReader::new(stdout).lines().for_each(drop));
        }
        let start = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if start.elapsed() > Duration::from_secs(10) || server.child.try_wait()?.is_some() {
                return Err(io::Error::other(format!("{} does not listen", target.name())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(300));
        Ok(server)
    }

    /// The process and its children.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id()));
        all.extend(children.unwrap_or_default().split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        all
    }

    /// CPU time of all its threads, in nanoseconds.
    pub(crate) fn cpu(&self) -> u64 {
        let threads = self.processes().into_iter().flat_map(|id| {
            let tasks = fs::read_dir(format!("/proc/{id}/task"));
            tasks
                .into_iter()
                .flatten()
                .flatten()
                .map(|task| task.path().join("schedstat"))
                .collect::<Vec<_>>()
        });
        threads.filter_map(|path| first_number(&path)).sum()
    }

    /// CPU time in user space, in nanoseconds, to 10 ms.
    pub(crate) fn user(&self) -> u64 {
        let stat = |id: u32| fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let ticks = self.processes().into_iter().filter_map(|id| {
            let stat = stat(id);
            let (_, rest) = stat.rsplit_once(')')?;
            rest.split_whitespace().nth(11)?.parse::<u64>().ok()
        });
        ticks.sum::<u64>() * 10_000_000
    }

    /// Resident memory of all its processes, in KiB.
    pub(crate) fn rss(&self) -> u64 {
        let of = |id: u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).map(str::to_owned);
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.processes().into_iter().map(of).sum()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        let of = |id: u32| fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        self.processes().into_iter().map(of).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its worker only when it is asked to.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

fn first_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

/// The kernel's memory for TCP sockets, in KiB.
pub(crate) fn socket_memory() -> u64 {
    let stat = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = stat.lines().find(|line| line.starts_with("TCP:")).map(str::to_owned).unwrap_or_default();
    let pages = line.split_whitespace().skip_while(|word| *word != "mem").nth(1);
    pages.and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}
