//! Noxfile model: sessions, installs, commands and options, each with its span in the file.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;

use super::super::project_files::is_inside;
use super::super::source::{SharedSource, SourceFile, Span};
use crate::fs::read_project_text;
use crate::project::NoxfileManifest;

/// Parses the noxfile with Python's `ast` and prints it as JSON.
const READER_SCRIPT: &str = include_str!("reader.py");
const PYTHON_COMMANDS: [&str; 2] = ["python3", "python"];
const MAX_NOXFILE_BYTES: u64 = 2 << 20;
/// Most modules of the project that are read for further sessions.
const MAX_LOCAL_MODULES: usize = 50;

/// A parsed noxfile.
#[derive(Clone, Debug)]
pub struct Noxfile {
    /// The file it was read from.
    pub source: SharedSource,
    model: NoxfileModel,
    /// Version of nox, if a manifest states it.
    pub nox_version: Option<String>,
}

/// Line, column, end line, end column: lines from 1, columns in bytes from 0.
type AstRange = [usize; 4];

/// The JSON document that the reader script prints.
#[derive(Clone, Debug, Default, Deserialize)]
struct NoxfileModel {
    options: Vec<NoxOption>,
    env_assignments: Vec<EnvAssignment>,
    coverage_thresholds: Vec<CoverageThreshold>,
    cpu_count_functions: Vec<CpuCountFunction>,
    /// Whether it imports a plugin that replaces `nox.session`.
    has_session_plugin: bool,
    /// Whether it may define sessions that are not in `sessions`.
    may_define_other_sessions: bool,
    /// Modules that it imports, or may import from a package.
    imported_modules: Vec<String>,
    sessions: Vec<NoxfileSession>,
}

/// `nox.options.<name> = …`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NoxOption {
    name: String,
    value: String,
    /// Items of the value if it is a list.
    values: Vec<String>,
    range: AstRange,
}

/// An environment variable that the noxfile sets for all sessions.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EnvAssignment {
    name: String,
    pub(crate) value: String,
    range: AstRange,
}

/// A coverage threshold, in percent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CoverageThreshold {
    pub(crate) value: f64,
    range: AstRange,
}

/// A function that reads the machine's CPU count.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CpuCountFunction {
    /// Environment variable that overrides the count.
    pub(crate) override_variable: Option<String>,
    range: AstRange,
    /// Lines that call the function.
    call_lines: Vec<usize>,
}

/// A number of workers that a session passes to pytest, taken from the machine.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WorkerCount {
    /// Environment variables that override it.
    pub(crate) variables: Vec<String>,
    range: AstRange,
}

/// A session of the noxfile.
#[derive(Clone, Debug, Deserialize)]
pub struct NoxfileSession {
    /// Name without Python version and parameters.
    pub name: String,
    range: AstRange,
    /// First and last line of the function.
    body_lines: [usize; 2],
    pub(crate) reuse_venv: bool,
    pub(crate) venv_backend: Option<String>,
    /// Whether it runs when no session is selected.
    pub(crate) default: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) requires: Vec<String>,
    pub(crate) uses_posargs: bool,
    /// Calls of session methods, in order.
    pub(crate) calls: Vec<SessionCall>,
    /// Name of the function's first parameter.
    pub(crate) session_parameter: String,
    /// Whether nox expands it to several sessions: one per interpreter or parameter.
    pub(crate) is_parametrized: bool,
    /// Value of `python` in the decorator, as written.
    pub(crate) python: String,
    /// Its interpreters if `python` is a text or a list of texts.
    pub(crate) interpreters: Vec<String>,
    /// Whether none of its installs and commands is conditional or in a loop.
    pub(crate) is_straight_line: bool,
    /// Functions that it calls, other than session methods and functions that receive the session.
    pub(crate) foreign_calls: Vec<String>,
    /// Coverage thresholds that it passes as literals.
    coverage_thresholds: Vec<CoverageThreshold>,
    /// Numbers of workers, taken from the machine, that it passes to pytest.
    pub(crate) worker_counts: Vec<WorkerCount>,
    /// Statements of its body, in order.
    pub(crate) statements: Vec<SessionStatement>,
}

