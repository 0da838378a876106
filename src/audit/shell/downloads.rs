//! Commands that download: Python packages, system packages, files.

use super::super::source::Span;
use super::command::{ShellCommand, ShellWord};

/// Tool that installs Python packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageInstaller {
    /// pip.
    Pip,
    /// `uv pip`, `uv sync`, `uv run`, `uv tool`, `uvx`.
    Uv,
    /// pipx.
    Pipx,
    /// poetry, pdm, hatch.
    Other,
}

impl PackageInstaller {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv => "uv",
            Self::Pipx => "pipx",
            Self::Other => "poetry, pdm or hatch",
        }
    }
}

/// A command that installs Python packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageInstall {
    /// Tool that installs.
    pub installer: PackageInstaller,
    /// Requirements and paths given as arguments.
    pub packages: Vec<ShellWord>,
    /// Requirements files given by `-r`.
    pub requirement_files: Vec<String>,
    /// Span of the command in the script.
    pub span: Span,
    /// Subcommand (`sync`, `run`, `install`).
    pub subcommand: String,
    /// Whether a constraints file sets versions.
    pub has_constraints: bool,
    /// Whether it installs only directories of the project, without their dependencies.
    pub is_project_only: bool,
}

impl PackageInstall {
    /// Returns the requirement of a package, with any extras and version.
    pub(crate) fn find_package(&self, name: &str) -> Option<&ShellWord> {
        self.packages.iter().find(|word| requirement_name(&word.text) == name)
    }
}

/// Whether a program is a Python interpreter: `python`, `python3.12`, `py`.
pub(super) fn is_python(program: &str) -> bool {
    let version = program.strip_prefix("python").unwrap_or(if program == "py" { "" } else { "-" });
    version.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Returns the package name of a requirement.
pub(crate) fn requirement_name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// Parses a command as a package install.
pub fn parse_install(command: &ShellCommand) -> Option<PackageInstall> {
    let text = |index: usize| command.words.get(index).map_or("", |word| word.text.as_str());
    let (installer, subcommand, first_argument) = match (command.program_name(), text(1), text(2), text(3)) {
        ("pip" | "pip3", "install", ..) => (PackageInstaller::Pip, "install", 2),
        (python, "-m", "pip", "install") if is_python(python) => (PackageInstaller::Pip, "install", 4),
        ("uv", "pip", "install" | "sync", _) => (PackageInstaller::Uv, "pip", 3),
        ("uv", "tool", "install" | "run", _) => (PackageInstaller::Uv, "tool", 3),
        ("uv", verb @ ("sync" | "run"), ..) => (PackageInstaller::Uv, verb, 2),
        ("uvx", ..) => (PackageInstaller::Uv, "tool", 1),
        ("pipx", verb @ ("install" | "run"), ..) => (PackageInstaller::Pipx, verb, 2),
        ("poetry" | "pdm" | "hatch", verb @ ("install" | "sync"), ..) => (PackageInstaller::Other, verb, 2),
        ("hatch", verb @ "env", "create", _) => (PackageInstaller::Other, verb, 3),
        _ => return None,
    };
    // Of a program that is installed to be run, the words after its name are its own arguments.
    let runs_program = command.program_name() == "uvx" || text(1) == "run" || text(2) == "run";
    let mut packages = Vec::new();
    let mut requirement_files = Vec::new();
    let mut words = command.words.iter().skip(first_argument);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "-r" | "--requirement" | "--requirements" if !runs_program => {
                requirement_files.extend(words.next().map(|word| word.text.clone()));
            }
            text if text.starts_with("--requirement=") && !runs_program => {
                requirement_files.extend(text.split_once('=').map(|(_, file)| file.to_owned()));
            }
            "--from" | "--spec" | "--with" if runs_program => packages.extend(words.next().cloned()),
            "-r" | "-c" | "--requirement" | "--constraint" | "--index-url" | "-i" | "--extra-index-url"
            | "--python" | "-p" | "--group" | "--extra" | "--target" | "-t" | "--progress-bar" | "--timeout"
            | "--retries" | "-f" | "--find-links" | "--cache-dir" | "--prefix" | "--proxy" | "--trusted-host"
            | "--no-binary" | "--only-binary" | "--platform" | "--index" | "--resolution" | "--config-settings"
            | "-C" => {
                words.next();
            }
            text if text.starts_with('-') => {}
            _ if runs_program => {
                // `uv run` takes the program from the project, and `--from` names another package than the program.
                let is_package = subcommand != "run" || installer == PackageInstaller::Pipx;
                let has_source = command.has_word("--from") || command.has_word("--spec");
                packages.extend((is_package && !has_source).then(|| word.clone()));
                break;
            }
            _ => packages.push(word.clone()),
        }
    }
    let has_flag = |flag: &str| command.words.iter().any(|word| word.text == flag);
    let is_project_only = has_flag("--no-deps")
        && !["-r", "--requirement"].iter().any(|flag| has_flag(flag))
        && !packages.is_empty()
        && packages.iter().all(|word| word.text.starts_with('.'));
    let has_constraints = command.words.iter().any(|word| word.text.contains("constraint") || word.text == "-c");
    Some(PackageInstall {
        installer,
        packages,
        requirement_files,
        span: command.span,
        subcommand: subcommand.to_owned(),
        has_constraints,
        is_project_only,
    })
}

