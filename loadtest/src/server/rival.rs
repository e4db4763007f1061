//! Rivals that registries hold: what is needed to start them, and how to get it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Start;

/// A rival that can be installed and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// nginx's module, from Debian.
    Nchan,
    /// From npm.
    Socketio,
    /// From npm.
    Ws,
}

impl Rival {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nchan, Self::Socketio, Self::Ws];

    /// Its name in plans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nchan => "nchan",
            Self::Socketio => "socketio",
            Self::Ws => "ws",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rival| rival.name() == name)
    }

    /// Installs what is missing, and tells how to start it.
    ///
    /// # Errors
    /// What is missing and cannot be installed, and how to do it by hand.
    pub fn prepare(self, install: bool) -> Result<Start, String> {
        match self {
            Self::Nchan => nchan(install),
            Self::Socketio => node(
                "socketio",
                include_str!("../../rivals/socketio/package.json"),
                include_str!("../../rivals/socketio/server.mjs"),
                "node_modules/socket.io/package.json",
                install,
            ),
            Self::Ws => node(
                "ws",
                include_str!("../../rivals/ws/package.json"),
                include_str!("../../rivals/ws/server.mjs"),
                "node_modules/ws/package.json",
                install,
            ),
        }
    }

    /// What was started.
    pub fn version(self) -> Option<String> {
        match self {
            Self::Nchan => super::version(&nginx(), "-v"),
            Self::Socketio => package("socketio", "node_modules/socket.io/package.json"),
            Self::Ws => package("ws", "node_modules/ws/package.json"),
        }
    }
}

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// nginx's program: Debian keeps it out of a user's path.
pub fn nginx() -> PathBuf {
    let debian = Path::new("/usr/sbin/nginx");
    if debian.exists() { debian.to_path_buf() } else { PathBuf::from("nginx") }
}

fn nchan(install: bool) -> Result<Start, String> {
    if Path::new(MODULE).exists() {
        return Ok(Start::Nchan);
    }
    let words =
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx-light", "libnginx-mod-nchan"];
    if install {
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        let _ = command.arg("DEBIAN_FRONTEND=noninteractive").args(words).status();
    }
    if Path::new(MODULE).exists() {
        return Ok(Start::Nchan);
    }
    Err(format!("nchan is not installed; on Debian: {}", words.join(" ")))
}

/// Where a rival's packages are: out of the tree's sight.
fn folder(name: &str) -> PathBuf {
    let own = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_path_buf));
    own.unwrap_or_else(std::env::temp_dir).join("loadtest-rivals").join(name)
}

fn node(name: &str, package: &str, script: &str, wanted: &str, install: bool) -> Result<Start, String> {
    let folder = folder(name);
    let write = |file: &str, text: &str| {
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(file), text))
            .map_err(|error| format!("{}: {error}", folder.join(file).display()))
    };
    write("package.json", package)?;
    write("server.mjs", script)?;
    if !folder.join(wanted).exists() && install {
        let mut command = Command::new("npm");
        command.current_dir(&folder).args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--silent",
        ]);
        command.status().map_err(|error| format!("npm: {error}"))?;
    }
    if !folder.join(wanted).exists() {
        return Err(format!("{name} is not installed; in {}: npm install", folder.display()));
    }
    Ok(Start::Node(folder))
}

fn package(name: &str, file: &str) -> Option<String> {
    let text = fs::read_to_string(folder(name).join(file)).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let node = super::version(Path::new("node"), "--version").unwrap_or_default();
    Some(format!("{} on Node {node}", value["version"].as_str()?))
}
