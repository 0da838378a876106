//! Opener of the HTML page: the user's browser.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program that runs longer than this is the browser itself, and goes on.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Opens a page with `$BROWSER`, or the program with which the system opens files.
///
/// # Errors
/// When no program could open it.
pub(crate) fn open_page(page: &Path) -> io::Result<()> {
    let page = fs_err::canonicalize(page)?;
    let browsers = std::env::var("BROWSER").unwrap_or_default();
    let system = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut programs = browsers.split(':').filter(|program| !program.is_empty()).chain([system]);
    if programs.any(|program| opens_page(program, &page)) {
        return Ok(());
    }
    Err(io::Error::other(format!("neither BROWSER nor {system} opens it; open {} yourself", page.display())))
}

fn opens_page(program: &str, page: &Path) -> bool {
    let mut command = Command::new(program);
    // Its own group, so that a Ctrl-C in the terminal does not end the browser.
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let Ok(mut child) = command.spawn() else { return false };
    let started = Instant::now();
    while started.elapsed() < MAX_WAIT {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => return false,
        }
    }
    true
}