/// A download of something other than a Python package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFetch {
    /// The downloaded resource, in a form that can be compared between jobs: `apt-get nodejs`, a URL, or a script with its
    /// arguments.
    pub resource: String,
    /// Span of the command in the script.
    pub span: Span,
}

/// Finds the downloads of a command: system packages, URLs, and scripts with a name such as `fetch_tool.py`.
pub fn find_network_fetches(command: &ShellCommand) -> Vec<NetworkFetch> {
    let build = |resource: String| NetworkFetch { resource, span: command.span };
    let words = command.words.iter().map(|word| word.text.as_str()).skip_while(|word| *word == "sudo");
    let words: Vec<&str> = words.collect();
    let program = words.first().copied().unwrap_or_default();
    let plain = |word: &&&str| !word.starts_with('-') && !word.contains('=');
    match program {
        "apt" | "apt-get" | "dnf" | "yum" | "apk" if words.iter().any(|word| matches!(*word, "install" | "add")) => {
            let after = words.iter().skip_while(|word| !matches!(**word, "install" | "add")).skip(1);
            after.filter(plain).map(|package| build(format!("{program} {package}"))).collect()
        }
        "curl" | "wget" => {
            words.iter().filter(|word| word.contains("://")).map(|url| build((*url).to_owned())).collect()
        }
        _ => {
            let script = words.iter().take(2).find(|word| {
                let name = word.rsplit('/').next().unwrap_or_default();
                name.contains('.')
                    && ["fetch", "download", "install-", "install_"].iter().any(|part| name.contains(part))
            });
            script.map(|_| vec![build(words.join(" "))]).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse_script;
    use super::*;

    #[test]
    fn installs_of_every_tool_are_parsed() {
        let install = |script: &str| parse_script(script).iter().find_map(parse_install);
        for (script, installer, count) in [
            ("pip install -q uv==1 nox", PackageInstaller::Pip, 2),
            ("python -m pip install -r r.txt .", PackageInstaller::Pip, 1),
            ("uv pip install x", PackageInstaller::Uv, 1),
            ("pip install nox --progress-bar off --no-binary x", PackageInstaller::Pip, 1),
            ("uv sync --group dev", PackageInstaller::Uv, 0),
            ("uvx nox", PackageInstaller::Uv, 1),
            ("uv tool install nox", PackageInstaller::Uv, 1),
            ("pipx run nox", PackageInstaller::Pipx, 1),
            ("python3.9 -m pip install x", PackageInstaller::Pip, 1),
            ("uvx --from build pyproject-build --installer uv", PackageInstaller::Uv, 1),
            ("uv run --with x pytest uv nox", PackageInstaller::Uv, 1),
            ("pipx run --spec nox==1 nox -s uv", PackageInstaller::Pipx, 1),
            ("poetry install", PackageInstaller::Other, 0),
        ] {
            let found = install(script).unwrap();
            assert_eq!((found.installer, found.packages.len()), (installer, count), "{script}");
            assert!(!found.installer.as_str().is_empty() && !found.subcommand.is_empty());
        }
        let found = install("pip install 'nox[uv]>=2' uv").unwrap();
        assert_eq!(found.find_package("nox").unwrap().text, "nox[uv]>=2");
        assert!(install("pip install -c x.txt nox").unwrap().has_constraints && !found.has_constraints);
        assert!(install("uvx --from build pyproject-build --installer uv").unwrap().find_package("uv").is_none());
        assert!(install("pythonista -m pip install x").is_none());
        let files = install("pip install -r a.txt --requirement=b.txt .").unwrap().requirement_files;
        assert_eq!(files, ["a.txt", "b.txt"]);
        assert!(found.find_package("pip").is_none() && install("pip list").is_none());
        assert!(install("poetry env info").is_none() && install("hatch env create").is_some());
    }

    #[test]
    fn downloads_are_found() {
        let resources = |script: &str| {
            parse_script(script).iter().flat_map(find_network_fetches).map(|fetch| fetch.resource).collect::<Vec<_>>()
        };
        assert_eq!(
            resources("apt-get update && sudo apt-get install -y -qq nodejs git && rm -rf x"),
            ["apt-get nodejs", "apt-get git"]
        );
        assert_eq!(resources("apk add git"), ["apk git"]);
        assert_eq!(resources("curl -LsSf https://x/y.sh | sh"), ["https://x/y.sh"]);
        assert_eq!(resources("python scripts/fetch_tool.py helm 3.16.4"), ["python scripts/fetch_tool.py helm 3.16.4"]);
        assert!(resources("git fetch\npip install x\nmake download").is_empty());
    }
}
