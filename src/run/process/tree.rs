//! A session's processes: found by group, by the mark in their environment and by descent; ended without survivors.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid};

/// How long all that is left gets to die of SIGKILL before we give up on it (a process stuck in the kernel).
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes orphans of this process's descendants its own children, so that none escapes by a double fork.
///
/// Only Linux has this; elsewhere process groups alone are ended.
pub fn become_subreaper() {
    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    {
        // Refused only by kernels older than 3.4; then groups alone are ended.
        let _ = rustix::process::set_child_subreaper(Some(getpid()));
    }
}

/// Sends a signal to a process group; a group that is gone is fine.
pub fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = pid(group) {
        let _ = kill_process_group(group, signal);
    }
}

/// The processes of one attempt of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its process group, which is also its session's leader.
    pub group: u32,
    /// The text that stands in the environment of each of its processes, unless one cleared it.
    pub mark: String,
}

impl Tree {
    /// Sends a signal to the group and to all that left it but kept the mark.
    pub fn signal(&self, signal: Signal) {
        signal_group(self.group, signal);
        for process in marked(&self.mark) {
            let _ = kill_process(process, signal);
        }
    }

    /// Kills all of it, and again what forked meanwhile.
    pub fn kill(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.signal(Signal::KILL);
            let left = marked(&self.mark).into_iter().any(is_alive);
            if !left || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Kills every descendant of this process but `keep`, and whatever bears the run's mark, until none is left.
pub fn end_run(mark: &str, keep: Option<u32>) {
    let deadline = Instant::now() + PATIENCE;
    let keep = keep.and_then(pid);
    loop {
        let mut left: BTreeSet<i32> = descendants(getpid()).into_iter().map(|p| p.as_raw_nonzero().get()).collect();
        left.extend(marked(mark).into_iter().map(|p| p.as_raw_nonzero().get()));
        left.retain(|process| Some(*process) != keep.map(|p| p.as_raw_nonzero().get()));
        left.remove(&getpid().as_raw_nonzero().get());
        for process in left.iter().filter_map(|process| Pid::from_raw(*process)) {
            let _ = kill_process(process, Signal::KILL);
            // Our own adopted children stay zombies until somebody asks for them.
            let _ = waitpid(Some(process), WaitOptions::NOHANG);
        }
        let alive = left.into_iter().filter_map(Pid::from_raw).any(is_alive);
        if !alive || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills whatever bears a mark, until none is left: what a run left alive whose noxide was killed.
pub fn end_marked(mark: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = marked(mark);
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        for process in left {
            let _ = kill_process(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

/// One process as the system lists it.
#[derive(Clone, Copy, Debug)]
struct Listed {
    process: Pid,
    parent: i32,
    zombie: bool,
}

/// All processes; empty where the system does not list them.
fn listed() -> Vec<Listed> {
    let Ok(entries) = fs_err::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(|number| listed_one(Pid::from_raw(number)?)).collect()
}

fn listed_one(process: Pid) -> Option<Listed> {
    let stat = fs_err::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything, parentheses and spaces too: take what follows the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    Some(Listed { process, parent, zombie })
}

fn is_alive(process: Pid) -> bool {
    listed_one(process).is_some_and(|listed| !listed.zombie)
}

fn descendants(root: Pid) -> Vec<Pid> {
    let all = listed();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|p| p.as_raw_nonzero().get()) {
        found.extend(all.iter().filter(|listed| listed.parent == parent).map(|listed| listed.process));
        next += 1;
    }
    found.remove(0);
    found
}

/// Living processes whose environment at their start held `mark`.
fn marked(mark: &str) -> Vec<Pid> {
    let bears = |process: &Pid| {
        let environment = fs_err::read(format!("/proc/{}/environ", process.as_raw_nonzero())).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let all = listed().into_iter().filter(|listed| !listed.zombie && listed.process != getpid());
    all.map(|listed| listed.process).filter(bears).collect()
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(noxide_portable)))]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    /// A shell in a group of its own that runs `script` and prints a line once it is set up.
    fn shell(script: &str, mark: &str) -> std::process::Child {
        let (name, value) = mark.split_once('=').unwrap();
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env(name, value)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
        assert_eq!(line, "ready\n");
        child
    }

    #[test]
    fn a_tree_dies_with_those_that_left_the_group_and_those_that_ignore_signals() {
        let mark = format!("NOXIDE_TEST_TREE={}", std::process::id());
        let script = "trap '' TERM INT; setsid sh -c 'trap \"\" TERM; sleep 61 & echo ready; wait' & wait";
        let mut child = shell(script, &mark);
        let tree = Tree { group: child.id(), mark: mark.clone() };
        assert!(marked(&mark).len() >= 3, "shell, setsid's shell and sleep");
        tree.signal(Signal::TERM);
        assert!(!marked(&mark).is_empty(), "they ignore it");
        tree.kill();
        assert_eq!(marked(&mark), []);
        child.wait().unwrap();
    }

    #[test]
    fn descent_finds_those_without_a_mark() {
        let mut child = shell("env -i sleep 62 & echo ready; wait", "NOXIDE_TEST_NONE=1");
        let below = descendants(Pid::from_child(&child));
        assert_eq!(below.len(), 1);
        assert!(is_alive(below[0]));
        signal_group(child.id(), Signal::KILL);
        child.wait().unwrap();
    }
}
