//! Bytecode for a run's sessions: where it lies, told to the host, which puts it beside the sources of what it installs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cache::store::{EntryId, StoredBytecode};
use crate::cache::{SelectedPackage, Store};
use crate::fs::write_atomic;
use crate::project::lock::normalize_name;

/// The variable that tells the host.
const BYTECODE_DIR_VARIABLE: &str = "NOXIDE_INSTALLS_BYTECODE";

/// What the host was told in one run.
#[derive(Debug, Default)]
pub(super) struct PublishedBytecode {
    /// A folder of the run; without one nothing is told.
    folder: Option<PathBuf>,
    published: BTreeSet<(String, EntryId)>,
}

impl PublishedBytecode {
    /// For a run whose folder is known: what is told is written below this one.
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder: Some(folder), published: BTreeSet::new() }
    }

    /// Tells where bytecode of these packages lies, for interpreters of this tag; gives the variable by which the host
    /// finds that, and the entries it may use.
    pub(super) fn publish_packages<'a>(
        &mut self,
        packages: impl Iterator<Item = &'a SelectedPackage>,
        tag: &str,
        store: &Store,
    ) -> (Option<(String, String)>, Vec<EntryId>) {
        let Some(folder) = self.folder.as_ref().filter(|_| store.options().bytecode && !tag.is_empty()) else {
            return (None, Vec::new());
        };
        let folder = folder.join(tag);
        let mut used = Vec::new();
        for package in packages {
            for (id, kept) in package.digests.iter().flat_map(|digest| store.stored_bytecode(*digest, tag)) {
                if self.published.contains(&(tag.to_owned(), id.clone()))
                    || write_bytecode_entry(&folder, &package.name, &id, &kept)
                {
                    used.push(id.clone());
                    self.published.insert((tag.to_owned(), id));
                }
            }
        }
        (Some((BYTECODE_DIR_VARIABLE.to_owned(), folder.display().to_string())), used)
    }
}

/// A file for each wheel, in a folder for each package and version: `requests-2.32.0/<digest>`. One that cannot be
/// written is bytecode less.
fn write_bytecode_entry(folder: &Path, package: &str, id: &EntryId, kept: &StoredBytecode) -> bool {
    let Some((name, version)) = package.split_once(' ') else { return false };
    let folder = folder.join(format!("{}-{version}", normalize_name(name)));
    let text = serde_json::to_vec(kept).unwrap_or_default();
    std::fs::create_dir_all(&folder).and_then(|()| write_atomic(&folder.join(id.id()), &text)).is_ok()
}
