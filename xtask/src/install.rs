//! What the checks need and a bare Debian machine with Rust and Node does not have.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{run, tally::Report};

const VENV: &str = "tests/.venv";
const REQUIREMENTS: &str = "tests/requirements.txt";
/// What was installed: a copy of the requirements as they were then.
const INSTALLED: &str = "tests/.venv/requirements.txt";

/// Installs only what is missing, so that a second run is quick and needs no network.
pub(crate) fn missing(deadline: Instant) -> Report {
    println!("── install ──");
    let start = Instant::now();
    let mut commands: Vec<Vec<&str>> = Vec::new();
    let packages = packages();
    if !packages.is_empty() {
        commands.push(as_root(&["apt-get", "update", "-qq"]));
        let mut install = as_root(&[
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
        ]);
        install.extend(packages);
        commands.push(install);
    }
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !succeeds("cargo", &[tool, "--version"]) {
            commands.push(vec!["rustup", "component", "add", component]);
        }
    }
    for (tool, package) in [("nextest", "cargo-nextest"), ("fuzz", "cargo-fuzz")] {
        if !succeeds("cargo", &[tool, "--version"]) {
            commands.push(vec!["cargo", "install", "--locked", package]);
        }
    }
    // The build of the gateway installs only what builds the page.
    if !node_modules_are_current("web") || !Path::new("web/node_modules/vitest").exists() {
        commands.push(vec!["npm", "--prefix", "web", "ci", "--no-audit", "--no-fund"]);
    }
    for folder in
        ["web/client", "tests/clients"].into_iter().filter(|folder| !node_modules_are_current(folder))
    {
        let quiet = ["install", "--no-package-lock", "--no-audit", "--no-fund"];
        commands.push(["npm", "--prefix", folder].into_iter().chain(quiet).collect());
    }

    if !python_packages_are_current() {
        let venv = ["python3", "-m", "venv", VENV];
        let pip = "tests/.venv/bin/pip";
        commands.push(venv.to_vec());
        commands.push(vec![pip, "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]);
        commands.push(vec!["cp", REQUIREMENTS, INSTALLED]);
    }

    let mut failed = 0;
    for words in commands {
        println!("{}", words.join(" "));
        let ended = run::watched(Command::new(words[0]).args(&words[1..]), deadline);
        failed |= u64::from(!ended.success);
    }
    Report { passed: 1 - failed, failed, took: start.elapsed() }
}

/// Debian's packages: a browser, and a font that has Korean.
fn packages() -> Vec<&'static str> {
    let wanted = [
        (succeeds("curl", &["--version"]), "curl"),
        (succeeds("g++", &["--version"]), "g++"),
        (succeeds("go", &["version"]), "golang-go"),
        (succeeds("jq", &["--version"]), "jq"),
        (succeeds("tshark", &["--version"]), "tshark"),
        (succeeds("systemd-analyze", &["--version"]), "systemd"),
        (succeeds("/usr/sbin/nginx", &["-v"]), "nginx-light"),
        (Path::new("/usr/lib/nginx/modules/ngx_nchan_module.so").exists(), "libnginx-mod-nchan"),
        (succeeds("python3", &["-c", "import venv, ensurepip"]), "python3-venv"),
        (Path::new("/usr/bin/chromium").exists(), "chromium"),
        (Path::new("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc").exists(), "fonts-noto-cjk"),
    ];
    wanted.into_iter().filter(|(there, _)| !there).map(|(_, package)| package).collect()
}

fn as_root(words: &[&'static str]) -> Vec<&'static str> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    let sudo = !root && succeeds("sudo", &["--version"]);
    sudo.then_some("sudo").into_iter().chain(words.iter().copied()).collect()
}

/// The manifest names exact versions; npm notes beside what it installed what that was.
fn node_modules_are_current(folder: &str) -> bool {
    let changed = |path: &str| fs::metadata(Path::new(folder).join(path)).and_then(|file| file.modified());
    match (changed("package.json"), changed("node_modules/.package-lock.json")) {
        (Ok(wanted), Ok(installed)) => installed >= wanted,
        _ => false,
    }
}

/// The requirements name exact versions.
fn python_packages_are_current() -> bool {
    matches!((fs::read(REQUIREMENTS), fs::read(INSTALLED)), (Ok(wanted), Ok(installed)) if wanted == installed)
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    let quiet = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}
