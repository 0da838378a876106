//! Version of this build: its commit and target, and whether it is a release.

use pep440_rs::Version;

/// Version, commit, date of the commit and target, as `noxide --version` prints them. `build.rs` collects them.
pub(super) const LONG_VERSION: &str = env!("NOXIDE_LONG_VERSION");

/// Returns the version as package indexes write it, if this build is a release: between releases the version in
/// `Cargo.toml` ends with `-dev`.
pub(super) fn released_version(cargo_version: &str) -> Option<String> {
    let is_development = cargo_version.split_once('-').is_some_and(|(_, suffix)| suffix.starts_with("dev"));
    let version: Version = cargo_version.parse().ok()?;
    (!is_development).then(|| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_versions_are_no_releases() {
        assert_eq!(released_version("0.2.0").as_deref(), Some("0.2.0"));
        assert_eq!(released_version("0.2.0-rc.1").as_deref(), Some("0.2.0rc1"));
        assert_eq!(released_version("0.2.0-dev"), None);
        assert_eq!(released_version("0.2.0-dev.3"), None);
    }

    #[test]
    fn the_long_version_begins_with_the_version() {
        assert!(LONG_VERSION.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (")), "{LONG_VERSION}");
    }
}
