//! Selections of packages to save or restore.

use std::collections::BTreeSet;

use crate::fs::Sha256Digest;
use crate::project::dependencies::{
    ClosureRoot, DependencyClosure, LockedPackage, MarkerEnvironment, UvLock, normalize_name,
};

/// The packages to save or restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSelection {
    /// All packages.
    All,
    /// Only these packages.
    Only(Vec<SelectedPackage>),
}

/// A package and the digests of its files. A lock file lists several files for each package; any one of them is enough.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SelectedPackage {
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// SHA-256 digests of its wheels and source archives.
    pub digests: BTreeSet<Sha256Digest>,
}

impl PackageSelection {
    /// Selects every package of a `uv.lock` by its `sha256:` values, without parsing the rest of the format.
    pub fn from_uv_lock(text: &str) -> Self {
        let mut packages = Vec::new();
        for section in text.split("[[package]]").skip(1) {
            let value = |key: &str| {
                let line = section.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
                line.map(|value| value.trim().trim_matches('"')).unwrap_or_default()
            };
            let digests: BTreeSet<Sha256Digest> =
                section.split("sha256:").skip(1).filter_map(|rest| Sha256Digest::from_hex(rest.get(..64)?)).collect();
            if !digests.is_empty() {
                packages.push(SelectedPackage { name: format!("{} {}", value("name"), value("version")), digests });
            }
        }
        Self::Only(packages)
    }
}

/// Parts of a lock file to select; without any, all of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LockFileParts<'a> {
    /// Packages, with their dependencies.
    pub(crate) packages: &'a [String],
    /// Dependency groups.
    pub(crate) groups: &'a [String],
    /// Extras of the project.
    pub(crate) extras: &'a [String],
}

/// A package, extra or group that a lock file does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("uv.lock has no {0}")]
pub(crate) struct NotInLockFileError(String);

impl PackageSelection {
    /// Selects parts of a lock file, with all that they depend on where these markers apply.
    ///
    /// # Errors
    /// When the lock file lacks a part.
    pub(crate) fn from_lock_file_parts(
        lock_file: &UvLock,
        parts: LockFileParts<'_>,
        markers: &MarkerEnvironment,
    ) -> Result<Self, NotInLockFileError> {
        let groups = parts.groups.iter().map(|group| ClosureRoot::Group(normalize_name(group)));
        let package = |name: &String| ClosureRoot::Package { name: normalize_name(name), extras: Vec::new() };
        let mut roots: Vec<ClosureRoot> = groups.chain(parts.packages.iter().map(package)).collect();
        let extras: Vec<String> = parts.extras.iter().map(|extra| normalize_name(extra)).collect();
        if !extras.is_empty() {
            roots.push(ClosureRoot::Project { extras });
        }
        if roots.is_empty() {
            roots.push(ClosureRoot::All);
        }
        let closure = lock_file.resolve_closure(&roots, markers);
        if let Some(unknown) = closure.unresolved.first() {
            return Err(NotInLockFileError(unknown.to_string()));
        }
        Ok(Self::Only(Self::packages_of_closure(&closure, &markers.python_version)))
    }

    /// Returns the packages of a closure of a lock file for a Python version (`3.13`): the wheels that fit it, and the
    /// source archives.
    pub(crate) fn packages_of_closure(closure: &DependencyClosure<'_>, python: &str) -> Vec<SelectedPackage> {
        closure.remote_packages().filter_map(|package| select_package(package, python)).collect()
    }
}

fn select_package(package: &LockedPackage, python: &str) -> Option<SelectedPackage> {
    let digest = |sha256: &Option<String>| sha256.as_deref().and_then(Sha256Digest::from_hex);
    let compatible = package.wheels.iter().filter(|wheel| is_wheel_compatible(&wheel.name, python));
    let wheels: Vec<Sha256Digest> = compatible.filter_map(|wheel| digest(&wheel.sha256)).collect();
    let source = package.sdist.as_ref().and_then(|sdist| digest(&sdist.sha256));
    let digests: BTreeSet<Sha256Digest> = wheels.into_iter().chain(source).collect();
    let name = format!("{} {}", package.name, package.version.as_deref().unwrap_or_default());
    (!digests.is_empty()).then_some(SelectedPackage { name, digests })
}

/// Returns whether a wheel may be compatible with a Python version, according to its file name. Returns true for unknown
/// tags.
fn is_wheel_compatible(name: &str, python: &str) -> bool {
    let mut parts = name.trim_end_matches(".whl").rsplit('-').skip(1);
    let (Some(abi), Some(tags)) = (parts.next(), parts.next()) else { return true };
    let Some(minor) = python.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok()) else { return true };
    tags.split('.').any(|tag| match tag.strip_prefix("cp3").map(str::parse::<u32>) {
        Some(Ok(minimum)) if abi.split('.').any(|abi| abi == "abi3" || abi == "none") => minimum <= minor,
        Some(Ok(exact)) => exact == minor,
        // `py3`, `py2.py3`, `cp3`, or another implementation: leave the decision to uv.
        _ => !tag.starts_with("py2"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_are_selected_by_their_python_tag() {
        for (name, compatible) in [
            ("numpy-2.4.5-cp313-cp313-manylinux_2_27_x86_64.whl", true),
            ("numpy-2.4.5-cp313-cp313t-manylinux_2_27_x86_64.whl", true),
            ("numpy-2.4.5-cp311-cp311-manylinux_2_27_x86_64.whl", false),
            ("cryptography-45-cp37-abi3-manylinux_2_28_x86_64.whl", true),
            ("later-1-cp314-abi3-manylinux_2_28_x86_64.whl", false),
            ("rich-15.0.0-py3-none-any.whl", true),
            ("six-1.17.0-py2.py3-none-any.whl", true),
            ("old-1.0-py2-none-any.whl", false),
            ("strange", true),
        ] {
            assert_eq!(is_wheel_compatible(name, "3.13"), compatible, "{name}");
        }
        assert!(is_wheel_compatible("numpy-2.4.5-cp311-cp311-linux_x86_64.whl", "unknown"));
    }

    #[test]
    fn a_lock_selects_the_files_of_each_package() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let lock_file = format!(
            "version = 1\n\n[[package]]\nname = \"rich\"\nversion = \"15.0.0\"\nsdist = {{ hash = \"sha256:{a}\" }}\nwheels = [\n    {{ hash = \"sha256:{b}\" }},\n    {{ hash = \"sha256:short\" }},\n]\n\n[[package]]\nname = \"own\"\nsource = {{ editable = \".\" }}\n"
        );
        let PackageSelection::Only(packages) = PackageSelection::from_uv_lock(&lock_file) else { panic!() };
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].name, "rich 15.0.0");
        assert_eq!(packages[0].digests.iter().map(ToString::to_string).collect::<Vec<_>>(), [a, b]);
    }
}
