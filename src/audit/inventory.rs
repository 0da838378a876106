//! The inventory: what installs, what is cached, which session runs where, what waits for what.

use serde::Serialize;

use super::job_cache::{JobCache, JobCacheKind};
use super::noxfile::{Noxfile, NoxfileSession};
use super::project::{AuditProject, JobView};

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Version of the form.
    pub version: u32,
    /// Workflows.
    pub workflows: Vec<WorkflowRow>,
    /// Sessions of the noxfile.
    pub sessions: Vec<NoxfileSessionRow>,
    /// Those of them that no workflow runs.
    pub never_run: Vec<String>,
}

/// A session of the noxfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoxfileSessionRow {
    /// Its name.
    pub(crate) session: String,
    /// Its line.
    pub(crate) line: usize,
    /// What it installs.
    pub(crate) installs: Vec<String>,
    /// The jobs that run it: file and name.
    pub(crate) jobs: Vec<(String, String)>,
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
    /// The chain of `needs` that ends last: by measured time where every job of the workflow has one, else by its length.
    pub critical_path: Vec<String>,
    /// How long that chain takes, in milliseconds, where the sessions of all its jobs have been measured.
    pub milliseconds: Option<u64>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its name.
    pub(crate) job: String,
    /// Its line.
    pub(crate) line: usize,
    /// What installs Python packages.
    pub(crate) installs: Vec<InstallRow>,
    /// Its caches.
    pub(crate) caches: Vec<CacheRow>,
    /// Its sessions.
    pub(crate) sessions: Vec<JobSessionRow>,
    /// Sessions that run one after another and need not.
    pub(crate) sequential: Vec<String>,
    /// How long its sessions take, in milliseconds, where all have been measured; its preparation not counted.
    pub(crate) milliseconds: Option<u64>,
    /// What it waits for.
    pub(crate) needs: Vec<String>,
}

/// A step that installs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstallRow {
    /// Its line.
    pub line: usize,
    /// By what.
    pub by: &'static str,
    /// The command.
    pub command: String,
}

/// A session in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct JobSessionRow {
    /// Its line.
    pub(crate) line: usize,
    /// Its name.
    pub(crate) session: String,
    /// Its usual time, in milliseconds, where noxide has run it here.
    pub(crate) milliseconds: Option<u64>,
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

/// Takes the inventory of a project; `usual` knows the sessions' usual times in milliseconds.
pub fn build_inventory(project: &AuditProject, usual: &dyn Fn(&str) -> Option<u64>) -> Inventory {
    let row = |workflow| {
        let jobs: Vec<JobRow> = project.workflow_job_views(workflow).map(|view| build_job_row(&view, usual)).collect();
        let path = critical_path(&jobs);
        let times = path.iter().map(|name| jobs.iter().find(|job| job.job == *name)?.milliseconds);
        WorkflowRow {
            path: workflow.source.path.clone(),
            dialect: workflow.dialect.as_str(),
            milliseconds: times.sum(),
            critical_path: path,
            jobs,
        }
    };
    let workflows: Vec<WorkflowRow> = project.workflows.iter().map(row).collect();
    let sessions: Vec<NoxfileSessionRow> =
        project.noxfile.iter().flat_map(|noxfile| noxfile_session_rows(project, noxfile)).collect();
    let never_run = sessions.iter().filter(|row| row.jobs.is_empty()).map(|row| row.session.clone()).collect();
    Inventory { version: 1, workflows, sessions, never_run }
}

fn noxfile_session_rows(project: &AuditProject, noxfile: &Noxfile) -> Vec<NoxfileSessionRow> {
    let row = |session: &NoxfileSession| {
        let runs = |view: &JobView| {
            let facts = |name: &String| view.noxfile_session(name).is_some_and(|facts| facts.name == session.name);
            view.session_names().iter().any(facts)
        };
        let jobs = project.job_views().filter(runs);
        NoxfileSessionRow {
            session: session.name.clone(),
            line: noxfile.source.position_at(noxfile.session_span(session).start).line,
            installs: session.installed_packages(),
            jobs: jobs.map(|view| (view.source().path.clone(), view.job.id.value.clone())).collect(),
        }
    };
    noxfile.sessions().iter().map(row).collect()
}

