//! What sessions' environments hold, as entries of the store: by the names and versions of what is installed there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cache::store::{EntryId, Store};

/// What environments hold, by the name of their folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentEntries {
    entries_by_environment: BTreeMap<String, BTreeSet<EntryId>>,
}

/// Entries of a store, by the package they are of.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorePackageIndex(BTreeMap<String, Vec<EntryId>>);

impl StorePackageIndex {
    /// What a store holds now.
    pub(crate) fn from_store(store: &Store) -> Self {
        let mut known: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        for id in store.entry_ids() {
            if let Ok(head) = store.entry_meta(&id) {
                known.entry(normalize_package_label(&head.name)).or_default().push(id);
            }
        }
        Self(known)
    }
}

impl EnvironmentEntries {
    /// Looks into one environment. What the store does not have is left out.
    pub(crate) fn scan_environment(&mut self, environment: &Path, known: &StorePackageIndex) {
        let Some(name) = environment.file_name().and_then(|name| name.to_str()) else { return };
        let packages = list_subdirectories(&environment.join("lib"))
            .into_iter()
            .flat_map(|python| list_subdirectories(&python.join("site-packages")))
            .filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".dist-info")?.replacen('-', " ", 1)));
        let ids: BTreeSet<EntryId> =
            packages.filter_map(|name| known.0.get(&normalize_package_label(&name))).flatten().cloned().collect();
        if !ids.is_empty() {
            self.entries_by_environment.insert(normalize_environment_name(name), ids);
        }
    }

    /// All entries of all environments.
    pub(crate) fn all_entries(&self) -> BTreeSet<EntryId> {
        self.entries_by_environment.values().flatten().cloned().collect()
    }

    /// As a manifest has it.
    pub(super) fn to_manifest_map(&self) -> BTreeMap<String, BTreeSet<String>> {
        let names = |ids: &BTreeSet<EntryId>| ids.iter().map(ToString::to_string).collect();
        self.entries_by_environment.iter().map(|(name, ids)| (name.clone(), names(ids))).collect()
    }
}

/// One spelling of a session's name and of its environment's folder, which nox spells in a way of its own.
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

/// One spelling of a package and its version: `Foo.bar 1.0` and `foo_bar 1.0` are the same.
fn normalize_package_label(text: &str) -> String {
    let (name, version) = text.split_once(' ').unwrap_or((text, ""));
    let plain: String = name.chars().map(|c| if "-_.".contains(c) { '-' } else { c.to_ascii_lowercase() }).collect();
    format!("{plain} {version}")
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
    fn names_are_spelled_alike() {
        assert_eq!(normalize_environment_name("tests-3.12(db='pg')"), normalize_environment_name("tests-3-12-db-pg"));
        assert_eq!(normalize_package_label("Ruamel.yaml 0.1"), normalize_package_label("ruamel_yaml 0.1"));
        assert_eq!(normalize_package_label("odd"), "odd ");
    }
}
