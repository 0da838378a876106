//! A project whose packages come from a package index of the test, and a store.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use noxide::cache::uv::UvLayoutSupport;
use noxide::cache::{PackageSelection, Store, StoreOptions, Uv, UvCache};
use serde_json::{Value, json};

use crate::support::{ChildDeadline as _, CommandDeadline as _, Project, python, run_checked, test_environment, venv};

/// A package index: a process that is killed when dropped.
pub(crate) struct Index {
    child: Child,
    pub(crate) url: String,
}

impl Index {
    pub(crate) fn serve(directory: &Path, packages: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cache/index.py");
        let mut command = Command::new(python());
        command.arg(script).arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(packages.to_string().as_bytes()).unwrap();
        let url = child.first_line();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A project with a lock file, an index, a uv cache that was filled from it, and a store.
pub(crate) struct Fixture {
    pub(crate) project: Project,
    pub(crate) _index: Index,
    pub(crate) options: StoreOptions,
}

impl Fixture {
    /// Two wheels, one of which needs the other, one with many files, and one package that must be built.
    pub(crate) fn new() -> Self {
        Self::with(&json!([
            {"name": "alpha", "version": "1.0", "requires": ["beta"], "files": {"alpha/run.sh": "#!/bin/sh\n"}},
            {"name": "beta", "version": "2.0"},
            {"name": "many", "version": "1.5", "many": 700},
            {"name": "source", "version": "0.3", "sdist": true},
        ]))
    }

    pub(crate) fn with(packages: &Value) -> Self {
        let project = Project::empty();
        let index = Index::serve(&project.outer_dir().join("index"), packages);
        let names: Vec<&str> =
            packages.as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
        project.write(
            "pyproject.toml",
            format!(
                "[project]\nname = \"own\"\nversion = \"1\"\nrequires-python = \">=3.11\"\ndependencies = {names:?}\n\
                 [tool.uv]\npackage = false\n[[tool.uv.index]]\nurl = \"{}/simple\"\ndefault = true\n",
                index.url
            ),
        );
        let options = StoreOptions { dir: Some(project.outer_dir().join("store")), ..StoreOptions::default() };
        let fixture = Self { project, _index: index, options };
        fixture.uv("first", &["lock", "--quiet"]);
        fixture.uv("first", &["sync", "--quiet", "--frozen"]);
        fixture
    }

    /// Runs uv in the project with the cache of that name; it must succeed.
    pub(crate) fn uv(&self, cache: &str, arguments: &[&str]) -> String {
        run_checked(self.command(cache).args(arguments))
    }

    pub(crate) fn command(&self, cache: &str) -> Command {
        let mut command = Command::new(venv().join("bin/uv"));
        command.current_dir(self.project.root());
        for (name, value) in test_environment() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("UV_CACHE_DIR", self.cache_dir(cache));
        command
    }

    pub(crate) fn cache_dir(&self, cache: &str) -> PathBuf {
        self.project.outer_dir().join(cache)
    }

    pub(crate) fn cache(&self, cache: &str) -> UvCache {
        let uv = Uv::from_path(venv().join("bin/uv"));
        match uv.detect_layout(&self.store()) {
            UvLayoutSupport::Known(layout) => UvCache::new(self.cache_dir(cache), layout),
            UvLayoutSupport::Unknown { reason: why } => panic!("{why}"),
        }
    }

    /// `noxide cache …` in the project, with its store and the uv cache of that name.
    pub(crate) fn noxide(&self, cache: &str, arguments: &[&str]) -> Command {
        let mut command = crate::support::noxide_in(self.project.root(), &["cache"]);
        command.args(arguments).env("UV_CACHE_DIR", self.cache_dir(cache));
        command.env("NOXIDE_CACHE_DIR", self.project.outer_dir());
        command
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.options).unwrap()
    }

    pub(crate) fn wanted(&self) -> PackageSelection {
        PackageSelection::from_uv_lock(&self.project.read("uv.lock"))
    }

    /// Creates an environment from the cache of that name, offline; returns the versions of its packages.
    pub(crate) fn sync_offline(&self, cache: &str) -> String {
        std::fs::remove_dir_all(self.project.root().join(".venv")).ok();
        self.uv(cache, &["sync", "--quiet", "--frozen", "--offline"]);
        self.imported()
    }

    pub(crate) fn imported(&self) -> String {
        let code = "import alpha, beta, many, source; print(alpha.VERSION, beta.VERSION, many.VERSION, source.BUILT)";
        run_checked(Command::new(self.project.root().join(".venv/bin/python")).args(["-B", "-c", code]))
            .trim()
            .to_owned()
    }

    /// Returns the path of a package's file in an environment.
    pub(crate) fn installed(&self, path: &str) -> PathBuf {
        let lib = self.project.root().join(".venv/lib");
        let python = std::fs::read_dir(lib).unwrap().next().unwrap().unwrap().path();
        python.join("site-packages").join(path)
    }
}

/// Returns exit code, standard output and standard error of a command.
pub(crate) fn ended(command: &mut Command) -> (i32, String, String) {
    let done = command.finish();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

/// Output of the fixture's packages.
pub(crate) const ALL: &str = "1.0 2.0 1.5 True";
