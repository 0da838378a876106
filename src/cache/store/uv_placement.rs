//! Placements of a tree in a uv cache: the link to the tree and uv's own files beside it, under exactly the names that uv
//! gives them, so that no placement can name any other path.

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::entry_id::{EntryId, EntryKind};
use super::uv_pointer::UvPointer;
use crate::fs::{blake3_hex, safe_relative_path};

/// Version of `placement.json`.
const PLACEMENT_VERSION: u32 = 2;

/// How a tree is placed in a uv cache: uv's own files, unmodified, the pointer last.
///
/// Every value is valid, whether noxide made it or read it from a store: bucket and paths are those that uv would use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PlacementData")]
pub struct UvPlacement {
    version: u32,
    bucket: String,
    tree_path: String,
    link: String,
    files: Vec<UvPlacementFile>,
}

/// One of uv's own files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UvPlacementFile {
    /// Path in the uv cache.
    pub(crate) path: String,
    /// BLAKE3 digest of the file.
    pub(crate) digest: String,
}

/// A placement as stored, not yet validated.
#[derive(Deserialize)]
struct PlacementData {
    version: u32,
    bucket: String,
    tree_path: String,
    link: String,
    files: Vec<UvPlacementFile>,
}

impl TryFrom<PlacementData> for UvPlacement {
    type Error = Damage;

    fn try_from(data: PlacementData) -> Result<Self, Damage> {
        let PlacementData { version, bucket, tree_path, link, files } = data;
        if version != PLACEMENT_VERSION {
            return Err(Damage::InvalidMeta(format!(
                "version {version}, but this noxide uses version {PLACEMENT_VERSION}"
            )));
        }
        let placement = Self { version, bucket, tree_path, link, files };
        if placement.kind().is_none() || !placement.has_valid_tree_path() {
            return Err(Damage::InvalidPath);
        }
        Ok(placement)
    }
}

impl UvPlacement {
    /// Describes uv's own files, given as paths in the cache and bytes.
    ///
    /// # Errors
    /// [`Damage::InvalidPath`] if uv would use another path for one of them.
    pub fn new(bucket: String, tree_path: String, link: String, files: &[(String, Vec<u8>)]) -> Result<Self, Damage> {
        let file =
            |(path, bytes): &(String, Vec<u8>)| UvPlacementFile { path: path.clone(), digest: blake3_hex(bytes) };
        let files = files.iter().map(file).collect();
        Self::try_from(PlacementData { version: PLACEMENT_VERSION, bucket, tree_path, link, files })
    }

    /// Returns the bucket of the uv cache, such as `wheels-v8`: only a uv with a bucket of that name reads the files.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the path of the tree in the uv cache: `archive-v0/<id>`.
    pub fn tree_path(&self) -> &str {
        &self.tree_path
    }

    /// Returns the path of the symbolic link to the tree, next to the pointer.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Returns uv's files, in the order in which they are written; the last one is uv's pointer to the tree.
    pub(crate) fn files(&self) -> &[UvPlacementFile] {
        &self.files
    }

    /// Returns the name of its directory in the entry, derived from bucket and link.
    pub(super) fn dir_name(bucket: &str, link: &str) -> String {
        format!("{bucket}.{}", &blake3_hex(link.as_bytes())[..16])
    }

    /// Returns the placement without the cached metadata of a wheel, with its remaining files; uv gets them again.
    #[must_use]
    pub(in crate::cache) fn without_metadata(mut self, mut files: Vec<Vec<u8>>) -> (Self, Vec<Vec<u8>>) {
        if self.kind() == Some(EntryKind::Wheel) {
            let metadata = self.files.len().saturating_sub(1);
            self.files.drain(..metadata);
            files.drain(..metadata.min(files.len()));
        }
        (self, files)
    }

    /// Returns the kind of entry that uv places like this, or `None` if uv uses other paths.
    pub(crate) fn kind(&self) -> Option<EntryKind> {
        let link = safe_relative_path(&self.link)?;
        let parent = link.parent()?.to_str().filter(|parent| *parent != self.bucket)?;
        link.strip_prefix(&self.bucket).ok()?;
        let paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        if is_bucket(&self.bucket, "wheels-v") {
            let pointers = [format!("{}.http", self.link), format!("{}.rev", self.link)];
            let metadata = format!("{}.msgpack", self.link);
            let (pointer, others) = paths.split_last()?;
            let is_metadata = others.is_empty() || others == [metadata.as_str()];
            (is_metadata && pointers.iter().any(|path| path == pointer)).then_some(EntryKind::Wheel)
        } else if is_bucket(&self.bucket, "sdists-v") {
            let shard = link.parent()?.parent()?.to_str().filter(|shard| shard.starts_with(&self.bucket))?;
            let pointers = [format!("{shard}/revision.http"), format!("{shard}/revision.rev")];
            let [metadata, wheel, pointer] = paths[..] else { return None };
            let is_uvs = metadata == format!("{parent}/metadata.msgpack")
                && wheel == format!("{}.whl", self.link)
                && pointers.iter().any(|path| path == pointer);
            is_uvs.then_some(EntryKind::BuiltWheel)
        } else {
            None
        }
    }

