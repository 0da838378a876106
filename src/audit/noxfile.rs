//! What a noxfile's sessions install and run, read by Python's own parser without running the file.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

pub use super::facts::{Action, NoxOption, SessionFacts, Statement, Threshold, Variable, Workers};
use super::facts::{Facts, Range};
use super::span::{SharedSource, Source, Span};
use crate::project::Manifest;

const READER: &str = include_str!("noxfile.py");
const MAX_BYTES: u64 = 2 << 20;

/// A noxfile, read.
#[derive(Clone, Debug)]
pub struct Noxfile {
    /// Its text.
    pub source: SharedSource,
    facts: Facts,
    /// Version of nox, where a manifest says.
    pub nox: Option<String>,
}

impl Noxfile {
    /// Reads a project's noxfile; none where there is none, or no Python to read it with.
    pub fn read(root: &Path, name: &str) -> Option<Self> {
        let path = root.join(name);
        if fs_err::metadata(&path).ok()?.len() > MAX_BYTES {
            return None;
        }
        let text = fs_err::read_to_string(&path).ok()?;
        let facts = ["python3", "python"].iter().find_map(|python| facts(python, &text))?;
        Some(Self { source: Source::new(name, text), facts, nox: None })
    }

    /// Takes from nox itself what it knows better: which sessions are default, their tags, backend and reuse.
    #[must_use]
    pub fn refined(mut self, manifest: &Manifest) -> Self {
        self.nox = Some(manifest.nox.clone());
        for session in &mut self.facts.sessions {
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
    pub fn reread(&self, source: &SharedSource) -> Option<Self> {
        let mut facts = ["python3", "python"].iter().find_map(|python| facts(python, &source.text))?;
        // What nox itself knew better stays so.
        for session in &mut facts.sessions {
            if let Some(known) = self.facts.sessions.iter().find(|known| known.name == session.name) {
                session.default = known.default;
                session.reuse = known.reuse;
                session.backend.clone_from(&known.backend);
                session.tags.clone_from(&known.tags);
            }
        }
        Some(Self { source: source.clone(), facts, nox: self.nox.clone() })
    }

    /// The sessions that do something else in another text of the file.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let told = |session: &SessionFacts| {
            let texts = session.statements.iter().map(|statement| statement.text.clone()).collect::<Vec<_>>();
            (session.name.clone(), session.requires.clone(), texts)
        };
        let (old, new): (Vec<_>, Vec<_>) =
            (self.facts.sessions.iter().map(told).collect(), other.facts.sessions.iter().map(told).collect());
        let changed =
            old.iter().filter(|told| !new.contains(told)).chain(new.iter().filter(|told| !old.contains(told)));
        changed.map(|(name, ..)| name.clone()).collect()
    }

    /// Where a statement stands.
    pub fn place_of_statement(&self, statement: &Statement) -> Span {
        self.span(statement.place)
    }

    /// Where an argument stands.
    pub fn place_of_argument(&self, (_, place): &(String, Range)) -> Span {
        self.span(*place)
    }

    /// All sessions in the file's order.
    pub fn sessions(&self) -> &[SessionFacts] {
        &self.facts.sessions
    }

    /// A session by a name as people type it: `tests`, `tests-3.12`, `tests(db='pg')`.
    pub fn session(&self, name: &str) -> Option<&SessionFacts> {
        let exact = |name: &str| self.facts.sessions.iter().find(|session| session.name == name);
        let base = name.split('(').next().unwrap_or(name);
        exact(name).or_else(|| exact(base)).or_else(|| {
            let (head, python) = base.rsplit_once('-')?;
            let version = python.starts_with(|c: char| c.is_ascii_digit() || c == '$') || python.starts_with("py");
            version.then(|| exact(head)).flatten()
        })
    }

    /// The sessions that run when none is named.
    pub fn defaults(&self) -> Vec<&SessionFacts> {
        match self.option("sessions") {
            Some(option) if !option.values.is_empty() => {
                option.values.iter().filter_map(|name| self.session(name)).collect()
            }
            _ => self.facts.sessions.iter().filter(|session| session.default).collect(),
        }
    }

    /// An option of nox by its name.
    pub fn option(&self, name: &str) -> Option<&NoxOption> {
        self.facts.options.iter().rfind(|option| option.name == name)
    }

    /// A variable the file sets for all sessions.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.facts.variables.iter().rfind(|variable| variable.name == name)
    }

    /// Coverage thresholds.
    pub fn thresholds(&self) -> &[Threshold] {
        &self.facts.thresholds
    }

    /// Functions that count CPUs.
    pub fn workers(&self) -> &[Workers] {
        &self.facts.workers
    }

    /// Whether environments are meant to be used again, and where that is said.
    pub fn reuse(&self) -> Option<Span> {
        let said = ["reuse_existing_virtualenvs", "reuse_venv"].iter().find_map(|name| {
            self.option(name).filter(|option| matches!(option.value.as_str(), "True" | "yes" | "always"))
        });
        said.map(|option| self.span(option.place)).or_else(|| {
            let session = self.facts.sessions.iter().find(|session| session.reuse)?;
            Some(self.span(session.place))
        })
    }

    /// Whether uv makes the environments, by option or in every session.
    pub fn uses_uv(&self) -> bool {
        self.option("default_venv_backend").is_some_and(|option| option.value.contains("uv"))
            || self.facts.sessions.iter().all(|session| {
                session.backend.as_deref().is_some_and(|backend| backend.contains("uv") || backend == "none")
            })
    }

    fn span(&self, [line, column, end_line, end_column]: Range) -> Span {
        Span::new(self.source.byte_at(line, column), self.source.byte_at(end_line, end_column))
    }

    /// Where a threshold stands.
    pub fn place_of_threshold(&self, threshold: &Threshold) -> Span {
        self.span(threshold.place)
    }

    /// Where a variable is set.
    pub fn place_of_variable(&self, variable: &Variable) -> Span {
        self.span(variable.place)
    }

    /// Where a counting function stands.
    pub fn place_of_workers(&self, workers: &Workers) -> Span {
        self.span(workers.place)
    }

    /// Where a session is decorated.
    pub fn place_of_session(&self, session: &SessionFacts) -> Span {
        self.span(session.place)
    }

    /// Where one of its actions stands.
    pub fn place_of_action(&self, action: &Action) -> Span {
        self.span(action.place)
    }

    /// The sessions that call a counting function.
    pub fn users(&self, workers: &Workers) -> Vec<&SessionFacts> {
        let calls = |session: &&SessionFacts| {
            workers.used.iter().any(|line| (session.body[0]..=session.body[1]).contains(line))
        };
        self.facts.sessions.iter().filter(calls).collect()
    }
}

