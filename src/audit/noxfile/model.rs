//! What a noxfile's sessions install and run, read by Python's own parser without running the file.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::super::source::{SharedSource, SourceFile, Span};
use crate::project::NoxfileManifest;

const READER_SCRIPT: &str = include_str!("reader.py");
const MAX_NOXFILE_BYTES: u64 = 2 << 20;

/// A noxfile, read.
#[derive(Clone, Debug)]
pub struct Noxfile {
    /// Its text.
    pub source: SharedSource,
    model: NoxfileModel,
    /// Version of nox, where a manifest says.
    pub nox_version: Option<String>,
}

impl Noxfile {
    /// Reads a project's noxfile; none where there is none, or no Python to read it with.
    pub fn read(root: &Path, name: &str) -> Option<Self> {
        let path = root.join(name);
        if fs_err::metadata(&path).ok()?.len() > MAX_NOXFILE_BYTES {
            return None;
        }
        let text = fs_err::read_to_string(&path).ok()?;
        let facts = ["python3", "python"].iter().find_map(|python| run_reader_script(python, &text))?;
        Some(Self { source: SourceFile::new(name, text), model: facts, nox_version: None })
    }

    /// Takes from nox itself what it knows better: which sessions are default, their tags, backend and reuse.
    #[must_use]
    pub(crate) fn with_manifest(mut self, manifest: &NoxfileManifest) -> Self {
        self.nox_version = Some(manifest.nox.clone());
        for session in &mut self.model.sessions {
            let Some(known) = manifest.sessions.iter().find(|known| known.base == session.name) else { continue };
            session.default = known.default;
            session.reuse = known.reuse;
            session.backend = Some(known.backend.clone());
            session.tags.clone_from(&known.tags);
        }
        self
    }

    /// The same noxfile with another text; none where that is no Python.
    #[must_use]
    pub(crate) fn reparse(&self, source: &SharedSource) -> Option<Self> {
        let mut facts = ["python3", "python"].iter().find_map(|python| run_reader_script(python, &source.text))?;
        // What nox itself knew better stays so.
        for session in &mut facts.sessions {
            if let Some(known) = self.model.sessions.iter().find(|known| known.name == session.name) {
                session.default = known.default;
                session.reuse = known.reuse;
                session.backend.clone_from(&known.backend);
                session.tags.clone_from(&known.tags);
            }
        }
        Some(Self { source: source.clone(), model: facts, nox_version: self.nox_version.clone() })
    }

    /// The sessions that do something else in another text of the file.
    pub(crate) fn changed_sessions(&self, other: &Self) -> Vec<String> {
        let told = |session: &NoxfileSession| {
            let texts = session.statements.iter().map(|statement| statement.text.clone()).collect::<Vec<_>>();
            (session.name.clone(), session.requires.clone(), texts)
        };
        let (old, new): (Vec<_>, Vec<_>) =
            (self.model.sessions.iter().map(told).collect(), other.model.sessions.iter().map(told).collect());
        let changed =
            old.iter().filter(|told| !new.contains(told)).chain(new.iter().filter(|told| !old.contains(told)));
        changed.map(|(name, ..)| name.clone()).collect()
    }

    /// Where a statement stands.
    pub(crate) fn statement_span(&self, statement: &SessionStatement) -> Span {
        self.range_to_span(statement.place)
    }

    /// Where an argument stands.
    pub(crate) fn argument_span(&self, (_, place): &(String, AstRange)) -> Span {
        self.range_to_span(*place)
    }

    /// All sessions in the file's order.
    pub(crate) fn sessions(&self) -> &[NoxfileSession] {
        &self.model.sessions
    }

    /// A session by a name as people type it: `tests`, `tests-3.12`, `tests(db='pg')`.
    pub(crate) fn find_session(&self, name: &str) -> Option<&NoxfileSession> {
        let exact = |name: &str| self.model.sessions.iter().find(|session| session.name == name);
        let base = name.split('(').next().unwrap_or(name);
        exact(name).or_else(|| exact(base)).or_else(|| {
            let (head, python) = base.rsplit_once('-')?;
            let version = python.starts_with(|c: char| c.is_ascii_digit() || c == '$') || python.starts_with("py");
            version.then(|| exact(head)).flatten()
        })
    }

    /// The sessions that run when none is named.
    pub(crate) fn default_sessions(&self) -> Vec<&NoxfileSession> {
        match self.find_option("sessions") {
            Some(option) if !option.values.is_empty() => {
                option.values.iter().filter_map(|name| self.find_session(name)).collect()
            }
            _ => self.model.sessions.iter().filter(|session| session.default).collect(),
        }
    }

    /// An option of nox by its name.
    pub(crate) fn find_option(&self, name: &str) -> Option<&NoxOption> {
        self.model.options.iter().rfind(|option| option.name == name)
    }

    /// A variable the file sets for all sessions.
    pub(crate) fn find_env_assignment(&self, name: &str) -> Option<&EnvAssignment> {
        self.model.variables.iter().rfind(|variable| variable.name == name)
    }

