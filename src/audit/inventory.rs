//! The inventory: what installs, what is cached, which session runs where, what waits for what.

use serde::Serialize;

use super::cache::{Cache, CacheKind};
use super::survey::{Project, View};

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Version of the form.
    pub version: u32,
    /// Workflows.
    pub workflows: Vec<WorkflowRow>,
    /// Sessions of the noxfile that no workflow runs.
    pub never_run: Vec<String>,
}

/// A workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkflowRow {
    /// Its file.
    pub path: String,
    /// Its dialect.
    pub dialect: &'static str,
    /// Its jobs.
    pub jobs: Vec<JobRow>,
    /// The longest chain of `needs`.
    pub critical_path: Vec<String>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its name.
    pub job: String,
    /// Its line.
    pub line: usize,
    /// What installs Python packages: line and command.
    pub installs: Vec<(usize, String)>,
    /// Its caches.
    pub caches: Vec<CacheRow>,
    /// Its sessions, each with its line.
    pub sessions: Vec<(usize, String)>,
    /// Whether its sessions run one after another and need not.
    pub sequential: bool,
    /// What it waits for.
    pub needs: Vec<String>,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheRow {
    /// Its line.
    pub line: usize,
    /// By what.
    pub by: &'static str,
    /// What is kept.
    pub paths: Vec<String>,
    /// Under which key.
    pub key: Option<String>,
}

/// Takes the inventory of a project.
pub fn inventory(project: &Project) -> Inventory {
    let row = |workflow| {
        let jobs: Vec<JobRow> = project.jobs_of(workflow).map(|view| job(&view)).collect();
        WorkflowRow {
            path: workflow.source.path.clone(),
            dialect: workflow.dialect.as_str(),
            critical_path: longest(&jobs),
            jobs,
        }
    };
    let workflows: Vec<WorkflowRow> = project.workflows.iter().map(row).collect();
    let runs = |name: &str| {
        project.jobs().any(|view| {
            view.sessions().iter().any(|session| view.facts(session).is_some_and(|facts| facts.name == name))
        })
    };
    let sessions = project.noxfile.iter().flat_map(super::noxfile::Noxfile::sessions);
    let never_run = sessions.map(|session| session.name.clone()).filter(|name| !runs(name)).collect();
    Inventory { version: 1, workflows, never_run }
}

fn job(view: &View) -> JobRow {
    let line = |byte| view.source().position(byte).line;
    let calls = &view.survey.calls;
    let sessions: Vec<(usize, String)> =
        calls.iter().flat_map(|call| &call.sessions).map(|(name, place)| (line(place.start), name.clone())).collect();
    JobRow {
        job: view.job.id.value.clone(),
        line: line(view.job.id.span.start),
        installs: view
            .survey
            .installs
            .iter()
            .map(|installed| (line(installed.place.start), view.source().slice(installed.place).to_owned()))
            .collect(),
        caches: view.survey.caches.iter().map(|cache| cached(cache, line(cache.place.start))).collect(),
        sequential: sessions.len() > 1 && !calls.iter().any(|call| call.nox.noxide) && view.job.matrix.is_none(),
        sessions,
        needs: view.job.needs.iter().map(|need| need.value.clone()).collect(),
    }
}

fn cached(cache: &Cache, line: usize) -> CacheRow {
    let by = match cache.kind {
        CacheKind::Action => "actions/cache",
        CacheKind::SetupUv => "setup-uv",
        CacheKind::SetupPython => "setup-python",
        CacheKind::Other => "another action",
    };
    let paths = cache.paths.iter().map(|path| path.value.clone()).collect();
    CacheRow { line, by, paths, key: cache.key.as_ref().map(|key| key.value.clone()) }
}

/// The longest chain of needs by its number of jobs; durations are not in the files.
fn longest(jobs: &[JobRow]) -> Vec<String> {
    fn chain(jobs: &[JobRow], job: &JobRow, depth: usize) -> Vec<String> {
        let needs = jobs.iter().filter(|other| job.needs.contains(&other.job) && depth < jobs.len());
        let mut longest = Vec::new();
        for need in needs {
            let before = chain(jobs, need, depth + 1);
            if before.len() > longest.len() {
                longest = before;
            }
        }
        longest.push(job.job.clone());
        longest
    }
    let mut best = Vec::new();
    for job in jobs {
        let chain = chain(jobs, job, 0);
        if chain.len() > best.len() {
            best = chain;
        }
    }
    best
}

impl Inventory {
    /// The table for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for workflow in &self.workflows {
            text.push_str(&format!("{} ({})\n", workflow.path, workflow.dialect));
            for job in &workflow.jobs {
                text.push_str(&format!("  {} (line {})", job.job, job.line));
                if !job.needs.is_empty() {
                    text.push_str(&format!(", waits for {}", job.needs.join(", ")));
                }
                text.push('\n');
                for (line, command) in &job.installs {
                    text.push_str(&format!(
                        "    installs  {line:>4}  {}\n",
                        command.lines().next().unwrap_or_default()
                    ));
                }
                for cache in &job.caches {
                    let key = cache.key.as_deref().unwrap_or("its own key");
                    text.push_str(&format!(
                        "    caches    {:>4}  {} by {} under {key}\n",
                        cache.line,
                        cache.paths.join(", "),
                        cache.by
                    ));
                }
                if job.caches.is_empty() && !(job.installs.is_empty() && job.sessions.is_empty()) {
                    text.push_str("    caches       –  nothing\n");
                }
                for (line, session) in &job.sessions {
                    text.push_str(&format!("    runs      {line:>4}  {session}\n"));
                }
                if job.sequential {
                    text.push_str("    one after another, and need not be\n");
                }
            }
            text.push_str(&format!("  longest chain: {}\n\n", workflow.critical_path.join(" → ")));
        }
        if !self.never_run.is_empty() {
            text.push_str(&format!("sessions that no workflow runs: {}\n", self.never_run.join(", ")));
        }
        text
    }
}
