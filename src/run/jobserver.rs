//! GNU make jobserver of a run: `make`, `cargo` and `ninja` in all sessions share the slots.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::ioctl_fionread;

/// A named pipe with one token for each slot except one: every session may run one job without a token.
#[derive(Debug)]
pub(super) struct MakeJobserver {
    fifo: OwnedFd,
    path: PathBuf,
    slots: usize,
}

impl MakeJobserver {
    /// Creates the pipe in a directory and fills it.
    ///
    /// # Errors
    /// When the file system has no named pipes, or MAKEFLAGS cannot hold the path.
    pub(super) fn create(directory: &Path, slots: usize) -> io::Result<Self> {
        let path = directory.join("jobs");
        let is_plain = |c: char| !c.is_whitespace() && !"$\\\"'#".contains(c);
        if !path.to_str().is_some_and(|text| text.chars().all(is_plain)) {
            return Err(io::Error::other(format!("MAKEFLAGS cannot hold the path {}", path.display())));
        }
        create_fifo(&path)?;
        // Both ends in one descriptor: tokens survive while no client has the pipe open, and opening never blocks.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let jobserver = Self { fifo: rustix::fs::open(&path, flags, Mode::empty())?, path, slots };
        jobserver.refill_tokens();
        Ok(jobserver)
    }

    /// Returns the value for MAKEFLAGS that makes tools use the jobserver.
    pub(super) fn makeflags(&self) -> String {
        format!(" -j{} --jobserver-auth=fifo:{}", self.slots, self.path.display())
    }

    /// Replaces tokens that killed processes did not return; correct only while no session runs.
    pub(super) fn refill_tokens(&self) {
        let present = ioctl_fionread(&self.fifo).unwrap_or(0);
        let expected = self.slots.saturating_sub(1) as u64;
        // Writing fails only if the pipe is full, and then it has enough tokens.
        let _ = rustix::io::write(&self.fifo, &vec![b'+'; expected.saturating_sub(present) as usize]);
    }
}

#[cfg(all(target_os = "linux", not(noxide_portable)))]
fn create_fifo(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR)?)
}

/// Fails: on other systems `make` is usually too old to use a named pipe.
#[cfg(not(all(target_os = "linux", not(noxide_portable))))]
fn create_fifo(path: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, format!("cannot create a named pipe at {}", path.display())))
}

/// Whether the `make` on PATH supports a jobserver by named pipe, or there is no `make`. GNU make before 4.4 and
/// possibly other implementations fail if MAKEFLAGS names one.
pub(super) fn make_supports_fifo(path: Option<&OsStr>) -> bool {
    let mut make = Command::new("make");
    path.map(|path| make.env("PATH", path));
    match make.arg("--version").env_remove("MAKEFLAGS").stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(output) => has_fifo_support(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn has_fifo_support(version_output: &str) -> bool {
    let version = version_output.strip_prefix("GNU Make ").and_then(|rest| rest.split_whitespace().next());
    let mut numbers = version.unwrap_or("0").split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (4, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn make_versions_with_fifo_support() {
        for (output, supported) in [
            ("GNU Make 4.3\nBuilt for x86_64", false),
            ("GNU Make 4.4.1\nBuilt for x86_64", true),
            ("GNU Make 4.4", true),
            ("GNU Make 5.0-rc1", true),
            ("GNU Make 3.81", false),
            ("bmake 2020", false),
            ("", false),
        ] {
            assert_eq!(has_fifo_support(output), supported, "{output}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(make_supports_fifo(Some(empty.path().as_os_str())), "no make at all");
    }

    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    #[test]
    fn one_token_for_each_slot_but_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let jobserver = MakeJobserver::create(directory.path(), 4).unwrap();
        assert_eq!(jobserver.makeflags(), format!(" -j4 --jobserver-auth=fifo:{}/jobs", directory.path().display()));
        let client = rustix::fs::open(directory.path().join("jobs"), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
        let mut tokens = [0; 16];
        assert_eq!(rustix::io::read(client.unwrap(), &mut tokens), Ok(3));
        jobserver.refill_tokens();
        jobserver.refill_tokens();
        assert_eq!(ioctl_fionread(&jobserver.fifo), Ok(3));
    }

    #[test]
    fn a_path_that_make_would_split_is_refused() {
        let directory = tempfile::Builder::new().prefix("with space").tempdir().unwrap();
        assert!(MakeJobserver::create(directory.path(), 2).is_err());
        assert!(MakeJobserver::create(Path::new("/nonexistent"), 2).is_err());
    }
}
