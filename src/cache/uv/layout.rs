//! The names of the buckets of a uv cache.

use serde::{Deserialize, Serialize};

/// The buckets that matter here, as one uv names them; nearly every minor release gives new numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UvCacheLayout {
    /// Pointers to unpacked wheels: `wheels-v8`.
    pub wheels: String,
    /// The unpacked wheels: `archive-v0`.
    pub archives: String,
    /// Source archives and the wheels built from them: `sdists-v11`; none where this uv made none.
    pub sdists: Option<String>,
}

/// Whether noxide knows how this uv keeps its cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "layout", rename_all = "kebab-case")]
pub enum UvLayoutSupport {
    /// It was tried: what was put there was taken.
    Known(UvCacheLayout),
    /// It was tried and did not work, or could not be tried: the cache can only be kept as a whole.
    Unknown {
        /// Why, in words for people.
        reason: String,
    },
}

impl UvCacheLayout {
    /// The buckets among the names in a cache; none where one that is needed is missing or there are several.
    pub(crate) fn from_bucket_names(names: &[String]) -> Option<Self> {
        let one = |start: &str| {
            let mut found = names.iter().filter(|name| {
                name.strip_prefix(start)
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
            });
            found.next().filter(|_| found.next().is_none()).cloned()
        };
        Some(Self { wheels: one("wheels-v")?, archives: one("archive-v")?, sdists: one("sdists-v") })
    }

    /// The buckets that hold pointers.
    pub fn pointer_buckets(&self) -> Vec<&str> {
        std::iter::once(self.wheels.as_str()).chain(self.sdists.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_found_by_their_names() {
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
