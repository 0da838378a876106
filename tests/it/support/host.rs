//! The host process, driven without the dispatcher.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use noxide::project::{
    FinishedMessage, Host, HostError, HostMessage, HostMessages, HostOptions, HostRunRequest, ManifestIndex, NoxOrigin,
    NoxPython, NoxStatus, NoxfileManifest, Session,
};

use super::{Deadline, Project, python, send_signal, test_environment};

/// How a host is started.
pub(crate) struct HostArgs {
    pub(crate) args: Vec<String>,
    pub(crate) posargs: Vec<String>,
    pub(crate) env: Vec<(String, Option<String>)>,
    pub(crate) python: std::path::PathBuf,
    pub(crate) timeout: Duration,
    pub(crate) color: bool,
    pub(crate) extra_path: Option<std::path::PathBuf>,
}

impl Default for HostArgs {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            posargs: Vec::new(),
            env: Vec::new(),
            python: python(),
            timeout: Duration::from_secs(60),
            color: false,
            extra_path: None,
        }
    }
}

impl HostArgs {
    pub(crate) fn args(args: &[&str]) -> Self {
        Self { args: args.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub(crate) fn start(&self, project: &Project) -> Result<(Host, NoxfileManifest), HostError> {
        let mut env: Vec<_> = test_environment().into_iter().map(|(name, value)| (name.into(), value)).collect();
        env.extend(self.env.iter().map(|(name, value)| (name.into(), value.clone().map(Into::into))));
        Host::start(HostOptions {
            root: project.root().to_path_buf(),
            python: NoxPython {
                executable: self.python.clone(),
                origin: NoxOrigin::Explicit,
                extra_path: self.extra_path.clone(),
            },
            nox_flags: self.args.iter().map(Into::into).collect(),
            posargs: self.posargs.iter().map(Into::into).collect(),
            env,
            color: self.color,
            will_run_sessions: true,
            load_timeout: self.timeout,
            cache_directory: Some(project.outer_dir().join("cache")),
        })
    }
}

/// The sessions of a queue, all run.
pub(crate) struct HostRun {
    pub(crate) finished: BTreeMap<String, FinishedMessage>,
    pub(crate) finish_order: Vec<String>,
    pub(crate) logs: BTreeMap<String, String>,
    pub(crate) manifest: NoxfileManifest,
}

impl HostRun {
    pub(crate) fn status(&self, name: &str) -> NoxStatus {
        self.finished.get(name).unwrap_or_else(|| panic!("{name} did not run: {:?}", self.finish_order)).status
    }

    pub(crate) fn log(&self, name: &str) -> &str {
        &self.logs[name]
    }
}

/// Runs all sessions of the queue, two at a time, with nox's rules for `requires` and `notify`.
pub(crate) fn run_host(project: &Project, args: &HostArgs) -> HostRun {
    let (mut host, manifest) = args.start(project).unwrap_or_else(|error| panic!("{error}\n{}", error.output()));
    let mut events = host.take_messages();
    let session = |id: ManifestIndex| -> &Session { &manifest.sessions[id.0] };
    let log = |id: ManifestIndex| project.outer_dir().join(format!("log-{}", id.0));
    let mut waiting: VecDeque<ManifestIndex> = manifest.queue.iter().copied().collect();
    // Notified ones wait for all that was queued or running when they were notified.
    let mut notified: VecDeque<ManifestIndex> = VecDeque::new();
    let mut posargs = BTreeMap::new();
    let mut known: Vec<ManifestIndex> = manifest.queue.clone();
    let mut running = Vec::new();
    let mut results: Vec<(ManifestIndex, NoxStatus)> = Vec::new();
    let mut ran = HostRun {
        finished: BTreeMap::new(),
        finish_order: Vec::new(),
        logs: BTreeMap::new(),
        manifest: manifest.clone(),
    };
    loop {
        if waiting.is_empty() && running.is_empty() {
            waiting.append(&mut notified);
        }
        while running.len() < 2 {
            let over = |id: &ManifestIndex| results.iter().any(|(done, _)| done == id);
            let asked_for = |id: &ManifestIndex| known.contains(id);
            let ready =
                waiting.iter().position(|&id| session(id).requires.iter().all(|need| over(need) || !asked_for(need)));
            let Some(id) = ready.and_then(|at| waiting.remove(at)) else { break };
            let file = File::create(log(id)).unwrap();
            let mut request = HostRunRequest::new(id);
            request.need_statuses =
                results.iter().filter(|(done, _)| session(id).requires.contains(done)).copied().collect();
            request.posargs = posargs.remove(&id);
            request.remaining_starts = waiting.len() + notified.len();
            host.run_session(&request, file.as_fd(), file.as_fd()).unwrap();
            running.push(id);
        }
        if running.is_empty() {
            break;
        }
        match next_message(&host, &mut events).unwrap_or_else(|| panic!("the host is gone: {}", host.captured_output()))
        {
            HostMessage::Started { id, pid } => assert!(running.contains(&id) && pid > 1),
            HostMessage::Notify { target, matches, posargs: explicit, .. } => {
                if !matches.iter().any(|id| known.contains(id)) {
                    known.push(target);
                    notified.push_back(target);
                    explicit.map(|explicit| posargs.insert(target, explicit));
                }
            }
            HostMessage::Interrupted { .. } | HostMessage::ExitedCleanlyOnInterrupt { .. } => {
                panic!("nothing was interrupted")
            }
            HostMessage::Waiting { .. } => {}
            HostMessage::Finished(finished) => {
                running.retain(|id| *id != finished.id);
                results.push((finished.id, finished.status));
                let name = session(finished.id).name.to_string();
                ran.finish_order.push(name.clone());
                ran.logs.insert(name.clone(), std::fs::read_to_string(log(finished.id)).unwrap());
                ran.finished.insert(name, finished);
            }
        }
    }
    host.close();
    ran
}

/// The next message of a host; one that is silent for minutes is killed, which ends the messages.
pub(crate) fn next_message(host: &Host, messages: &mut HostMessages) -> Option<HostMessage> {
    let process = host.pid().to_string();
    let _deadline = Deadline::new(4 * super::POLL_DEADLINE, move || send_signal("KILL", &process));
    messages.next()
}
