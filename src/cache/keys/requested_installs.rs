//! What a session's installs ask for, read from the words of its noxfile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::project::lock::{ClosureRoot, Requirement, RequirementsFile, normalize_name, split_extras};

/// What the installs of a session ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestedInstalls {
    /// Where a closure of the lock starts.
    pub(crate) closure_roots: BTreeSet<ClosureRoot>,
    /// Extras of the project that are asked for; none where the project itself is not installed.
    pub(crate) project_extras: Option<BTreeSet<String>>,
    /// Dependency groups of the project.
    pub(crate) groups: BTreeSet<String>,
    /// Requirements and constraints files, relative to the root.
    pub(crate) requirements_files: BTreeSet<PathBuf>,
    /// Each install in words, in the noxfile's order.
    pub(crate) commands: Vec<String>,
    /// Words that are not written in the noxfile, or not understood: anything may be asked for.
    pub(crate) has_unknown_args: bool,
}

/// Flags of uv and pip that are followed by a word.
const FLAGS_WITH_VALUE: [&str; 22] = [
    "-i",
    "--index-url",
    "--default-index",
    "--extra-index-url",
    "--index",
    "-f",
    "--find-links",
    "--only-binary",
    "--no-binary",
    "--prerelease",
    "--resolution",
    "--exclude-newer",
    "--progress-bar",
    "--upgrade-strategy",
    "--use-feature",
    "--link-mode",
    "--index-strategy",
    "--keyring-provider",
    "--trusted-host",
    "--python",
    "-p",
    "--no-extra",
];

/// Reads the installs of a session: command lines as the host tells them, `*` for what is not written down.
pub(crate) fn parse_installs(installs: &[Vec<String>], root: &Path, extras: &[String]) -> RequestedInstalls {
    let mut asked = RequestedInstalls::default();
    for words in installs {
        asked.commands.push(words.join(" "));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["uv", "pip", "install", rest @ ..]
            | ["python", "-m", "pip", "install", rest @ ..]
            | ["pip", "install", rest @ ..] => asked.add_pip_install(rest, root),
            ["uv", "sync", rest @ ..] => asked.add_uv_sync(rest, extras),
            ["uv", "pip" | "venv" | "lock" | "--version" | "version" | "build", ..] => {}
            _ => asked.has_unknown_args = true,
        }
    }
    if asked.has_unknown_args {
        asked.closure_roots.insert(ClosureRoot::All);
    }
    asked
}