fn build_job_row(view: &JobView, usual: &dyn Fn(&str) -> Option<u64>) -> JobRow {
    let line = |byte| view.source().position_at(byte).line;
    let calls = &view.analysis.nox_calls;
    let row = |(name, place): &(String, super::source::Span)| JobSessionRow {
        line: line(place.start),
        session: name.clone(),
        milliseconds: usual(name),
    };
    let sessions: Vec<JobSessionRow> = calls.iter().flat_map(|call| &call.sessions).map(row).collect();
    let beside = calls.iter().any(|call| call.parsed.is_noxide) || view.job.matrix.is_some();
    let sequential = if beside || sessions.len() < 2 || super::session_order::required_order_reason(view).is_some() {
        Vec::new()
    } else {
        sessions.iter().map(|row| row.session.clone()).collect()
    };
    let times: Option<Vec<u64>> = sessions.iter().map(|row| row.milliseconds).collect();
    JobRow {
        job: view.job.id.value.clone(),
        line: line(view.job.id.span.start),
        installs: view
            .analysis
            .installs
            .iter()
            .map(|installed| InstallRow {
                line: line(installed.span.start),
                by: installed.install.installer.as_str(),
                command: view.source().slice(installed.span).to_owned(),
            })
            .collect(),
        caches: view.analysis.caches.iter().map(|cache| build_cache_row(cache, line(cache.span.start))).collect(),
        // What runs side by side takes at least as long as its longest session; more is not known from here.
        milliseconds: times.filter(|_| !beside || sessions.len() < 2).map(|times| times.iter().sum()),
        sequential,
        sessions,
        needs: view.job.needs.iter().map(|need| need.value.clone()).collect(),
    }
}

fn build_cache_row(cache: &JobCache, line: usize) -> CacheRow {
    let by = match cache.kind {
        JobCacheKind::ActionsCache => "actions/cache",
        JobCacheKind::SetupUv => "setup-uv",
        JobCacheKind::SetupPython => "setup-python",
        JobCacheKind::Other => "another action",
    };
    let paths = cache.paths.iter().map(|path| path.value.clone()).collect();
    CacheRow { line, by, paths, key: cache.key.as_ref().map(|key| key.value.clone()) }
}

/// The chain of needs that ends last: by time where every job's is known, else by the number of its jobs.
fn critical_path(jobs: &[JobRow]) -> Vec<String> {
    let weight = |job: &JobRow| match (job.sessions.is_empty(), job.milliseconds) {
        (true, _) => Some(0),
        (false, known) => known,
    };
    let measured = jobs.iter().any(|job| !job.sessions.is_empty()) && jobs.iter().all(|job| weight(job).is_some());
    let mut open: Vec<usize> = (0..jobs.len()).collect();
    let mut done: Vec<Option<(u64, Vec<usize>)>> = vec![None; jobs.len()];
    while let Some(at) =
        open.iter().position(|job| is_job_ready(jobs, &done, *job)).or(Some(0).filter(|_| !open.is_empty()))
    {
        let job = open.remove(at);
        let ends: Vec<(u64, Vec<usize>)> = needed_jobs(jobs, job).filter_map(|need| done[need].clone()).collect();
        // Of equals the first in the file.
        let before = ends.into_iter().rev().max_by_key(|(time, path)| (*time, path.len()));
        let (time, mut path) = before.unwrap_or_default();
        path.push(job);
        let own = if measured { weight(&jobs[job]).unwrap_or_default() } else { 1 };
        done[job] = Some((time + own, path));
    }
    let mut best: (u64, Vec<usize>) = (0, Vec::new());
    for end in done.into_iter().flatten() {
        if (end.0, end.1.len()) > (best.0, best.1.len()) {
            best = end;
        }
    }
    best.1.into_iter().map(|job| jobs[job].job.clone()).collect()
}

/// The jobs that a job waits for, as far as they are there.
fn needed_jobs<'a>(jobs: &'a [JobRow], job: usize) -> impl Iterator<Item = usize> + 'a {
    (0..jobs.len()).filter(move |other| *other != job && jobs[job].needs.contains(&jobs[*other].job))
}

fn is_job_ready(jobs: &[JobRow], done: &[Option<(u64, Vec<usize>)>], job: usize) -> bool {
    needed_jobs(jobs, job).all(|need| done[need].is_some())
}
