//! Builder of the inventory: reads what each job of a project's workflows installs, caches and runs.

use super::super::noxfile::{Noxfile, NoxfileSession};
use super::super::project::{AuditProject, JobView};
use super::super::workflow::ActionRef;
use super::critical_path::find_chains;
use super::job_caches::{find_cache_rows, may_have_hidden_cache, uncached_installers};
use super::job_work::{JobWork, find_job_work};
use super::other_installs::session_installs;
use super::session_names::{followed_sessions, follows_computed_names};
use super::table::{Inventory, JobRow, NoxfileSessionRow, WorkflowRow};

/// Builds the inventory of a project; `usual_ms` returns a session's usual duration in milliseconds.
pub fn build_inventory(project: &AuditProject, usual_ms: &dyn Fn(&str) -> Option<u64>) -> Inventory {
    let row = |workflow| {
        let jobs: Vec<JobRow> =
            project.workflow_job_views(workflow).map(|view| build_job_row(&view, usual_ms)).collect();
        let chains = find_chains(&jobs);
        WorkflowRow {
            path: workflow.source.path.clone(),
            forge: workflow.forge.as_str(),
            critical_path_ms: chains.duration_ms,
            critical_path: chains.critical_path,
            longest_chain: chains.longest_chain,
            jobs,
        }
    };
    let workflows: Vec<WorkflowRow> = project.workflows.iter().map(row).collect();
    let sessions: Vec<NoxfileSessionRow> =
        project.noxfile.iter().flat_map(|noxfile| noxfile_session_rows(&workflows, noxfile)).collect();
    let may_have_more_sessions = project.noxfile.as_ref().is_some_and(Noxfile::may_define_other_sessions);
    let is_complete = project.parse_failures.is_empty()
        && !may_have_more_sessions
        && !project.noxfile.as_ref().is_some_and(follows_computed_names)
        && workflows.iter().flat_map(|workflow| &workflow.jobs).all(shows_all_sessions);
    let unused = sessions.iter().filter(|row| row.jobs.is_empty() && !row.follows_other);
    let unused_sessions = is_complete.then(|| unused.map(|row| row.session.clone()).collect());
    Inventory { version: 3, workflows, sessions, may_have_more_sessions, unused_sessions }
}

/// Whether the files show every session that a job runs: it hides nothing, and calls only workflows of the project.
fn shows_all_sessions(job: &JobRow) -> bool {
    let is_remote = job.calls.as_deref().is_some_and(|uses| !ActionRef::parse(uses).is_local);
    !is_remote && !job.hidden.iter().any(|hidden| hidden.hides_sessions)
}

fn noxfile_session_rows(workflows: &[WorkflowRow], noxfile: &Noxfile) -> Vec<NoxfileSessionRow> {
    let base_name = |name: &str| noxfile.find_session(name).map(|session| session.name.clone());
    let runs = |job: &JobRow, session: &NoxfileSession| {
        job.sessions.iter().any(|row| base_name(&row.session).as_deref() == Some(session.name.as_str()))
    };
    let all_jobs = workflows.iter().flat_map(|workflow| &workflow.jobs);
    let mut started: Vec<String> =
        all_jobs.flat_map(|job| &job.sessions).filter_map(|row| base_name(&row.session)).collect();
    started.sort();
    started.dedup();
    followed_sessions(noxfile, &mut started);
    let row = |session: &NoxfileSession| {
        let jobs = workflows.iter().flat_map(|workflow| {
            let jobs = workflow.jobs.iter().filter(|job| runs(job, session));
            jobs.map(|job| (workflow.path.clone(), job.job.clone()))
        });
        let jobs: Vec<(String, String)> = jobs.collect();
        NoxfileSessionRow {
            session: session.name.clone(),
            line: noxfile.source.position_at(noxfile.session_span(session).start).line,
            installs: session_installs(session),
            may_install_more: session.may_install_more() || noxfile.source.text.contains("nox_uv"),
            follows_other: jobs.is_empty() && started.contains(&session.name),
            jobs,
        }
    };
    noxfile.sessions().iter().map(row).collect()
}

fn build_job_row(view: &JobView, usual_ms: &dyn Fn(&str) -> Option<u64>) -> JobRow {
    let JobWork { installs, sessions, hidden } = find_job_work(view, None, usual_ms);
    let caches = find_cache_rows(view, None);
    let calls = &view.analysis.nox_calls;
    let is_parallel_call = |call: &super::super::project::JobNoxCall| {
        let command = view.step(call.step_index).and_then(|step| step.commands.get(call.command_index));
        call.parsed.is_noxide || command.is_some_and(|command| command.has_word("-j") || command.has_word("--parallel"))
    };
    let may_overlap = calls.iter().any(is_parallel_call) || view.job.matrix.is_some();
    let hides_sessions = hidden.iter().any(|hidden| hidden.hides_sessions);
    let sequential = if may_overlap || hides_sessions || sessions.len() < 2 {
        Vec::new()
    } else {
        sessions.iter().map(|row| row.session.clone()).collect()
    };
    let durations: Option<Vec<u64>> = sessions.iter().map(|row| row.usual_ms).collect();
    JobRow {
        job: view.job.id.value.clone(),
        line: view.source().position_at(view.job.id.span.start).line,
        uncached: uncached_installers(view, &caches, &installs),
        caches,
        may_have_hidden_cache: may_have_hidden_cache(view),
        // Parallel sessions take at least as long as the longest one; nothing more is known here.
        duration_ms: durations.filter(|_| !may_overlap || sessions.len() < 2).map(|durations| durations.iter().sum()),
        installs,
        sequential,
        sessions,
        hidden,
        calls: view.job.uses.as_ref().map(|uses| uses.value.clone()),
        condition: view.job.condition.as_ref().map(|text| text.value.clone()),
        needs: view.job.needs.iter().map(|need| need.value.clone()).collect(),
    }
}
