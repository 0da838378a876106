//! Builds the small library that traced programs load beside themselves (`src/trace/kernel/preload.c`).
//!
//! Where it cannot be built (another processor, no C compiler for the target) an empty file stands for it: tracing then
//! does without and is slower.

use std::env;
use std::fs::File;
use std::path::PathBuf;

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

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
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
