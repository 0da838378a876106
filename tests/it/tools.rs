//! The Python tools that `.ci/test` puts into `target/venv`: nox, uv, maturin.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder of their programs.
pub(crate) fn folder() -> PathBuf {
    let venv = std::env::var_os("NOXIDE_TEST_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"), PathBuf::from);
    let folder = venv.join("bin");
    assert!(folder.is_dir(), "no {}: run the tests with .ci/test, which makes it", folder.display());
    folder
}

/// One of them.
pub(crate) fn tool(name: &str) -> PathBuf {
    folder().join(name)
}

/// A `PATH` with these folders first and then only the system's own.
pub(crate) fn path_of(folders: &[&Path]) -> OsString {
    let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new);
    std::env::join_paths(folders.iter().chain(system.iter())).unwrap()
}
