//! Keys that were used, with their facts and with what sessions' environments held then: what a miss is compared with.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inputs::{KeyInput, KeyInputKind};
use super::key::DependencyFingerprint;
use super::key::sanitize_part;
use crate::fs::write_atomic;

/// The version of an entry's file.
const KEY_FILE_VERSION: u32 = 2;
/// How many entries of one session are kept.
const MAX_KEYS_PER_SESSION: usize = 20;

/// One entry: a state of a session that was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    /// The version of the file.
    pub(crate) version: u32,
    /// When it was used last, RFC 3339.
    pub(crate) last_used: String,
    /// The facts then.
    pub(crate) fingerprint: DependencyFingerprint,
    /// What the environment held then.
    pub(crate) installed_packages: Vec<InstalledPackage>,
}

/// A package that an environment held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledPackage {
    /// Its name in normal form.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Digests of the wheels of that version that were there; empty where nobody knows.
    pub(crate) sha256: Vec<String>,
}

/// Why an entry could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the key of {session} cannot be kept: {source}")]
pub(crate) struct KeyIndexError {
    session: String,
    source: io::Error,
}

/// What differs between two states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInputChange {
    /// The kind of fact.
    pub kind: KeyInputKind,
    /// What it is about.
    pub name: String,
    /// What was so; none where the fact is new.
    pub old: Option<String>,
    /// What is so; none where the fact is gone.
    pub new: Option<String>,
}

/// The entries of a project.
#[derive(Clone, Debug)]
pub(crate) struct KeyIndex {
    root: PathBuf,
}

impl KeyIndex {
    /// Those of a project below a folder for caches.
    pub(crate) fn new(caches: &Path, project: &str) -> Self {
        Self { root: caches.join("keys").join(sanitize_part(project)) }
    }

    /// All entries of a session, the newest first; what cannot be read is passed over.
    pub(crate) fn session_keys(&self, session: &str) -> Vec<StoredKey> {
        let Ok(entries) = std::fs::read_dir(self.session_dir(session)) else { return Vec::new() };
        let read = |entry: io::Result<std::fs::DirEntry>| {
            let bytes = std::fs::read(entry.ok()?.path()).ok()?;
            serde_json::from_slice::<StoredKey>(&bytes).ok().filter(|kept| kept.version == KEY_FILE_VERSION)
        };
        let mut kept: Vec<StoredKey> =
            entries.filter_map(read).filter(|kept| kept.fingerprint.session == session).collect();
        kept.sort_by(|a, b| b.last_used.cmp(&a.last_used));
        kept
    }

    /// The entry of this very state.
    pub(crate) fn find_exact(&self, recipe: &DependencyFingerprint) -> Option<StoredKey> {
        self.session_keys(&recipe.session).into_iter().find(|kept| kept.fingerprint == *recipe)
    }

    /// The entry of the state most like this one, and what differs; the newest of several.
    pub(crate) fn find_nearest(&self, recipe: &DependencyFingerprint) -> Option<(StoredKey, Vec<KeyInputChange>)> {
        let all = self.session_keys(&recipe.session).into_iter().map(|kept| {
            let differences = diff_fingerprints(&kept.fingerprint, recipe);
            (kept, differences)
        });
        all.min_by_key(|(_, differences)| differences.len())
    }

    /// Keeps a state; the oldest go where there are too many.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn store_key(
        &self,
        recipe: &DependencyFingerprint,
        held: Vec<InstalledPackage>,
    ) -> Result<(), KeyIndexError> {
        let failed = |source| KeyIndexError { session: recipe.session.clone(), source };
        let folder = self.session_dir(&recipe.session);
        fs_err::create_dir_all(&folder).map_err(failed)?;
        let kept = StoredKey {
            version: KEY_FILE_VERSION,
            last_used: jiff::Timestamp::now().to_string(),
            fingerprint: recipe.clone(),
            installed_packages: held,
        };
        let bytes = serde_json::to_vec(&kept).map_err(|error| failed(error.into()))?;
        write_atomic(&folder.join(format!("{}.json", recipe.digest())), &bytes).map_err(failed)?;
        for old in self.session_keys(&recipe.session).iter().skip(MAX_KEYS_PER_SESSION) {
            // Another run may have been quicker.
            let _ = std::fs::remove_file(folder.join(format!("{}.json", old.fingerprint.digest())));
        }
        Ok(())
    }

    fn session_dir(&self, session: &str) -> PathBuf {
        // Names that are written alike in a file's name are still told apart.
        self.root.join(format!("{}-{}", sanitize_part(session), &blake3::hash(session.as_bytes()).to_hex()[..8]))
    }
}