/// A call of a session method, or of a function that receives the session: a function of the noxfile (method `call`; the
/// calls that it makes are the next items), or another one (method `unknown_call`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct SessionCall {
    pub(crate) method: String,
    pub(crate) args: Vec<String>,
    /// Exit codes accepted as success, if given.
    pub(crate) success_codes: Vec<String>,
}

/// A statement of a session's body.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionStatement {
    range: AstRange,
    /// Text in normalized form, with the values of variables that are literals.
    pub(crate) text: String,
    /// Whether `text` has the values of variables or unpacked lists in place of arguments, so that the statement cannot be
    /// edited at its range.
    pub(crate) has_substituted_args: bool,
    /// Session method that the statement calls, `call` if it passes the session on, else empty.
    pub(crate) method: String,
    /// Arguments of the call: text and range.
    pub(crate) args: Vec<(String, AstRange)>,
    /// Keyword arguments of the call: name and range.
    pub(crate) keywords: Vec<(String, AstRange)>,
}

impl Noxfile {
    /// Reads the noxfile of a project. Returns `None` if it is missing, too large or not valid Python, or if there is
    /// no Python to parse it with.
    pub fn read(root: &Path, name: &str) -> Option<Self> {
        let path = root.join(name);
        if fs_err::metadata(&path).ok()?.len() > MAX_NOXFILE_BYTES {
            return None;
        }
        let text = read_project_text(&path).ok()?;
        let model = parse_noxfile(&text)?;
        let mut noxfile = Self { source: SourceFile::new(name, text), model, nox_version: None };
        noxfile.model.may_define_other_sessions |= noxfile.imports_sessions(path.parent().unwrap_or(root));
        Some(noxfile)
    }

