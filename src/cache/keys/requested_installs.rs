//! Packages that a session's install commands request, parsed from their arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::project::dependencies::{ClosureRoot, Requirement, RequirementsFile, normalize_name, split_extras};

/// Packages and files that the installs of a session request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestedInstalls {
    /// Roots of the dependency closure in the lock file.
    pub(crate) closure_roots: BTreeSet<ClosureRoot>,
    /// Requested extras of the project; `None` if the project itself is not installed.
    pub(crate) project_extras: Option<BTreeSet<String>>,
    /// Requested dependency groups of the project.
    pub(crate) groups: BTreeSet<String>,
    /// Requirements and constraints files, relative to the project.
    pub(crate) requirements_files: BTreeSet<PathBuf>,
    /// The install commands as text, in the order of the noxfile.
    pub(crate) commands: Vec<String>,
    /// Whether some arguments are unknown or not constants, so that any package may be installed.
    pub(crate) has_unknown_args: bool,
}

/// Flags of uv and pip that take a value.
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

/// Parses the installs of a session: command lines as reported by the host, with `*` for an unknown argument.
pub(crate) fn parse_installs(installs: &[Vec<String>], root: &Path, extras: &[String]) -> RequestedInstalls {
    let mut requested = RequestedInstalls::default();
    for arguments in installs {
        requested.commands.push(arguments.join(" "));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            ["uv", "pip", "install", rest @ ..]
            | ["python", "-m", "pip", "install", rest @ ..]
            | ["pip", "install", rest @ ..] => requested.add_pip_install(rest, root),
            ["uv", "sync", rest @ ..] => requested.add_uv_sync(rest, extras),
            ["uv", "pip" | "venv" | "lock" | "--version" | "version" | "build", ..] => {}
            _ => requested.has_unknown_args = true,
        }
    }
    if requested.has_unknown_args {
        requested.closure_roots.insert(ClosureRoot::All);
    }
    requested
}

