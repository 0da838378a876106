//! What a session's installs ask for, read from the words of its noxfile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::project::lock::{Requirement, RequirementsFile, Root, normal, split_extras};

/// What the installs of a session ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Where a closure of the lock starts.
    pub roots: BTreeSet<Root>,
    /// Extras of the project that are asked for; none where the project itself is not installed.
    pub project: Option<BTreeSet<String>>,
    /// Dependency groups of the project.
    pub groups: BTreeSet<String>,
    /// Requirements and constraints files, relative to the root.
    pub files: BTreeSet<PathBuf>,
    /// Each install in words, in the noxfile's order.
    pub installs: Vec<String>,
    /// Words that are not written in the noxfile, or not understood: anything may be asked for.
    pub unclear: bool,
}

/// Flags of uv and pip that are followed by a word.
const TAKE_A_WORD: [&str; 22] = [
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
pub fn asked(installs: &[Vec<String>], root: &Path, extras: &[String]) -> Asked {
    let mut asked = Asked::default();
    for words in installs {
        asked.installs.push(words.join(" "));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["uv", "pip", "install", rest @ ..]
            | ["python", "-m", "pip", "install", rest @ ..]
            | ["pip", "install", rest @ ..] => asked.pip(rest, root),
            ["uv", "sync", rest @ ..] => asked.sync(rest, extras),
            ["uv", "pip" | "venv" | "lock" | "--version" | "version" | "build", ..] => {}
            _ => asked.unclear = true,
        }
    }
    if asked.unclear {
        asked.roots.insert(Root::All);
    }
    asked
}

impl Asked {
    fn pip(&mut self, words: &[&str], root: &Path) {
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=').filter(|_| word.starts_with("--")) {
                Some((flag, value)) => (flag, Some(value)),
                None => (word, None),
            };
            match flag {
                "-e" | "--editable" => match value.or_else(|| words.next()) {
                    Some(word) => self.thing(word),
                    None => self.unclear = true,
                },
                "-r" | "--requirement" | "--requirements" | "-c" | "--constraint" | "--constraints" => {
                    match value.or_else(|| words.next()) {
                        Some(file) => self.file(file, flag.contains('r') && !flag.starts_with("--c"), root),
                        None => self.unclear = true,
                    }
                }
                "--group" => match value.or_else(|| words.next()) {
                    Some(group) => self.group(group),
                    None => self.unclear = true,
                },
                _ if TAKE_A_WORD.contains(&flag) => {
                    if value.is_none() {
                        words.next();
                    }
                }
                _ if flag.starts_with('-') => {}
                _ => self.thing(word),
            }
        }
    }

    /// A requirement, the project itself, or a path.
    fn thing(&mut self, word: &str) {
        let (bare, extras) = split_extras(word);
        if bare == "." || bare == "./" {
            self.project.get_or_insert_default().extend(extras.iter().cloned());
            self.roots.insert(Root::Project { extras });
        } else if let Ok(requirement) = word.parse::<Requirement>() {
            self.roots.insert(Root::Package { name: requirement.name, extras: requirement.extras });
        } else {
            self.unclear = true;
        }
    }

    fn group(&mut self, group: &str) {
        let group = normal(group.rsplit(':').next().unwrap_or(group));
        self.groups.insert(group.clone());
        self.roots.insert(Root::Group(group));
    }

    fn file(&mut self, file: &str, requirements: bool, root: &Path) {
        match RequirementsFile::read(&root.join(file)) {
            Ok(read) => {
                self.files.extend(read.files.iter().map(|path| path.strip_prefix(root).unwrap_or(path).to_path_buf()));
                if requirements {
                    let package = |wanted: Requirement| Root::Package { name: wanted.name, extras: wanted.extras };
                    self.roots.extend(read.requirements.into_iter().map(package));
                }
                let local = |line: &String| line.starts_with(['.', '/']) || line.starts_with("-e");
                self.unclear |= read.others.iter().any(local);
            }
            Err(_) => self.unclear = true,
        }
    }

    /// `uv sync`: the project with its groups, unless flags say otherwise.
    fn sync(&mut self, words: &[&str], all: &[String]) {
        let mut extras = BTreeSet::new();
        let (mut project, mut dev) = (true, true);
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (flag, value) = word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value)));
            match flag {
                "--extra" => extras.extend(value.or_else(|| words.next()).map(normal)),
                "--all-extras" => extras.extend(all.iter().cloned()),
                "--group" | "--only-group" => {
                    if let Some(group) = value.or_else(|| words.next()) {
                        self.group(group);
                    }
                    dev &= flag == "--group";
                    project &= flag == "--group";
                }
                "--no-dev" | "--no-default-groups" => dev = false,
                "--all-groups" | "--all-packages" | "--package" | "*" => self.unclear = true,
                _ if value.is_none() && TAKE_A_WORD.contains(&flag) => {
                    words.next();
                }
                _ => {}
            }
        }
        if dev {
            self.group("dev");
        }
        if project {
            self.project.get_or_insert_default().extend(extras.iter().cloned());
            self.roots.insert(Root::Project { extras: extras.into_iter().collect() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, root: &Path) -> Asked {
        let words = line.split(' ').map(str::to_owned).collect();
        asked(&[words], root, &["docs".to_owned(), "tests".to_owned()])
    }

    fn roots(line: &str) -> String {
        let asked = read(line, Path::new("/nowhere"));
        let mut text: Vec<String> = asked
            .roots
            .iter()
            .map(|root| match root {
                Root::Package { name, extras } => format!("{name}[{}]", extras.join(",")),
                Root::Project { extras } => format!(".[{}]", extras.join(",")),
                Root::Group(group) => format!("({group})"),
                Root::All => "all".to_owned(),
            })
            .collect();
        if asked.unclear {
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
        assert_eq!(asked.files, BTreeSet::from(["c.txt".into(), "r.txt".into()]));
        assert_eq!(asked.roots.len(), 1);
        assert!(!asked.unclear);
        fs_err::write(folder.path().join("r.txt"), "-e ./here\n").unwrap();
        assert!(read("pip install -r r.txt", folder.path()).unclear);
    }
}
