//! Wheels in uv's cache that sessions put there while they run, a few at a time.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::cache::UvCache;
use crate::cache::uv::Pointer;
use crate::fs::Sha256;

/// How many wheels are given at once: what is more urgent waits no longer than for these.
const A_FEW: usize = 4;

/// How long what a scan found is taken for what is there.
const FRESH: Duration = Duration::from_secs(1);

/// What a scan found that was not given before.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    given: BTreeSet<Sha256>,
    found: VecDeque<Pointer>,
    scanned: Option<Instant>,
}

impl Fetched {
    /// The next few; none where all that is there was given.
    pub(super) fn next(&mut self, uv: &UvCache) -> Vec<Pointer> {
        let fresh = self.scanned.is_some_and(|scanned| scanned.elapsed() < FRESH);
        if self.found.is_empty() || !fresh {
            self.found = uv.scan().0.into_iter().filter(|pointer| !self.given.contains(&pointer.digest)).collect();
            self.scanned = Some(Instant::now());
        }
        let mut few: Vec<Pointer> = Vec::new();
        while let Some(pointer) = self.found.front()
            && few.len() < A_FEW
        {
            if self.given.insert(pointer.digest) {
                few.push(pointer.clone());
            }
            self.found.pop_front();
        }
        few
    }
}
