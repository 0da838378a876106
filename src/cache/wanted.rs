//! What somebody wants out of the store, or in it.

use std::collections::BTreeSet;

use crate::fs::Sha256;

/// Which packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All there are.
    All,
    /// These.
    These(Vec<WantedPackage>),
}

/// One package and the files any of which will do: a lock names one for each platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedPackage {
    /// Its name and version, for people: `numpy 2.4.5`.
    pub name: String,
    /// The digests of its wheels and source archives.
    pub digests: BTreeSet<Sha256>,
}

impl Wanted {
    /// Every `sha256:` of a `uv.lock`, each package with its own; read without knowing more of the format.
    pub fn of_lock(text: &str) -> Self {
        let mut packages = Vec::new();
        for part in text.split("[[package]]").skip(1) {
            let value = |key: &str| {
                let line = part.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
                line.map(|value| value.trim().trim_matches('"')).unwrap_or_default()
            };
            let digests: BTreeSet<Sha256> =
                part.split("sha256:").skip(1).filter_map(|rest| Sha256::from_hex(rest.get(..64)?)).collect();
            if !digests.is_empty() {
                packages.push(WantedPackage { name: format!("{} {}", value("name"), value("version")), digests });
            }
        }
        Self::These(packages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_each_packages_files() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let lock = format!(
            "version = 1\n\n[[package]]\nname = \"rich\"\nversion = \"15.0.0\"\nsdist = {{ hash = \"sha256:{a}\" }}\nwheels = [\n    {{ hash = \"sha256:{b}\" }},\n    {{ hash = \"sha256:short\" }},\n]\n\n[[package]]\nname = \"own\"\nsource = {{ editable = \".\" }}\n"
        );
        let Wanted::These(packages) = Wanted::of_lock(&lock) else { panic!() };
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].name, "rich 15.0.0");
        assert_eq!(packages[0].digests.iter().map(ToString::to_string).collect::<Vec<_>>(), [a, b]);
    }
}