impl RequestedInstalls {
    fn add_pip_install(&mut self, arguments: &[&str], root: &Path) {
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            let (flag, value) = match argument.split_once('=').filter(|_| argument.starts_with("--")) {
                Some((flag, value)) => (flag, Some(value)),
                None => (argument, None),
            };
            match flag {
                "-e" | "--editable" => match value.or_else(|| arguments.next()) {
                    Some(argument) => self.add_requirement(argument),
                    None => self.has_unknown_args = true,
                },
                "-r" | "--requirement" | "--requirements" | "-c" | "--constraint" | "--constraints" => {
                    match value.or_else(|| arguments.next()) {
                        Some(file) => {
                            self.add_requirements_file(file, flag == "-r" || flag.starts_with("--r"), root);
                        }
                        None => self.has_unknown_args = true,
                    }
                }
                "--group" => match value.or_else(|| arguments.next()) {
                    Some(group) => self.add_group(group),
                    None => self.has_unknown_args = true,
                },
                _ if FLAGS_WITH_VALUE.contains(&flag) => {
                    if value.is_none() {
                        arguments.next();
                    }
                }
                _ if flag.starts_with('-') => {}
                _ => self.add_requirement(argument),
            }
        }
    }

    /// Adds a requirement, the project itself, or a path.
    fn add_requirement(&mut self, argument: &str) {
        let (bare, extras) = split_extras(argument);
        if bare == "." || bare == "./" {
            self.project_extras.get_or_insert_default().extend(extras.iter().cloned());
            self.closure_roots.insert(ClosureRoot::Project { extras });
        } else if let Ok(requirement) = argument.parse::<Requirement>() {
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

    fn add_requirements_file(&mut self, file: &str, adds_packages: bool, root: &Path) {
        match RequirementsFile::read(&root.join(file)) {
            Ok(read) => {
                self.requirements_files
                    .extend(read.files.iter().map(|path| path.strip_prefix(root).unwrap_or(path).to_path_buf()));
                if adds_packages {
                    let package = |requirement: Requirement| ClosureRoot::Package {
                        name: requirement.name,
                        extras: requirement.extras,
                    };
                    self.closure_roots.extend(read.requirements.into_iter().map(package));
                }
                let is_local = |line: &String| line.starts_with(['.', '/']) || line.starts_with("-e");
                self.has_unknown_args |= read.other_lines.iter().any(is_local);
            }
            Err(_) => self.has_unknown_args = true,
        }
    }

    /// Adds `uv sync`: the project with its default groups, unless flags exclude them.
    fn add_uv_sync(&mut self, arguments: &[&str], all_extras: &[String]) {
        let mut extras = BTreeSet::new();
        let (mut with_project, mut with_dev) = (true, true);
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            let (flag, value) = argument.split_once('=').map_or((argument, None), |(flag, value)| (flag, Some(value)));
            match flag {
                "--extra" => extras.extend(value.or_else(|| arguments.next()).map(normalize_name)),
                "--all-extras" => extras.extend(all_extras.iter().cloned()),
                "--group" | "--only-group" => {
                    if let Some(group) = value.or_else(|| arguments.next()) {
                        self.add_group(group);
                    }
                    with_dev &= flag == "--group";
                    with_project &= flag == "--group";
                }
                "--no-dev" | "--no-default-groups" => with_dev = false,
                "--all-groups" | "--all-packages" | "--package" | "*" => self.has_unknown_args = true,
                _ if value.is_none() && FLAGS_WITH_VALUE.contains(&flag) => {
                    arguments.next();
                }
                _ => {}
            }
        }
        if with_dev {
            self.add_group("dev");
        }
        if with_project {
            self.project_extras.get_or_insert_default().extend(extras.iter().cloned());
            self.closure_roots.insert(ClosureRoot::Project { extras: extras.into_iter().collect() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, root: &Path) -> RequestedInstalls {
        let arguments = line.split(' ').map(str::to_owned).collect();
        parse_installs(&[arguments], root, &["docs".to_owned(), "tests".to_owned()])
    }

    fn roots(line: &str) -> String {
        let requested = read(line, Path::new("/nowhere"));
        let mut text: Vec<String> = requested
            .closure_roots
            .iter()
            .map(|root| match root {
                ClosureRoot::Package { name, extras } => format!("{name}[{}]", extras.join(",")),
                ClosureRoot::Project { extras } => format!(".[{}]", extras.join(",")),
                ClosureRoot::Group(group) => format!("({group})"),
                ClosureRoot::All => "all".to_owned(),
            })
            .collect();
        if requested.has_unknown_args {
            text.push("unknown".to_owned());
        }
        text.join(" ")
    }

    #[test]
    fn install_arguments_are_parsed_as_uv_and_pip_do() {
        assert_eq!(roots("pip install -e .[tests]"), ".[tests]");
        assert_eq!(roots("uv pip install --editable=. radon>=6 pyright[nodejs]"), "pyright[nodejs] radon[] .[]");
        assert_eq!(roots("python -m pip install --find-links wheels -q --group dev x"), "x[] (dev)");
        assert_eq!(roots("pip install --index-url=https://packages.example.org/simple x"), "x[]");
        for unknown in
            ["pip install *", "pip install ./sub", "pip install -e", "pip install -r gone.txt", "poetry install"]
        {
            assert_eq!(roots(unknown).rsplit(' ').next(), Some("unknown"), "{unknown}");
        }
        assert!(roots("pip install x *").starts_with("x[] all"));
        assert_eq!(roots("uv --version"), "");
    }

    #[test]
    fn a_sync_installs_the_project_and_its_groups() {
        assert_eq!(roots("uv sync"), ".[] (dev)");
        assert_eq!(roots("uv sync --frozen --extra docs --no-dev --python 3.12"), ".[docs]");
        assert_eq!(roots("uv sync --all-extras --group=lint"), ".[docs,tests] (dev) (lint)");
        assert_eq!(roots("uv sync --only-group lint"), "(lint)");
        assert_eq!(roots("uv sync --all-packages"), ".[] (dev) all unknown");
    }

    #[test]
    fn requirements_files_are_read_with_nested_files() {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("r.txt"), "a==1\n-c c.txt\n").unwrap();
        fs_err::write(directory.path().join("c.txt"), "b<2\n").unwrap();
        let requested = read("pip install -r r.txt --constraint=c.txt", directory.path());
        assert_eq!(requested.requirements_files, BTreeSet::from(["c.txt".into(), "r.txt".into()]));
        assert_eq!(requested.closure_roots.len(), 1);
        assert!(!requested.has_unknown_args);
        fs_err::write(directory.path().join("r.txt"), "-e ./here\n").unwrap();
        assert!(read("pip install -r r.txt", directory.path()).has_unknown_args);
    }
}
