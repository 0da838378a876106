//! Process tree of a session: its processes are found by group, by a tag in the environment and by descent.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group, test_kill_process_group};

/// How long noxide waits for killed processes to exit: one that is stuck in the kernel may never do so.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes this process the parent of its orphaned descendants, so that daemons (double forks) are found too.
///
/// Only Linux supports this; on other systems only process groups are killed.
pub(crate) fn become_subreaper() {
    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    {
        // Fails only on kernels older than 3.4; then only groups are killed.
        let _ = rustix::process::set_child_subreaper(Some(getpid()));
    }
}

/// Sends a signal to a process group, if it still exists.
pub(crate) fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = to_pid(group) {
        let _ = kill_process_group(group, signal);
    }
}

/// The processes of one attempt of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessTree {
    /// Its process group, which is also the pid of its leader.
    pub(crate) group: u32,
    /// The `NAME=value` in the environment of each of its processes, unless one cleared it.
    pub(crate) tag: String,
}

impl ProcessTree {
    /// Sends a signal to the group, and to processes that left it but have the tag or descend from it.
    pub(crate) fn send_signal(&self, signal: Signal) {
        let members = self.live_members();
        signal_group(self.group, signal);
        for entry in members.into_iter().filter(|entry| Some(entry.group) != self.leader_pid()) {
            let _ = kill_process(entry.pid, signal);
        }
    }

    /// Continues its stopped processes: they handle no other signal until then.
    pub(crate) fn continue_stopped(&self) {
        for entry in self.live_members().into_iter().filter(|entry| entry.stopped) {
            let _ = kill_process(entry.pid, Signal::CONT);
        }
    }

