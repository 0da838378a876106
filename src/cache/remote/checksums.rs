//! `noxide.sums`: the digest of each wheel's tree, committed beside the lock; it makes a hostile store harmless.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cache::store::{EntryId, EntryMeta};
use crate::text::is_hex;

/// What a project says its wheels unpack to, by wheel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WheelChecksums {
    trees: BTreeMap<String, (String, String)>,
}

/// Why a file is none of that kind.
#[derive(Debug, thiserror::Error)]
pub enum WheelChecksumsError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is none.
    #[error("noxide.sums:{0}: a line is the sha256 of a wheel, the digest of its tree, and its name")]
    InvalidLine(usize),
}

impl WheelChecksums {
    /// Reads the file of a project; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or a line is wrong: a list that is half understood protects from nothing.
    pub fn load(root: &Path) -> Result<Option<Self>, WheelChecksumsError> {
        match fs_err::read_to_string(root.join("noxide.sums")) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(text: &str) -> Result<Self, WheelChecksumsError> {
        let mut sums = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let hex = |word: &&str| is_hex(word, 64);
            let (wheel, tree) = (words.next().filter(hex), words.next().filter(hex));
            let (Some(wheel), Some(tree)) = (wheel, tree) else {
                return Err(WheelChecksumsError::InvalidLine(number + 1));
            };
            let name = words.next().unwrap_or_default().to_owned();
            sums.trees.insert(wheel.to_owned(), (tree.to_owned(), name));
        }
        Ok(sums)
    }

    /// Adds what is known of entries; wheels only, since only those are the same everywhere.
    pub fn add_entries<'a>(&mut self, heads: impl IntoIterator<Item = &'a EntryMeta>) {
        for head in heads {
            if let Some(id) = head.entry_id().filter(|id| id.kind == crate::cache::store::EntryKind::Wheel) {
                self.trees.insert(id.id().to_owned(), (head.tree_digest.clone(), head.name.clone()));
            }
        }
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let head = "# Made by `noxide ci --write-sums`: sha256 of a wheel, BLAKE3 of the tree it unpacks to, name. Commit it.\n";
        let mut lines: Vec<String> =
            self.trees.iter().map(|(wheel, (tree, name))| format!("{wheel} {tree} {name}\n")).collect();
        lines.sort_by(|one, other| one.get(130..).cmp(&other.get(130..)).then(one.cmp(other)));
        lines.into_iter().fold(head.to_owned(), |text, line| text + &line)
    }

    /// The tree that an entry must have.
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
    fn it_is_read_as_it_was_written() {
        let wheel = EntryId::for_wheel(Sha256Digest::hash_bytes(b"a"));
        let mut head = EntryMeta::new(&wheel, "zeta 1");
        head.tree_digest = "d".repeat(64);
        let mut sums = WheelChecksums::default();
        let venv = EntryId::new(EntryKind::Venv, "e".repeat(64)).unwrap();
        sums.add_entries([
            &head,
            &EntryMeta::new(&EntryId::for_wheel(Sha256Digest::hash_bytes(b"b")), "alpha"),
            &EntryMeta::new(&venv, "v"),
        ]);
        assert!(WheelChecksums::parse(&sums.to_text()).is_err(), "a head without a tree makes no line that is read");
        let mut alpha = EntryMeta::new(&EntryId::for_wheel(Sha256Digest::hash_bytes(b"b")), "alpha 2");
        alpha.tree_digest = "e".repeat(64);
        sums.add_entries([&alpha]);
        assert_eq!(WheelChecksums::parse(&sums.to_text()).unwrap(), sums);
        assert!(sums.to_text().find("alpha 2").unwrap() < sums.to_text().find("zeta 1").unwrap());
        assert_eq!(sums.expected_tree(&wheel), Some(head.tree_digest.as_str()));
        assert_eq!(sums.expected_tree(&EntryId::for_wheel(Sha256Digest::hash_bytes(b"c"))), None);
        let folder = tempfile::tempdir().unwrap();
        assert!(WheelChecksums::load(folder.path()).unwrap().is_none());
        fs_err::write(folder.path().join("noxide.sums"), "ab cd\n").unwrap();
        assert!(WheelChecksums::load(folder.path()).unwrap_err().to_string().starts_with("noxide.sums:1:"));
    }
}
