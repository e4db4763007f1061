//! Builds the page (`web/`) with Node and Vite into Cargo's output folder, and writes the table of its files that
//! `src/page.rs` includes. A published crate carries the page built (`web/dist`) and needs no Node.
//!
//! Without Node, or without the network for the first `npm ci`, the gateway builds all the same: `/` then says what
//! is missing.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the page is made of.
const SOURCES: [&str; 7] =
    ["src", "public", "client/src", "index.html", "build.mjs", "package-lock.json", "tsconfig.json"];

fn main() {
    println!("cargo::rerun-if-env-changed=FANLIGHT_NO_PAGE");
    let web = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it")).join("web");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    let prebuilt = web.join("dist");
    let page = if web.join("src").exists() {
        for source in SOURCES {
            println!("cargo::rerun-if-changed={}", web.join(source).display());
        }
        build(&web, &out.join("page")).or_else(|why| {
            if is_page(&prebuilt) {
                println!(
                    "cargo::warning=the page at / is the one in web/dist, since it cannot be built: {why}"
                );
                Ok(prebuilt)
            } else {
                Err(why)
            }
        })
    } else {
        println!("cargo::rerun-if-changed={}", prebuilt.display());
        if is_page(&prebuilt) { Ok(prebuilt) } else { Err("this package carries no built page".into()) }
    };
    let table = match page {
        Ok(folder) => table(&folder).expect("the files of the page can be listed"),
        Err(why) => {
            println!("cargo::warning=the page at / is not built: {why}");
            format!("Err({why:?})")
        }
    };
    fs::write(out.join("page.rs"), table).expect("Cargo's output folder can be written");
}

/// Builds into `folder`, or says what is in the way.
fn build(web: &Path, folder: &Path) -> Result<PathBuf, String> {
    if env::var_os("FANLIGHT_NO_PAGE").is_some() {
        return Err("FANLIGHT_NO_PAGE is set".into());
    }
    let version = run(Command::new("node").arg("--version"))
        .map_err(|_| "Node.js (20.19 or later) was not found; install it and build again".to_owned())?;
    if !is_recent(version.trim()) {
        return Err(format!("Node.js {} is too old; it takes 20.19, or 22.12 or later", version.trim()));
    }
    if !modules_are_current(web) {
        // What only the tests need is installed by `cargo xtask test`.
        run(Command::new("npm").args(["ci", "--omit=dev", "--no-audit", "--no-fund"]).current_dir(web))
            .map_err(|why| format!("`npm ci` in web/ failed, is there a network? {why}"))?;
    }
    run(Command::new("node").arg("build.mjs").arg(folder).current_dir(web))
        .map_err(|why| format!("`node build.mjs` in web/ failed: {why}"))?;
    if is_page(folder) { Ok(folder.to_owned()) } else { Err("Vite wrote no index.html".into()) }
}

/// The standard output of a command that succeeded, or the last line that it complained with.
fn run(command: &mut Command) -> Result<String, String> {
    let ended = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&ended.stderr);
    for line in complaint.lines().filter(|line| !line.trim().is_empty()).take(20) {
        println!("cargo::warning={line}");
    }
    Err(ended.status.to_string())
}

/// Vite's own demand: `^20.19.0 || >=22.12.0`.
fn is_recent(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match major {
        20 => minor >= 19,
        22 => minor >= 12,
        _ => major > 22,
    }
}

/// npm notes beside what it installed what that was.
fn modules_are_current(web: &Path) -> bool {
    let changed = |path: &str| fs::metadata(web.join(path)).and_then(|file| file.modified());
    match (changed("package-lock.json"), changed("node_modules/.package-lock.json")) {
        (Ok(wanted), Ok(installed)) => installed >= wanted && web.join("node_modules/vite").exists(),
        _ => false,
    }
}

fn is_page(folder: &Path) -> bool {
    folder.join("index.html").exists()
}

/// `Ok(&[(path, content), …])`, as source.
fn table(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    list(folder, "", &mut files)?;
    files.sort();
    let mut source = String::from("Ok(&[\n");
    for name in files {
        let path = folder.join(&name);
        source +=
            &format!("    ({:?}, include_bytes!({:?})),\n", format!("/{name}"), path.display().to_string());
    }
    Ok(source + "])")
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}
