//! Fix that writes session output to a log and uploads it.

use super::super::fix::Fix;
use super::super::forge::Forge;
use super::super::project::JobView;
use super::run_script::rewrite_script;
use super::step_edit::{append_step, step_indent};
use super::text_edit::{quote_scalar, unsafe_fix};

/// Writes the output of a job's sessions to a file and uploads it, even after a failure. Returns `None` for a workflow with
/// secrets: the runner masks them in its log, but not in files.
pub(crate) fn add_log_upload(view: &JobView) -> Option<Fix> {
    let [call] = view.analysis.nox_calls.as_slice() else { return None };
    if has_secrets(&view.source().text) {
        return None;
    }
    let step = view.step(call.step_index)?;
    let command = step.commands.get(call.command_index)?;
    super::run_script::has_bash(view, step).then_some(())?;
    let text = &step.script.as_ref()?.text;
    let piped = step
        .commands
        .get(call.command_index + 1)
        .is_some_and(|next| next.preceding_operator == super::super::shell::ControlOperator::Pipe);
    if command.enclosing_loop.is_some() || command.is_conditional || piped || !command.output_files.is_empty() {
        return None;
    }
    let id = match &view.job.matrix {
        None => view.job.id.value.clone(),
        // One log and one artifact per job of the matrix.
        Some(matrix) if matrix.axes.len() == 1 => {
            format!("{}-{}", view.job.id.value, view.matrix_session_expression()?)
        }
        Some(_) => return None,
    };
    let file = format!("build/nox-{id}-output.log");
    let line = super::run_script::expand_to_script_lines(text, command.span);
    let new = format!(
        "{}set -o pipefail\nmkdir -p build\n{} 2>&1 | tee {file}{}",
        text.get(..line.start)?,
        text.get(line.start..command.span.end)?,
        text.get(command.span.end..)?
    );
    let (edit, change) = rewrite_script(view, step, &new)?;
    let dash_indent = step_indent(view)?;
    let uses = choose_upload_action(view);
    let lines = [
        format!("{dash_indent}- name: Upload nox output log"),
        format!("{dash_indent}  if: always()"),
        format!("{dash_indent}  uses: {uses}"),
        format!("{dash_indent}  with:"),
        format!("{dash_indent}    name: ci-logs-{id}"),
        format!("{dash_indent}    path: {file}"),
    ];
    let value = format!(
        "{{name: Upload nox output log, if: always(), uses: {}, with: {{name: {}, path: {}}}}}",
        quote_scalar(&uses),
        quote_scalar(&format!("ci-logs-{id}")),
        quote_scalar(&file)
    );
    let (added, inserted) = append_step(view, &lines, &value)?;
    Some(unsafe_fix(view, "write the output to a log and upload it", vec![edit, added], vec![change, inserted]))
}

/// Returns the upload action that the project already uses, or the one that the forge supports.
fn choose_upload_action(view: &JobView) -> String {
    let used = view.project.job_views().flat_map(|view| &view.job.steps).find(|step| step.is_artifact_upload());
    used.and_then(|step| step.uses.as_ref()).map_or_else(
        || match view.workflow.forge {
            Forge::Forgejo => "https://code.forgejo.org/forgejo/upload-artifact@v4".to_owned(),
            Forge::Gitea => "actions/upload-artifact@v3".to_owned(),
            Forge::Github => "actions/upload-artifact@v6".to_owned(),
        },
        |uses| uses.value.clone(),
    )
}

/// Whether a workflow uses a secret other than the token of the run.
fn has_secrets(text: &str) -> bool {
    let text = text.to_lowercase().replace("secrets.github_token", "").replace("secrets.forgejo_token", "");
    text.contains("secrets")
}
