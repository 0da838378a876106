//! Bucket names of a uv cache.

use serde::{Deserialize, Serialize};

/// Bucket names of one uv. Nearly every minor release of uv changes their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UvCacheLayout {
    /// Bucket of pointer files for unpacked wheels: `wheels-v8`.
    pub wheels: String,
    /// Bucket of unpacked wheels: `archive-v0`.
    pub archives: String,
    /// Bucket of source archives and wheels built from them: `sdists-v11`; `None` if this uv has not created it.
    pub sdists: Option<String>,
}

/// Whether noxide knows the cache layout of a uv.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "layout", rename_all = "kebab-case")]
pub enum UvLayoutSupport {
    /// A probe showed that uv uses the files that noxide adds.
    Known(UvCacheLayout),
    /// The probe failed or could not run: the cache can only be stored as one directory.
    Unknown {
        /// The reason, as a message.
        reason: String,
    },
}

impl UvCacheLayout {
    /// Finds the buckets among the names in a cache; returns `None` if a required one is missing or ambiguous.
    pub(crate) fn from_bucket_names(names: &[String]) -> Option<Self> {
        let find_bucket = |prefix: &str| {
            let mut found = names.iter().filter(|name| {
                name.strip_prefix(prefix)
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
            });
            found.next().filter(|_| found.next().is_none()).cloned()
        };
        Some(Self {
            wheels: find_bucket("wheels-v")?,
            archives: find_bucket("archive-v")?,
            sdists: find_bucket("sdists-v"),
        })
    }

    /// Returns the buckets that contain pointer files.
    pub fn pointer_buckets(&self) -> Vec<&str> {
        std::iter::once(self.wheels.as_str()).chain(self.sdists.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_found_by_name() {
        let names = |names: &[&str]| {
            UvCacheLayout::from_bucket_names(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let layout = names(&["archive-v0", "wheels-v8", "wheels-vX", "simple-v28"]).unwrap();
        assert_eq!(
            (layout.wheels.as_str(), layout.archives.as_str(), layout.sdists),
            ("wheels-v8", "archive-v0", None)
        );
        assert_eq!(names(&["archive-v0", "wheels-v8", "wheels-v9"]), None);
        assert_eq!(names(&["wheels-v8"]), None);
    }
}
