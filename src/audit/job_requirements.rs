//! Requirements of a job: the names of all packages that it asks for, in its commands, its sessions and the files they name.

use std::collections::BTreeSet;
use std::path::Path;

use super::noxfile::SessionCall;
use super::project::JobView;
use super::shell::requirement_name;
use crate::fs::read_project_text;

/// Levels of requirements files that name each other.
const MAX_LEVELS: usize = 4;
/// Options of pip and uv that take a value which is no requirement.
const VALUE_OPTIONS: [&str; 8] =
    ["-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--config-settings"];

impl JobView<'_> {
    /// Returns the names of the packages that the job asks for, in lower case with hyphens: those of its commands and
    /// sessions, of the requirements files, dependency groups and extras that they install, and the dependencies of the
    /// project where it is installed. `None` if something is not written out.
    pub(crate) fn requested_packages(&self) -> Option<BTreeSet<String>> {
        let root = self.project.root.as_path();
        let mut names = BTreeSet::new();
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
                    Some(("--group", group)) => add_group(root, group, MAX_LEVELS, &mut names)?,
                    None if word.text == "--group" => {
                        add_group(root, &command.words.get(index + 1)?.text, MAX_LEVELS, &mut names)?;
                    }
                    _ => {}
                }
            }
            for word in &install.packages {
                add_requirement(root, &word.text, &mut names)?;
            }
            for file in &install.requirement_files {
                add_file(root, file, MAX_LEVELS, &mut names)?;
            }
        }
        for call in self.analysis.nox_calls.iter().filter(|call| call.parsed.noxfile.is_none()) {
            if call.sessions.is_empty() {
                return None;
            }
            for (name, _) in &call.sessions {
                for call in &self.noxfile_session(name)?.calls {
                    add_call(root, call, &mut names)?;
                }
            }
        }
        Some(names)
    }
}

fn add_call(root: &Path, call: &SessionCall, names: &mut BTreeSet<String>) -> Option<()> {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    match call.method.as_str() {
        "install" => add_arguments(root, &words, names),
        "run" | "run_always" | "run_install" => match words.as_slice() {
            ["pip", "install", rest @ ..] | ["python" | "python3", "-m", "pip", "install", rest @ ..] => {
                add_arguments(root, rest, names)
            }
            ["uv" | "uvx" | "pipx" | "pdm" | "poetry" | "hatch" | "tox" | "nox" | "make", ..] => None,
            _ => Some(()),
        },
        "conda_install" | "poetry.install" | "notify" => None,
        _ => Some(()),
    }
}

fn add_arguments(root: &Path, words: &[&str], names: &mut BTreeSet<String>) -> Option<()> {
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "-r" | "--requirement" | "--requirements" => add_file(root, words.next()?, MAX_LEVELS, names)?,
            "--group" => add_group(root, words.next()?, MAX_LEVELS, names)?,
            word if VALUE_OPTIONS.contains(&word) => {
                words.next();
            }
            // An option whose value is computed.
            word if word.starts_with("<f'-") || word.starts_with("<f\"-") => {}
            word if word.starts_with("--group=") || word.starts_with("--requirement") => return None,
            word if word.starts_with('-') || word.ends_with(".posargs") => {}
            word => add_requirement(root, word, names)?,
        }
    }
    Some(())
}

/// Adds a requirement, or the dependencies of the project and of its extras.
fn add_requirement(root: &Path, text: &str, names: &mut BTreeSet<String>) -> Option<()> {
    let text = text.trim();
    if text.starts_with(['<', '*', '$', '/', '~']) || text.contains("${{") {
        return None;
    }
    let (path, extras) = text.split_once('[').unwrap_or((text, ""));
    if matches!(path, "." | "./") {
        let extras: Vec<&str> = extras.trim_end_matches(']').split(',').filter(|extra| !extra.is_empty()).collect();
        return add_project(root, &extras, names);
    }
    if text.starts_with('.') || text.ends_with(".whl") {
        return None;
    }
    // A URL is one package, whose name does not matter.
    let is_url = text.contains("://") && !text.contains(" @ ");
    let name = if is_url { text } else { requirement_name(text) };
    names.insert(name.to_lowercase().replace(['_', '.'], "-"));
    Some(())
}

fn read_pyproject(root: &Path) -> Option<toml::Table> {
    read_project_text(&root.join("pyproject.toml")).ok()?.parse().ok()
}

fn add_project(root: &Path, extras: &[&str], names: &mut BTreeSet<String>) -> Option<()> {
    let document = read_pyproject(root)?;
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
        add_requirement(root, text, names)?;
    }
    Some(())
}

fn add_group(root: &Path, group: &str, levels: usize, names: &mut BTreeSet<String>) -> Option<()> {
    let document = read_pyproject(root)?;
    let entries = document.get("dependency-groups")?.get(group)?.as_array()?;
    levels.checked_sub(1)?;
    for entry in entries {
        match (entry.as_str(), entry.get("include-group").and_then(toml::Value::as_str)) {
            (Some(text), _) => add_requirement(root, text, names)?,
            (None, Some(group)) => add_group(root, group, levels - 1, names)?,
            (None, None) => return None,
        }
    }
    Some(())
}

fn add_file(root: &Path, file: &str, levels: usize, names: &mut BTreeSet<String>) -> Option<()> {
    if file.contains(['$', '<', '*']) || file.starts_with('/') {
        return None;
    }
    levels.checked_sub(1)?;
    let path = root.join(file.trim_start_matches("./"));
    let text = read_project_text(&path).ok()?.replace("\\\n", " ");
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next()? {
            "-r" | "--requirement" => {
                let parent = Path::new(file).parent().unwrap_or(Path::new(""));
                add_file(root, parent.join(words.next()?).to_str()?, levels - 1, names)?;
            }
            "-e" | "--editable" => add_requirement(root, words.next()?, names)?,
            word if word.starts_with('-') => {}
            _ => add_requirement(root, line, names)?,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut names = BTreeSet::new();
            add_arguments(root, words, &mut names).map(|()| names.into_iter().collect::<Vec<_>>())
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