impl RequestedInstalls {
    fn add_pip_install(&mut self, words: &[&str], root: &Path) {
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=').filter(|_| word.starts_with("--")) {
                Some((flag, value)) => (flag, Some(value)),
                None => (word, None),
            };
            match flag {
                "-e" | "--editable" => match value.or_else(|| words.next()) {
                    Some(word) => self.add_requirement(word),
                    None => self.has_unknown_args = true,
                },
                "-r" | "--requirement" | "--requirements" | "-c" | "--constraint" | "--constraints" => {
                    match value.or_else(|| words.next()) {
                        Some(file) => {
                            self.add_requirements_file(file, flag.contains('r') && !flag.starts_with("--c"), root);
                        }
                        None => self.has_unknown_args = true,
                    }
                }
                "--group" => match value.or_else(|| words.next()) {
                    Some(group) => self.add_group(group),
                    None => self.has_unknown_args = true,
                },
                _ if FLAGS_WITH_VALUE.contains(&flag) => {
                    if value.is_none() {
                        words.next();
                    }
                }
                _ if flag.starts_with('-') => {}
                _ => self.add_requirement(word),
            }
        }
    }

    /// A requirement, the project itself, or a path.
    fn add_requirement(&mut self, word: &str) {
        let (bare, extras) = split_extras(word);
        if bare == "." || bare == "./" {
            self.project_extras.get_or_insert_default().extend(extras.iter().cloned());
            self.closure_roots.insert(ClosureRoot::Project { extras });
        } else if let Ok(requirement) = word.parse::<Requirement>() {
            self.closure_roots.insert(ClosureRoot::Package { name: requirement.name, extras: requirement.extras });
        } else {
            self.has_unknown_args = true;
        }
    }

    fn add_group(&mut self, group: &str) {
        let group = normalize_name(group.rsplit(':').next().unwrap_or(group));
        self.groups.insert(group.clone());
        self.closure_roots.insert(ClosureRoot::Group(group));
    }

    fn add_requirements_file(&mut self, file: &str, requirements: bool, root: &Path) {
        match RequirementsFile::read(&root.join(file)) {
            Ok(read) => {
                self.requirements_files
                    .extend(read.files.iter().map(|path| path.strip_prefix(root).unwrap_or(path).to_path_buf()));
                if requirements {
                    let package =
                        |wanted: Requirement| ClosureRoot::Package { name: wanted.name, extras: wanted.extras };
                    self.closure_roots.extend(read.requirements.into_iter().map(package));
                }
                let local = |line: &String| line.starts_with(['.', '/']) || line.starts_with("-e");
                self.has_unknown_args |= read.other_lines.iter().any(local);
            }
            Err(_) => self.has_unknown_args = true,
        }
    }

    /// `uv sync`: the project with its groups, unless flags say otherwise.
    fn add_uv_sync(&mut self, words: &[&str], all: &[String]) {
        let mut extras = BTreeSet::new();
        let (mut project, mut dev) = (true, true);
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (flag, value) = word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value)));
            match flag {
                "--extra" => extras.extend(value.or_else(|| words.next()).map(normalize_name)),
                "--all-extras" => extras.extend(all.iter().cloned()),
                "--group" | "--only-group" => {
                    if let Some(group) = value.or_else(|| words.next()) {
                        self.add_group(group);
                    }
                    dev &= flag == "--group";
                    project &= flag == "--group";
                }
                "--no-dev" | "--no-default-groups" => dev = false,
                "--all-groups" | "--all-packages" | "--package" | "*" => self.has_unknown_args = true,
                _ if value.is_none() && FLAGS_WITH_VALUE.contains(&flag) => {
                    words.next();
                }
                _ => {}
            }
        }
        if dev {
            self.add_group("dev");
        }
        if project {
            self.project_extras.get_or_insert_default().extend(extras.iter().cloned());
            self.closure_roots.insert(ClosureRoot::Project { extras: extras.into_iter().collect() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, root: &Path) -> RequestedInstalls {
        let words = line.split(' ').map(str::to_owned).collect();
        parse_installs(&[words], root, &["docs".to_owned(), "tests".to_owned()])
    }

    fn roots(line: &str) -> String {
        let asked = read(line, Path::new("/nowhere"));
        let mut text: Vec<String> = asked
            .closure_roots
            .iter()
            .map(|root| match root {
                ClosureRoot::Package { name, extras } => format!("{name}[{}]", extras.join(",")),
                ClosureRoot::Project { extras } => format!(".[{}]", extras.join(",")),
                ClosureRoot::Group(group) => format!("({group})"),
                ClosureRoot::All => "all".to_owned(),
            })
            .collect();
        if asked.has_unknown_args {
            text.push("unclear".to_owned());
        }
        text.join(" ")
    }

    #[test]
    fn installs_are_read_as_uv_and_pip_read_them() {
        assert_eq!(roots("pip install -e .[tests]"), ".[tests]");
        assert_eq!(roots("uv pip install --editable=. radon>=6 pyright[nodejs]"), "pyright[nodejs] radon[] .[]");
        assert_eq!(roots("python -m pip install --find-links wheels -q --group dev x"), "x[] (dev)");
        assert_eq!(roots("pip install --index-url=https://packages.example.org/simple x"), "x[]");
        for unclear in
            ["pip install *", "pip install ./sub", "pip install -e", "pip install -r gone.txt", "poetry install"]
        {
            assert_eq!(roots(unclear).rsplit(' ').next(), Some("unclear"), "{unclear}");
        }
        assert!(roots("pip install x *").starts_with("x[] all"));
        assert_eq!(roots("uv --version"), "");
    }

    #[test]
    fn a_sync_takes_the_project_and_its_groups() {
        assert_eq!(roots("uv sync"), ".[] (dev)");
        assert_eq!(roots("uv sync --frozen --extra docs --no-dev --python 3.12"), ".[docs]");
        assert_eq!(roots("uv sync --all-extras --group=lint"), ".[docs,tests] (dev) (lint)");
        assert_eq!(roots("uv sync --only-group lint"), "(lint)");
        assert_eq!(roots("uv sync --all-packages"), ".[] (dev) all unclear");
    }

    #[test]
    fn requirements_files_are_read_with_what_they_include() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("r.txt"), "a==1\n-c c.txt\n").unwrap();
        fs_err::write(folder.path().join("c.txt"), "b<2\n").unwrap();
        let asked = read("pip install -r r.txt --constraint=c.txt", folder.path());
        assert_eq!(asked.requirements_files, BTreeSet::from(["c.txt".into(), "r.txt".into()]));
        assert_eq!(asked.closure_roots.len(), 1);
        assert!(!asked.has_unknown_args);
        fs_err::write(folder.path().join("r.txt"), "-e ./here\n").unwrap();
        assert!(read("pip install -r r.txt", folder.path()).has_unknown_args);
    }
}
