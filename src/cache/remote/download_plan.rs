//! What will be read from elsewhere, as data: which parts of which packs, for which entries.

use std::collections::BTreeMap;
use std::ops::Range;

use super::manifest::PackFrame;

/// The most that one read asks for, unless one frame is longer.
const MAX_SEGMENT_BYTES: u64 = 8 << 20;
/// Gaps that are read with what lies around them: at most so much, and at most a twentieth of what is wanted.
const MAX_GAP_BYTES: u64 = 256 << 10;

/// What will be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DownloadPlan {
    /// Reads, the longest first.
    pub(crate) segments: Vec<PackSegment>,
}

/// One part of a pack, with the frames in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackSegment {
    /// The pack's key.
    pub(crate) pack_key: String,
    /// The bytes.
    pub(crate) range: Range<u64>,
    /// The frames in it, by their place.
    pub(crate) frames: Vec<PackFrame>,
}

impl DownloadPlan {
    /// Plans to read these frames: neighbours together, gaps only where they cost little.
    pub fn new(frames: impl IntoIterator<Item = PackFrame>) -> Self {
        let mut packs: BTreeMap<String, Vec<PackFrame>> = BTreeMap::new();
        for frame in frames {
            packs.entry(frame.pack.clone()).or_default().push(frame);
        }
        let mut segments: Vec<PackSegment> = Vec::new();
        for (pack, mut frames) in packs {
            frames.sort_by_key(|frame| frame.offset);
            frames.dedup_by_key(|frame| frame.offset);
            let mut open: Option<(PackSegment, u64)> = None;
            for frame in frames {
                let end = frame.offset + frame.length;
                if let Some((segment, wanted)) = &mut open {
                    let gap = frame.offset.saturating_sub(segment.range.end);
                    let cheap = gap <= MAX_GAP_BYTES.min((*wanted + frame.length) / 20);
                    if cheap && end - segment.range.start <= MAX_SEGMENT_BYTES && frame.offset >= segment.range.end {
                        segment.range.end = end;
                        *wanted += frame.length;
                        segment.frames.push(frame);
                        continue;
                    }
                }
                let length = frame.length;
                let segment = PackSegment { pack_key: pack.clone(), range: frame.offset..end, frames: vec![frame] };
                segments.extend(open.replace((segment, length)).map(|(segment, _)| segment));
            }
            segments.extend(open.map(|(segment, _)| segment));
        }
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.range.end - segment.range.start));
        Self { segments }
    }

    /// Bytes that will be read.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.range.end - segment.range.start).sum()
    }

    /// The frames that are wanted.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &PackFrame> {
        self.segments.iter().flat_map(|segment| &segment.frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(pack: &str, offset: u64, length: u64) -> PackFrame {
        PackFrame {
            entry: format!("wheel/{pack}{offset}"),
            name: String::new(),
            pack: pack.to_owned(),
            offset,
            length,
            uncompressed_length: 0,
            frame_digest: String::new(),
            tree_digest: String::new(),
            buckets: Vec::new(),
            last_used_day: 0,
        }
    }

    #[test]
    fn neighbours_are_read_together_and_gaps_where_they_cost_little() {
        let plan =
            DownloadPlan::new([frame("a", 0, 1_000), frame("a", 1_000, 500), frame("a", 1_550, 100), frame("b", 7, 3)]);
        assert_eq!(
            plan.segments.iter().map(|s| (s.pack_key.as_str(), s.range.clone())).collect::<Vec<_>>(),
            [("a", 0..1_650), ("b", 7..10)]
        );
        assert_eq!((plan.total_bytes(), plan.frames().count()), (1_653, 4));
        let plan = DownloadPlan::new([
            frame("a", 0, 100),
            frame("a", 5_000, 100),
            frame("a", 6_000, MAX_SEGMENT_BYTES),
            frame("a", 0, 100),
        ]);
        assert_eq!(plan.segments.len(), 3);
    }

    proptest! {
        /// Each frame is read once, and at most a tenth more than what is wanted.
        #[test]
        fn little_more_than_wanted_is_read(parts in prop::collection::vec((1..3_000_000_u64, any::<bool>()), 1..60)) {
            let mut at = 0;
            let mut wanted = Vec::new();
            for (length, want) in parts {
                wanted.extend(want.then(|| frame("p", at, length)));
                at += length;
            }
            let own: u64 = wanted.iter().map(|frame| frame.length).sum();
            let plan = DownloadPlan::new(wanted.clone());
            let mut read: Vec<PackFrame> = plan.frames().cloned().collect();
            read.sort_by_key(|frame| frame.offset);
            prop_assert_eq!(&read, &wanted);
            prop_assert!(plan.total_bytes() <= own + own / 10);
            for segment in &plan.segments {
                prop_assert!(segment.frames.iter().all(|f| f.offset >= segment.range.start && f.offset + f.length <= segment.range.end));
                prop_assert!(segment.frames.len() == 1 || segment.range.end - segment.range.start <= MAX_SEGMENT_BYTES);
            }
        }
    }
}
