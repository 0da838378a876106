//! Inventory table: the installs, caches, sessions, `needs` and critical path of every workflow.

use serde::Serialize;

use super::super::job_cache::{JobCache, JobCacheKind};
use super::super::noxfile::{Noxfile, NoxfileSession};
use super::super::project::{AuditProject, JobView};
use super::super::source::Span;

/// The inventory of a project; serialized as the JSON of `noxide audit --inventory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Version of the JSON format.
    pub version: u32,
    /// One row per workflow file.
    pub workflows: Vec<WorkflowRow>,
    /// One row per session of the noxfile.
    pub sessions: Vec<NoxfileSessionRow>,
    /// Sessions of the noxfile that no workflow runs.
    pub unused_sessions: Vec<String>,
}

/// A session of the noxfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoxfileSessionRow {
    pub(crate) session: String,
    pub(crate) line: usize,
    /// Requirements it installs, sorted.
    pub(crate) installs: Vec<String>,
    /// Jobs that run it: workflow file and job id.
    pub(crate) jobs: Vec<(String, String)>,
}

/// A workflow file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkflowRow {
    /// Path relative to the project.
    pub path: String,
    /// The forge whose dialect it is read in.
    pub dialect: &'static str,
    /// One row per job.
    pub jobs: Vec<JobRow>,
    /// The chain of `needs` that ends last: by measured duration if every job of the workflow has one, else by
    /// number of jobs.
    pub critical_path: Vec<String>,
    /// Duration of the critical path in milliseconds, if all sessions of its jobs have been measured.
    pub critical_path_ms: Option<u64>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRow {
    pub(crate) job: String,
    pub(crate) line: usize,
    pub(crate) installs: Vec<InstallRow>,
    pub(crate) caches: Vec<CacheRow>,
    pub(crate) sessions: Vec<JobSessionRow>,
    /// Sessions that run one after another although nothing requires it.
    pub(crate) sequential: Vec<String>,
    /// Duration of its sessions in milliseconds, if all have been measured; setup steps are not counted.
    pub(crate) duration_ms: Option<u64>,
    pub(crate) needs: Vec<String>,
}

/// A command that installs Python packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstallRow {
    /// Line of the command.
    pub line: usize,
    /// The installing tool, such as `pip` or `uv`.
    pub installer: &'static str,
    /// The command as written.
    pub command: String,
}

/// A session run by a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct JobSessionRow {
    pub(crate) line: usize,
    pub(crate) session: String,
    /// Usual duration in milliseconds in earlier runs, if there are any.
    pub(crate) usual_ms: Option<u64>,
}

/// A cache of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheRow {
    /// Line of the step's `uses`.
    pub line: usize,
    /// The action that restores and saves it.
    pub action: &'static str,
    /// Cached paths; empty if the action chooses them.
    pub paths: Vec<String>,
    /// The key; `None` if the action computes it.
    pub key: Option<String>,
}

/// Builds the inventory of a project; `usual_ms` returns a session's usual duration in milliseconds.
pub fn build_inventory(project: &AuditProject, usual_ms: &dyn Fn(&str) -> Option<u64>) -> Inventory {
    let row = |workflow| {
        let jobs: Vec<JobRow> =
            project.workflow_job_views(workflow).map(|view| build_job_row(&view, usual_ms)).collect();
        let path = critical_path(&jobs);
        let durations = path.iter().map(|name| jobs.iter().find(|job| job.job == *name)?.duration_ms);
        WorkflowRow {
            path: workflow.source.path.clone(),
            dialect: workflow.dialect.as_str(),
            critical_path_ms: durations.sum(),
            critical_path: path,
            jobs,
        }
    };
    let workflows: Vec<WorkflowRow> = project.workflows.iter().map(row).collect();
    let sessions: Vec<NoxfileSessionRow> =
        project.noxfile.iter().flat_map(|noxfile| noxfile_session_rows(project, noxfile)).collect();
    let unused_sessions = sessions.iter().filter(|row| row.jobs.is_empty()).map(|row| row.session.clone()).collect();
    Inventory { version: 2, workflows, sessions, unused_sessions }
}

