//! How far the work on a store has come, for whoever shows it.

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePhase {
    /// Entries are put to where they are used.
    Restore,
    /// Entries are taken into the store.
    Save,
    /// Every byte is read and compared.
    Verify,
    /// Entries are removed.
    Prune,
}

impl CachePhase {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Verify => "verify",
            Self::Prune => "prune",
        }
    }
}

/// So much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkAmount {
    /// Entries.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes.
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

/// Whoever wants to know how far the work has come; told from many threads.
pub trait ProgressReporter: Sync {
    /// Work begins; `total` is all there is to do.
    fn start_phase(&self, phase: CachePhase, total: WorkAmount);
    /// So much more is done.
    fn advance(&self, more: WorkAmount);
    /// It is over, however it went.
    fn finish_phase(&self);
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressReporter for NoProgress {
    fn start_phase(&self, _: CachePhase, _: WorkAmount) {}
    fn advance(&self, _: WorkAmount) {}
    fn finish_phase(&self) {}
}
