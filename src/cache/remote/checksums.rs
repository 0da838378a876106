//! `noxide.sums`: tree digests of wheels, committed next to the lock file, so that wheels of an untrusted remote cache
//! can be verified.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cache::store::{EntryId, EntryMeta};
use crate::fs::read_project_text;
use crate::text::is_hex;

/// The expected tree digest of each wheel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WheelChecksums {
    /// Tree digest and display name, by SHA-256 of the wheel.
    trees: BTreeMap<String, (String, String)>,
}

/// Why `noxide.sums` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WheelChecksumsError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is malformed.
    #[error("noxide.sums:{0}: expected the SHA-256 of a wheel, the digest of its tree, and its name")]
    InvalidLine(usize),
}

impl WheelChecksums {
    /// Reads the file of a project; returns `None` if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is malformed: after a partial read, some wheels would not be checked.
    pub fn load(root: &Path) -> Result<Option<Self>, WheelChecksumsError> {
        match read_project_text(&root.join("noxide.sums")) {
            Ok(text) => Self::parse(&text).map(Some),
            // A link that leads nowhere would turn the check off.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !root.join("noxide.sums").is_symlink() => {
                Ok(None)
            }
            Err(error) => Err(std::io::Error::new(error.kind(), format!("cannot read noxide.sums: {error}")).into()),
        }
    }

    fn parse(text: &str) -> Result<Self, WheelChecksumsError> {
        let mut checksums = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut fields = line.splitn(3, ' ');
            let is_digest = |field: &&str| is_hex(field, 64);
            let (wheel, tree) = (fields.next().filter(is_digest), fields.next().filter(is_digest));
            let (Some(wheel), Some(tree)) = (wheel, tree) else {
                return Err(WheelChecksumsError::InvalidLine(index + 1));
            };
            let name = fields.next().unwrap_or_default().to_owned();
            checksums.trees.insert(wheel.to_owned(), (tree.to_owned(), name));
        }
        Ok(checksums)
    }

    /// Adds the wheels among some entries; other entries differ between machines.
    pub fn add_entries<'a>(&mut self, metas: impl IntoIterator<Item = &'a EntryMeta>) {
        for meta in metas {
            if let Some(id) = meta.entry_id().filter(|id| id.kind == crate::cache::store::EntryKind::Wheel) {
                self.trees.insert(id.id().to_owned(), (meta.tree_digest.clone(), meta.name.clone()));
            }
        }
    }

    /// Formats the file.
    pub fn to_text(&self) -> String {
        let header =
            "# Created by `noxide ci --write-sums`: SHA-256 of a wheel, BLAKE3 of its tree, name. Commit this file.\n";
        let mut lines: Vec<String> =
            self.trees.iter().map(|(wheel, (tree, name))| format!("{wheel} {tree} {name}\n")).collect();
        lines.sort_by(|one, other| one.get(130..).cmp(&other.get(130..)).then(one.cmp(other)));
        lines.into_iter().fold(header.to_owned(), |text, line| text + &line)
    }

    /// Returns the tree digest of each wheel, by its SHA-256.
    pub fn tree_digests(&self) -> BTreeMap<String, String> {
        self.trees.iter().map(|(wheel, (tree, _))| (wheel.clone(), tree.clone())).collect()
    }

    /// Returns the tree digest that an entry must have.
    pub fn expected_tree(&self, id: &EntryId) -> Option<&str> {
        self.trees.get(id.id()).map(|(tree, _)| tree.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::store::EntryKind;
    use crate::fs::Sha256Digest;

    #[test]
    fn checksums_round_trip_through_their_text() {
        let wheel = EntryId::for_wheel(Sha256Digest::hash_bytes(b"a"));
        let mut meta = EntryMeta::new(&wheel, "zeta 1");
        meta.tree_digest = "d".repeat(64);
        let mut checksums = WheelChecksums::default();
        let venv = EntryId::new(EntryKind::Environment, "e".repeat(64)).unwrap();
        checksums.add_entries([
            &meta,
            &EntryMeta::new(&EntryId::for_wheel(Sha256Digest::hash_bytes(b"b")), "alpha"),
            &EntryMeta::new(&venv, "v"),
        ]);
        assert!(
            WheelChecksums::parse(&checksums.to_text()).is_err(),
            "an entry without a tree digest makes a malformed line"
        );
        let mut alpha = EntryMeta::new(&EntryId::for_wheel(Sha256Digest::hash_bytes(b"b")), "alpha 2");
        alpha.tree_digest = "e".repeat(64);
        checksums.add_entries([&alpha]);
        assert_eq!(WheelChecksums::parse(&checksums.to_text()).unwrap(), checksums);
        assert!(checksums.to_text().find("alpha 2").unwrap() < checksums.to_text().find("zeta 1").unwrap());
        assert_eq!(checksums.expected_tree(&wheel), Some(meta.tree_digest.as_str()));
        assert_eq!(checksums.expected_tree(&EntryId::for_wheel(Sha256Digest::hash_bytes(b"c"))), None);
        let directory = tempfile::tempdir().unwrap();
        assert!(WheelChecksums::load(directory.path()).unwrap().is_none());
        fs_err::write(directory.path().join("noxide.sums"), "ab cd\n").unwrap();
        assert!(WheelChecksums::load(directory.path()).unwrap_err().to_string().starts_with("noxide.sums:1:"));
    }
}