    /// Returns whether uv's pointer, the last of these files, is that of an entry in this place: whatever else it named, uv
    /// would install.
    pub(in crate::cache) fn has_pointer_of(&self, id: &EntryId, files: &[Vec<u8>]) -> bool {
        let (Some(file), Some(bytes)) = (self.files.last(), files.last()) else { return false };
        let Some(pointer) = UvPointer::parse(id.kind, &file.path, bytes) else { return false };
        let (digest, wheel) = id.id().split_at_checked(64).unwrap_or_default();
        let mut link = self.link.rsplit('/');
        let (name, directory) = (link.next().unwrap_or_default(), link.next().unwrap_or_default());
        let tree_name = self.tree_path.rsplit('/').next().unwrap_or_default();
        match id.kind {
            EntryKind::Wheel => pointer.is_of_wheel(digest, tree_name, &self.link),
            EntryKind::BuiltWheel => pointer.is_of_source(digest, directory) && wheel.strip_prefix('.') == Some(name),
            _ => false,
        }
    }

    fn has_valid_tree_path(&self) -> bool {
        self.tree_path.split_once('/').is_some_and(|(bucket, id)| {
            is_bucket(bucket, "archive-v")
                && !id.contains('/')
                && !id.starts_with('.')
                && safe_relative_path(id).is_some()
        })
    }
}

/// Returns whether a name is a bucket: the prefix and a number.
fn is_bucket(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bucket: &str, tree: &str, link: &str, files: &[&str]) -> Option<UvPlacement> {
        let files: Vec<_> = files.iter().map(|path| ((*path).to_owned(), b"x".to_vec())).collect();
        UvPlacement::new(bucket.to_owned(), tree.to_owned(), link.to_owned(), &files).ok()
    }

    #[test]
    fn the_files_that_uv_creates_are_accepted() {
        let link = "wheels-v8/pypi/six/1.17.0-py2.py3-none-any";
        let pointer = format!("{link}.http");
        let wheel = place("wheels-v8", "archive-v0/abc", link, &[&format!("{link}.msgpack"), &pointer]).unwrap();
        assert_eq!(wheel.kind(), Some(EntryKind::Wheel));
        assert!(place("wheels-v8", "archive-v0/abc", link, &[&pointer]).is_some());
        assert!(place("wheels-v8", "archive-v0/abc", link, &[&format!("{link}.rev")]).is_some());
        let files = ["metadata.msgpack", "a-1-py3-none-any.whl"].map(|name| format!("sdists-v9/pypi/a/1/rev/{name}"));
        let built = place(
            "sdists-v9",
            "archive-v0/abc",
            "sdists-v9/pypi/a/1/rev/a-1-py3-none-any",
            &[&files[0], &files[1], "sdists-v9/pypi/a/1/revision.http"],
        );
        assert_eq!(built.unwrap().kind(), Some(EntryKind::BuiltWheel));
    }

    #[test]
    fn any_other_path_is_refused() {
        let link = "wheels-v8/pypi/six/1.17.0-py3-none-any";
        let pointer = format!("{link}.http");
        let inside = format!("{link}/six.py");
        for files in [
            vec![inside.as_str(), &pointer],
            vec![&pointer, "wheels-v8/pypi/six/other.http"],
            vec!["wheels-v8/pypi/six/x", &pointer],
            vec!["../../x", &pointer],
            vec![&pointer, &pointer],
            vec![link],
            vec![],
        ] {
            assert!(place("wheels-v8", "archive-v0/abc", link, &files).is_none(), "{files:?}");
        }
        for (bucket, tree, link) in [
            ("/tmp/x", "archive-v0/abc", "/tmp/x/a"),
            ("..", "archive-v0/abc", "../a"),
            ("wheels-v8", "archive-v0/../x", "wheels-v8/pypi/a"),
            ("wheels-v8", "archive-v0/.x", "wheels-v8/pypi/a"),
            ("wheels-v8", "wheels-v8/abc", "wheels-v8/pypi/a"),
            ("wheels-v8", "archive-v0/abc", "wheels-v9/pypi/a"),
            ("wheels-v8", "archive-v0/abc", "wheels-v8/../../a"),
            ("wheels-v8", "archive-v0/abc", "wheels-v8/a"),
            ("wheels-vx", "archive-v0/abc", "wheels-vx/pypi/a"),
            ("environments-v2", "archive-v0/abc", "environments-v2/pypi/a"),
        ] {
            assert!(place(bucket, tree, link, &[&format!("{link}.http")]).is_none(), "{bucket} {tree} {link}");
        }
    }

    #[test]
    fn a_stored_placement_is_validated_when_it_is_parsed() {
        let link = "wheels-v8/pypi/six/1";
        let placement = place("wheels-v8", "archive-v0/abc", link, &[&format!("{link}.http")]).unwrap();
        let text = serde_json::to_string(&placement).unwrap();
        assert_eq!(serde_json::from_str::<UvPlacement>(&text).unwrap(), placement);
        for (from, to) in [("archive-v0/abc", "archive-v0/../x"), ("\"version\":2", "\"version\":3"), (".http", "/x")] {
            assert!(serde_json::from_str::<UvPlacement>(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}
