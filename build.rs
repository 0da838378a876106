//! Build script: the version with commit and target, and the small library that traced programs load beside themselves
//! (`src/trace/kernel/preload.c`).
//!
//! Where the library cannot be built (another processor, no C compiler for the target) an empty file stands for it: tracing then
//! does without and is slower.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "src/trace/kernel/preload.c";

/// It needs nothing of a C library, so that it loads beside any.
const FLAGS: &[&str] = &[
    "-O2",
    "-fPIC",
    "-shared",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fvisibility=hidden",
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
    "-Wl,-z,relro,-z,now,--hash-style=both,--build-id=none",
    "-s",
    "-o",
];

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=NOXIDE_LONG_VERSION={}", describe_version());
    build_preload();
}

/// Returns version, commit and target, such as `0.2.0 (0123456789 2026-11-30, x86_64-unknown-linux-gnu)`.
fn describe_version() -> String {
    let (version, target) = (variable("CARGO_PKG_VERSION"), variable("TARGET"));
    match find_commit() {
        Some(commit) => format!("{version} ({commit}, {target})"),
        None => format!("{version} ({target})"),
    }
}

/// Returns the commit and its date, of a build in a Git repository. Only of optimized builds: others would be built
/// again after each commit.
fn find_commit() -> Option<String> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    // The sources may lie in the repository of something else.
    if variable("PROFILE") != "release" || !root.join(".git").exists() {
        return None;
    }
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).current_dir(&root).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        let path = root.join(Path::new(&path));
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["log", "-1", "--abbrev=10", "--format=%h %cs"])
}

fn build_preload() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let library = PathBuf::from(variable("OUT_DIR")).join("preload.so");
    let fits = variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ARCH") == "x86_64";
    let pointers = variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    if fits && pointers {
        let compiler = cc::Build::new().cargo_metadata(false).no_default_flags(true).try_get_compiler();
        let built = compiler.map_err(|error| error.to_string()).and_then(|compiler| {
            let done = compiler.to_command().args(FLAGS).arg(&library).arg(SOURCE).output();
            done.map_err(|error| error.to_string()).and_then(|done| {
                if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
            })
        });
        match built {
            Ok(()) => return,
            Err(why) => println!("cargo::warning=tracing will be slower: {SOURCE} could not be built: {why}"),
        }
    }
    if let Err(error) = File::create(&library) {
        println!("cargo::error=cannot write {}: {error}", library.display());
    }
}