fn noxfile_session_rows(project: &AuditProject, noxfile: &Noxfile) -> Vec<NoxfileSessionRow> {
    let row = |session: &NoxfileSession| {
        let runs = |view: &JobView| {
            let same = |name: &String| view.noxfile_session(name).is_some_and(|other| other.name == session.name);
            view.session_names().iter().any(same)
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

fn build_job_row(view: &JobView, usual_ms: &dyn Fn(&str) -> Option<u64>) -> JobRow {
    let line = |byte| view.source().position_at(byte).line;
    let calls = &view.analysis.nox_calls;
    let row = |(name, span): &(String, Span)| JobSessionRow {
        line: line(span.start),
        session: name.clone(),
        usual_ms: usual_ms(name),
    };
    let sessions: Vec<JobSessionRow> = calls.iter().flat_map(|call| &call.sessions).map(row).collect();
    let parallel = calls.iter().any(|call| call.parsed.is_noxide) || view.job.matrix.is_some();
    let sequential = if parallel || sessions.len() < 2 || view.required_order_reason().is_some() {
        Vec::new()
    } else {
        sessions.iter().map(|row| row.session.clone()).collect()
    };
    let durations: Option<Vec<u64>> = sessions.iter().map(|row| row.usual_ms).collect();
    JobRow {
        job: view.job.id.value.clone(),
        line: line(view.job.id.span.start),
        installs: view
            .analysis
            .installs
            .iter()
            .map(|job_install| InstallRow {
                line: line(job_install.span.start),
                installer: job_install.install.installer.as_str(),
                command: view.source().slice(job_install.span).to_owned(),
            })
            .collect(),
        caches: view.analysis.caches.iter().map(|cache| build_cache_row(cache, line(cache.span.start))).collect(),
        // Parallel sessions take at least as long as the longest one; nothing more is known here.
        duration_ms: durations.filter(|_| !parallel || sessions.len() < 2).map(|durations| durations.iter().sum()),
        sequential,
        sessions,
        needs: view.job.needs.iter().map(|need| need.value.clone()).collect(),
    }
}

fn build_cache_row(cache: &JobCache, line: usize) -> CacheRow {
    let action = match cache.kind {
        JobCacheKind::ActionsCache => "actions/cache",
        JobCacheKind::SetupUv => "setup-uv",
        JobCacheKind::SetupPython => "setup-python",
        JobCacheKind::Other => "another action",
    };
    let paths = cache.paths.iter().map(|path| path.value.clone()).collect();
    CacheRow { line, action, paths, key: cache.key.as_ref().map(|key| key.value.clone()) }
}

/// Returns the chain of `needs` that ends last: by duration if that of every job is known, else by number of jobs.
fn critical_path(jobs: &[JobRow]) -> Vec<String> {
    let weight = |job: &JobRow| match (job.sessions.is_empty(), job.duration_ms) {
        (true, _) => Some(0),
        (false, known) => known,
    };
    let measured = jobs.iter().any(|job| !job.sessions.is_empty()) && jobs.iter().all(|job| weight(job).is_some());
    let mut pending: Vec<usize> = (0..jobs.len()).collect();
    let mut finished: Vec<Option<(u64, Vec<usize>)>> = vec![None; jobs.len()];
    // If `needs` form a cycle, no pending job is ready: the first one is processed without its needs.
    while let Some(index) =
        pending.iter().position(|job| is_job_ready(jobs, &finished, *job)).or(Some(0).filter(|_| !pending.is_empty()))
    {
        let job = pending.remove(index);
        let ends: Vec<(u64, Vec<usize>)> = needed_jobs(jobs, job).filter_map(|need| finished[need].clone()).collect();
        // Of equally long paths, that of the first job in the file is used.
        let longest = ends.into_iter().rev().max_by_key(|(time, path)| (*time, path.len()));
        let (time, mut path) = longest.unwrap_or_default();
        path.push(job);
        let duration = if measured { weight(&jobs[job]).unwrap_or_default() } else { 1 };
        finished[job] = Some((time + duration, path));
    }
    let mut best: (u64, Vec<usize>) = (0, Vec::new());
    for end in finished.into_iter().flatten() {
        if (end.0, end.1.len()) > (best.0, best.1.len()) {
            best = end;
        }
    }
    best.1.into_iter().map(|job| jobs[job].job.clone()).collect()
}

/// Returns the indexes of the jobs that a job needs; names of unknown jobs are ignored.
fn needed_jobs<'a>(jobs: &'a [JobRow], job: usize) -> impl Iterator<Item = usize> + 'a {
    (0..jobs.len()).filter(move |other| *other != job && jobs[job].needs.contains(&jobs[*other].job))
}

fn is_job_ready(jobs: &[JobRow], finished: &[Option<(u64, Vec<usize>)>], job: usize) -> bool {
    needed_jobs(jobs, job).all(|need| finished[need].is_some())
}
