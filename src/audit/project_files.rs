//! Discovery of workflow files, composite actions and other facts about a project's files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::source::{SharedSource, SourceFile, UnreadReason};
use super::yaml::MAX_BYTES;
use crate::fs::{open_project_file, read_project_text};

/// Directories of the forges, in reading order.
const FORGE_DIRS: [&str; 3] = [".forgejo", ".gitea", ".github"];

/// Maximum number of workflows and actions that are read: a pull request can add links to a large one at no cost.
const MAX_FILES: usize = 500;
/// Bytes of workflows and actions after which no further one is read.
const MAX_ALL_BYTES: usize = 16 << 20;

/// Limit of the files that are listed.
const MAX_LISTED_FILES: usize = 50_000;

/// Error of reading a project.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The project has no workflow.
    #[error(
        "{} has no workflows in .forgejo/workflows, .gitea/workflows or .github/workflows; create one with `noxide init`",
        .0.display()
    )]
    NoWorkflows(PathBuf),
    /// The paths to audit are in several projects.
    #[error("{} and {} are in different projects; audit one project at a time", .0.display(), .1.display())]
    SeveralProjects(PathBuf, PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Facts about files other than workflows.
#[derive(Clone, Debug, Default)]
pub struct ProjectFiles {
    /// Name of the lock file.
    pub lock_file: Option<String>,
    /// Whether there is a pyproject.toml.
    pub has_pyproject: bool,
    /// Names of requirements and constraints files, sorted.
    pub requirements_files: Vec<String>,
    /// Whether the project's version is computed from Git tags.
    pub version_from_git: bool,
    /// Name of the noxfile.
    pub noxfile_name: Option<String>,
    /// Whether the project is nothing but documentation: it has a Sphinx or MkDocs configuration, and no package.
    pub is_documentation: bool,
    /// Whether the configuration of pre-commit names hooks of other repositories.
    pub has_remote_hooks: bool,
    /// Paths of all files, where a workflow has patterns to compare them with; `None` if they are not read, or too many.
    pub paths: Option<Vec<String>>,
    /// Whether the project requires a version of uv (`required-version`).
    pub requires_uv_version: bool,
    /// Versions of nox and uv in the lock file.
    pub locked_versions: BTreeMap<String, String>,
}

/// Splits paths at the root of their project, which contains a forge's directory such as `.github`. Returns the root, and
/// the paths below it: none if one of them is the root itself, which stands for all workflows. `None` if no path tells its
/// project.
pub(crate) fn split_project_root(paths: &[PathBuf]) -> Result<Option<(PathBuf, Vec<PathBuf>)>, DiscoverError> {
    let mut split: Vec<(PathBuf, PathBuf)> = Vec::new();
    for path in paths {
        let parts: Vec<_> = path.components().collect();
        let is_forge = |part: &Component| FORGE_DIRS.iter().any(|name| part.as_os_str() == *name);
        let (root, rest) = match parts.iter().rposition(is_forge) {
            Some(index) => (parts[..index].iter().collect(), parts[index..].iter().collect()),
            None if FORGE_DIRS.iter().any(|name| path.join(name).is_dir()) => (path.clone(), PathBuf::new()),
            None => return Ok(None),
        };
        split.push((root, rest));
    }
    let Some((root, _)) = split.first().cloned() else { return Ok(None) };
    let absolute =
        |path: &Path| fs_err::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok();
    if let Some((index, _)) = split.iter().enumerate().find(|(_, (other, _))| absolute(other) != absolute(&root)) {
        return Err(DiscoverError::SeveralProjects(paths[0].clone(), paths[index].clone()));
    }
    let below: Vec<PathBuf> = split.into_iter().map(|(_, rest)| rest).collect();
    let is_whole = below.iter().any(|rest| rest.as_os_str().is_empty());
    Ok(Some((root, if is_whole { Vec::new() } else { below })))
}

/// Reads all workflows and composite actions of a project, or those at the given paths.
pub(crate) fn find_workflow_sources(root: &Path, paths: &[PathBuf]) -> Result<Vec<SharedSource>, DiscoverError> {
    let mut reader = SourceReader { root, sources: Vec::new(), files_left: MAX_FILES, bytes_left: MAX_ALL_BYTES };
    if paths.is_empty() {
        for directory in FORGE_DIRS {
            reader.read_path(&root.join(directory).join("workflows"), 0)?;
            reader.read_path(&root.join(directory).join("actions"), 4)?;
        }
        for name in ["action.yml", "action.yaml"] {
            reader.read_path(&root.join(name), 0)?;
        }
    }
    for path in paths {
        let path = root.join(path);
        fs_err::metadata(&path)?;
        reader.read_path(&path, 4)?;
    }
    let mut sources = reader.sources;
    if sources.is_empty() {
        return Err(DiscoverError::NoWorkflows(root.to_owned()));
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources.dedup_by(|a, b| a.path == b.path);
    Ok(sources)
}

/// Workflows and actions that are read, within the limits of all together.
struct SourceReader<'a> {
    root: &'a Path,
    sources: Vec<SharedSource>,
    files_left: usize,
    bytes_left: usize,
}

impl SourceReader<'_> {
    /// Reads a file, or the YAML files of a directory and of up to `levels` levels below it. Links out of the project are
    /// not followed: files become sources without content, directories within another directory are left out.
    fn read_path(&mut self, path: &Path, levels: usize) -> Result<(), DiscoverError> {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        // A path that is outside as written was named by the user.
        let is_below = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if (is_below || path.is_symlink()) && path.exists() && !is_inside(path, self.root) {
            self.sources.push(SourceFile::unread(source_name(relative), UnreadReason::LeadsOutside));
        } else if path.is_dir() {
            let mut entries: Vec<_> = fs_err::read_dir(path)?.collect::<Result<_, _>>()?;
            entries.sort_by_key(fs_err::DirEntry::path);
            for entry in entries {
                let path = entry.path();
                if path.is_symlink() && path.is_dir() && !is_inside(&path, self.root) {
                    continue;
                }
                let is_yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
                if (path.is_dir() && levels > 0) || (path.is_file() && is_yaml) {
                    self.read_path(&path, levels.saturating_sub(1))?;
                }
            }
        } else if path.is_file() {
            let source = self.read_file(path, source_name(relative))?;
            self.sources.push(source);
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path, name: String) -> Result<SharedSource, DiscoverError> {
        let limits = [(self.files_left, MAX_FILES, "files"), (self.bytes_left, MAX_ALL_BYTES, "bytes")];
        if let Some((_, limit, what)) = limits.into_iter().find(|(left, ..)| *left == 0) {
            return Ok(SourceFile::unread(name, UnreadReason::BeyondLimit(limit, what)));
        }
        // One byte more than the YAML parser accepts, so that it reports larger files without reading them whole.
        let mut bytes = Vec::new();
        open_project_file(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        self.files_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len());
        Ok(SourceFile::new(name, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Returns the path of a source with `/` as separator.
fn source_name(relative: &Path) -> String {
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

/// Returns whether a path, whatever links are on the way, leads to something inside the project or its repository, and not
/// to the files of Git, which may contain credentials.
pub(crate) fn is_inside(path: &Path, root: &Path) -> bool {
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let (Ok(path), Ok(root)) = (fs_err::canonicalize(path), fs_err::canonicalize(root)) else { return false };
    let repository = root.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(&root);
    path.strip_prefix(repository).is_ok_and(|below| below.components().all(|part| part.as_os_str() != ".git"))
}

/// Collects facts about the project's other files.
pub(crate) fn find_project_files(root: &Path) -> ProjectFiles {
    let has = |name: &str| root.join(name).is_file();
    let lock = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock"].into_iter().find(|name| has(name));
    let mut requirements: Vec<String> = fs_err::read_dir(root)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    requirements
        .retain(|name| (name.starts_with("requirements") || name.starts_with("constraints")) && name.ends_with(".txt"));
    requirements.sort();
    let text = lock.and_then(|name| read_project_text(&root.join(name)).ok()).unwrap_or_default();
    let build_files = ["pyproject.toml", "setup.cfg", "setup.py"].map(|name| read_project_text(&root.join(name)));
    let build_files: String = build_files.into_iter().flatten().collect();
    let version_plugins =
        ["setuptools_scm", "setuptools-scm", "hatch-vcs", "versioningit", "dynamic-versioning", "dunamai"];
    let documentation = ["conf.py", "doc/conf.py", "docs/conf.py", "source/conf.py", "mkdocs.yml"];
    let is_package = ["pyproject.toml", "setup.cfg", "setup.py"].into_iter().any(has);
    let hooks = [".pre-commit-config.yaml", ".pre-commit-config.yml", "prek.toml"].into_iter().find(|name| has(name));
    let hooks = hooks.and_then(|name| read_project_text(&root.join(name)).ok()).unwrap_or_default();
    ProjectFiles {
        has_remote_hooks: hooks.lines().any(is_remote_hook),
        paths: None,
        is_documentation: !is_package && documentation.into_iter().any(has),
        version_from_git: version_plugins.iter().any(|name| build_files.contains(name)),
        requires_uv_version: has_required_uv(&build_files)
            || read_project_text(&root.join("uv.toml")).is_ok_and(|text| text.contains("required-version")),
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

/// Whether a line of the configuration of pre-commit or prek names another repository.
fn is_remote_hook(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '-']);
    line.starts_with("repo") && (line.contains("://") || line.contains("git@"))
}

/// Returns the paths of all files of a project except those of Git and of environments; `None` if there are too many.
pub(crate) fn list_file_paths(root: &Path) -> Option<Vec<String>> {
    let is_skipped = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() > 0
            && entry.file_type().is_dir()
            && matches!(name.as_ref(), ".git" | ".nox" | ".venv" | ".tox" | "node_modules" | "target")
    };
    let entries = walkdir::WalkDir::new(root).into_iter().filter_entry(|entry| !is_skipped(entry));
    let mut paths = Vec::new();
    for entry in entries.take(MAX_LISTED_FILES + 1) {
        let entry = entry.ok()?;
        let relative = entry.path().strip_prefix(root).ok()?;
        paths.extend((!entry.file_type().is_dir()).then(|| relative.to_string_lossy().replace('\\', "/")));
        if paths.len() >= MAX_LISTED_FILES {
            return None;
        }
    }
    Some(paths)
}

/// Whether the table `tool.uv` has a `required-version`; other tools have one too.
fn has_required_uv(text: &str) -> bool {
    let table = text.lines().skip_while(|line| line.trim() != "[tool.uv]").skip(1);
    let mut entries = table.take_while(|line| !line.trim_start().starts_with('['));
    entries.any(|line| line.trim_start().starts_with("required-version"))
}

/// Returns the version of a package in a lock file.
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
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        assert!(matches!(find_workflow_sources(directory.path(), &[]), Err(DiscoverError::NoWorkflows(_))));
        write(".github/workflows/b.yml", "");
        write(".github/workflows/deep/no.yml", "");
        write(".github/workflows/notes.md", "");
        write(".github/actions/x/action.yml", "");
        write(".forgejo/workflows/a.yaml", "");
        write("action.yml", "");
        write("uv.lock", "name = \"nox\"\nversion = \"2026.1\"\n");
        write("requirements-dev.txt", "");
        write("setup.cfg", "setup_requires = setuptools_scm\n");
        write("noxfile.py", "");
        let paths = |selected: &[PathBuf]| {
            find_workflow_sources(directory.path(), selected)
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
        assert!(find_workflow_sources(directory.path(), &["none.yml".into()]).is_err());
        let files = find_project_files(directory.path());
        assert_eq!(
            (files.lock_file.as_deref(), files.has_pyproject, files.requirements_files.len()),
            (Some("uv.lock"), false, 1)
        );
        assert_eq!(files.locked_versions.get("nox").map(String::as_str), Some("2026.1"));
        assert_eq!((files.noxfile_name.as_deref(), files.version_from_git), (Some("noxfile.py"), true));
    }
    #[test]
    fn files_beyond_the_limits_of_all_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let workflows = root.join(".github/workflows");
        fs_err::create_dir_all(&workflows).unwrap();
        fs_err::write(workflows.join("000.yml"), "on: push").unwrap();
        let link = |number: usize| std::os::unix::fs::symlink("000.yml", workflows.join(format!("{number:03}.yml")));
        (1..=MAX_FILES).for_each(|number| link(number).unwrap());
        let unread = |sources: &[SharedSource]| -> Vec<String> {
            let unread = sources.iter().filter(|source| source.unread.is_some());
            unread.map(|source| source.path.clone()).collect()
        };
        assert_eq!(unread(&find_workflow_sources(root, &[]).unwrap()), [".github/workflows/500.yml"]);
        let only = find_workflow_sources(root, &[".github/workflows/500.yml".into()]).unwrap();
        assert_eq!(only[0].text, "on: push");
        // Larger than the parser accepts: of such files, fewer are read.
        fs_err::File::create(workflows.join("000.yml")).unwrap().set_len(3 << 20).unwrap();
        assert_eq!(unread(&find_workflow_sources(root, &[]).unwrap()).len(), MAX_FILES + 1 - 8);
    }
}
