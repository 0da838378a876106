//! Answer of a package index: whether it has a requirement.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Uv;

/// Whether a package index has a requirement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IndexAnswer {
    /// It has a matching version.
    Found,
    /// No version matches.
    Missing,
    /// It cannot be asked, for this reason.
    Unknown(String),
}

impl IndexAnswer {
    /// Asks the index that uv uses in the project at `root`.
    ///
    /// # Errors
    /// If uv cannot be started.
    pub(crate) fn for_requirement(root: &Path, requirement: &str) -> io::Result<Self> {
        let Some(uv) = Uv::find_in_path(std::env::var_os("PATH")) else {
            return Ok(Self::Unknown("uv is not on PATH".to_owned()));
        };
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("requirements.in");
        fs_err::write(&file, format!("{requirement}\n"))?;
        let mut command = Command::new(uv.path());
        command.args(["pip", "compile", "--quiet", "--no-deps", "--refresh-package", "noxide"]).arg(&file);
        command.env("UV_HTTP_TIMEOUT", "10").env("UV_HTTP_RETRIES", "1");
        let result = command.current_dir(root).stdin(Stdio::null()).output()?;
        let errors = String::from_utf8_lossy(&result.stderr);
        Ok(match result.status.code() {
            Some(0) => Self::Found,
            // uv ends with 1 if no version matches, and with 2 if it cannot ask.
            Some(1) if !errors.contains("network was disabled") => Self::Missing,
            _ => Self::Unknown(errors.trim().lines().next().unwrap_or("uv failed").to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_does_not_answer_is_no_reason_to_refuse() {
        let root = tempfile::tempdir().unwrap();
        let settings = "[[index]]\nurl = \"http://127.0.0.1:9/simple\"\ndefault = true\n";
        fs_err::write(root.path().join("uv.toml"), settings).unwrap();
        let answer = IndexAnswer::for_requirement(root.path(), "noxide==999").unwrap();
        assert!(matches!(answer, IndexAnswer::Unknown(_)), "{answer:?}");
    }
}
