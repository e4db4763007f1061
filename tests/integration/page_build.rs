//! `build.rs` where something is missing: the gateway builds all the same, and knows why it has no page.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tempfile::TempDir;

/// `build.rs` as a program. It needs nothing but the standard library.
fn script() -> &'static Path {
    static SCRIPT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, script) = SCRIPT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("build");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let compiled =
            Command::new("rustc").args(["--edition", "2024", "-o"]).arg(&script).arg(source).status();
        assert!(compiled.unwrap().success());
        (folder, script)
    });
    script
}

/// A package of its own, and what can be run in it.
struct Package(TempDir);

impl Package {
    fn new(files: &[&str]) -> Self {
        let package = Self(tempfile::tempdir().unwrap());
        fs::create_dir(package.path("bin")).unwrap();
        fs::create_dir(package.path("out")).unwrap();
        for file in files {
            let path = package.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, *file).unwrap();
        }
        package
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Has a command of this name.
    fn with(self, name: &str, body: &str) -> Self {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// What was printed, and the table of files.
    fn build(&self) -> (String, String) {
        let Output { status, stdout, stderr } = Command::new(script())
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("CARGO_MANIFEST_DIR", self.0.path())
            .env("OUT_DIR", self.path("out"))
            .output()
            .unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        (String::from_utf8(stdout).unwrap(), fs::read_to_string(self.path("out/page.rs")).unwrap())
    }

    /// There is no page, it says why, and the source tree is as it was.
    fn fails(&self, why: &str) {
        let (said, table) = self.build();
        let warning = said.lines().find(|line| line.starts_with("cargo::warning=the page")).expect(&said);
        assert!(warning.contains(why), "{warning}");
        assert!(table.starts_with("Err(") && table.contains(why), "{table}");
    }
}

#[test]
fn without_node() {
    Package::new(&["web/src/main.tsx"]).fails("Node.js (20.19 or later) was not found");
}

#[test]
fn with_a_node_that_is_too_old() {
    for version in ["v18.20.4", "v20.18.9", "v21.7.3", "v22.11.0"] {
        let package = Package::new(&["web/src/main.tsx"]).with("node", &format!("echo {version}"));
        package.fails(&format!("Node.js {version} is too old"));
    }
}

#[test]
fn without_a_network_for_the_first_installation() {
    let package = Package::new(&["web/src/main.tsx", "web/package-lock.json"]).with("node", "echo v22.12.0");
    let package = package.with("npm", "echo 'npm error code ENOTFOUND' >&2; exit 1");
    let (said, _) = package.build();
    assert!(said.contains("cargo::warning=npm error code ENOTFOUND"), "{said}");
    package.fails("`npm ci` in web/ failed, is there a network?");
}

#[test]
fn with_a_build_that_fails() {
    let package = Package::new(&["web/src/main.tsx", "web/package-lock.json"]).with("npm", "exit 0");
    let package = package.with("node", "[ \"$1\" = --version ] && echo v24.1.0 && exit 0; exit 7");
    package.fails("`node build.mjs` in web/ failed");
}

#[test]
fn a_page_that_was_built_before_stands_in() {
    let files = ["web/src/main.tsx", "web/dist/index.html"];
    let (said, table) = Package::new(&files).build();
    assert!(said.contains("cargo::warning=the page at / is the one in web/dist"), "{said}");
    assert!(table.starts_with("Ok(") && table.contains("\"/index.html\""), "{table}");
}

#[test]
fn a_published_package_needs_no_node() {
    let files = ["web/dist/index.html", "web/dist/client.js", "web/dist/assets/index-0123.js"];
    let package = Package::new(&files);
    let (said, table) = package.build();
    assert!(!said.contains("warning"), "{said}");
    for path in ["/index.html", "/client.js", "/assets/index-0123.js"] {
        let content = package.path("web/dist").join(&path[1..]);
        assert!(table.contains(&format!("({path:?}, include_bytes!({:?}))", content.display().to_string())));
    }
}

#[test]
fn node_builds_into_cargos_folder() {
    let package = Package::new(&["web/src/main.tsx", "web/package-lock.json"]).with("npm", "exit 0");
    let package = package.with(
        "node",
        "[ \"$1\" = --version ] && echo v20.19.0 && exit 0; /bin/mkdir -p $2; echo x > $2/index.html",
    );
    let (said, table) = package.build();
    assert!(!said.contains("warning"), "{said}");
    assert!(table.contains("out/page/index.html"), "{table}");
}
