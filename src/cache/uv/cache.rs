//! A uv cache: what is in it, and how a tree gets into it as if uv had put it there.

use std::fs::File;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::cache::store::UvPlacement;
use crate::fs::{FlockGuard, LockedTempDir};

use super::layout::UvCacheLayout;
use super::wheel_scan::{UvCachedWheel, count_wheels_without_digest, scan_wheels};

/// How long to wait for a `uv cache clean` or `prune` to end; uv itself waits five minutes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);

/// What uv writes to the root of its cache.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55";

/// A uv cache whose layout is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvCache {
    dir: PathBuf,
    layout: UvCacheLayout,
}

/// Held while a uv cache is read or written, as every uv does: cleaning waits for it.
#[derive(Debug)]
pub(crate) struct UvCacheLock {
    _lock: FlockGuard,
}

impl UvCache {
    /// A cache of a uv with that layout; it need not be there yet.
    pub fn new(dir: PathBuf, layout: UvCacheLayout) -> Self {
        Self { dir, layout }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names of its buckets.
    pub fn layout(&self) -> &UvCacheLayout {
        &self.layout
    }

    /// Every wheel in it, and how many pointers were not as this layout has them.
    pub fn scan_wheels(&self) -> (Vec<UvCachedWheel>, usize) {
        scan_wheels(&self.dir, &self.layout)
    }

    /// How many wheels uv has fetched since then and knows no digest of, so that no store can name them.
    pub(crate) fn count_wheels_without_digest(&self, since: SystemTime) -> usize {
        count_wheels_without_digest(&self.dir, &self.layout, since)
    }

    /// Holds the cache so that uv does not clean it meanwhile; made where there is none.
    ///
    /// # Errors
    /// When it cannot be written to, or is being cleaned for five minutes.
    pub(crate) fn lock_shared(&self) -> io::Result<UvCacheLock> {
        fs_err::create_dir_all(&self.dir)?;
        let lock = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(".lock"))?;
        let lock = File::from(lock);
        let begun = Instant::now();
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockShared) {
                Ok(()) => return Ok(UvCacheLock { _lock: FlockGuard::new(lock) }),
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A folder for work in progress on the cache's own file system; what killed processes left is removed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create_workspace(&self) -> io::Result<LockedTempDir> {
        LockedTempDir::remove_stale(&self.dir);
        LockedTempDir::create_in(&self.dir)
    }

    /// Whether it is for this cache at all.
    pub(crate) fn can_hold_placement(&self, placing: &UvPlacement) -> bool {
        let bucket = placing.bucket == self.layout.wheels || Some(&placing.bucket) == self.layout.sdists.as_ref();
        bucket && placing.tree_path.starts_with(&format!("{}/", self.layout.archives))
    }

    /// The tree that stands in the cache where this placing would put one: its pointer is there, and its link leads to it.
    pub(crate) fn find_tree(&self, placing: &UvPlacement) -> Option<PathBuf> {
        let pointer = placing.files.last()?;
        if !self.dir.join(&pointer.path).is_file() {
            return None;
        }
        let target = std::fs::read_link(self.dir.join(&placing.link)).ok()?;
        let id = target.file_name()?;
        let tree = self.dir.join(&self.layout.archives).join(id);
        tree.is_dir().then_some(tree)
    }

    /// Puts a finished tree, and then the files that point to it, where uv looks for them; the pointer comes last.
    ///
    /// # Errors
    /// When the file system refuses; whatever is there then is complete or not pointed to.
    pub(crate) fn publish_tree(
        &self,
        staged: &Path,
        placing: &UvPlacement,
        files: &[Vec<u8>],
        workspace: &LockedTempDir,
    ) -> io::Result<()> {
        let tree = self.dir.join(&placing.tree_path);
        create_parent_folder(&tree)?;
        match std::fs::rename(staged, &tree) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty) => {
                return Err(error);
            }
            _ => {}
        }
        let link = self.dir.join(&placing.link);
        create_parent_folder(&link)?;
        let up = placing.link.matches('/').count();
        self.replace_path(&link, workspace, |new| symlink(format!("{}{}", "../".repeat(up), placing.tree_path), new))?;
        for (file, bytes) in placing.files.iter().zip(files) {
            let path = self.dir.join(&file.path);
            create_parent_folder(&path)?;
            self.replace_path(&path, workspace, |new| fs_err::write(new, bytes))?;
        }
        self.write_cache_tags()
    }

    /// Takes a damaged tree out of the cache; with `pointers` also what points to it, so that uv fetches it anew.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn remove_tree(
        &self,
        tree: &Path,
        pointers: Option<&UvPlacement>,
        workspace: &LockedTempDir,
    ) -> io::Result<()> {
        if let Some(placing) = pointers {
            for path in placing.files.iter().rev().map(|file| &file.path).chain([&placing.link]) {
                ignore_not_found(std::fs::remove_file(self.dir.join(path)))?;
            }
        }
        let name = tree.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ignore_not_found(std::fs::rename(tree, workspace.path().join(format!("removed-{name}"))))
    }

    fn replace_path(
        &self,
        path: &Path,
        workspace: &LockedTempDir,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let number = NEXT_TEMP_NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let new = workspace.path().join(format!("new-{number}"));
        make(&new)?;
        std::fs::rename(&new, path)
    }

    /// What uv writes when it makes a cache.
    fn write_cache_tags(&self) -> io::Result<()> {
        for (name, text) in [("CACHEDIR.TAG", CACHEDIR_TAG), (".gitignore", "*")] {
            if !self.dir.join(name).exists() {
                fs_err::write(self.dir.join(name), text)?;
            }
        }
        Ok(())
    }
}

static NEXT_TEMP_NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn create_parent_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)
}

fn ignore_not_found(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