/// What differs between two recipes, sorted.
fn diff_fingerprints(old: &DependencyFingerprint, new: &DependencyFingerprint) -> Vec<KeyInputChange> {
    let by_name = |recipe: &DependencyFingerprint| -> BTreeMap<(KeyInputKind, String), String> {
        let pair = |fact: &KeyInput| ((fact.kind, fact.name.clone()), fact.value.clone());
        recipe.inputs.iter().map(pair).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let difference = |at: (KeyInputKind, String)| {
        let (was, is) = (old.get(&at).cloned(), new.get(&at).cloned());
        (was != is).then_some(KeyInputChange { kind: at.0, name: at.1, old: was, new: is })
    };
    names.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(packages: &[(&str, &str)]) -> DependencyFingerprint {
        let fact = |(name, value): &(&str, &str)| KeyInput {
            kind: KeyInputKind::LockedPackage,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        DependencyFingerprint::new("lint", packages.iter().map(fact).collect())
    }

    #[test]
    fn a_miss_is_compared_with_the_state_most_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyIndex::new(folder.path(), "Parcel Book");
        assert_eq!(keys.find_nearest(&recipe(&[])), None);
        let held = vec![InstalledPackage { name: "ruff".to_owned(), version: "0.15.0".to_owned(), sha256: Vec::new() }];
        keys.store_key(&recipe(&[("ruff", "0.15.0"), ("a", "1")]), held.clone()).unwrap();
        keys.store_key(&recipe(&[("ruff", "0.14.0"), ("b", "2")]), Vec::new()).unwrap();
        let now = recipe(&[("ruff", "0.15.1"), ("a", "1")]);
        assert_eq!(keys.find_exact(&now), None);
        let (nearest, differences) = keys.find_nearest(&now).unwrap();
        assert_eq!(nearest.installed_packages, held);
        assert_eq!(differences.len(), 1);
        assert_eq!((differences[0].old.as_deref(), differences[0].new.as_deref()), (Some("0.15.0"), Some("0.15.1")));
        assert_eq!(keys.find_exact(&recipe(&[("a", "1"), ("ruff", "0.15.0")])).unwrap().installed_packages, held);
        let (_, gone) = keys.find_nearest(&recipe(&[("ruff", "0.15.0")])).unwrap();
        assert_eq!((gone[0].name.as_str(), gone[0].old.as_deref(), gone[0].new.as_deref()), ("a", Some("1"), None));
    }

    #[test]
    fn entries_are_bounded_and_broken_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyIndex::new(folder.path(), "p");
        for version in 0..MAX_KEYS_PER_SESSION + 5 {
            keys.store_key(&recipe(&[("ruff", &version.to_string())]), Vec::new()).unwrap();
        }
        let kept = keys.session_keys("lint");
        assert_eq!(kept.len(), MAX_KEYS_PER_SESSION);
        assert!(kept.windows(2).all(|pair| pair[0].last_used >= pair[1].last_used));
        fs_err::write(keys.session_dir("lint").join("x.json"), "{").unwrap();
        assert_eq!(keys.session_keys("lint").len(), MAX_KEYS_PER_SESSION);
        fs_err::write(folder.path().join("file"), "").unwrap();
        let said = KeyIndex::new(&folder.path().join("file"), "p")
            .store_key(&recipe(&[]), Vec::new())
            .unwrap_err()
            .to_string();
        assert!(said.starts_with("the key of lint cannot be kept: "), "{said}");
    }
}
