//! Events of a forge that start a workflow, and whose code their runs execute.

/// Events whose runs execute the code of their own branch, pull request or tag.
const OWN_CODE_EVENTS: [&str; 7] =
    ["push", "pull_request", "schedule", "workflow_dispatch", "merge_group", "release", "create"];

/// Returns whether a run that this event started executes only the code of its own branch, pull request or tag. Any other
/// event may give code of a pull request the rights of the repository.
pub(crate) fn runs_own_code(event: &str) -> bool {
    OWN_CODE_EVENTS.contains(&event)
}
