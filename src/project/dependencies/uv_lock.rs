//! uv.lock: packages, sources, files and dependencies.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::marker::Marker;
use super::package_name::normalize_name;
use super::pyproject::line_number;
use crate::fs::read_project_text;

/// The newest revision of the format that noxide was tested with.
pub(crate) const MAX_KNOWN_REVISION: u32 = 5;

/// Reasons why a lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UvLockError {
    /// It cannot be read from disk.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// It is malformed.
    #[error("{}:{line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The version of its format is not supported.
    #[error("{}:{line}: lock format version {version} is not supported; this noxide reads version 1", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The line of the version.
        line: usize,
        /// The version.
        version: u32,
    },
}

/// A uv.lock.
#[derive(Clone, Debug, PartialEq)]
pub struct UvLock {
    /// Revision of format 1; 0 where the file has none.
    pub revision: u32,
    /// Supported Python versions, as written.
    pub requires_python: Option<String>,
    /// All locked packages, in the order of the file.
    pub packages: Vec<LockedPackage>,
    /// A notice about the file, such as an unknown newer revision.
    pub notice: Option<String>,
}

/// One locked package.
#[derive(Clone, Debug, PartialEq)]
pub struct LockedPackage {
    /// Its name in normal form.
    pub name: String,
    /// Its version; a project in the source tree may have none.
    pub version: Option<String>,
    /// Its source.
    pub source: LockedSource,
    /// Its source archive.
    pub sdist: Option<LockedFile>,
    /// Its wheels for all platforms.
    pub wheels: Vec<LockedFile>,
    /// Its dependencies.
    pub dependencies: Vec<LockedDependency>,
    /// The dependencies of each extra.
    pub extras: BTreeMap<String, Vec<LockedDependency>>,
    /// The dependencies of each dependency group.
    pub groups: BTreeMap<String, Vec<LockedDependency>>,
    /// If several versions are locked: this one is for environments where any of these markers holds.
    pub markers: Vec<Marker>,
}

/// Source of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockedSource {
    /// An index, by its URL.
    Registry(String),
    /// A directory, relative to the lock file; `.` is the project itself.
    Directory(String),
    /// A local archive.
    Archive(String),
    /// An archive at a URL.
    Url(String),
    /// A Git commit.
    Git(String),
}

/// A wheel or source archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedFile {
    /// Its name, or empty.
    pub(crate) name: String,
    /// SHA-256 in hexadecimal digits, if the lock file has one.
    pub(crate) sha256: Option<String>,
    /// Size in bytes.
    pub(crate) size: Option<u64>,
}

/// A dependency of a locked package.
#[derive(Clone, Debug, PartialEq)]
pub struct LockedDependency {
    /// The name of the required package in normal form.
    pub name: String,
    /// Its version, if several are locked.
    pub version: Option<String>,
    /// Its source, if several are locked.
    pub source: Option<LockedSource>,
    /// Its requested extras.
    pub extras: Vec<String>,
    /// The environments in which it is required.
    pub marker: Option<Marker>,
}

impl UvLock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// When the file cannot be read, is malformed, or has an unsupported format version.
    pub fn read(path: &Path) -> Result<Self, UvLockError> {
        let text =
            read_project_text(path).map_err(|source| UvLockError::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(&text, path)
    }

    /// Parses a lock file; `path` is for error messages.
    ///
    /// # Errors
    /// When the text is malformed, or has an unsupported format version.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, UvLockError> {
        let malformed = |span: Option<Range<usize>>, problem: &str| UvLockError::Malformed {
            path: path.to_path_buf(),
            line: line_number(text, span),
            problem: problem.trim().replace('\n', ", "),
        };
        // Check the version first: another version may have any other content.
        let header: LockHeader = toml::from_str(text).map_err(|error| malformed(error.span(), error.message()))?;
        let version = *header.version.get_ref();
        if version != 1 {
            let line = line_number(text, Some(header.version.span()));
            return Err(UvLockError::UnsupportedVersion { path: path.to_path_buf(), line, version });
        }
        let file: LockDocument = toml::from_str(text).map_err(|error| malformed(error.span(), error.message()))?;
        let mut packages = Vec::with_capacity(file.package.len());
        for package in file.package {
            packages.push(package.into_locked_package().map_err(|(span, problem)| malformed(Some(span), &problem))?);
        }
        let revision = file.revision.unwrap_or(0);
        let notice = (revision > MAX_KNOWN_REVISION).then(|| {
            format!(
                "{} has revision {revision}, newer than this noxide knows ({MAX_KNOWN_REVISION}); additions are ignored",
                path.display()
            )
        });
        Ok(Self { revision, requires_python: file.requires_python, packages, notice })
    }

    /// Returns the project itself: the package in the directory of the lock file.
    pub(crate) fn root_package(&self) -> Option<&LockedPackage> {
        self.packages.iter().find(|package| package.source == LockedSource::Directory(".".to_owned()))
    }
}

