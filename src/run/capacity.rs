//! Capacity of the machine: CPUs, memory limits, and whether memory is low right now.

use std::path::{Path, PathBuf};

use super::plan::RunCapacity;

/// Detects the CPUs and the memory that this process may use.
pub(crate) fn detect_capacity() -> RunCapacity {
    // The standard library respects the affinity mask and the quotas of both cgroup versions.
    let slots = std::thread::available_parallelism().map_or(1, usize::from);
    RunCapacity { slots, memory: memory_limit(Path::new("/")).unwrap_or(0) }
}

/// Returns the lower of the machine's memory and the limits of this process's cgroups, in bytes; `None` if both are
/// unknown.
fn memory_limit(root: &Path) -> Option<u64> {
    let limits =
        memory_cgroups(root).into_iter().filter_map(|group| read_number(&group.directory.join(group.memory_files().0)));
    limits.chain(read_meminfo(root, "MemTotal:")).min()
}

/// Returns the bytes of memory that can be used now without swapping; `None` if unknown.
pub(crate) fn available_memory() -> Option<u64> {
    available_memory_under(Path::new("/"))
}

/// Returns the lower of the machine's available memory and what the limits of this process's cgroups leave.
fn available_memory_under(root: &Path) -> Option<u64> {
    let available = |group: MemoryCgroup| {
        let (limit, usage, cache) = group.memory_files();
        let stat = fs_err::read_to_string(group.directory.join("memory.stat")).unwrap_or_default();
        // The kernel drops unused pages of files before it refuses memory.
        let cache = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse::<u64>().ok()).unwrap_or(0);
        let used = read_number(&group.directory.join(usage))?.saturating_sub(cache);
        Some(read_number(&group.directory.join(limit))?.saturating_sub(used))
    };
    memory_cgroups(root).into_iter().filter_map(available).chain(read_meminfo(root, "MemAvailable:")).min()
}

/// A cgroup that limits this process's memory.
struct MemoryCgroup {
    directory: PathBuf,
    is_v2: bool,
}

impl MemoryCgroup {
    /// Returns the names of the files with limit and usage, and the prefix of the line in `memory.stat` with the unused
    /// cache.
    fn memory_files(&self) -> (&'static str, &'static str, &'static str) {
        if self.is_v2 {
            ("memory.max", "memory.current", "inactive_file ")
        } else {
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
        }
    }
}

/// This process's memory cgroup and its ancestors; some may not exist inside a container.
fn memory_cgroups(root: &Path) -> Vec<MemoryCgroup> {
    let mut groups = Vec::new();
    for line in fs_err::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default().lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (mount, is_v2) = match controllers {
            "" => (root.join("sys/fs/cgroup"), true),
            list if list.split(',').any(|name| name == "memory") => (root.join("sys/fs/cgroup/memory"), false),
            _ => continue,
        };
        // Limits of all ancestors apply too.
        let directory = mount.join(path.trim_start_matches('/'));
        let ancestors = directory.ancestors().take_while(|directory| directory.starts_with(&mount));
        groups.extend(ancestors.map(|directory| MemoryCgroup { directory: directory.to_path_buf(), is_v2 }));
    }
    groups
}

fn read_number(path: &Path) -> Option<u64> {
    fs_err::read_to_string(path).ok()?.trim().parse().ok()
}

