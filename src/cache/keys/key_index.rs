//! Index of past keys: their inputs, with the packages installed at that time, to explain misses and plan restores.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inputs::{KeyInput, KeyInputKind};
use super::key::KeyInputs;
use super::key::sanitize_part;
use crate::fs::{MAX_DOCUMENT_BYTES, create_dirs, read_regular_file, write_atomic};

/// Version of the files.
const KEY_FILE_VERSION: u32 = 2;
/// Maximum number of stored keys for each session.
const MAX_KEYS_PER_SESSION: usize = 20;

/// Inputs of the key of a session that was installed in the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredKeyInputs {
    /// Version of the file format.
    pub(crate) version: u32,
    /// Time of the last use, RFC 3339.
    pub(crate) last_used: String,
    /// The inputs of the key.
    #[serde(rename = "dependencies")]
    pub(crate) key_inputs: KeyInputs,
    /// The packages in the environment after the installs.
    pub(crate) installed_packages: Vec<InstalledPackage>,
}

/// A package in an environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledPackage {
    /// Normalized name.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// SHA-256 digests of the wheels of that version in uv's cache; empty if unknown.
    pub(crate) sha256: Vec<String>,
}

/// Why a key could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("the key of {session} cannot be stored: {source}")]
pub(crate) struct KeyIndexError {
    session: String,
    source: io::Error,
}

/// A difference between the inputs of two keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInputChange {
    /// Kind of the input.
    pub kind: KeyInputKind,
    /// Name of the input.
    pub name: String,
    /// Old value; `None` if the input is new.
    pub old: Option<String>,
    /// New value; `None` if the input was removed.
    pub new: Option<String>,
}

/// The stored keys of a project.
#[derive(Clone, Debug)]
pub(crate) struct KeyIndex {
    root: PathBuf,
}

impl KeyIndex {
    /// Opens the index of a project below a cache directory.
    pub(crate) fn new(caches: &Path, project: &str) -> Self {
        Self { root: caches.join("keys").join(sanitize_part(project)) }
    }

    /// Returns the stored key inputs of a session, the newest first; unreadable files are skipped.
    pub(crate) fn inputs_of_session(&self, session: &str) -> Vec<StoredKeyInputs> {
        let Ok(entries) = std::fs::read_dir(self.session_dir(session)) else { return Vec::new() };
        let read = |entry: io::Result<std::fs::DirEntry>| {
            let bytes = read_regular_file(&entry.ok()?.path(), MAX_DOCUMENT_BYTES).ok()?;
            serde_json::from_slice::<StoredKeyInputs>(&bytes).ok().filter(|stored| stored.version == KEY_FILE_VERSION)
        };
        let mut stored: Vec<StoredKeyInputs> =
            entries.filter_map(read).filter(|stored| stored.key_inputs.session == session).collect();
        stored.sort_by(|a, b| b.last_used.cmp(&a.last_used));
        stored
    }

    /// Returns the stored key with exactly these inputs.
    pub(crate) fn find_exact(&self, key_inputs: &KeyInputs) -> Option<StoredKeyInputs> {
        self.inputs_of_session(&key_inputs.session).into_iter().find(|stored| stored.key_inputs == *key_inputs)
    }

    /// Returns the stored key with the fewest differences, and the differences. If several have the fewest, returns the
    /// newest.
    pub(crate) fn find_nearest(&self, key_inputs: &KeyInputs) -> Option<(StoredKeyInputs, Vec<KeyInputChange>)> {
        let all = self.inputs_of_session(&key_inputs.session).into_iter().map(|stored| {
            let differences = diff_inputs(&stored.key_inputs, key_inputs);
            (stored, differences)
        });
        all.min_by_key(|(_, differences)| differences.len())
    }

    /// Stores a key, and removes the oldest keys of the session if there are too many.
    ///
    /// # Errors
    /// If the directory cannot be written to.
    pub(crate) fn store_key(
        &self,
        key_inputs: &KeyInputs,
        installed: Vec<InstalledPackage>,
    ) -> Result<(), KeyIndexError> {
        let failed = |source| KeyIndexError { session: key_inputs.session.clone(), source };
        let directory = self.session_dir(&key_inputs.session);
        create_dirs(&directory).map_err(failed)?;
        let stored = StoredKeyInputs {
            version: KEY_FILE_VERSION,
            last_used: jiff::Timestamp::now().to_string(),
            key_inputs: key_inputs.clone(),
            installed_packages: installed,
        };
        let bytes = serde_json::to_vec(&stored).map_err(|error| failed(error.into()))?;
        write_atomic(&directory.join(format!("{}.json", key_inputs.digest())), &bytes).map_err(failed)?;
        for old in self.inputs_of_session(&key_inputs.session).iter().skip(MAX_KEYS_PER_SESSION) {
            // Another run may have removed it already.
            let _ = std::fs::remove_file(directory.join(format!("{}.json", old.key_inputs.digest())));
        }
        Ok(())
    }