impl LockedPackage {
    /// Returns the SHA-256 of all its files: wheels for every platform and the source archive.
    pub fn file_hashes(&self) -> impl Iterator<Item = &str> {
        self.wheels.iter().chain(&self.sdist).filter_map(|file| file.sha256.as_deref())
    }

    /// Whether it is a local directory or archive, which has no fixed hash.
    pub fn is_local(&self) -> bool {
        matches!(self.source, LockedSource::Directory(_) | LockedSource::Archive(_))
    }
}

/// The part of the file that all format versions have.
#[derive(Deserialize)]
struct LockHeader {
    version: toml::Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LockDocument {
    revision: Option<u32>,
    requires_python: Option<String>,
    #[serde(default)]
    package: Vec<PackageTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PackageTable {
    name: toml::Spanned<String>,
    version: Option<String>,
    source: SourceTable,
    sdist: Option<ArtifactTable>,
    #[serde(default)]
    wheels: Vec<ArtifactTable>,
    #[serde(default)]
    dependencies: Vec<DependencyTable>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<DependencyTable>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<DependencyTable>>,
    #[serde(default)]
    resolution_markers: Vec<toml::Spanned<String>>,
}

#[derive(Deserialize)]
struct SourceTable {
    registry: Option<String>,
    editable: Option<String>,
    r#virtual: Option<String>,
    directory: Option<String>,
    path: Option<String>,
    url: Option<String>,
    git: Option<String>,
}

#[derive(Deserialize)]
struct ArtifactTable {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct DependencyTable {
    name: toml::Spanned<String>,
    version: Option<String>,
    source: Option<SourceTable>,
    #[serde(default, alias = "extras")]
    extra: Vec<String>,
    marker: Option<toml::Spanned<String>>,
}

/// A problem and its position.
type SpannedMessage = (Range<usize>, String);

impl PackageTable {
    fn into_locked_package(self) -> Result<LockedPackage, SpannedMessage> {
        let span = self.name.span();
        let name = normalize_name(self.name.get_ref());
        let source = self
            .source
            .into_locked_source()
            .ok_or_else(|| (span, format!("the source of {name} is of an unknown kind")))?;
        let tables = |tables: BTreeMap<String, Vec<DependencyTable>>| -> Result<_, SpannedMessage> {
            tables.into_iter().map(|(name, list)| Ok((normalize_name(&name), to_locked_dependencies(list)?))).collect()
        };
        Ok(LockedPackage {
            version: self.version,
            source,
            sdist: self.sdist.map(ArtifactTable::into_locked_file),
            wheels: self.wheels.into_iter().map(ArtifactTable::into_locked_file).collect(),
            dependencies: to_locked_dependencies(self.dependencies)?,
            extras: tables(self.optional_dependencies)?,
            groups: tables(self.dev_dependencies)?,
            markers: self.resolution_markers.iter().map(parse_marker).collect::<Result<_, _>>()?,
            name,
        })
    }
}

fn to_locked_dependencies(list: Vec<DependencyTable>) -> Result<Vec<LockedDependency>, SpannedMessage> {
    let edge = |dependency: DependencyTable| {
        Ok(LockedDependency {
            name: normalize_name(dependency.name.get_ref()),
            version: dependency.version,
            source: dependency.source.and_then(SourceTable::into_locked_source),
            extras: dependency.extra.iter().map(|extra| normalize_name(extra)).collect(),
            marker: dependency.marker.as_ref().map(parse_marker).transpose()?,
        })
    };
    list.into_iter().map(edge).collect()
}

fn parse_marker(text: &toml::Spanned<String>) -> Result<Marker, SpannedMessage> {
    text.get_ref().parse().map_err(|error: super::MarkerError| (text.span(), error.to_string()))
}

impl SourceTable {
    fn into_locked_source(self) -> Option<LockedSource> {
        let directory = self.editable.or(self.r#virtual).or(self.directory);
        directory
            .map(LockedSource::Directory)
            .or(self.registry.map(LockedSource::Registry))
            .or(self.git.map(LockedSource::Git))
            .or(self.url.map(LockedSource::Url))
            .or(self.path.map(LockedSource::Archive))
    }
}

impl ArtifactTable {
    fn into_locked_file(self) -> LockedFile {
        let location = self.filename.or(self.path).or(self.url).unwrap_or_default();
        let path = location.split(['?', '#']).next().unwrap_or_default();
        LockedFile {
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            sha256: self.hash.as_deref().and_then(|hash| hash.strip_prefix("sha256:")).map(str::to_lowercase),
            size: self.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<UvLock, UvLockError> {
        UvLock::parse(text, Path::new("uv.lock"))
    }

    #[test]
    fn all_kinds_of_sources_and_files_are_read() {
        let lock_file = parse(
            r#"
version = 1
revision = 5
requires-python = ">=3.11"
[[package]]
name = "Demo_App"
source = { editable = "." }
dependencies = [{ name = "a", extra = ["Fast_IO"], marker = "sys_platform == 'linux'" }]
[package.optional-dependencies]
Docs_All = [{ name = "b", version = "2", source = { registry = "https://packages.example.org/simple" } }]
[package.dev-dependencies]
dev = [{ name = "c" }]
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://packages.example.org/simple" }
resolution-markers = ["python_full_version < '3.12'"]
sdist = { url = "https://packages.example.org/a-1.0.tar.gz#x", hash = "sha256:AB", size = 3 }
wheels = [{ path = "dist/a-1.0-py3-none-any.whl", hash = "sha256:cd" }, { filename = "x.whl", hash = "md5:ef" }]
[[package]]
name = "g"
source = { git = "https://git.example.org/g?rev=1#abc" }
[[package]]
name = "u"
source = { url = "https://packages.example.org/u.zip" }
"#,
        )
        .unwrap();
        assert_eq!(
            (lock_file.revision, lock_file.requires_python.as_deref(), lock_file.notice.clone()),
            (5, Some(">=3.11"), None)
        );
        let project = lock_file.root_package().unwrap();
        assert!(project.is_local() && project.name == "demo-app" && project.version.is_none());
        assert_eq!(project.dependencies[0].extras, ["fast-io"]);
        assert_eq!(project.extras["docs-all"][0].version.as_deref(), Some("2"));
        assert_eq!(project.groups["dev"][0].name, "c");
        let a = &lock_file.packages[1];
        assert_eq!(a.file_hashes().collect::<Vec<_>>(), ["cd", "ab"]);
        let names: Vec<&str> = a.wheels.iter().chain(&a.sdist).map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a-1.0-py3-none-any.whl", "x.whl", "a-1.0.tar.gz"]);
        assert_eq!(a.markers[0].to_string(), "python_full_version < '3.12'");
        assert!(matches!(lock_file.packages[2].source, LockedSource::Git(_)));
        assert!(matches!(lock_file.packages[3].source, LockedSource::Url(_)));
    }

    #[test]
    fn problems_are_reported_with_their_line() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(
            error("\nversion = 2\n"),
            "uv.lock:2: lock format version 2 is not supported; this noxide reads version 1"
        );
        assert!(
            error("version = 1\n[[package]\n").starts_with("uv.lock:2: "),
            "{}",
            error("version = 1\n[[package]\n")
        );
        assert!(error("package = []").starts_with("uv.lock:1: missing field `version`"));
        assert_eq!(
            error("version = 1\n[[package]]\nname = \"x\"\nsource = { magnet = \"y\" }\n"),
            "uv.lock:3: the source of x is of an unknown kind"
        );
        let marker = "version = 1\n[[package]]\nname = \"x\"\nsource = { url = \"y\" }\ndependencies = [\n  { name = \"z\", marker = \"?\" },\n]\n";
        assert_eq!(error(marker), "uv.lock:6: the marker `?` is invalid: unexpected `?`");
        let missing = UvLock::read(Path::new("/nowhere/uv.lock")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nowhere/uv.lock");
    }

    #[test]
    fn a_newer_revision_is_read_with_a_notice() {
        let lock_file = parse("version = 1\nrevision = 99\nfuture = true\n").unwrap();
        assert_eq!(
            lock_file.notice.unwrap(),
            "uv.lock has revision 99, newer than this noxide knows (5); additions are ignored"
        );
        assert_eq!(parse("version = 1\n").unwrap().revision, 0);
    }
}
