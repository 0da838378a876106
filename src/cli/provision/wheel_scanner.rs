//! Wheels in uv's cache that sessions put there while they run, a few at a time.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::cache::UvCache;
use crate::cache::uv::UvCachedWheel;
use crate::fs::Sha256Digest;

/// How many wheels are given at once: what is more urgent waits no longer than for these.
const BATCH_SIZE: usize = 4;

/// How long what a scan found is taken for what is there.
const MAX_SCAN_AGE: Duration = Duration::from_secs(1);

/// What a scan found that was not given before.
#[derive(Debug, Default)]
pub(super) struct WheelScanner {
    returned: BTreeSet<Sha256Digest>,
    pending: VecDeque<UvCachedWheel>,
    scanned_at: Option<Instant>,
}

impl WheelScanner {
    /// The next few; none where all that is there was given.
    pub(super) fn next_batch(&mut self, uv: &UvCache) -> Vec<UvCachedWheel> {
        let fresh = self.scanned_at.is_some_and(|scanned| scanned.elapsed() < MAX_SCAN_AGE);
        if self.pending.is_empty() || !fresh {
            self.pending =
                uv.scan_wheels().0.into_iter().filter(|pointer| !self.returned.contains(&pointer.digest)).collect();
            self.scanned_at = Some(Instant::now());
        }
        let mut few: Vec<UvCachedWheel> = Vec::new();
        while let Some(pointer) = self.pending.front()
            && few.len() < BATCH_SIZE
        {
            if self.returned.insert(pointer.digest) {
                few.push(pointer.clone());
            }
            self.pending.pop_front();
        }
        few
    }
}