    /// Coverage thresholds.
    pub(crate) fn coverage_thresholds(&self) -> &[CoverageThreshold] {
        &self.model.thresholds
    }

    /// Functions that count CPUs.
    pub(crate) fn cpu_count_functions(&self) -> &[CpuCountFunction] {
        &self.model.workers
    }

    /// Whether environments are meant to be used again, and where that is said.
    pub(crate) fn venv_reuse_span(&self) -> Option<Span> {
        let said = ["reuse_existing_virtualenvs", "reuse_venv"].iter().find_map(|name| {
            self.find_option(name).filter(|option| matches!(option.value.as_str(), "True" | "yes" | "always"))
        });
        said.map(|option| self.range_to_span(option.place)).or_else(|| {
            let session = self.model.sessions.iter().find(|session| session.reuse)?;
            Some(self.range_to_span(session.place))
        })
    }

    /// Whether uv makes the environments, by option or in every session.
    pub(crate) fn has_uv_backend(&self) -> bool {
        self.find_option("default_venv_backend").is_some_and(|option| option.value.contains("uv"))
            || self.model.sessions.iter().all(|session| {
                session.backend.as_deref().is_some_and(|backend| backend.contains("uv") || backend == "none")
            })
    }

    fn range_to_span(&self, [line, column, end_line, end_column]: AstRange) -> Span {
        Span::new(self.source.byte_offset(line, column), self.source.byte_offset(end_line, end_column))
    }

    /// Where a threshold stands.
    pub(crate) fn threshold_span(&self, threshold: &CoverageThreshold) -> Span {
        self.range_to_span(threshold.place)
    }

    /// Where a variable is set.
    pub(crate) fn env_assignment_span(&self, variable: &EnvAssignment) -> Span {
        self.range_to_span(variable.place)
    }

    /// Where a counting function stands.
    pub(crate) fn cpu_count_span(&self, workers: &CpuCountFunction) -> Span {
        self.range_to_span(workers.place)
    }

    /// Where a session is decorated.
    pub(crate) fn session_span(&self, session: &NoxfileSession) -> Span {
        self.range_to_span(session.place)
    }

    /// The sessions that call a counting function.
    pub(crate) fn sessions_calling(&self, workers: &CpuCountFunction) -> Vec<&NoxfileSession> {
        let calls = |session: &&NoxfileSession| {
            workers.used.iter().any(|line| (session.body[0]..=session.body[1]).contains(line))
        };
        self.model.sessions.iter().filter(calls).collect()
    }
}

impl NoxfileSession {
    /// What it installs, as one comparable list; throw-away folders are left out.
    pub(crate) fn installed_packages(&self) -> Vec<String> {
        let installing = |action: &&SessionAction| action.kind.contains("install");
        let words = self.steps.iter().filter(installing).flat_map(|action| action.args.iter());
        let mut all: Vec<String> = words.filter(|word| !word.starts_with('<') && *word != "-e").cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The commands it runs.
    pub(crate) fn run_actions(&self) -> impl Iterator<Item = &SessionAction> {
        self.steps.iter().filter(|action| matches!(action.kind.as_str(), "run" | "run_always"))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct NoxfileModel {
    options: Vec<NoxOption>,
    variables: Vec<EnvAssignment>,
    thresholds: Vec<CoverageThreshold>,
    workers: Vec<CpuCountFunction>,
    sessions: Vec<NoxfileSession>,
}

/// Line, column, end line, end column: lines from 1, columns in bytes from 0.
type AstRange = [usize; 4];

/// `nox.options.<name> = …`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NoxOption {
    /// Its name.
    pub(crate) name: String,
    /// Its value as text.
    pub(crate) value: String,
    /// Its values where it is a list.
    pub(crate) values: Vec<String>,
    place: AstRange,
}

/// An environment variable that the noxfile sets for all sessions.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EnvAssignment {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
    place: AstRange,
}

/// A coverage threshold.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CoverageThreshold {
    /// Its value.
    pub(crate) value: f64,
    place: AstRange,
}

/// A function that takes the machine's CPU count for its workers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CpuCountFunction {
    /// The variable that overrides it.
    pub(crate) variable: Option<String>,
    place: AstRange,
    used: Vec<usize>,
}

/// One thing a session does: `install`, `run`, `call` of a function of the file.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct SessionAction {
    /// The method's name.
    pub(crate) kind: String,
    /// Its arguments as text.
    pub(crate) args: Vec<String>,
    /// Exit codes taken as success, where given.
    pub(crate) accepts: Vec<String>,
    place: AstRange,
}

/// A session as the file says.
#[derive(Clone, Debug, Deserialize)]
pub struct NoxfileSession {
    /// Its name, without Python and parameters.
    pub name: String,
    place: AstRange,
    body: [usize; 2],
    /// `reuse_venv=True`.
    pub reuse: bool,
    /// Its `venv_backend`.
    pub backend: Option<String>,
    /// Whether `default=False` is not said.
    pub default: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Sessions it needs.
    pub requires: Vec<String>,
    /// Whether it uses `session.posargs`.
    pub posargs: bool,
    /// Variables it sets for its commands.
    pub environment: Vec<String>,
    /// What it does, in order.
    pub steps: Vec<SessionAction>,
    /// The name of its first parameter.
    pub parameter: String,
    /// Whether one name of it may stand for several interpreters or parameters.
    pub many: bool,
    /// The statements of its body, in order.
    pub statements: Vec<SessionStatement>,
}

