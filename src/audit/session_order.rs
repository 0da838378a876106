//! Whether sessions of a job must keep their order, and why.

use super::project::JobView;
use super::workflow::WorkflowStep;

/// Why the sessions of a job must keep their order, if they must.
#[must_use]
pub(crate) fn required_order_reason(view: &JobView) -> Option<String> {
    for name in view.session_names() {
        let Some(facts) = view.noxfile_session(name) else { continue };
        for run in facts.run_actions() {
            let line = run.args.join(" ");
            if line.contains("--cov-append") || (line.contains("coverage") && line.contains("--append")) {
                return Some(format!("`{name}` appends to the coverage of the one before"));
            }
            if run.args.first().is_some_and(|word| word == "git")
                && ["commit", "tag", "push", "add"].iter().any(|verb| run.args.iter().any(|word| word == verb))
            {
                return Some(format!("`{name}` writes to the repository"));
            }
        }
    }
    let between = view.analysis.nox_calls.first()?.step_index..=view.analysis.nox_calls.last()?.step_index;
    let conditional = |step: &&WorkflowStep| between.contains(&step.index) && step.condition.is_some();
    let called = |step: &&WorkflowStep| view.analysis.nox_calls.iter().any(|call| call.step_index == step.index);
    if let Some(step) = view.job.steps.iter().filter(called).find(conditional) {
        return Some(format!("step `{}` has a condition of its own", step.display_name()));
    }
    let exports = view.job.steps.iter().filter(|step| between.contains(&step.index)).any(|step| {
        step.script.as_ref().is_some_and(|script| {
            script.text.contains("_ENV\"") || script.text.contains("_ENV ") || script.text.ends_with("_ENV")
        })
    });
    exports.then(|| "a step between them sets the environment".to_owned())
}