    /// Whether it imports a module of its directory that may define sessions.
    fn imports_sessions(&self, directory: &Path) -> bool {
        let files: BTreeSet<PathBuf> =
            self.model.imported_modules.iter().flat_map(|module| module_files(module)).collect();
        let mut found = files.into_iter().map(|file| directory.join(file)).filter(|path| is_inside(path, directory));
        let defines_sessions = |path: PathBuf| {
            let is_small = fs_err::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_NOXFILE_BYTES);
            is_small
                && read_project_text(&path).is_ok_and(|text| text.contains("nox.session") || text.contains("@session"))
        };
        // With more, it is taken to be so.
        found.by_ref().take(MAX_LOCAL_MODULES).any(defines_sessions) || found.next().is_some()
    }

    /// Whether it may define sessions that [`Noxfile::sessions`] does not have.
    pub(crate) fn may_define_other_sessions(&self) -> bool {
        self.model.may_define_other_sessions
    }

    /// Overrides default sessions, tags, backend and reuse with the values that nox itself reports.
    #[must_use]
    pub(crate) fn with_manifest(mut self, manifest: &NoxfileManifest) -> Self {
        self.nox_version = Some(manifest.nox.clone());
        for session in &mut self.model.sessions {
            let Some(reported) = manifest.sessions.iter().find(|reported| reported.base == session.name) else {
                continue;
            };
            session.default = reported.default;
            session.reuse_venv = reported.reuse;
            session.venv_backend = Some(reported.backend.clone());
            session.tags.clone_from(&reported.tags);
        }
        self
    }

    /// Parses another text of the same noxfile; `None` if it is not valid Python.
    #[must_use]
    pub(crate) fn reparse(&self, source: &SharedSource) -> Option<Self> {
        let mut model = parse_noxfile(&source.text)?;
        // The values that nox reported take precedence over those of the text.
        for session in &mut model.sessions {
            if let Some(known) = self.model.sessions.iter().find(|known| known.name == session.name) {
                session.default = known.default;
                session.reuse_venv = known.reuse_venv;
                session.venv_backend.clone_from(&known.venv_backend);
                session.tags.clone_from(&known.tags);
            }
        }
        model.may_define_other_sessions |= self.model.may_define_other_sessions;
        Some(Self { source: source.clone(), model, nox_version: self.nox_version.clone() })
    }

    /// Returns the names of sessions whose requirements or statements differ from another version of the noxfile.
    pub(crate) fn changed_sessions(&self, other: &Self) -> Vec<String> {
        let content = |session: &NoxfileSession| {
            let texts = session.statements.iter().map(|statement| statement.text.clone()).collect::<Vec<_>>();
            (session.name.clone(), session.requires.clone(), texts)
        };
        let (old, new): (Vec<_>, Vec<_>) =
            (self.model.sessions.iter().map(content).collect(), other.model.sessions.iter().map(content).collect());
        let changed = old
            .iter()
            .filter(|session| !new.contains(session))
            .chain(new.iter().filter(|session| !old.contains(session)));
        changed.map(|(name, ..)| name.clone()).collect()
    }

    /// Returns all sessions, in the order of the file.
    pub(crate) fn sessions(&self) -> &[NoxfileSession] {
        &self.model.sessions
    }

    /// Finds a session by a name as typed on the command line: `tests`, `tests-3.12`, `tests(db='pg')`.
    pub(crate) fn find_session(&self, name: &str) -> Option<&NoxfileSession> {
        let exact = |name: &str| self.model.sessions.iter().find(|session| session.name == name);
        let base = name.split('(').next().unwrap_or(name);
        exact(name).or_else(|| exact(base)).or_else(|| {
            let (head, python) = base.rsplit_once('-')?;
            let version = python.starts_with(|c: char| c.is_ascii_digit() || c == '$') || python.starts_with("py");
            version.then(|| exact(head)).flatten()
        })
    }

    /// Returns the sessions that run when none is selected.
    pub(crate) fn default_sessions(&self) -> Vec<&NoxfileSession> {
        match self.find_option("sessions") {
            Some(option) if !option.values.is_empty() => {
                option.values.iter().filter_map(|name| self.find_session(name)).collect()
            }
            _ => self.model.sessions.iter().filter(|session| session.default).collect(),
        }
    }

    /// Whether it is known which sessions run when none is selected: the noxfile writes them out, or sets nothing.
    pub(crate) fn has_known_defaults(&self) -> bool {
        match (self.source.text.matches("options.sessions").count(), self.find_option("sessions")) {
            (0, None) => !self.may_define_other_sessions(),
            (1, Some(option)) => {
                !option.values.is_empty() && option.values.iter().all(|name| self.find_session(name).is_some())
            }
            _ => false,
        }
    }

    fn find_option(&self, name: &str) -> Option<&NoxOption> {
        self.model.options.iter().rfind(|option| option.name == name)
    }

    /// Finds an environment variable that the noxfile sets for all sessions.
    pub(crate) fn find_env_assignment(&self, name: &str) -> Option<&EnvAssignment> {
        self.model.env_assignments.iter().rfind(|variable| variable.name == name)
    }

    /// Returns the coverage thresholds of constants and of all sessions.
    pub(crate) fn coverage_thresholds(&self) -> Vec<&CoverageThreshold> {
        let in_sessions = self.model.sessions.iter().flat_map(|session| &session.coverage_thresholds);
        self.model.coverage_thresholds.iter().chain(in_sessions).collect()
    }

    /// Returns the backend of a session as nox reads it; `None` if an expression or a plugin chooses it.
    pub(crate) fn session_backend<'a>(&'a self, session: &'a NoxfileSession) -> Option<&'a str> {
        let default = || self.find_option("default_venv_backend").map_or("virtualenv", |option| option.value.as_str());
        let backend = session.venv_backend.as_deref().unwrap_or_else(default);
        (!self.model.has_session_plugin && !backend.starts_with('<')).then_some(backend)
    }

    pub(crate) fn cpu_count_functions(&self) -> &[CpuCountFunction] {
        &self.model.cpu_count_functions
    }

    /// Returns the span of the option or session that turns on the reuse of environments, if any.
    pub(crate) fn venv_reuse_span(&self) -> Option<Span> {
        let option = ["reuse_existing_virtualenvs", "reuse_venv"].iter().find_map(|name| {
            self.find_option(name).filter(|option| matches!(option.value.as_str(), "True" | "yes" | "always"))
        });
        option.map(|option| self.range_to_span(option.range)).or_else(|| {
            let session = self.model.sessions.iter().find(|session| session.reuse_venv)?;
            Some(self.session_span(session))
        })
    }

    /// Returns the backends that create the environments, each as nox reads it (`uv|virtualenv`).
    pub(crate) fn backends(&self) -> Vec<String> {
        let default = self.find_option("default_venv_backend").map_or("virtualenv", |option| option.value.as_str());
        let of_session = |session: &NoxfileSession| session.venv_backend.clone().unwrap_or_else(|| default.to_owned());
        let mut backends: Vec<String> = self.model.sessions.iter().map(of_session).collect();
        backends.sort();
        backends.dedup();
        backends
    }

    /// Whether the noxfile selects a backend for all sessions.
    pub(crate) fn has_default_backend(&self) -> bool {
        self.find_option("default_venv_backend").is_some()
    }

    /// Whether uv creates the environments, by option or in every session.
    pub(crate) fn has_uv_backend(&self) -> bool {
        self.find_option("default_venv_backend").is_some_and(|option| option.value.contains("uv"))
            || self.model.sessions.iter().all(|session| {
                session.venv_backend.as_deref().is_some_and(|backend| backend.contains("uv") || backend == "none")
            })
    }

    /// Returns the sessions that call a function.
    pub(crate) fn sessions_calling(&self, function: &CpuCountFunction) -> Vec<&NoxfileSession> {
        let calls = |session: &&NoxfileSession| {
            let [first, last] = session.body_lines;
            function.call_lines.iter().any(|line| (first..=last).contains(line))
        };
        self.model.sessions.iter().filter(calls).collect()
    }

    /// Returns the span of a session's decorator.
    pub(crate) fn session_span(&self, session: &NoxfileSession) -> Span {
        self.range_to_span(session.range)
    }

    pub(crate) fn statement_span(&self, statement: &SessionStatement) -> Span {
        self.range_to_span(statement.range)
    }

    pub(crate) fn argument_span(&self, (_, range): &(String, AstRange)) -> Span {
        self.range_to_span(*range)
    }

    pub(crate) fn threshold_span(&self, threshold: &CoverageThreshold) -> Span {
        self.range_to_span(threshold.range)
    }

    pub(crate) fn env_assignment_span(&self, variable: &EnvAssignment) -> Span {
        self.range_to_span(variable.range)
    }

    pub(crate) fn worker_count_span(&self, count: &WorkerCount) -> Span {
        self.range_to_span(count.range)
    }

    pub(crate) fn cpu_count_span(&self, function: &CpuCountFunction) -> Span {
        self.range_to_span(function.range)
    }

    fn range_to_span(&self, [line, column, end_line, end_column]: AstRange) -> Span {
        Span::new(self.source.byte_offset(line, column), self.source.byte_offset(end_line, end_column))
    }
}

