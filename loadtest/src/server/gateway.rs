//! Where the gateway's program is.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the tree that the load test was built from, if it is still there.
pub fn tree() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    root.join("Cargo.toml").exists().then(|| root.to_path_buf())
}

/// The gateway: built from the tree where there is one and Cargo, so that it is what its sources say; else the program
/// beside this one.
///
/// # Errors
/// If there is neither, or it cannot be built.
pub fn find(say: impl Fn(&str)) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    // Tests run in a folder below.
    let folder = own
        .parent()
        .map(|folder| if folder.ends_with("deps") { folder.join("..") } else { folder.to_path_buf() });
    let folder = folder.ok_or("this program has no folder")?;
    let beside = folder.join("fanlight");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let Some(root) = tree().filter(|root| folder.canonicalize().is_ok_and(|folder| folder.starts_with(root)))
    else {
        return if beside.exists() { Ok(beside) } else { Err(nowhere(&beside)) };
    };
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--quiet", "--package", "fanlight", "--bin", "fanlight"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    say("building the gateway (some minutes, the first time)");
    match command.status() {
        Ok(status) if status.success() && beside.exists() => Ok(beside),
        Ok(status) if !status.success() => Err(format!("the gateway could not be built ({status})")),
        _ if beside.exists() => Ok(beside),
        _ => Err(nowhere(&beside)),
    }
}

fn nowhere(beside: &Path) -> String {
    format!("there is no gateway at {}: build it, or say where it is with --server", beside.display())
}
