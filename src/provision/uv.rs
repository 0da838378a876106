//! The uv that sessions or `noxide cache` use, and its cache.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cache::store::{DirectorySpec, RestorePlan, RestoreReport, SaveReport};
use crate::cache::uv::{UvCachedWheel, UvError, UvLayoutSupport};
use crate::cache::{PackageSelection, ProgressReporter, Store, StoreError, Uv, UvCache};
use crate::fs::Sha256Digest;
use crate::project::{NoxSearch, NoxfileManifest};

/// Number of wheels saved in one step; small, because more urgent tasks wait for the step to end.
const WHEEL_BATCH_SIZE: usize = 4;

/// How long the result of a scan is reused.
const MAX_SCAN_AGE: Duration = Duration::from_secs(1);

/// Reasons why the cache of a project's uv cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UvCacheError {
    /// There is no uv.
    #[error("uv was not found: neither on PATH nor installed with nox")]
    NotFound,
    /// uv failed or printed unexpected output.
    #[error(transparent)]
    Uv(#[from] UvError),
    /// The cache directory cannot be resolved.
    #[error("cannot resolve uv's cache directory: {0}")]
    Path(#[from] std::io::Error),
    /// This uv lays out its cache in an unknown way.
    #[error("the cache layout of {} is unknown: {reason}", uv.display())]
    UnknownLayout {
        /// The program.
        uv: PathBuf,
        /// What is unknown about it.
        reason: String,
    },
}

/// uv's cache, as far as its layout is known.
#[derive(Debug)]
pub(crate) enum UvCacheAccess {
    /// Wheels are restored and saved one by one.
    PerWheel(UvCache),
    /// The layout is unknown: the cache is restored and saved as one directory.
    WholeDirectory {
        /// The cache.
        directory: DirectorySpec,
        /// Why its layout is unknown.
        reason: String,
    },
}

impl UvCacheAccess {
    /// Opens the cache of the project's uv, at `cache_dir` or at the path that uv reports.
    ///
    /// # Errors
    /// When uv is not found or fails.
    pub(crate) fn open(
        cache_dir: Option<&Path>,
        store: &Store,
        user_cache_dir: Option<PathBuf>,
    ) -> Result<Self, UvCacheError> {
        let uv = find_project_uv(user_cache_dir).ok_or(UvCacheError::NotFound)?;
        let dir = match cache_dir {
            Some(dir) => dir.to_path_buf(),
            None => uv.cache_dir(Path::new("."), &|name| std::env::var_os(name))?,
        };
        let dir = std::path::absolute(dir)?;
        match uv.detect_layout(store) {
            UvLayoutSupport::Known(layout) => Ok(Self::PerWheel(UvCache::new(dir, layout))),
            UvLayoutSupport::Unknown { reason } => {
                Ok(Self::WholeDirectory { directory: DirectorySpec::for_uv_cache(dir, &uv.version()?), reason })
            }
        }
    }
}

impl UvCacheAccess {
    /// Returns why the cache is stored as a whole, if it is.
    pub(crate) fn unknown_layout_notice(&self) -> Option<String> {
        let Self::WholeDirectory { reason, .. } = self else { return None };
        Some(format!("the cache layout of this uv is unknown ({reason}): its cache is stored as a whole"))
    }

    /// Plans the restore of packages; nothing is planned for a whole directory.
    pub(crate) fn plan_restore(&self, store: &Store, selection: &PackageSelection) -> RestorePlan {
        match self {
            Self::PerWheel(cache) => store.plan_restore(selection, cache),
            Self::WholeDirectory { .. } => RestorePlan::default(),
        }
    }

    /// Restores packages to the cache, and the configured directories.
    pub(crate) fn restore(
        self,
        store: &Store,
        selection: &PackageSelection,
        progress: &dyn ProgressReporter,
    ) -> RestoreReport {
        let mut directories = store.configured_directories();
        let mut report = match self {
            Self::PerWheel(cache) => store.restore_wheels(selection, &cache, progress),
            Self::WholeDirectory { directory, .. } => {
                directories.push(directory);
                RestoreReport::default()
            }
        };
        for directory in &directories {
            report.add_directory(store.restore_directory(directory, progress));
        }
        report
    }

    /// Saves new packages of the cache, and the configured directories.
    ///
    /// # Errors
    /// When something is new and the store is read-only.
    pub(crate) fn save(self, store: &Store, progress: &dyn ProgressReporter) -> Result<SaveReport, StoreError> {
        let mut directories = store.configured_directories();
        let mut report = match self {
            Self::PerWheel(cache) => store.save_wheels(&PackageSelection::All, &cache, progress)?,
            Self::WholeDirectory { directory, .. } => {
                directories.push(directory);
                SaveReport::default()
            }
        };
        for directory in &directories {
            report.add_directory(store.save_directory(directory, progress));
        }
        Ok(report)
    }
}

/// Returns the uv for a project whose noxfile is not loaded: the first on PATH, else one installed with a nox that
/// noxide uses, such as in its private environment.
pub(crate) fn find_project_uv(user_cache_dir: Option<PathBuf>) -> Option<Uv> {
    let beside_nox = || NoxSearch::from_environment(None, Path::new("."), user_cache_dir).find_uv_beside_nox();
    Uv::find_in_path(std::env::var_os("PATH")).or_else(|| beside_nox().map(Uv::from_path))
}

/// Returns the uv that sessions use: the one next to nox, which nox itself prefers, else the first on PATH.
pub(super) fn find_uv(manifest: &NoxfileManifest) -> Option<PathBuf> {
    let beside_nox = manifest.executable.parent().map(|directory| directory.join("uv"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside_nox
        .into_iter()
        .chain(std::env::split_paths(&path).map(|directory| directory.join("uv")))
        .find(|uv| uv.is_file())
}

/// Returns a uv's version, such as `0.13.9`.
pub(super) fn uv_version(uv: &Path) -> Option<String> {
    let output = Command::new(uv).arg("--version").stdin(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).map(str::to_owned)
}

/// Opens the uv cache that sessions use: at `cache_dir`, else at `UV_CACHE_DIR` as the noxfile leaves it, else at the
/// path that uv reports.
pub(super) fn open_uv_cache(
    manifest: &NoxfileManifest,
    store: &Store,
    cache_dir: Option<&Path>,
) -> Result<UvCache, UvCacheError> {
    let uv = Uv::from_path(find_uv(manifest).ok_or(UvCacheError::NotFound)?);
    let dir = match (cache_dir, &manifest.uv_cache) {
        (Some(dir), _) => dir.to_path_buf(),
        (None, Some(dir)) => manifest.root.join(dir),
        (None, None) => uv.cache_dir(&manifest.root, &|name| std::env::var_os(name))?,
    };
    let dir = std::path::absolute(dir)?;
    match uv.detect_layout(store) {
        UvLayoutSupport::Known(layout) => Ok(UvCache::new(dir, layout)),
        UvLayoutSupport::Unknown { reason } => Err(UvCacheError::UnknownLayout { uv: uv.path().to_path_buf(), reason }),
    }
}

/// Finds wheels in uv's cache that sessions have downloaded while they run.
#[derive(Debug, Default)]
pub(super) struct WheelScanner {
    returned: BTreeSet<Sha256Digest>,
    pending: VecDeque<UvCachedWheel>,
    scanned_at: Option<Instant>,
}

impl WheelScanner {
    /// Returns the next wheels, each once; empty if there are no new ones.
    pub(super) fn next_batch(&mut self, uv: &UvCache) -> Vec<UvCachedWheel> {
        let is_fresh = self.scanned_at.is_some_and(|scanned_at| scanned_at.elapsed() < MAX_SCAN_AGE);
        if self.pending.is_empty() || !is_fresh {
            let is_new = |wheel: &UvCachedWheel| !self.returned.contains(&wheel.digest);
            self.pending = uv.scan_wheels().0.into_iter().filter(is_new).collect();
            self.scanned_at = Some(Instant::now());
        }
        let mut batch: Vec<UvCachedWheel> = Vec::new();
        while batch.len() < WHEEL_BATCH_SIZE
            && let Some(wheel) = self.pending.pop_front()
        {
            if self.returned.insert(wheel.digest) {
                batch.push(wheel);
            }
        }
        batch
    }
}
