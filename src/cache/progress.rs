//! Progress of work on a store, for display.

/// A phase of work on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePhase {
    /// Entries are restored or downloaded.
    Restore,
    /// Entries are added to the store.
    Save,
    /// Every file is read and compared.
    Verify,
    /// Entries are removed.
    Prune,
}

impl CachePhase {
    /// Returns the name of the phase.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Verify => "verify",
            Self::Prune => "prune",
        }
    }
}

/// An amount of work, done or to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkAmount {
    /// Number of entries.
    pub entries: u64,
    /// Number of files.
    pub files: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for WorkAmount {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

impl std::iter::Sum for WorkAmount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |mut sum, amount| {
            sum += amount;
            sum
        })
    }
}

/// Receives progress, from any thread.
pub trait ProgressReporter: Sync {
    /// Called when a phase starts, with the total amount of work.
    fn start_phase(&self, phase: CachePhase, total: WorkAmount);
    /// Called when more work is done.
    fn advance(&self, more: WorkAmount);
    /// Called when the phase ends, successful or not.
    fn finish_phase(&self);
}

/// Ignores progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressReporter for NoProgress {
    fn start_phase(&self, _: CachePhase, _: WorkAmount) {}
    fn advance(&self, _: WorkAmount) {}
    fn finish_phase(&self) {}
}
