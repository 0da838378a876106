//! Commands that install Python packages.

use super::super::span::Span;
use super::command::{Command, Word};

/// The tool that installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Installer {
    /// pip, with its cache in `~/.cache/pip`.
    Pip,
    /// uv's pip, `uv sync`, `uv run`, `uv tool`, `uvx`.
    Uv,
    /// pipx.
    Pipx,
    /// poetry, pdm, hatch.
    Other,
}

impl Installer {
    /// Its name.
    pub fn as_str(self) -> &'static str {
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
pub struct Install {
    /// By what.
    pub by: Installer,
    /// What it names: requirements, paths, `-r` files.
    pub packages: Vec<Word>,
    /// Its range in the script.
    pub span: Span,
    /// The subcommand (`sync`, `run`, `install`).
    pub verb: String,
    /// Whether a file of constraints or requirements says versions.
    pub constrained: bool,
}

impl Install {
    /// The word that asks for that package, whatever its extras and version.
    pub fn package(&self, name: &str) -> Option<&Word> {
        self.packages.iter().find(|word| requirement(&word.text) == name)
    }
}

/// The package's name of a requirement.
fn requirement(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// Reads a command as an installation.
pub fn install(command: &Command) -> Option<Install> {
    let text = |at: usize| command.words.get(at).map_or("", |word| word.text.as_str());
    let (by, verb, from) = match (command.program(), text(1), text(2), text(3)) {
        ("pip" | "pip3", "install", ..) => (Installer::Pip, "install", 2),
        ("python" | "python3" | "py", "-m", "pip", "install") => (Installer::Pip, "install", 4),
        ("uv", "pip", "install" | "sync", _) => (Installer::Uv, "pip", 3),
        ("uv", "tool", "install" | "run", _) => (Installer::Uv, "tool", 3),
        ("uv", verb @ ("sync" | "run"), ..) => (Installer::Uv, verb, 2),
        ("uvx", ..) => (Installer::Uv, "tool", 1),
        ("pipx", verb @ ("install" | "run"), ..) => (Installer::Pipx, verb, 2),
        ("poetry" | "pdm" | "hatch", verb @ ("install" | "sync" | "env"), ..) => (Installer::Other, verb, 2),
        _ => return None,
    };
    let verb = verb.to_owned();
    let mut packages = Vec::new();
    let mut words = command.words.iter().skip(from);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "-r" | "-c" | "--requirement" | "--constraint" | "--index-url" | "-i" | "--extra-index-url"
            | "--python" | "-p" | "--group" | "--extra" | "--target" | "-t" => {
                words.next();
            }
            text if text.starts_with('-') => {}
            _ => packages.push(word.clone()),
        }
    }
    let constrained = command.words.iter().any(|word| word.text.contains("constraint") || word.text == "-c");
    Some(Install { by, packages, span: command.span, verb, constrained })
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;

    #[test]
    fn installations_of_every_tool() {
        let of = |script: &str| read(script).iter().find_map(install);
        for (script, by, count) in [
            ("pip install -q uv==1 nox", Installer::Pip, 2),
            ("python -m pip install -r r.txt .", Installer::Pip, 1),
            ("uv pip install x", Installer::Uv, 1),
            ("uv sync --group dev", Installer::Uv, 0),
            ("uvx nox", Installer::Uv, 1),
            ("uv tool install nox", Installer::Uv, 1),
            ("pipx run nox", Installer::Pipx, 1),
            ("poetry install", Installer::Other, 0),
        ] {
            let found = of(script).unwrap();
            assert_eq!((found.by, found.packages.len()), (by, count), "{script}");
            assert!(!found.by.as_str().is_empty() && !found.verb.is_empty());
        }
        let found = of("pip install 'nox[uv]>=2' uv").unwrap();
        assert_eq!(found.package("nox").unwrap().text, "nox[uv]>=2");
        assert!(of("pip install -c x.txt nox").unwrap().constrained && !found.constrained);
        assert!(found.package("pip").is_none() && of("pip list").is_none());
    }
}