fn read_meminfo(root: &Path, key: &str) -> Option<u64> {
    let text = fs_err::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// How long a sample is reused, in milliseconds: a new one requires several reads below `/proc` and `/sys`.
const SAMPLE_LIFETIME_MS: u64 = 100;

/// Whether starts must be delayed; never while nothing runs, since nothing would free memory.
///
/// A sixteenth of the memory is reserved for running sessions, but at least 64 MiB and at most 1 GiB.
fn should_delay_starts(available: Option<u64>, total: u64, running: usize) -> bool {
    let reserve = (total / 16).clamp(64 << 20, 1 << 30);
    running > 0 && available.is_some_and(|available| available < reserve)
}

/// Delays the start of sessions while memory is low.
#[derive(Debug)]
pub(super) struct MemoryPressure {
    read_available: fn() -> Option<u64>,
    total: u64,
    sampled_at: Option<u64>,
    last_sample: Option<u64>,
    notified: bool,
}

impl MemoryPressure {
    /// Creates the check; `available` reads the available memory, and `total` is 0 if unknown.
    pub(super) fn new(available: fn() -> Option<u64>, total: u64) -> Self {
        Self { read_available: available, total, sampled_at: None, last_sample: None, notified: false }
    }

    /// Whether no session may start now.
    pub(super) fn should_delay_starts(&mut self, now: u64, running: usize) -> bool {
        if running == 0 {
            return false;
        }
        if self.sampled_at.is_none_or(|sampled_at| now.saturating_sub(sampled_at) >= SAMPLE_LIFETIME_MS) {
            self.sampled_at = Some(now);
            self.last_sample = (self.read_available)();
        }
        should_delay_starts(self.last_sample, self.total, running)
    }

    /// Returns a notice about low memory, the first time it is called.
    pub(super) fn first_notice(&mut self) -> Option<String> {
        let left = self.last_sample.unwrap_or(0) >> 20;
        let first = !std::mem::replace(&mut self.notified, true);
        first.then(|| format!("low memory ({left} MiB available): sessions wait until others finish"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_lowest_limit_of_all_ancestors_applies() {
        let root = tree(&[
            ("proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable: 1 kB\n"),
            ("proc/self/cgroup", "0::/job/step\n"),
            ("sys/fs/cgroup/job/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/job/step/memory.max", "max\n"),
        ]);
        assert_eq!(memory_limit(root.path()), Some(2 << 30));
        assert_eq!(available_memory_under(root.path()), Some(1 << 10));
    }

    #[test]
    fn cgroup_v1_and_no_limit() {
        let one = tree(&[
            ("proc/self/cgroup", "garbage\n5:cpu:/x\n4:memory,hugetlb:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n"),
        ]);
        assert_eq!(memory_limit(one.path()), Some(1 << 20));
        assert_eq!(memory_limit(tree(&[("proc/meminfo", "MemTotal: many\n")]).path()), None);
    }

    #[test]
    fn unused_cache_counts_as_available() {
        let mut files = vec![
            ("proc/meminfo", "MemAvailable: 9000 kB\n"),
            ("proc/self/cgroup", "0::/job\n"),
            ("sys/fs/cgroup/job/memory.max", "5000\n"),
            ("sys/fs/cgroup/job/memory.current", "4000\n"),
            ("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 500\n"),
        ];
        assert_eq!(available_memory_under(tree(&files).path()), Some(1_500));
        files[3].1 = "9999\n";
        assert_eq!(available_memory_under(tree(&files).path()), Some(0));
        let old = tree(&[
            ("proc/self/cgroup", "4:memory:/x\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "10\n"),
            ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "7\n"),
            ("sys/fs/cgroup/memory/x/memory.stat", "inactive_file 9\ntotal_inactive_file 1\n"),
        ]);
        assert_eq!(available_memory_under(old.path()), Some(4));
    }

    #[test]
    fn this_machine_has_capacity() {
        let capacity = detect_capacity();
        assert!(capacity.slots >= 1);
        if cfg!(target_os = "linux") {
            assert!(capacity.memory > 0);
            assert!(available_memory().is_some_and(|bytes| bytes > 0));
        }
    }

    #[test]
    fn a_reserve_stays_free_while_something_runs() {
        let gib = 1 << 30;
        assert!(should_delay_starts(Some(100 << 20), 2 * gib, 1), "a sixteenth of 2 GiB is 128 MiB");
        assert!(!should_delay_starts(Some(128 << 20), 2 * gib, 1));
        assert!(!should_delay_starts(Some(0), 2 * gib, 0), "nothing runs");
        assert!(!should_delay_starts(None, 2 * gib, 3), "nothing is known");
        assert!(
            should_delay_starts(Some(63 << 20), 0, 1) && !should_delay_starts(Some(64 << 20), 0, 1),
            "at least 64 MiB"
        );
        assert!(
            should_delay_starts(Some(gib - 1), 512 * gib, 1) && !should_delay_starts(Some(gib), 512 * gib, 1),
            "at most 1 GiB"
        );
    }

    #[test]
    fn a_sample_is_used_for_a_while() {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut pressure =
            MemoryPressure::new(|| Some(CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * (1 << 40)), 0);
        assert!(!pressure.should_delay_starts(0, 0));
        assert!(
            pressure.should_delay_starts(0, 1) && pressure.should_delay_starts(99, 1),
            "the first sample is 0 bytes"
        );
        assert!(!pressure.should_delay_starts(100, 1), "the second is plenty");
        assert_eq!(CALLS.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}
