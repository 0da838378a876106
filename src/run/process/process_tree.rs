//! A session's processes: found by group, by the mark in their environment and by descent; ended without survivors.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group, test_kill_process_group};

/// How long all that is left gets to die of SIGKILL before we give up on it (a process stuck in the kernel).
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes orphans of this process's descendants its own children, so that none escapes by a double fork.
///
/// Only Linux has this; elsewhere process groups alone are ended.
pub(crate) fn become_subreaper() {
    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    {
        // Refused only by kernels older than 3.4; then groups alone are ended.
        let _ = rustix::process::set_child_subreaper(Some(getpid()));
    }
}

/// Sends a signal to a process group; a group that is gone is fine.
pub(crate) fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = to_pid(group) {
        let _ = kill_process_group(group, signal);
    }
}

/// The processes of one attempt of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessTree {
    /// Its process group, which is also its session's leader.
    pub(crate) group: u32,
    /// The text that stands in the environment of each of its processes, unless one cleared it.
    pub(crate) tag: String,
}

impl ProcessTree {
    /// Sends a signal to the group and to all that left it but kept the mark or their descent.
    pub(crate) fn send_signal(&self, signal: Signal) {
        let members = self.live_members();
        signal_group(self.group, signal);
        for listed in members.into_iter().filter(|listed| Some(listed.group) != self.leader_pid()) {
            let _ = kill_process(listed.pid, signal);
        }
    }

