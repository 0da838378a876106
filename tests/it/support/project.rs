//! Projects in temporary directories, and what their newest run recorded.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use noxide::project::default_run_data_dir;
use noxide::record::{Outcome, RunEvent, RunRecord, RunStore};
use tempfile::TempDir;

use super::{NoxideRun, noxide_in, python, run_checked, test_environment};

/// The first lines of most noxfiles of the tests.
const NOXFILE_HEAD: &str = "import nox, os, pathlib, shutil, signal, socket, stat, subprocess, sys, tempfile, time\n\
     nox.options.default_venv_backend = 'none'\n";

/// A project that is deleted when dropped.
pub(crate) struct Project {
    directory: Rc<TempDir>,
    root: PathBuf,
}

impl Project {
    /// A project with this noxfile, in a directory whose name has a space.
    pub(crate) fn new(noxfile: &str) -> Self {
        let project = Self::empty();
        project.write("noxfile.py", noxfile);
        project
    }

    /// A project whose noxfile is [`NOXFILE_HEAD`] and these sessions.
    pub(crate) fn with_sessions(sessions: &str) -> Self {
        Self::new(&format!("{NOXFILE_HEAD}{sessions}"))
    }

    /// Like [`Project::with_sessions`], with a grace period in the settings.
    pub(crate) fn with_grace(grace: &str, sessions: &str) -> Self {
        let project = Self::with_sessions(sessions);
        project.write("noxide.toml", format!("grace-period = '{grace}'\n"));
        project
    }

    /// A project without files.
    pub(crate) fn empty() -> Self {
        super::process::accept_signals();
        let directory = Rc::new(tempfile::tempdir().unwrap());
        let root = directory.path().canonicalize().unwrap().join("a project");
        std::fs::create_dir(&root).unwrap();
        Self { directory, root }
    }

    /// The project in a directory below it.
    pub(crate) fn below(&self, root: &Path) -> Self {
        Self { directory: Rc::clone(&self.directory), root: root.to_path_buf() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The temporary directory that contains the project, for files that must not be in it.
    pub(crate) fn outer_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().write_all(text.as_ref()).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A command in it, with the environment of the tests.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, value) in test_environment() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs noxide in it to the end.
    pub(crate) fn noxide(&self, arguments: &[&str]) -> NoxideRun {
        NoxideRun::finish(&mut noxide_in(&self.root, arguments))
    }

    /// The record of the newest run.
    pub(crate) fn newest_record(&self) -> RunRecord {
        self.find_newest_record().expect("a recorded run")
    }

    /// The record of the newest run, if there is one that can be read.
    pub(crate) fn find_newest_record(&self) -> Option<RunRecord> {
        newest_record(&self.root)
    }

    /// The directory of the newest run.
    pub(crate) fn newest_run_dir(&self) -> PathBuf {
        self.root.join(".nox/.noxide/runs").join(self.newest_record().run_id)
    }

    /// The sessions of the newest run with their outcomes, in order.
    pub(crate) fn outcomes(&self) -> Vec<(String, Option<Outcome>)> {
        outcomes(&self.newest_record())
    }

    /// The log of a session in the newest run.
    pub(crate) fn session_log(&self, session: &str) -> String {
        let path = self.newest_run_dir().join("logs").join(format!("{session}.log"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The events of the newest run.
    pub(crate) fn events(&self) -> Vec<RunEvent> {
        let store = RunStore::open_existing(default_run_data_dir(&self.root)).unwrap();
        let run = store.run_ids().pop().unwrap();
        noxide::record::read_events(&store.run_dir(&run).join("events.jsonl")).unwrap()
    }
}

/// The newest record below a directory.
pub(crate) fn newest_record(root: &Path) -> Option<RunRecord> {
    RunStore::open_existing(default_run_data_dir(root))?.newest_records(1).pop()
}

/// The sessions of a record with their outcomes, in order.
pub(super) fn outcomes(record: &RunRecord) -> Vec<(String, Option<Outcome>)> {
    let sessions = record.sessions.iter();
    sessions.map(|s| (s.spec.name.to_string(), s.result.as_ref().map(|result| result.outcome))).collect()
}

/// Writes an executable file.
pub(crate) fn write_script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts a wheel of a package into `wheels`; its one module knows its version.
pub(crate) fn write_wheel(project: &Project, name: &str, version: &str) {
    let script = "import sys, zipfile\n\
        directory, name, version = sys.argv[1:]\n\
        dist = '%s-%s.dist-info' % (name, version)\n\
        files = {name + '.py': 'VERSION = %r\\n' % version, dist + '/METADATA': 'Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n' % (name, version),\n\
            dist + '/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}\n\
        files[dist + '/RECORD'] = ''.join('%s,,\\n' % path for path in files) + dist + '/RECORD,,\\n'\n\
        with zipfile.ZipFile('%s/%s-%s-py3-none-any.whl' % (directory, name, version), 'w') as file:\n\
        \tfor path, text in files.items(): file.writestr(path, text)\n";
    let directory = project.root().join("wheels");
    fs_err::create_dir_all(&directory).unwrap();
    run_checked(Command::new(python()).args(["-c", script]).arg(directory).args([name, version]));
}
