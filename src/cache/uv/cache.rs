//! A uv cache: reading its wheels, and adding trees as uv itself would.

use std::fs::File;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::cache::store::UvPlacement;
use crate::fs::{FlockGuard, LockedTempDir, RootDir, is_rename_target_occupied};

use super::layout::UvCacheLayout;
use super::wheel_scan::{UvCachedWheel, count_wheels_without_digest, scan_wheels};

/// How long to wait for a running `uv cache clean` or `uv cache prune`; uv itself waits five minutes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);

/// Content of the `CACHEDIR.TAG` that uv writes.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55";

/// A uv cache with a known layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvCache {
    dir: PathBuf,
    layout: UvCacheLayout,
}

/// The shared lock that every uv holds while it uses a cache, so that the cache is not cleaned meanwhile.
#[derive(Debug)]
pub(crate) struct UvCacheLock {
    _lock: FlockGuard,
}

impl UvCache {
    /// Describes a cache, which need not exist.
    pub fn new(dir: PathBuf, layout: UvCacheLayout) -> Self {
        Self { dir, layout }
    }

    /// Returns the directory of the cache.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the names of its buckets.
    pub fn layout(&self) -> &UvCacheLayout {
        &self.layout
    }

    /// Returns every wheel in the cache, and the number of pointer files that do not match the layout.
    pub fn scan_wheels(&self) -> (Vec<UvCachedWheel>, usize) {
        scan_wheels(&self.dir, &self.layout)
    }

    /// Returns the number of wheels that uv has downloaded since `since` without recording a digest. They cannot be stored.
    pub(crate) fn count_wheels_without_digest(&self, since: SystemTime) -> usize {
        count_wheels_without_digest(&self.dir, &self.layout, since)
    }

    /// Locks the cache against cleaning; creates it if it does not exist.
    ///
    /// # Errors
    /// If the cache cannot be written to, or is being cleaned for more than five minutes.
    pub(crate) fn lock_shared(&self) -> io::Result<UvCacheLock> {
        fs_err::create_dir_all(&self.dir)?;
        let lock_file =
            fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(".lock"))?;
        let lock_file = File::from(lock_file);
        let started = Instant::now();
        loop {
            match flock(&lock_file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => return Ok(UvCacheLock { _lock: FlockGuard::new(lock_file) }),
                Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Creates a temporary directory on the file system of the cache, and removes those of killed processes.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub(crate) fn create_workspace(&self) -> io::Result<LockedTempDir> {
        LockedTempDir::remove_stale(&self.dir);
        LockedTempDir::create_in(&self.dir)
    }

    /// Returns whether a placement belongs to a bucket of this cache.
    pub(crate) fn can_hold_placement(&self, placement: &UvPlacement) -> bool {
        let in_bucket = self.layout.pointer_buckets().contains(&placement.bucket());
        in_bucket && placement.tree_path().starts_with(&format!("{}/", self.layout.archives))
    }

    /// Returns the existing tree of a placement, if its pointer file exists and its link points to a tree.
    pub(crate) fn find_tree(&self, placement: &UvPlacement) -> Option<PathBuf> {
        let pointer = placement.files().last()?;
        if !self.dir.join(&pointer.path).is_file() {
            return None;
        }
        let target = std::fs::read_link(self.dir.join(placement.link())).ok()?;
        let id = target.file_name()?;
        let tree = self.dir.join(&self.layout.archives).join(id);
        tree.is_dir().then_some(tree)
    }

    /// Moves a finished tree into the cache, and then writes uv's files that refer to it, the pointer file last. Writes
    /// through no link. `is_same_tree` decides about a tree that is already there under the same name.
    ///
    /// # Errors
    /// If writing fails, or the cache has another tree of that name. The cache then contains only complete trees or trees
    /// without a pointer file.
    pub(crate) fn publish_tree(
        &self,
        staged: &Path,
        placement: &UvPlacement,
        files: &[Vec<u8>],
        workspace: &LockedTempDir,
        is_same_tree: &dyn Fn(&Path) -> bool,
    ) -> io::Result<()> {
        let root = RootDir::open(&self.dir)?;
        match root.rename_from(staged, Path::new(placement.tree_path())) {
            Err(error) if !is_rename_target_occupied(&error) => return Err(error),
            Err(_) if !is_same_tree(&self.dir.join(placement.tree_path())) => {
                return Err(io::Error::other(format!(
                    "uv's cache already contains other files at {}",
                    placement.tree_path()
                )));
            }
            _ => {}
        }
        let depth = placement.link().matches('/').count();
        replace_path(&root, placement.link(), workspace, |new| {
            symlink(format!("{}{}", "../".repeat(depth), placement.tree_path()), new)
        })?;
        for (file, bytes) in placement.files().iter().zip(files) {
            replace_path(&root, &file.path, workspace, |new| fs_err::write(new, bytes))?;
        }
        self.write_cache_tags()
    }

    /// Removes a damaged tree from the cache; with `placement` also the files that refer to it, so that uv downloads it again.
    ///
    /// # Errors
    /// If the files cannot be removed.
    pub(crate) fn remove_tree(
        &self,
        tree: &Path,
        placement: Option<&UvPlacement>,
        workspace: &LockedTempDir,
    ) -> io::Result<()> {
        if let Some(placement) = placement {
            let root = RootDir::open(&self.dir)?;
            for path in placement.files().iter().rev().map(|file| file.path.as_str()).chain([placement.link()]) {
                root.remove_file(Path::new(path))?;
            }
        }
        let name = tree.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ignore_not_found(std::fs::rename(tree, workspace.path().join(format!("removed-{name}"))))
    }

    /// Writes the files by which uv marks a directory as a cache when it creates one.
    fn write_cache_tags(&self) -> io::Result<()> {
        for (name, text) in [("CACHEDIR.TAG", CACHEDIR_TAG), (".gitignore", "*")] {
            if !self.dir.join(name).exists() {
                fs_err::write(self.dir.join(name), text)?;
            }
        }
        Ok(())
    }
}

/// Creates a file or link in the workspace, and renames it to `path` below the cache.
fn replace_path(
    root: &RootDir,
    path: &str,
    workspace: &LockedTempDir,
    create: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let number = NEXT_TEMP_NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let new = workspace.path().join(format!("new-{number}"));
    create(&new)?;
    root.rename_from(&new, Path::new(path))
}

static NEXT_TEMP_NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