impl SessionFacts {
    /// What it installs, as one comparable list; throw-away folders are left out.
    pub fn installs(&self) -> Vec<String> {
        let installing = |action: &&Action| action.kind.contains("install");
        let words = self.steps.iter().filter(installing).flat_map(|action| action.args.iter());
        let mut all: Vec<String> = words.filter(|word| !word.starts_with('<') && *word != "-e").cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The commands it runs.
    pub fn runs(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().filter(|action| matches!(action.kind.as_str(), "run" | "run_always"))
    }
}

fn facts(python: &str, text: &str) -> Option<Facts> {
    let mut child = Command::new(python)
        .args(["-I", "-S", "-c", READER])
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
pub(super) mod tests {
    use super::*;

    const TEXT: &str = "import os\nimport nox\nos.environ['A'] = 'b'\nnox.options.reuse_venv = 'yes'\n\ndef count():\n    return os.cpu_count() or int(os.getenv('N'))\n\ndef prepare(s):\n    s.run('make', 'é')\n\n@nox.session\ndef lint(session):\n    session.install('ruff')\n    prepare(session)\n    session.env['X'] = '1'\n\n@nox.session(name='t', default=False, tags=['x'], requires=['lint'])\ndef tests(s):\n    s.install('-e', '.[t]', '<tmp>')\n    s.run('pytest', *s.posargs, str(count()), success_codes=[0, 5])\n";

    pub(in super::super) fn noxfile(text: &str) -> Noxfile {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("noxfile.py"), text).unwrap();
        Noxfile::read(folder.path(), "noxfile.py").unwrap()
    }

    #[test]
    fn sessions_and_settings_are_read_without_running() {
        let file = noxfile(TEXT);
        let names: Vec<_> = file.sessions().iter().map(|session| session.name.as_str()).collect();
        assert_eq!(names, ["lint", "t"]);
        let lint = file.session("lint").unwrap();
        assert_eq!(lint.runs().map(|run| run.args.clone()).collect::<Vec<_>>(), [["make", "é"]]);
        assert_eq!(
            (lint.installs(), lint.environment.as_slice()),
            (vec!["ruff".to_owned()], ["X".to_owned()].as_slice())
        );
        let tests = file.session("t-3.12").unwrap();
        assert!(tests.posargs && !tests.default && tests.installs() == [".[t]"] && tests.requires == ["lint"]);
        assert_eq!(tests.runs().next().unwrap().accepts, ["0", "5"]);
        assert_eq!(
            file.source.slice(file.place_of_action(tests.runs().next().unwrap())).lines().next(),
            Some("s.run('pytest', *s.posargs, str(count()), success_codes=[0, 5])")
        );
        assert!(file.session("t(db='x')").is_some() && file.session("t-x").is_none() && file.session("none").is_none());
        assert_eq!(file.defaults().len(), 1);
        assert_eq!(file.source.slice(file.reuse().unwrap()), "nox.options.reuse_venv = 'yes'");
        assert!(!file.uses_uv());
        assert_eq!(file.users(&file.workers()[0])[0].name, "t");
        assert_eq!(file.workers()[0].variable.as_deref(), Some("N"));
        assert_eq!(file.variable("A").unwrap().value, "b");
    }

    #[test]
    fn nox_itself_knows_better() {
        let manifest: Manifest = serde_json::from_value(serde_json::json!({
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
        let file = noxfile(TEXT).refined(&manifest);
        let lint = file.session("lint").unwrap();
        assert!(lint.reuse && !lint.default && lint.tags == ["fast"] && file.defaults().is_empty());
        assert_eq!(file.nox.as_deref(), Some("2026.10.20"));
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Noxfile::read(folder.path(), "noxfile.py").is_none());
        fs_err::write(folder.path().join("noxfile.py"), "def (").unwrap();
        assert!(Noxfile::read(folder.path(), "noxfile.py").is_none());
        assert!(facts("no-such-python", "").is_none());
        fs_err::write(folder.path().join("noxfile.py"), " ".repeat(3 << 20)).unwrap();
        assert!(Noxfile::read(folder.path(), "noxfile.py").is_none());
        let uv = noxfile("import nox\n@nox.session(venv_backend='uv', reuse_venv=True)\ndef a(session): pass\n");
        assert!(uv.uses_uv() && uv.reuse().is_some());
    }
}
