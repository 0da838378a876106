//! Finds workflow files, composite actions and what else an audit reads of a project.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::source::{SharedSource, SourceFile};
use super::yaml::MAX_BYTES;

/// Folders of workflows, in the order in which they are read.
const FORGE_DIRS: [&str; 3] = [".forgejo", ".gitea", ".github"];

/// Why a project cannot be audited.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// No workflow anywhere.
    #[error("no workflow in {}: none of .forgejo/workflows, .gitea/workflows, .github/workflows holds one", .0.display())]
    NoWorkflows(PathBuf),
    /// A file that cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What lies beside the workflows.
#[derive(Clone, Debug, Default)]
pub struct ProjectFiles {
    /// The lock file, where there is one.
    pub(crate) lock_file: Option<String>,
    /// Whether there is a pyproject.toml.
    pub(crate) has_pyproject: bool,
    /// Files of requirements and constraints.
    pub(crate) requirements_files: Vec<String>,
    /// Whether the project's version comes from git's tags.
    pub(crate) version_from_git: bool,
    /// The noxfile's name.
    pub(crate) noxfile_name: Option<String>,
    /// Versions that the lock gives to nox and uv.
    pub(crate) locked_versions: BTreeMap<String, String>,
}

/// Finds all workflows and actions of a project, or of the paths named.
pub(crate) fn find_workflow_sources(root: &Path, paths: &[PathBuf]) -> Result<Vec<SharedSource>, DiscoverError> {
    let mut found = Vec::new();
    if paths.is_empty() {
        for folder in FORGE_DIRS {
            collect_yaml_sources(root, &root.join(folder).join("workflows"), 0, &mut found)?;
            collect_yaml_sources(root, &root.join(folder).join("actions"), 4, &mut found)?;
        }
        for name in ["action.yml", "action.yaml"] {
            collect_yaml_sources(root, &root.join(name), 0, &mut found)?;
        }
    }
    for path in paths {
        let path = root.join(path);
        fs_err::metadata(&path)?;
        collect_yaml_sources(root, &path, 4, &mut found)?;
    }
    if found.is_empty() {
        return Err(DiscoverError::NoWorkflows(root.to_owned()));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

fn collect_yaml_sources(
    root: &Path,
    path: &Path,
    depth: usize,
    into: &mut Vec<SharedSource>,
) -> Result<(), DiscoverError> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs_err::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs_err::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            let yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
            if (path.is_dir() && depth > 0) || (path.is_file() && yaml) {
                collect_yaml_sources(root, &path, depth.saturating_sub(1), into)?;
            }
        }
    } else if path.is_file() {
        let shown = path.strip_prefix(root).unwrap_or(path).components();
        let shown: Vec<_> = shown.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        // One byte more than the reader takes: enough to be refused, whatever the size.
        let mut bytes = Vec::new();
        fs_err::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        into.push(SourceFile::new(shown.join("/"), String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(())
}

/// Looks at what lies beside the workflows.
pub(crate) fn find_project_files(root: &Path) -> ProjectFiles {
    let has = |name: &str| root.join(name).is_file();
    let lock = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock"].into_iter().find(|name| has(name));
    let mut requirements: Vec<String> = fs_err::read_dir(root)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    requirements
        .retain(|name| (name.starts_with("requirements") || name.starts_with("constraints")) && name.ends_with(".txt"));
    requirements.sort();
    let text = lock.and_then(|name| fs_err::read_to_string(root.join(name)).ok()).unwrap_or_default();
    let built_by = ["pyproject.toml", "setup.cfg", "setup.py"].map(|name| fs_err::read_to_string(root.join(name)));
    let built_by: String = built_by.into_iter().flatten().collect();
    let from_git = ["setuptools_scm", "setuptools-scm", "hatch-vcs", "versioningit", "dynamic-versioning", "dunamai"];
    ProjectFiles {
        version_from_git: from_git.iter().any(|name| built_by.contains(name)),
        lock_file: lock.map(str::to_owned),
        has_pyproject: has("pyproject.toml"),
        requirements_files: requirements,
        noxfile_name: has("noxfile.py").then(|| "noxfile.py".to_owned()),
        locked_versions: ["nox", "uv"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), parse_locked_version(&text, name)?)))
            .collect(),
    }
}

/// The version a lock gives a package.
fn parse_locked_version(text: &str, name: &str) -> Option<String> {
    let head = format!("name = \"{name}\"");
    let after = text.lines().skip_while(|line| *line != head).nth(1)?;
    Some(after.strip_prefix("version = ")?.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflows_and_actions_are_found_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        assert!(matches!(find_workflow_sources(folder.path(), &[]), Err(DiscoverError::NoWorkflows(_))));
        put(".github/workflows/b.yml", "");
        put(".github/workflows/deep/no.yml", "");
        put(".github/workflows/notes.md", "");
        put(".github/actions/x/action.yml", "");
        put(".forgejo/workflows/a.yaml", "");
        put("action.yml", "");
        put("uv.lock", "name = \"nox\"\nversion = \"2026.1\"\n");
        put("requirements-dev.txt", "");
        put("setup.cfg", "setup_requires = setuptools_scm\n");
        put("noxfile.py", "");
        let paths = |named: &[PathBuf]| {
            find_workflow_sources(folder.path(), named)
                .unwrap()
                .iter()
                .map(|source| source.path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            paths(&[]),
            [".forgejo/workflows/a.yaml", ".github/actions/x/action.yml", ".github/workflows/b.yml", "action.yml"]
        );
        assert_eq!(
            paths(&[".github/workflows/b.yml".into(), ".github/workflows".into()]),
            [".github/workflows/b.yml", ".github/workflows/deep/no.yml"]
        );
        assert!(find_workflow_sources(folder.path(), &["none.yml".into()]).is_err());
        let files = find_project_files(folder.path());
        assert_eq!(
            (files.lock_file.as_deref(), files.has_pyproject, files.requirements_files.len()),
            (Some("uv.lock"), false, 1)
        );
        assert_eq!(files.locked_versions.get("nox").map(String::as_str), Some("2026.1"));
        assert_eq!((files.noxfile_name.as_deref(), files.version_from_git), (Some("noxfile.py"), true));
    }
}
