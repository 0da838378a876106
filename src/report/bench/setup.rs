//! Setup of a benchmark: the commands to compare, versions of their tools, and the document that holds the table.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::markdown_block::{MarkdownBlockError, replace_delimited_block};
use super::plan::BenchVariant;
use crate::fs::write_atomic;

/// Start of a new document.
const DOCUMENT_HEADER: &str =
    "# CI/CD\n\n## Before and after\n\nWritten by `noxide bench`, which replaces the text between the markers.\n";

/// Errors setting up a benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchSetupError {
    /// The path of noxide is not UTF-8.
    #[error("the path of noxide is not UTF-8: {}; move it", .0.to_string_lossy())]
    NotUtf8(OsString),
    /// The program of noxide cannot be located.
    #[error("cannot locate noxide itself: {0}")]
    NoProgram(io::Error),
    /// The markers of the document are invalid.
    #[error("{}: {source}", path.display())]
    Delimiters {
        /// The document.
        path: PathBuf,
        /// Error in the markers.
        source: MarkdownBlockError,
    },
    /// The document cannot be read or written.
    #[error("cannot {action} the document: {source}")]
    Document {
        /// `read` or `write`.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
}

/// Commands to measure, with tools and their versions.
#[derive(Debug)]
pub(crate) struct BenchCommands {
    pub(crate) variants: Vec<BenchVariant>,
    /// Tools and their versions.
    pub(crate) versions: Vec<(String, String)>,
}

impl BenchCommands {
    /// Returns whether `nox` is a command on PATH.
    pub(crate) fn has_nox() -> bool {
        read_command_output(&["nox", "--version"]).is_some()
    }

    /// Returns the commands: `before` or nox, then the shell commands of `after` or `noxide run`. `nox_python` is the
    /// interpreter that has nox if there is no `nox` on PATH.
    ///
    /// # Errors
    /// When noxide cannot be located, or a path is not UTF-8.
    pub(crate) fn new(before: &[String], after: &[String], nox_python: Option<&Path>) -> Result<Self, BenchSetupError> {
        let to_text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| BenchSetupError::NotUtf8(path.as_os_str().to_owned()))
        };
        let nox_python = nox_python.map(to_text).transpose()?;
        let nox = |flags: &[&str]| -> Vec<String> {
            let program = match &nox_python {
                Some(python) => vec![python.as_str(), "-m", "nox"],
                None => vec!["nox"],
            };
            program.into_iter().chain(flags.iter().copied()).map(str::to_owned).collect()
        };
        let variant = |name: &str, command: Vec<String>| BenchVariant { name: name.to_owned(), command };
        let mut versions = vec![("noxide".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        let mut variants = Vec::new();
        if before.is_empty() {
            let version = read_command_output(&nox(&["--version"])).unwrap_or_default();
            versions.push(("nox".to_owned(), version.trim().to_owned()));
            versions.extend(read_command_output(&["uv", "--version"]).map(|uv| {
                let number = uv.split_whitespace().nth(1).unwrap_or_default().to_owned();
                ("uv".to_owned(), number)
            }));
            variants.push(variant("nox", nox(&[])));
            if read_command_output(&nox(&["--help"])).is_some_and(|help| help.contains("--allow-parallel")) {
                variants.push(variant("nox -j auto", nox(&["-j", "auto", "--allow-parallel"])));
            }
        } else {
            variants.push(variant(&before.join(" "), before.to_vec()));
        }
        if after.is_empty() {
            let noxide = std::env::current_exe().map_err(BenchSetupError::NoProgram)?;
            let noxide = noxide.into_os_string().into_string().map_err(BenchSetupError::NotUtf8)?;
            let mut command = vec![noxide, "run".to_owned()];
            command.extend(nox_python.iter().flat_map(|python| ["--nox".to_owned(), python.clone()]));
            variants.push(variant("noxide run", command));
        }
        for command in after {
            variants.push(variant(command, ["sh", "-c", command].map(str::to_owned).to_vec()));
        }
        Ok(Self { variants, versions })
    }
}

/// Returns the output of a command; `None` if it does not exist or fails.
fn read_command_output(command: &[impl AsRef<std::ffi::OsStr>]) -> Option<String> {
    let output = Command::new(command.first()?)
        .args(&command[1..])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    // Old releases of nox print their version to standard error.
    Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// Returns the text of a document with this table between its markers.
///
/// # Errors
/// When the document cannot be read, or its markers are wrong.
pub(crate) fn insert_bench_table(path: &Path, table: &str) -> Result<String, BenchSetupError> {
    let text = match fs_err::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => DOCUMENT_HEADER.to_owned(),
        result => result.map_err(|source| BenchSetupError::Document { action: "read", source })?,
    };
    replace_delimited_block(&text, table)
        .map_err(|source| BenchSetupError::Delimiters { path: path.to_path_buf(), source })
}

/// Writes the table into a document.
///
/// # Errors
/// Same as [`insert_bench_table`], or when the document cannot be written.
pub(crate) fn write_bench_table(path: &Path, table: &str) -> Result<(), BenchSetupError> {
    let text = insert_bench_table(path, table)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .map_err(|source| BenchSetupError::Document { action: "write", source })
}