    fn session_dir(&self, session: &str) -> PathBuf {
        // The digest distinguishes sessions whose sanitized names are equal.
        self.root.join(format!("{}-{}", sanitize_part(session), &blake3::hash(session.as_bytes()).to_hex()[..8]))
    }
}

/// Returns the differences between the inputs of two keys, sorted.
fn diff_inputs(old: &KeyInputs, new: &KeyInputs) -> Vec<KeyInputChange> {
    let by_name = |key_inputs: &KeyInputs| -> BTreeMap<(KeyInputKind, String), String> {
        let pair = |input: &KeyInput| ((input.kind, input.name.clone()), input.value.clone());
        key_inputs.inputs.iter().map(pair).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let difference = |input: (KeyInputKind, String)| {
        let (old, new) = (old.get(&input).cloned(), new.get(&input).cloned());
        (old != new).then_some(KeyInputChange { kind: input.0, name: input.1, old, new })
    };
    names.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_inputs(packages: &[(&str, &str)]) -> KeyInputs {
        let input = |(name, value): &(&str, &str)| KeyInput {
            kind: KeyInputKind::LockedPackage,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        KeyInputs::new("lint", packages.iter().map(input).collect())
    }

    #[test]
    fn a_miss_is_compared_with_the_most_similar_key() {
        let directory = tempfile::tempdir().unwrap();
        let keys = KeyIndex::new(directory.path(), "Parcel Book");
        assert_eq!(keys.find_nearest(&key_inputs(&[])), None);
        let installed =
            vec![InstalledPackage { name: "ruff".to_owned(), version: "0.15.0".to_owned(), sha256: Vec::new() }];
        keys.store_key(&key_inputs(&[("ruff", "0.15.0"), ("a", "1")]), installed.clone()).unwrap();
        keys.store_key(&key_inputs(&[("ruff", "0.14.0"), ("b", "2")]), Vec::new()).unwrap();
        let now = key_inputs(&[("ruff", "0.15.1"), ("a", "1")]);
        assert_eq!(keys.find_exact(&now), None);
        let (nearest, differences) = keys.find_nearest(&now).unwrap();
        assert_eq!(nearest.installed_packages, installed);
        assert_eq!(differences.len(), 1);
        assert_eq!((differences[0].old.as_deref(), differences[0].new.as_deref()), (Some("0.15.0"), Some("0.15.1")));
        assert_eq!(
            keys.find_exact(&key_inputs(&[("a", "1"), ("ruff", "0.15.0")])).unwrap().installed_packages,
            installed
        );
        let (_, gone) = keys.find_nearest(&key_inputs(&[("ruff", "0.15.0")])).unwrap();
        assert_eq!((gone[0].name.as_str(), gone[0].old.as_deref(), gone[0].new.as_deref()), ("a", Some("1"), None));
    }

    #[test]
    fn the_number_of_keys_is_limited_and_unreadable_ones_are_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let keys = KeyIndex::new(directory.path(), "p");
        for version in 0..MAX_KEYS_PER_SESSION + 5 {
            keys.store_key(&key_inputs(&[("ruff", &version.to_string())]), Vec::new()).unwrap();
        }
        let stored = keys.inputs_of_session("lint");
        assert_eq!(stored.len(), MAX_KEYS_PER_SESSION);
        assert!(stored.windows(2).all(|pair| pair[0].last_used >= pair[1].last_used));
        fs_err::write(keys.session_dir("lint").join("x.json"), "{").unwrap();
        assert_eq!(keys.inputs_of_session("lint").len(), MAX_KEYS_PER_SESSION);
        fs_err::write(directory.path().join("file"), "").unwrap();
        let message = KeyIndex::new(&directory.path().join("file"), "p")
            .store_key(&key_inputs(&[]), Vec::new())
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("the key of lint cannot be stored: "), "{message}");
    }
}
