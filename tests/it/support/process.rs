//! Processes of this machine: live ones, signals to them, and the signal dispositions that children inherit.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

/// Makes children start with default signal dispositions, however the tests were started.
///
/// `nohup` ignores SIGHUP, a shell without job control ignores SIGINT in what it starts with `&`, and children inherit
/// that across `exec`. A handler that does nothing keeps this process as it was and is reset in its children.
pub(super) fn accept_signals() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP] {
            if ignored >> (signal - 1) & 1 == 1 {
                signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).unwrap();
            }
        }
    });
}

/// Sends a signal with `kill`: to a process, or to a group when the target begins with `-`.
pub(crate) fn send_signal(name: &str, target: &str) {
    let killed = Command::new("kill").args([&format!("-{name}"), "--", target]).status().unwrap();
    assert!(killed.success(), "kill -{name} {target}");
}

/// Kills every process with this variable in its environment.
pub(super) fn kill_tagged(name: &str, value: &str) {
    let tag = format!("\0{name}={value}\0");
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = format!("\0{}", String::from_utf8_lossy(&environment));
        let process = entry.file_name().to_string_lossy().into_owned();
        if environment.contains(&tag) && process.bytes().all(|byte| byte.is_ascii_digit()) {
            // It may have ended by itself meanwhile.
            Command::new("kill").args(["-KILL", &process]).status().ok();
        }
    }
}

/// Living processes whose command line contains `text`, which must be unique to one test.
#[cfg(target_os = "linux")]
pub(crate) fn living_processes(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if arguments.contains(text) && !is_zombie(&entry.path()) {
            found.push(format!("{name}: {arguments}"));
        }
    }
    found
}

/// Whether a process, given as its directory below /proc, has ended and waits to be reaped.
pub(crate) fn is_zombie(process: &Path) -> bool {
    let stat = std::fs::read(process.join("stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits for a process to end; false when it still lives after ten seconds.
pub(crate) fn has_ended(process: &str) -> bool {
    let directory = Path::new("/proc").join(process);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::time::Instant::now() < deadline {
        if is_zombie(&directory) {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    false
}

/// The largest resident set of a process so far, in KiB; none for one that has ended.
pub(super) fn peak_memory_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