    /// Kills all of it, and again what forked meanwhile.
    pub(crate) fn kill_all(&self) {
        let deadline = Instant::now() + KILL_TIMEOUT;
        // One that lost its parent by this and bears no mark is still known from before.
        let mut known = HashSet::new();
        loop {
            known.extend(self.live_members().into_iter().map(|listed| listed.pid));
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

    /// Whether none of it lives.
    pub(crate) fn is_gone(&self) -> bool {
        // Where the system lists no processes its group alone can be asked for.
        self.live_members().is_empty()
            && (can_list_processes() || to_pid(self.group).is_none_or(|group| test_kill_process_group(group).is_err()))
    }

    /// The command lines of those that have no children: what it is at, not what waits for it.
    pub(crate) fn leaf_commands(&self) -> Vec<String> {
        let members = self.live_members();
        let parents: BTreeSet<i32> = members.iter().map(|listed| listed.parent).collect();
        let leaf = |listed: &&ProcessEntry| !parents.contains(&listed.pid.as_raw_nonzero().get());
        members.iter().filter(leaf).filter_map(|listed| read_command_line(listed.pid)).collect()
    }

    fn leader_pid(&self) -> Option<i32> {
        to_pid(self.group).map(|group| group.as_raw_nonzero().get())
    }

    /// The living: by group, by descent from its leader, by mark.
    fn live_members(&self) -> Vec<ProcessEntry> {
        let all = list_processes();
        let below = to_pid(self.group).map_or_else(HashSet::new, |leader| descendants_among(leader, &all));
        let belongs = |listed: &ProcessEntry| {
            Some(listed.group) == self.leader_pid()
                || below.contains(&listed.pid)
                || has_tag(listed.pid, self.tag.as_bytes())
        };
        all.into_iter().filter(|listed| !listed.zombie && listed.pid != getpid()).filter(belongs).collect()
    }
}

/// Sends SIGINT to every descendant of this process.
pub(crate) fn interrupt_descendants() {
    for process in descendant_pids(getpid()) {
        let _ = kill_process(process, Signal::INT);
    }
}

/// Stops every descendant of this process, then itself until somebody continues it; they go on with it.
///
/// Where the system lists no processes it stops alone.
pub(crate) fn suspend_all() {
    let mut stopped = HashSet::new();
    loop {
        // Again for what forked meanwhile: who is stopped forks no more.
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

/// Kills every descendant of this process but `keep`, and whatever bears the run's mark, until none is left.
pub(crate) fn kill_run_processes(mark: Option<&str>, keep: Option<u32>) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    let keep = keep.and_then(to_pid);
    loop {
        let mut left = descendant_pids(getpid());
        left.extend(mark.map(tagged_pids).unwrap_or_default());
        left.retain(|process| Some(*process) != keep);
        for process in &left {
            // Its end is for whoever started it to ask for, and for the system once noxide is gone.
            let _ = kill_process(*process, Signal::KILL);
        }
        let alive = left.into_iter().any(is_alive);
        if (!alive && has_no_live_child(keep)) || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this process has no living child but `keep`, and so nothing below it but what is below that one.
///
/// A walk over all descendants may miss one whose parent ends meanwhile. The kernel's list of children does not: who
/// loses its parent is put at its end. Where there is no such list the walk has to do.
fn has_no_live_child(keep: Option<Pid>) -> bool {
    let Some(before) = child_pids(getpid()) else { return true };
    !before.iter().any(|child| Some(*child) != keep && is_alive(*child)) && child_pids(getpid()) == Some(before)
}

/// Kills whatever bears a mark, until none is left: what a run left alive whose noxide was killed.
pub(crate) fn kill_tagged_processes(mark: &str) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    // A process that is just becoming another program has no environment to read: one look is not enough.
    let mut without = 0;
    loop {
        let left = tagged_pids(mark);
        without = if left.is_empty() { without + 1 } else { 0 };
        if without == 2 || Instant::now() > deadline {
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
}

/// Whether the system lists its processes.
fn can_list_processes() -> bool {
    cfg!(target_os = "linux")
}

/// Numbers of all processes; empty where the system does not list them.
fn all_pids() -> Vec<Pid> {
    let Ok(entries) = fs_err::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

/// All processes; empty where the system does not list them.
fn list_processes() -> Vec<ProcessEntry> {
    all_pids().into_iter().filter_map(read_process).collect()
}

fn read_process(process: Pid) -> Option<ProcessEntry> {
    // The name may hold any bytes.
    let stat = fs_err::read(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold parentheses and spaces too: take what follows the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(ProcessEntry { pid: process, parent, group, zombie })
}

fn is_alive(process: Pid) -> bool {
    read_process(process).is_some_and(|listed| !listed.zombie)
}

fn descendant_pids(root: Pid) -> HashSet<Pid> {
    kernel_descendants(root).unwrap_or_else(|| descendants_among(root, &list_processes()))
}

/// The descendants of `root` by the kernel's own lists of children, without looking at every process of the machine;
/// none where the kernel keeps no such lists.
fn kernel_descendants(root: Pid) -> Option<HashSet<Pid>> {
    let mut found = HashSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        // A process that ended meanwhile has no children any more: they are ours by now.
        match child_pids(parent) {
            None if parent == root => return None,
            more => open.extend(more.into_iter().flatten().filter(|child| found.insert(*child))),
        }
    }
    Some(found)
}

/// The children of a process, ended ones too, in the order in which they came to each of its threads; none where it
/// is gone or the kernel keeps no such lists.
fn child_pids(parent: Pid) -> Option<Vec<Pid>> {
    let mut found = Vec::new();
    for thread in fs_err::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero())).ok()?.flatten() {
        match fs_err::read_to_string(thread.path().join("children")) {
            Ok(children) => {
                found.extend(children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)));
            }
            // A thread that ended has none; a kernel without these lists has them nowhere.
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(found)
}

/// The descendants of `root` among `all`.
fn descendants_among(root: Pid, all: &[ProcessEntry]) -> HashSet<Pid> {
    let mut found = HashSet::new();
    let mut open = vec![root.as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        for listed in all.iter().filter(|listed| listed.parent == parent) {
            if found.insert(listed.pid) {
                open.push(listed.pid.as_raw_nonzero().get());
            }
        }
    }
    found
}

/// Living processes whose environment at their start held `mark`.
fn tagged_pids(mark: &str) -> Vec<Pid> {
    // Of one that has ended no environment is left to read.
    all_pids().into_iter().filter(|process| *process != getpid() && has_tag(*process, mark.as_bytes())).collect()
}

fn has_tag(process: Pid, mark: &[u8]) -> bool {
    let environment = fs_err::read(format!("/proc/{}/environ", process.as_raw_nonzero())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

/// A process's command line on one line; none for one that is gone.
fn read_command_line(process: Pid) -> Option<String> {
    let words = fs_err::read(format!("/proc/{}/cmdline", process.as_raw_nonzero())).ok()?;
    let text = String::from_utf8_lossy(&words).replace('\0', " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
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
        let tree = ProcessTree { group: child.id(), tag: mark.clone() };
        // One that is about to become `sleep` has, for that moment, no environment to read.
        let deadline = Instant::now() + KILL_TIMEOUT;
        while tagged_pids(&mark).len() < 3 {
            assert!(Instant::now() < deadline, "shell, setsid's shell and sleep");
            std::thread::sleep(Duration::from_millis(1));
        }
        tree.send_signal(Signal::TERM);
        assert!(!tagged_pids(&mark).is_empty(), "they ignore it");
        tree.kill_all();
        assert_eq!(tagged_pids(&mark), []);
        child.wait().unwrap();
    }

    #[test]
    fn descent_finds_those_without_a_mark() {
        let mut child = shell("env -i sleep 62 & echo ready; wait", "NOXIDE_TEST_NONE=1");
        let below = descendant_pids(Pid::from_child(&child));
        assert_eq!(below.len(), 1);
        assert!(below.iter().all(|process| is_alive(*process)));
        signal_group(child.id(), Signal::KILL);
        child.wait().unwrap();
    }
}
