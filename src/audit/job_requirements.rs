//! Requirements of a job: the names of all packages that it asks for, in its commands, its sessions and the files they name.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::noxfile::SessionCall;
use super::project::{AuditProject, JobView};
use super::project_files::is_inside;
use super::shell::requirement_name;
use crate::fs::{open_project_file, read_limited};

/// Levels of requirements files that name each other.
const MAX_LEVELS: usize = 4;
/// Most requirements files that are read for a job.
const MAX_FILES: usize = 100;
/// Most bytes of the requirements files of a job.
const MAX_BYTES: u64 = 2 << 20;
/// Options of pip and uv that take a value which is no requirement.
const VALUE_OPTIONS: [&str; 8] =
    ["-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--config-settings"];

impl JobView<'_> {
    /// Returns the names of the packages that the job asks for, in lower case with hyphens: those of its commands and
    /// sessions, of the requirements files, dependency groups and extras that they install, and the dependencies of the
    /// project where it is installed. `None` if something is not written out.
    pub(crate) fn requested_packages(&self) -> Option<BTreeSet<String>> {
        let mut requested = RequestedPackages::new(self.project);
        for job_install in &self.analysis.installs {
            let install = &job_install.install;
            let step = self.step(job_install.step_index)?;
            let is_same = |span| span == install.span;
            let command = step.commands.iter().find(|command| is_same(command.span))?;
            let is_project = matches!(install.subcommand.as_str(), "sync" | "env")
                || (install.subcommand == "run" && command.program_name() == "uv")
                || command.program_name() == "poetry";
            if is_project {
                return None;
            }
            for (index, word) in command.words.iter().enumerate() {
                match word.text.split_once('=') {
                    Some(("--group", group)) => requested.add_group(group, MAX_LEVELS)?,
                    None if word.text == "--group" => {
                        requested.add_group(&command.words.get(index + 1)?.text, MAX_LEVELS)?;
                    }
                    _ => {}
                }
            }
            for word in &install.packages {
                requested.add_requirement(&word.text)?;
            }
            for file in &install.requirement_files {
                requested.add_file(file, MAX_LEVELS)?;
            }
        }
        for call in self.analysis.nox_calls.iter().filter(|call| call.parsed.noxfile.is_none()) {
            if call.sessions.is_empty() {
                return None;
            }
            for (name, _) in &call.sessions {
                for call in &self.noxfile_session(name)?.calls {
                    requested.add_call(call)?;
                }
            }
        }
        Some(requested.names)
    }
}

/// Names of packages, and what was read to find them.
struct RequestedPackages<'a> {
    project: &'a AuditProject,
    names: BTreeSet<String>,
    /// Files and groups that were read.
    seen: HashSet<String>,
    files_left: usize,
    bytes_left: u64,
}

impl<'a> RequestedPackages<'a> {
    fn new(project: &'a AuditProject) -> Self {
        Self { project, names: BTreeSet::new(), seen: HashSet::new(), files_left: MAX_FILES, bytes_left: MAX_BYTES }
    }

    fn add_call(&mut self, call: &SessionCall) -> Option<()> {
        let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
        match call.method.as_str() {
            "install" => self.add_arguments(&words),
            "run" | "run_always" | "run_install" => match words.as_slice() {
                ["pip", "install", rest @ ..] | ["python" | "python3", "-m", "pip", "install", rest @ ..] => {
                    self.add_arguments(rest)
                }
                ["uv" | "uvx" | "pipx" | "pdm" | "poetry" | "hatch" | "tox" | "nox" | "make", ..] => None,
                _ => Some(()),
            },
            "conda_install" | "poetry.install" | "notify" => None,
            _ => Some(()),
        }
    }

