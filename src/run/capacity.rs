//! What the machine gives: CPUs by affinity and cgroup, memory by cgroup.

use std::path::Path;

use super::plan::Room;

/// The room on this machine for this process.
pub fn room() -> Room {
    // The standard library honours the affinity mask and the quotas of both cgroup versions.
    let slots = std::thread::available_parallelism().map_or(1, usize::from);
    Room { slots, memory: memory_limit(Path::new("/")).unwrap_or(0) }
}

/// The lower of the machine's memory and the limits of this process's cgroups, in bytes; none where nothing is told.
fn memory_limit(root: &Path) -> Option<u64> {
    let total = meminfo(root, "MemTotal:");
    let groups = fs_err::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits: Vec<u64> = total.into_iter().collect();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        // A limit on any ancestor binds too; inside a container the path may name a folder that is not there.
        let mut folder = root.join(mount).join(path.trim_start_matches('/'));
        while folder.starts_with(root.join(mount)) {
            limits.extend(
                fs_err::read_to_string(folder.join(file)).ok().and_then(|text| text.trim().parse::<u64>().ok()),
            );
            if !folder.pop() {
                break;
            }
        }
    }
    limits.into_iter().min()
}

/// Bytes of memory that could be used now without swapping; none where the system does not tell.
pub fn memory_available() -> Option<u64> {
    meminfo(Path::new("/"), "MemAvailable:")
}

fn meminfo(root: &Path, key: &str) -> Option<u64> {
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
    fn here_there_is_room() {
        let room = room();
        assert!(room.slots >= 1);
        if cfg!(target_os = "linux") {
            assert!(room.memory > 0);
            assert!(memory_available().is_some_and(|bytes| bytes > 0));
        }
    }
}
