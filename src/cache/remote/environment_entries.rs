//! The store entries that each session's environment contains, found by package name and version.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cache::store::{EntryId, Store};
use crate::project::dependencies::normalize_name;

/// Entries by environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentEntries {
    entries_by_environment: BTreeMap<String, BTreeSet<EntryId>>,
}

/// Entries of a store by package name and version.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorePackageIndex(BTreeMap<String, Vec<EntryId>>);

impl StorePackageIndex {
    /// Indexes the entries of a store.
    pub(crate) fn from_store(store: &Store) -> Self {
        let mut ids_by_package: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        for id in store.entry_ids() {
            if let Ok(meta) = store.entry_meta(&id) {
                ids_by_package.entry(normalize_package_label(&meta.name)).or_default().push(id);
            }
        }
        Self(ids_by_package)
    }
}

impl EnvironmentEntries {
    /// Adds an environment. Packages that are not in the store are skipped.
    pub(crate) fn scan_environment(&mut self, environment: &Path, ids_by_package: &StorePackageIndex) {
        let Some(name) = environment.file_name().and_then(|name| name.to_str()) else { return };
        let packages = list_subdirectories(&environment.join("lib"))
            .into_iter()
            .flat_map(|python| list_subdirectories(&python.join("site-packages")))
            .filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".dist-info")?.replacen('-', " ", 1)));
        let ids: BTreeSet<EntryId> = packages
            .filter_map(|name| ids_by_package.0.get(&normalize_package_label(&name)))
            .flatten()
            .cloned()
            .collect();
        if !ids.is_empty() {
            self.entries_by_environment.insert(normalize_environment_name(name), ids);
        }
    }

    /// Returns the entries of all environments.
    pub(crate) fn all_entries(&self) -> BTreeSet<EntryId> {
        self.entries_by_environment.values().flatten().cloned().collect()
    }

    /// Converts to the form used in a manifest.
    pub(super) fn to_manifest_map(&self) -> BTreeMap<String, BTreeSet<String>> {
        let names = |ids: &BTreeSet<EntryId>| ids.iter().map(ToString::to_string).collect();
        self.entries_by_environment.iter().map(|(name, ids)| (name.clone(), names(ids))).collect()
    }
}

/// Normalizes the name of a session or of its environment's directory, which nox derives from it.
pub(super) fn normalize_environment_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' {
            name.extend(c.to_lowercase());
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_matches('-').to_owned()
}

/// Normalizes a name and version, so that `Foo.bar 1.0` and `foo_bar 1.0` compare equal.
fn normalize_package_label(text: &str) -> String {
    let (name, version) = text.split_once(' ').unwrap_or((text, ""));
    format!("{} {version}", normalize_name(name))
}

fn list_subdirectories(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs_err::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_names_are_normalized_to_one() {
        assert_eq!(normalize_environment_name("tests-3.12(db='pg')"), normalize_environment_name("tests-3-12-db-pg"));
        assert_eq!(normalize_package_label("Ruamel.yaml 0.1"), normalize_package_label("ruamel_yaml 0.1"));
        assert_eq!(normalize_package_label("odd"), "odd ");
    }
}
