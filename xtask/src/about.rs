//! What a figure has to say of where it comes from.

use std::{fs, process::Command};

/// The commit that is checked out, with a mark where the tree differs from it.
pub(crate) fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if changed { format!("{commit}+") } else { commit }
}

/// Cores, processor and kernel.
pub(crate) fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = said("uname", &["-sr"]);
    format!("{cores} cores ({}), {kernel}", model.map_or("unknown", |(_, name)| name))
}

/// A name and what stands after `Version: ` in what a program says.
pub(crate) fn version(program: &str, words: &[&str], name: &str) -> String {
    let said = said(program, words);
    let version = said.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap_or("unknown");
    format!("{name}{version}")
}

/// The version of `cargo TOOL`.
pub(crate) fn cargo_tool(tool: &str) -> String {
    let said = said("cargo", &[tool, "--version"]);
    said.rsplit(' ').next().unwrap_or("unknown").to_owned()
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
