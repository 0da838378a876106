//! What the machine gives: CPUs by affinity and cgroup, memory by cgroup.

use std::path::{Path, PathBuf};

use super::plan::RunCapacity;

/// The room on this machine for this process.
pub(crate) fn detect_capacity() -> RunCapacity {
    // The standard library honours the affinity mask and the quotas of both cgroup versions.
    let slots = std::thread::available_parallelism().map_or(1, usize::from);
    RunCapacity { slots, memory: memory_limit(Path::new("/")).unwrap_or(0) }
}

/// The lower of the machine's memory and the limits of this process's cgroups, in bytes; none where nothing is told.
fn memory_limit(root: &Path) -> Option<u64> {
    let limits =
        memory_cgroups(root).into_iter().filter_map(|group| read_number(&group.folder.join(group.memory_files().0)));
    limits.chain(read_meminfo(root, "MemTotal:")).min()
}

/// Bytes of memory that could be used now without swapping; none where the system does not tell.
pub(crate) fn available_memory() -> Option<u64> {
    available_memory_under(Path::new("/"))
}

/// The lower of what the machine has free and what this process's cgroups still allow.
fn available_memory_under(root: &Path) -> Option<u64> {
    let left = |group: MemoryCgroup| {
        let (limit, usage, cache) = group.memory_files();
        let stat = fs_err::read_to_string(group.folder.join("memory.stat")).unwrap_or_default();
        // Pages of files that nobody uses are given up before anything is refused.
        let cache = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse::<u64>().ok()).unwrap_or(0);
        let used = read_number(&group.folder.join(usage))?.saturating_sub(cache);
        Some(read_number(&group.folder.join(limit))?.saturating_sub(used))
    };
    memory_cgroups(root).into_iter().filter_map(left).chain(read_meminfo(root, "MemAvailable:")).min()
}

/// A cgroup that bounds this process's memory.
struct MemoryCgroup {
    folder: PathBuf,
    is_v2: bool,
}

impl MemoryCgroup {
    /// The files that tell limit and usage, and the line of `memory.stat` that tells unused cache.
    fn memory_files(&self) -> (&'static str, &'static str, &'static str) {
        if self.is_v2 {
            ("memory.max", "memory.current", "inactive_file ")
        } else {
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
        }
    }
}

/// This process's memory cgroup and all above it; some may not be there inside a container.
fn memory_cgroups(root: &Path) -> Vec<MemoryCgroup> {
    let mut groups = Vec::new();
    for line in fs_err::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default().lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (mount, unified) = match controllers {
            "" => (root.join("sys/fs/cgroup"), true),
            list if list.split(',').any(|name| name == "memory") => (root.join("sys/fs/cgroup/memory"), false),
            _ => continue,
        };
        // A limit on any ancestor binds too.
        let folder = mount.join(path.trim_start_matches('/'));
        let above = folder.ancestors().take_while(|folder| folder.starts_with(&mount));
        groups.extend(above.map(|folder| MemoryCgroup { folder: folder.to_path_buf(), is_v2: unified }));
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
    fn the_tightest_limit_of_any_ancestor_binds() {
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
    fn version_one_and_none() {
        let one = tree(&[
            ("proc/self/cgroup", "garbage\n5:cpu:/x\n4:memory,hugetlb:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n"),
        ]);
        assert_eq!(memory_limit(one.path()), Some(1 << 20));
        assert_eq!(memory_limit(tree(&[("proc/meminfo", "MemTotal: many\n")]).path()), None);
    }

    #[test]
    fn what_a_group_still_allows_counts_unused_cache_as_free() {
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
    fn here_there_is_room() {
        let room = detect_capacity();
        assert!(room.slots >= 1);
        if cfg!(target_os = "linux") {
            assert!(room.memory > 0);
            assert!(available_memory().is_some_and(|bytes| bytes > 0));
        }
    }
}
