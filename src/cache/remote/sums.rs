//! `noxide.sums`: the digest of each wheel's tree, committed beside the lock; it makes a hostile store harmless.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cache::store::{EntryId, Head};

/// What a project says its wheels unpack to, by wheel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    trees: BTreeMap<String, (String, String)>,
}

/// Why a file is none of that kind.
#[derive(Debug, thiserror::Error)]
pub enum SumsError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A line is none.
    #[error("noxide.sums:{0}: a line is the sha256 of a wheel, the digest of its tree, and its name")]
    Line(usize),
}

impl Sums {
    /// Reads the file of a project; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or a line is wrong: a list that is half understood protects from nothing.
    pub fn read(root: &Path) -> Result<Option<Self>, SumsError> {
        match fs_err::read_to_string(root.join("noxide.sums")) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(text: &str) -> Result<Self, SumsError> {
        let mut sums = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let hex = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
            let (wheel, tree) = (words.next().filter(hex), words.next().filter(hex));
            let (Some(wheel), Some(tree)) = (wheel, tree) else { return Err(SumsError::Line(number + 1)) };
            let name = words.next().unwrap_or_default().to_owned();
            sums.trees.insert(wheel.to_owned(), (tree.to_owned(), name));
        }
        Ok(sums)
    }

    /// Adds what is known of entries; wheels only, since only those are the same everywhere.
    pub fn add<'a>(&mut self, heads: impl IntoIterator<Item = &'a Head>) {
        for head in heads {
            if let Some(id) = head.id().filter(|id| id.kind == crate::cache::store::Kind::Wheel) {
                self.trees.insert(id.id().to_owned(), (head.tree.clone(), head.name.clone()));
            }
        }
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let head = "# Made by `noxide ci --write-sums`: sha256 of a wheel, BLAKE3 of the tree it unpacks to, name. Commit it.\n";
        let mut lines: Vec<String> =
            self.trees.iter().map(|(wheel, (tree, name))| format!("{wheel} {tree} {name}\n")).collect();
        lines.sort_by(|one, other| one.get(130..).cmp(&other.get(130..)).then(one.cmp(other)));
        lines.into_iter().fold(head.to_owned(), |text, line| text + &line)
    }

    /// The tree that an entry must have.
    pub fn tree(&self, id: &EntryId) -> Option<&str> {
        self.trees.get(id.id()).map(|(tree, _)| tree.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::store::Kind;
    use crate::fs::Sha256;

    #[test]
    fn it_is_read_as_it_was_written() {
        let wheel = EntryId::wheel(Sha256::of(b"a"));
        let mut head = Head::new(&wheel, "zeta 1");
        head.tree = "d".repeat(64);
        let mut sums = Sums::default();
        let venv = EntryId::new(Kind::Venv, "e".repeat(64)).unwrap();
        sums.add([&head, &Head::new(&EntryId::wheel(Sha256::of(b"b")), "alpha"), &Head::new(&venv, "v")]);
        assert!(Sums::parse(&sums.text()).is_err(), "a head without a tree makes no line that is read");
        let mut alpha = Head::new(&EntryId::wheel(Sha256::of(b"b")), "alpha 2");
        alpha.tree = "e".repeat(64);
        sums.add([&alpha]);
        assert_eq!(Sums::parse(&sums.text()).unwrap(), sums);
        assert!(sums.text().find("alpha 2").unwrap() < sums.text().find("zeta 1").unwrap());
        assert_eq!(sums.tree(&wheel), Some(head.tree.as_str()));
        assert_eq!(sums.tree(&EntryId::wheel(Sha256::of(b"c"))), None);
        let folder = tempfile::tempdir().unwrap();
        assert!(Sums::read(folder.path()).unwrap().is_none());
        fs_err::write(folder.path().join("noxide.sums"), "ab cd\n").unwrap();
        assert!(Sums::read(folder.path()).unwrap_err().to_string().starts_with("noxide.sums:1:"));
    }
}