impl NoxfileSession {
    /// Returns the requirements files it installs, as written.
    pub(crate) fn requirement_files(&self) -> Vec<&str> {
        let installs = self.calls.iter().filter(|call| call.method.contains("install"));
        let pairs = installs.flat_map(|call| call.args.windows(2));
        let pairs = pairs.filter(|pair| matches!(pair[0].as_str(), "-r" | "--requirement" | "--requirements"));
        pairs.map(|pair| pair[1].as_str()).filter(|file| !file.starts_with(['<', '*'])).collect()
    }

    /// Whether the noxfile names packages or extras that it installs, so that their list changes with the noxfile.
    pub(crate) fn names_packages(&self) -> bool {
        let is_value_option = |word: &str| matches!(word, "-r" | "-c" | "--requirement" | "--constraint");
        let is_name = |word: &str| {
            let is_package = word.starts_with(|c: char| c.is_ascii_alphanumeric()) && !word.ends_with(".txt");
            is_package || word.starts_with(".[")
        };
        let is_constant = |word: &str| {
            let name = word.strip_prefix('*').unwrap_or_default();
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        self.calls.iter().filter(|call| call.method == "install").any(|call| {
            call.args.iter().enumerate().any(|(index, word)| {
                let is_value = index.checked_sub(1).is_some_and(|before| is_value_option(&call.args[before]));
                !is_value && (is_name(word) || is_constant(word))
            })
        })
    }

    /// Returns the commands it runs.
    pub(crate) fn run_calls(&self) -> impl Iterator<Item = &SessionCall> {
        self.calls.iter().filter(|call| matches!(call.method.as_str(), "run" | "run_always"))
    }
}

/// Returns the files that an import of a module may read: the module's, and those of the packages that contain it.
fn module_files(module: &str) -> Vec<PathBuf> {
    let path = PathBuf::from(module.replace('.', "/"));
    let packages = path.ancestors().filter(|package| !package.as_os_str().is_empty());
    let mut files: Vec<PathBuf> = packages.map(|package| package.join("__init__.py")).collect();
    files.push(path.with_extension("py"));
    files
}

fn parse_noxfile(text: &str) -> Option<NoxfileModel> {
    for python in PYTHON_COMMANDS {
        match run_reader_script(python, text) {
            // Another interpreter may know the syntax.
            ReaderResult::Unreadable => {}
            // Another interpreter would reach the limits too.
            ReaderResult::Stopped => return None,
            ReaderResult::Read(model) => return Some(*model),
        }
    }
    None
}

/// Largest answer of the reader in bytes: a noxfile can use a long constant many times.
const MAX_ANSWER_BYTES: u64 = 32 << 20;

/// How reading a noxfile ended.
enum ReaderResult {
    /// The interpreter does not exist, or cannot parse the file.
    Unreadable,
    /// A signal ended it: the file is too large or too complex.
    Stopped,
    Read(Box<NoxfileModel>),
}

fn run_reader_script(python: &str, text: &str) -> ReaderResult {
    let Some((status, answer)) = reader_answer(python, text) else { return ReaderResult::Unreadable };
    if status.signal().is_some() || answer.len() as u64 > MAX_ANSWER_BYTES {
        return ReaderResult::Stopped;
    }
    serde_json::from_slice(&answer).map_or(ReaderResult::Unreadable, |model| ReaderResult::Read(Box::new(model)))
}

/// Returns how the reader ended and what it printed, at most one byte more than allowed.
fn reader_answer(python: &str, text: &str) -> Option<(ExitStatus, Vec<u8>)> {
    let mut child = Command::new(python)
        .args(["-I", "-S", "-c", READER_SCRIPT])
        // Where `python` is a program that chooses an interpreter, the project must not choose it.
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let written = stdin.write_all(text.as_bytes());
    drop(stdin);
    let mut answer = Vec::new();
    let read = child.stdout.take()?.take(MAX_ANSWER_BYTES + 1).read_to_end(&mut answer);
    if read.is_err() || answer.len() as u64 > MAX_ANSWER_BYTES {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    // Writing fails if a limit ended it before it had read everything.
    (written.is_ok() || status.signal().is_some()).then_some((status, answer))
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;

    const TEXT: &str = "import os\nimport nox\nos.environ['A'] = 'b'\nnox.options.reuse_venv = 'yes'\n\ndef count():\n    return os.cpu_count() or int(os.getenv('N'))\n\ndef prepare(s):\n    s.run('make', 'é')\n\n@nox.session\ndef lint(session):\n    session.install('ruff')\n    prepare(session)\n    session.env['X'] = '1'\n\n@nox.session(name='t', default=False, tags=['x'], requires=['lint'])\ndef tests(s):\n    s.install('-e', '.[t]', '<tmp>')\n    s.run('pytest', *s.posargs, str(count()), success_codes=[0, 5])\n";

    pub(in super::super::super) fn noxfile(text: &str) -> Noxfile {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("noxfile.py"), text).unwrap();
        Noxfile::read(directory.path(), "noxfile.py").unwrap()
    }

    #[test]
    fn sessions_and_settings_are_read_without_running() {
        let file = noxfile(TEXT);
        let names: Vec<_> = file.sessions().iter().map(|session| session.name.as_str()).collect();
        assert_eq!(names, ["lint", "t"]);
        let lint = file.find_session("lint").unwrap();
        assert_eq!(lint.run_calls().map(|run| run.args.clone()).collect::<Vec<_>>(), [["make", "é"]]);
        assert_eq!(lint.installed_packages(), ["ruff"]);
        let tests = file.find_session("t-3.12").unwrap();
        assert!(
            tests.uses_posargs
                && !tests.default
                && tests.installed_packages() == [".[t]"]
                && tests.requires == ["lint"]
        );
        assert_eq!(tests.run_calls().next().unwrap().success_codes, ["0", "5"]);
        assert!(
            file.find_session("t(db='x')").is_some()
                && file.find_session("t-x").is_none()
                && file.find_session("none").is_none()
        );
        assert_eq!(file.default_sessions().len(), 1);
        assert_eq!(file.source.slice(file.venv_reuse_span().unwrap()), "nox.options.reuse_venv = 'yes'");
        assert!(!file.has_uv_backend());
        assert_eq!(file.sessions_calling(&file.cpu_count_functions()[0])[0].name, "t");
        assert_eq!(file.cpu_count_functions()[0].override_variable.as_deref(), Some("N"));
        assert_eq!(file.find_env_assignment("A").unwrap().value, "b");
    }

    #[test]
    fn values_reported_by_nox_take_precedence() {
        let manifest: NoxfileManifest = serde_json::from_value(serde_json::json!({
            "nox": "2026.10.20", "python": "3.11.7", "executable": "python", "noxfile": "noxfile.py", "root": ".",
            "envdir": "/p/.nox", "mode": {"how": "fork"}, "queue": [0],
            "sessions": [{
                "name": "lint", "base": "lint", "signatures": ["lint"], "description": "", "python": null,
                "tags": ["fast"], "requires": [], "notifies": [], "backend": "uv", "reuse": true, "envdir": null,
                "default": false, "allow_parallel": null, "parameters": [],
                "coverage": {"writes": null, "reads": false}
            }]
        }))
        .unwrap();
        let file = noxfile(TEXT).with_manifest(&manifest);
        let lint = file.find_session("lint").unwrap();
        assert!(lint.reuse_venv && !lint.default && lint.tags == ["fast"] && file.default_sessions().is_empty());
        assert_eq!(file.nox_version.as_deref(), Some("2026.10.20"));
    }

    #[test]
    fn an_unreadable_noxfile_is_none() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Noxfile::read(directory.path(), "noxfile.py").is_none());
        fs_err::write(directory.path().join("noxfile.py"), "def (").unwrap();
        assert!(Noxfile::read(directory.path(), "noxfile.py").is_none());
        assert!(matches!(run_reader_script("no-such-python", ""), ReaderResult::Unreadable));
        fs_err::write(directory.path().join("noxfile.py"), " ".repeat(3 << 20)).unwrap();
        assert!(Noxfile::read(directory.path(), "noxfile.py").is_none());
        let uv = noxfile("import nox\n@nox.session(venv_backend='uv', reuse_venv=True)\ndef a(session): pass\n");
        assert!(uv.has_uv_backend() && uv.venv_reuse_span().is_some());
    }
}
