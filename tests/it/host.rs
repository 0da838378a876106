//! The host: what it reads from a noxfile, and sessions as its children.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use noxide::project::{
    Finished, Host, HostError, HostMessage, HostMode, HostOptions, Manifest, NoxOrigin, NoxPython, NoxStatus, RunOrder,
    Session, SessionId,
};

use crate::support::{self, Project};

/// What a test asks of a host.
pub(crate) struct Ask {
    pub(crate) args: Vec<String>,
    pub(crate) posargs: Vec<String>,
    pub(crate) env: Vec<(String, Option<String>)>,
    pub(crate) python: std::path::PathBuf,
    pub(crate) timeout: Duration,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            posargs: Vec::new(),
            env: Vec::new(),
            python: support::python(),
            timeout: Duration::from_secs(60),
        }
    }
}

impl Ask {
    pub(crate) fn args(args: &[&str]) -> Self {
        Self { args: args.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub(crate) fn start(&self, project: &Project) -> Result<(Host, Manifest), HostError> {
        let mut env: Vec<_> = support::settings().into_iter().map(|(name, value)| (name.into(), value)).collect();
        env.extend(self.env.iter().map(|(name, value)| (name.into(), value.clone().map(Into::into))));
        Host::start(HostOptions {
            root: project.root().to_path_buf(),
            python: NoxPython { executable: self.python.clone(), origin: NoxOrigin::Told, extra_path: None },
            nox_args: self.args.iter().map(Into::into).collect(),
            posargs: self.posargs.iter().map(Into::into).collect(),
            env,
            color: false,
            load_timeout: self.timeout,
        })
    }
}

/// All sessions of a queue run, two at a time, with nox's rules for `requires` and `notify`.
pub(crate) struct Ran {
    pub(crate) finished: BTreeMap<String, Finished>,
    pub(crate) order: Vec<String>,
    pub(crate) logs: BTreeMap<String, String>,
    pub(crate) manifest: Manifest,
}

impl Ran {
    pub(crate) fn status(&self, name: &str) -> NoxStatus {
        self.finished.get(name).unwrap_or_else(|| panic!("{name} did not run: {:?}", self.order)).status
    }

    pub(crate) fn log(&self, name: &str) -> &str {
        &self.logs[name]
    }
}

pub(crate) fn run(project: &Project, ask: &Ask) -> Ran {
    let (mut host, manifest) = ask.start(project).unwrap_or_else(|error| panic!("{error}\n{}", error.output()));
    let mut events = host.listen();
    let session = |id: SessionId| -> &Session { &manifest.sessions[id.0] };
    let log = |id: SessionId| project.beside().join(format!("log-{}", id.0));
    let mut waiting: VecDeque<SessionId> = manifest.queue.iter().copied().collect();
    // Notified ones wait for all that was queued or running when they were notified.
    let mut notified: VecDeque<SessionId> = VecDeque::new();
    let mut posargs = BTreeMap::new();
    let mut known: Vec<SessionId> = manifest.queue.clone();
    let mut running = Vec::new();
    let mut results: Vec<(SessionId, NoxStatus)> = Vec::new();
    let mut ran =
        Ran { finished: BTreeMap::new(), order: Vec::new(), logs: BTreeMap::new(), manifest: manifest.clone() };
    loop {
        if waiting.is_empty() && running.is_empty() {
            waiting.append(&mut notified);
        }
        while running.len() < 2 {
            let over = |id: &SessionId| results.iter().any(|(done, _)| done == id);
            let asked_for = |id: &SessionId| known.contains(id);
            let ready =
                waiting.iter().position(|&id| session(id).requires.iter().all(|need| over(need) || !asked_for(need)));
            let Some(id) = ready.and_then(|at| waiting.remove(at)) else { break };
            let file = File::create(log(id)).unwrap();
            let mut order = RunOrder::new(id);
            order.results.clone_from(&results);
            order.posargs = posargs.remove(&id);
            host.run(&order, file.as_fd(), file.as_fd()).unwrap();
            running.push(id);
        }
        if running.is_empty() {
            break;
        }
        match events.next().unwrap_or_else(|| panic!("the host is gone: {}", host.last_output())) {
            HostMessage::Started { id, pid } => assert!(running.contains(&id) && pid > 1),
            HostMessage::Notify { target, matches, posargs: own, .. } => {
                if !matches.iter().any(|id| known.contains(id)) {
                    known.push(target);
                    notified.push_back(target);
                    own.map(|own| posargs.insert(target, own));
                }
            }
            HostMessage::Finished(finished) => {
                running.retain(|id| *id != finished.id);
                results.push((finished.id, finished.status));
                let name = session(finished.id).name.to_string();
                ran.order.push(name.clone());
                ran.logs.insert(name.clone(), std::fs::read_to_string(log(finished.id)).unwrap());
                ran.finished.insert(name, finished);
            }
        }
    }
    host.close();
    ran
}

#[test]
fn sessions_are_read_and_run() {
    let project = Project::new(
        r#"'''Quality.'''
import nox
nox.options.default_venv_backend = "none"
print("x" * 5000)

@nox.session(tags=["fast"])
def lint(session):
    """Looks.

    Closely."""
    session.run("echo", "linted", *session.posargs, external=True)

@nox.session(requires=["lint"], default=False)
@nox.parametrize("n", [1, 2])
def tests(session, n):
    session.log("n is %d, %s", n, session.parallel)
"#,
    );
    let ran = run(&project, &Ask { posargs: vec!["--a b".into()], ..Ask::args(&["-s", "lint", "tests"]) });
    assert_eq!(ran.order[0], "lint");
    assert_eq!(ran.finished.len(), 3);
    assert!(ran.finished.values().all(|finished| finished.status == NoxStatus::Success));
    assert!(ran.log("lint").contains("Running session lint"), "{}", ran.log("lint"));
    assert!(ran.log("lint").contains("linted --a b"));
    assert!(ran.log("lint").contains("Session lint was successful"));
    assert!(ran.log("tests(n=2)").contains("n is 2, True"));
    let manifest = &ran.manifest;
    assert_eq!(manifest.mode, HostMode::Fork);
    assert_eq!(manifest.description, "Quality.");
    assert_eq!(manifest.root, project.root());
    let tests = &manifest.sessions[2];
    assert_eq!((tests.name.as_str(), tests.base.as_str()), ("tests(n=2)", "tests"));
    assert_eq!(tests.requires, [SessionId(0)]);
    assert_eq!(tests.parameters, [("n".to_owned(), "2".to_owned())]);
    assert!(!tests.default && manifest.sessions[0].default);
    assert_eq!(manifest.sessions[0].description, "Looks.");
    assert_eq!((tests.backend.as_str(), &tests.envdir), ("none", &None));
}
