//! How far the work on a store has come, for whoever shows it.

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Entries are put to where they are used.
    Restore,
    /// Entries are taken into the store.
    Save,
    /// Every byte is read and compared.
    Verify,
    /// Entries are removed.
    Prune,
}

impl Phase {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
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
pub struct Amount {
    /// Entries.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |mut sum, amount| {
            sum += amount;
            sum
        })
    }
}

/// Whoever wants to know how far the work has come; told from many threads.
pub trait Progress: Sync {
    /// Work begins; `total` is all there is to do.
    fn begin(&self, phase: Phase, total: Amount);
    /// So much more is done.
    fn advance(&self, more: Amount);
    /// It is over, however it went.
    fn end(&self);
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: Amount) {}
    fn advance(&self, _: Amount) {}
    fn end(&self) {}
}