    fn add_arguments(&mut self, words: &[&str]) -> Option<()> {
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "-r" | "--requirement" | "--requirements" => self.add_file(words.next()?, MAX_LEVELS)?,
                "--group" => self.add_group(words.next()?, MAX_LEVELS)?,
                word if VALUE_OPTIONS.contains(&word) => {
                    words.next();
                }
                // An option whose value is computed.
                word if word.starts_with("<f'-") || word.starts_with("<f\"-") => {}
                word if word.starts_with("--group=") || word.starts_with("--requirement") => return None,
                word if word.starts_with('-') || word.ends_with(".posargs") => {}
                word => self.add_requirement(word)?,
            }
        }
        Some(())
    }

    /// Adds a requirement, or the dependencies of the project and of its extras.
    fn add_requirement(&mut self, text: &str) -> Option<()> {
        let text = text.trim();
        if text.starts_with(['<', '*', '$', '/', '~']) || text.contains("${{") {
            return None;
        }
        let (path, extras) = text.split_once('[').unwrap_or((text, ""));
        if matches!(path, "." | "./") {
            let extras: Vec<&str> = extras.trim_end_matches(']').split(',').filter(|extra| !extra.is_empty()).collect();
            return self.add_project(&extras);
        }
        if text.starts_with('.') || text.ends_with(".whl") {
            return None;
        }
        // A URL is one package, whose name does not matter.
        let is_url = text.contains("://") && !text.contains(" @ ");
        let name = if is_url { text } else { requirement_name(text) };
        self.names.insert(name.to_lowercase().replace(['_', '.'], "-"));
        Some(())
    }

    fn add_project(&mut self, extras: &[&str]) -> Option<()> {
        let document = self.project.pyproject()?;
        let project = document.get("project")?.as_table()?;
        let dynamic = project.get("dynamic").and_then(toml::Value::as_array);
        if dynamic.is_some_and(|dynamic| {
            dynamic.iter().any(|name| matches!(name.as_str(), Some("dependencies" | "optional-dependencies")))
        }) {
            return None;
        }
        let mut lists = Vec::new();
        lists.extend(project.get("dependencies"));
        for extra in extras {
            lists.push(project.get("optional-dependencies")?.get(extra)?);
        }
        for entry in lists.into_iter().filter_map(toml::Value::as_array).flatten() {
            let text = entry.as_str()?;
            // An extra that names another one of the project.
            let own_name = project.get("name").and_then(toml::Value::as_str).unwrap_or_default();
            if requirement_name(text) == own_name && text.contains('[') {
                return None;
            }
            self.add_requirement(text)?;
        }
        Some(())
    }

    fn add_group(&mut self, group: &str, levels: usize) -> Option<()> {
        let document = self.project.pyproject()?;
        // Once: the entries of a group that is included again are known.
        if !self.seen.insert(format!("group {group}")) {
            return Some(());
        }
        let entries = document.get("dependency-groups")?.get(group)?.as_array()?;
        levels.checked_sub(1)?;
        for entry in entries {
            match (entry.as_str(), entry.get("include-group").and_then(toml::Value::as_str)) {
                (Some(text), _) => self.add_requirement(text)?,
                (None, Some(group)) => self.add_group(group, levels - 1)?,
                (None, None) => return None,
            }
        }
        Some(())
    }

    fn add_file(&mut self, file: &str, levels: usize) -> Option<()> {
        if file.contains(['$', '<', '*']) || file.starts_with('/') {
            return None;
        }
        levels.checked_sub(1)?;
        let root = self.project.root.as_path();
        let path = root.join(file.trim_start_matches("./"));
        if !self.seen.insert(format!("file {}", path.display())) {
            return Some(());
        }
        if self.files_left == 0 || !is_inside(&path, root) {
            return None;
        }
        let bytes = read_limited(open_project_file(&path).ok()?, self.bytes_left).ok()?;
        self.files_left -= 1;
        self.bytes_left -= bytes.len() as u64;
        let text = String::from_utf8(bytes).ok()?.replace("\\\n", " ");
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next()? {
                "-r" | "--requirement" => {
                    let parent = Path::new(file).parent().unwrap_or(Path::new(""));
                    self.add_file(parent.join(words.next()?).to_str()?, levels - 1)?;
                }
                "-e" | "--editable" => self.add_requirement(words.next()?)?,
                word if word.starts_with('-') => {}
                _ => self.add_requirement(line)?,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::AuditOptions;
    use super::super::project_files::ProjectFiles;
    use super::*;

    fn project_at(root: &Path) -> AuditProject {
        AuditProject::from_sources(root, Vec::new(), None, ProjectFiles::default(), AuditOptions::default())
    }

    #[test]
    fn files_that_name_each_other_are_read_once_and_have_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("project");
        fs_err::create_dir(&root).unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.join(name), text).unwrap();
        write("a.txt", &"-r b.txt\n-r c.txt\n".repeat(9));
        write("b.txt", &"-r c.txt\n".repeat(9));
        write("c.txt", "six\n");
        write(
            "pyproject.toml",
            "[dependency-groups]\na = [{include-group = \"b\"}, {include-group = \"b\"}]\nb = []\n",
        );
        let project = project_at(&root);
        let mut requested = RequestedPackages::new(&project);
        requested.add_arguments(&["-r", "a.txt", "-r", "./a.txt", "--group", "a"]).unwrap();
        assert_eq!((MAX_FILES - requested.files_left, requested.seen.len()), (3, 5));

        let links: String = (0..=MAX_FILES).map(|index| format!("-r {index}.txt\n")).collect();
        (0..=MAX_FILES).for_each(|index| write(&format!("{index}.txt"), "six\n"));
        write("many.txt", &links);
        assert_eq!(RequestedPackages::new(&project).add_arguments(&["-r", "many.txt"]), None);
        write("large.txt", &"six\n".repeat(1 << 20));
        assert_eq!(RequestedPackages::new(&project).add_arguments(&["-r", "large.txt"]), None);
        fs_err::write(directory.path().join("outside.txt"), "six\n").unwrap();
        std::os::unix::fs::symlink("../outside.txt", root.join("link.txt")).unwrap();
        for outside in ["../outside.txt", "link.txt"] {
            assert_eq!(RequestedPackages::new(&project).add_arguments(&["-r", outside]), None, "{outside}");
        }
    }

    #[test]
    fn files_groups_and_extras_are_expanded() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let write = |name: &str, text: &str| fs_err::write(root.join(name), text).unwrap();
        write("a.txt", "# all\nZope.Interface >= 1  # comment\n-r b.txt\n-c c.txt\nx==1 \\\n    --hash=sha256:00\n");
        write("b.txt", "y ; python_version > '3'\n");
        write(
            "pyproject.toml",
            "[project]\nname = \"p\"\ndependencies = [\"attrs\"]\noptional-dependencies = {t = [\"pytest\"]}\n[dependency-groups]\ng = [\"ruff\", {include-group = \"h\"}]\nh = [\"mypy\"]\n",
        );
        let requested = |words: &[&str]| {
            let project = project_at(root);
            let mut requested = RequestedPackages::new(&project);
            requested.add_arguments(words).map(|()| requested.names.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(requested(&["-r", "a.txt", "--upgrade", "-c", "z.txt"]).unwrap(), ["x", "y", "zope-interface"]);
        assert_eq!(requested(&["-e", ".[t]"]).unwrap(), ["attrs", "pytest"]);
        assert_eq!(requested(&["--group", "g", "session.posargs"]).unwrap(), ["mypy", "ruff"]);
        for words in [&["-r", "none.txt"][..], &["<value>"], &["*WORDS"], &[".[other]"], &["./sub"], &["--group=g"]] {
            assert_eq!(requested(words), None, "{words:?}");
        }
        write("pyproject.toml", "[project]\nname = \"p\"\ndynamic = [\"dependencies\"]\n");
        assert_eq!(requested(&["."]), None);
    }
}