    /// Kills all its processes; repeats that until none is left, because they may fork in the meantime.
    pub(crate) fn kill_all(&self) {
        let deadline = Instant::now() + KILL_TIMEOUT;
        // Remembers processes that have no tag and are no longer found by descent because their parent was killed.
        let mut known = HashSet::new();
        loop {
            known.extend(self.live_members().into_iter().map(|entry| entry.pid));
            signal_group(self.group, Signal::KILL);
            for process in &known {
                let _ = kill_process(*process, Signal::KILL);
            }
            known.retain(|process| is_alive(*process));
            if (known.is_empty() && self.is_gone()) || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether none of its processes is alive.
    pub(crate) fn is_gone(&self) -> bool {
        // If the system does not list processes, only the group can be checked.
        self.live_members().is_empty()
            && (can_list_processes() || to_pid(self.group).is_none_or(|group| test_kill_process_group(group).is_err()))
    }

    /// Returns the command lines of its processes without children: those that work, not those that wait for a child.
    pub(crate) fn leaf_commands(&self) -> Vec<String> {
        let members = self.live_members();
        let parents: BTreeSet<i32> = members.iter().map(|entry| entry.parent).collect();
        let leaf = |entry: &&ProcessEntry| !parents.contains(&entry.pid.as_raw_nonzero().get());
        members.iter().filter(leaf).filter_map(|entry| read_command_line(entry.pid)).collect()
    }

    fn leader_pid(&self) -> Option<i32> {
        to_pid(self.group).map(|group| group.as_raw_nonzero().get())
    }

    /// Returns its live processes: by group, by descent from its leader, by tag.
    fn live_members(&self) -> Vec<ProcessEntry> {
        let all = list_processes();
        let descendants = to_pid(self.group).map_or_else(HashSet::new, |leader| descendants_among(leader, &all));
        let belongs = |entry: &ProcessEntry| {
            Some(entry.group) == self.leader_pid()
                || descendants.contains(&entry.pid)
                || has_tag(entry.pid, self.tag.as_bytes())
        };
        all.into_iter().filter(|entry| !entry.zombie && entry.pid != getpid()).filter(belongs).collect()
    }
}

/// Sends SIGINT to every descendant of this process.
pub(crate) fn interrupt_descendants() {
    for process in descendant_pids(getpid()) {
        let _ = kill_process(process, Signal::INT);
    }
}

/// Stops every descendant of this process, then itself; when it is continued, it continues them.
///
/// If the system does not list processes, only this process stops.
pub(crate) fn suspend_all() {
    let mut stopped = HashSet::new();
    loop {
        // Repeat for processes that were forked in the meantime: stopped processes do not fork.
        let more: Vec<Pid> =
            descendant_pids(getpid()).into_iter().filter(|process| !stopped.contains(process)).collect();
        if more.is_empty() {
            break;
        }
        for process in more {
            let _ = kill_process(process, Signal::STOP);
            stopped.insert(process);
        }
    }
    let _ = kill_process(getpid(), Signal::STOP);
    for process in stopped {
        let _ = kill_process(process, Signal::CONT);
    }
}

/// Kills every descendant of this process except `keep`, and every process with the run's tag, until none is left.
pub(crate) fn kill_run_processes(tag: Option<&str>, keep: Option<u32>) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    let keep = keep.and_then(to_pid);
    loop {
        let mut left = descendant_pids(getpid());
        left.extend(tag.map(tagged_pids).unwrap_or_default());
        left.retain(|process| Some(*process) != keep);
        for process in &left {
            // It is reaped by its parent, or by the system after noxide has exited.
            let _ = kill_process(*process, Signal::KILL);
        }
        let alive = left.into_iter().any(is_alive);
        if (!alive && has_no_live_child(keep)) || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this process has no live child except `keep`, and so no descendants except those of `keep`.
///
/// A walk over all descendants may miss one whose parent exits during the walk. The kernel's list of children does not:
/// an orphan is appended to it. Without such a list, returns true and relies on the walk.
fn has_no_live_child(keep: Option<Pid>) -> bool {
    let Some(before) = child_pids(getpid()) else { return true };
    !before.iter().any(|child| Some(*child) != keep && is_alive(*child)) && child_pids(getpid()) == Some(before)
}

/// Kills every process with a tag, until none is left; used for a run whose noxide process was killed.
pub(crate) fn kill_tagged_processes(tag: &str) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    // A process in `execve` has no environment to read: one empty result is not enough.
    let mut empty_results = 0;
    loop {
        let left = tagged_pids(tag);
        empty_results = if left.is_empty() { empty_results + 1 } else { 0 };
        if empty_results == 2 || Instant::now() > deadline {
            return;
        }
        for process in left {
            let _ = kill_process(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn to_pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

/// One process as the system lists it.
#[derive(Clone, Copy, Debug)]
struct ProcessEntry {
    pid: Pid,
    parent: i32,
    group: i32,
    zombie: bool,
    /// Whether it was stopped by a signal.
    stopped: bool,
}

/// Whether the system lists its processes.
fn can_list_processes() -> bool {
    cfg!(target_os = "linux")
}

/// Returns the pids of all processes; empty if the system does not list them.
fn all_pids() -> Vec<Pid> {
    let Ok(entries) = fs_err::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

/// Returns all processes; empty if the system does not list them.
fn list_processes() -> Vec<ProcessEntry> {
    all_pids().into_iter().filter_map(read_process).collect()
}

fn read_process(process: Pid) -> Option<ProcessEntry> {
    // The name may contain any bytes.
    let stat = fs_err::read(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may contain parentheses and spaces: take what follows the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let (zombie, stopped) = (matches!(state, "Z" | "X"), state == "T");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(ProcessEntry { pid: process, parent, group, zombie, stopped })
}

fn is_alive(process: Pid) -> bool {
    read_process(process).is_some_and(|entry| !entry.zombie)
}

fn descendant_pids(root: Pid) -> HashSet<Pid> {
    kernel_descendants(root).unwrap_or_else(|| descendants_among(root, &list_processes()))
}

/// Returns the descendants of `root` by the kernel's lists of children, without reading every process of the machine;
/// `None` if the kernel has no such lists.
fn kernel_descendants(root: Pid) -> Option<HashSet<Pid>> {
    let mut found = HashSet::new();
    let mut pending = vec![root];
    while let Some(parent) = pending.pop() {
        // A process that has exited has no children any more: this process adopted them.
        match child_pids(parent) {
            None if parent == root => return None,
            more => pending.extend(more.into_iter().flatten().filter(|child| found.insert(*child))),
        }
    }
    Some(found)
}

/// Returns the children of a process, including zombies, in the order in which each of its threads got them; `None` if
/// it has exited or the kernel has no such lists.
fn child_pids(parent: Pid) -> Option<Vec<Pid>> {
    let mut found = Vec::new();
    for thread in fs_err::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero())).ok()?.flatten() {
        match fs_err::read_to_string(thread.path().join("children")) {
            Ok(children) => {
                found.extend(children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)));
            }
            // A thread that exited has none; a kernel without these lists has none for any thread.
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(found)
}

/// Returns the descendants of `root` among `all`.
fn descendants_among(root: Pid, all: &[ProcessEntry]) -> HashSet<Pid> {
    let mut found = HashSet::new();
    let mut pending = vec![root.as_raw_nonzero().get()];
    while let Some(parent) = pending.pop() {
        for entry in all.iter().filter(|entry| entry.parent == parent) {
            if found.insert(entry.pid) {
                pending.push(entry.pid.as_raw_nonzero().get());
            }
        }
    }
    found
}

/// Returns the live processes that were started with `tag` in their environment.
fn tagged_pids(tag: &str) -> Vec<Pid> {
    // A zombie has no environment to read.
    all_pids().into_iter().filter(|process| *process != getpid() && has_tag(*process, tag.as_bytes())).collect()
}

fn has_tag(process: Pid, tag: &[u8]) -> bool {
    let environment = fs_err::read(format!("/proc/{}/environ", process.as_raw_nonzero())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == tag)
}

/// Returns a process's arguments, separated by spaces; `None` if it has exited.
fn read_command_line(process: Pid) -> Option<String> {
    let words = fs_err::read(format!("/proc/{}/cmdline", process.as_raw_nonzero())).ok()?;
    let text = String::from_utf8_lossy(&words).replace('\0', " ");
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(noxide_portable)))]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    /// Starts a shell in a group of its own; `script` prints a line once it is set up.
    fn shell(script: &str, tag: &str) -> std::process::Child {
        let (name, value) = tag.split_once('=').unwrap();
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
    fn a_tree_is_killed_with_processes_that_left_the_group_or_ignore_signals() {
        let tag = format!("NOXIDE_TEST_TREE={}", std::process::id());
        let script = "trap '' TERM INT; setsid sh -c 'trap \"\" TERM; sleep 61 & echo ready; wait' & wait";
        let mut child = shell(script, &tag);
        let tree = ProcessTree { group: child.id(), tag: tag.clone() };
        // A process in `execve` of `sleep` has no environment to read.
        let deadline = Instant::now() + KILL_TIMEOUT;
        while tagged_pids(&tag).len() < 3 {
            assert!(Instant::now() < deadline, "shell, setsid's shell and sleep");
            std::thread::sleep(Duration::from_millis(1));
        }
        tree.send_signal(Signal::TERM);
        assert!(!tagged_pids(&tag).is_empty(), "they ignore it");
        tree.kill_all();
        assert_eq!(tagged_pids(&tag), []);
        child.wait().unwrap();
    }

    #[test]
    fn descent_finds_processes_without_a_tag() {
        let mut child = shell("env -i sleep 62 & echo ready; wait", "NOXIDE_TEST_NONE=1");
        let descendants = descendant_pids(Pid::from_child(&child));
        assert_eq!(descendants.len(), 1);
        assert!(descendants.iter().all(|process| is_alive(*process)));
        signal_group(child.id(), Signal::KILL);
        child.wait().unwrap();
    }
}