/// A statement of a session's body.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionStatement {
    place: AstRange,
    /// Its text, written in one way.
    pub text: String,
    /// The session's method that it calls, where it is such a call; `call` where it hands the session on.
    pub kind: String,
    /// The call's arguments: text and place.
    pub args: Vec<(String, AstRange)>,
    /// Its named arguments: name and place.
    pub keywords: Vec<(String, AstRange)>,
}

fn run_reader_script(python: &str, text: &str) -> Option<NoxfileModel> {
    let mut child = Command::new(python)
        .args(["-I", "-S", "-c", READER_SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let sent = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().ok()?;
    sent.ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;

    const TEXT: &str = "import os\nimport nox\nos.environ['A'] = 'b'\nnox.options.reuse_venv = 'yes'\n\ndef count():\n    return os.cpu_count() or int(os.getenv('N'))\n\ndef prepare(s):\n    s.run('make', 'é')\n\n@nox.session\ndef lint(session):\n    session.install('ruff')\n    prepare(session)\n    session.env['X'] = '1'\n\n@nox.session(name='t', default=False, tags=['x'], requires=['lint'])\ndef tests(s):\n    s.install('-e', '.[t]', '<tmp>')\n    s.run('pytest', *s.posargs, str(count()), success_codes=[0, 5])\n";

    pub(in super::super::super) fn noxfile(text: &str) -> Noxfile {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("noxfile.py"), text).unwrap();
        Noxfile::read(folder.path(), "noxfile.py").unwrap()
    }

    #[test]
    fn sessions_and_settings_are_read_without_running() {
        let file = noxfile(TEXT);
        let names: Vec<_> = file.sessions().iter().map(|session| session.name.as_str()).collect();
        assert_eq!(names, ["lint", "t"]);
        let lint = file.find_session("lint").unwrap();
        assert_eq!(lint.run_actions().map(|run| run.args.clone()).collect::<Vec<_>>(), [["make", "é"]]);
        assert_eq!(
            (lint.installed_packages(), lint.environment.as_slice()),
            (vec!["ruff".to_owned()], ["X".to_owned()].as_slice())
        );
        let tests = file.find_session("t-3.12").unwrap();
        assert!(
            tests.posargs && !tests.default && tests.installed_packages() == [".[t]"] && tests.requires == ["lint"]
        );
        assert_eq!(tests.run_actions().next().unwrap().accepts, ["0", "5"]);
        assert!(
            file.find_session("t(db='x')").is_some()
                && file.find_session("t-x").is_none()
                && file.find_session("none").is_none()
        );
        assert_eq!(file.default_sessions().len(), 1);
        assert_eq!(file.source.slice(file.venv_reuse_span().unwrap()), "nox.options.reuse_venv = 'yes'");
        assert!(!file.has_uv_backend());
        assert_eq!(file.sessions_calling(&file.cpu_count_functions()[0])[0].name, "t");
        assert_eq!(file.cpu_count_functions()[0].variable.as_deref(), Some("N"));
        assert_eq!(file.find_env_assignment("A").unwrap().value, "b");
    }

    #[test]
    fn nox_itself_knows_better() {
        let manifest: NoxfileManifest = serde_json::from_value(serde_json::json!({
            "nox": "2026.10.20", "python": "3.11.7", "executable": "python", "noxfile": "noxfile.py", "root": ".",
            "mode": {"how": "fork"}, "queue": [0],
            "sessions": [{
                "name": "lint", "base": "lint", "signatures": ["lint"], "description": "", "python": null,
                "tags": ["fast"], "requires": [], "notifies": [], "backend": "uv", "reuse": true, "envdir": null,
                "default": false, "allow_parallel": null, "parameters": [],
                "coverage": {"writes": null, "own_file": false, "reads": false}
            }]
        }))
        .unwrap();
        let file = noxfile(TEXT).with_manifest(&manifest);
        let lint = file.find_session("lint").unwrap();
        assert!(lint.reuse && !lint.default && lint.tags == ["fast"] && file.default_sessions().is_empty());
        assert_eq!(file.nox_version.as_deref(), Some("2026.10.20"));
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Noxfile::read(folder.path(), "noxfile.py").is_none());
        fs_err::write(folder.path().join("noxfile.py"), "def (").unwrap();
        assert!(Noxfile::read(folder.path(), "noxfile.py").is_none());
        assert!(run_reader_script("no-such-python", "").is_none());
        fs_err::write(folder.path().join("noxfile.py"), " ".repeat(3 << 20)).unwrap();
        assert!(Noxfile::read(folder.path(), "noxfile.py").is_none());
        let uv = noxfile("import nox\n@nox.session(venv_backend='uv', reuse_venv=True)\ndef a(session): pass\n");
        assert!(uv.has_uv_backend() && uv.venv_reuse_span().is_some());
    }
}
