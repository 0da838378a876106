//! Fixes that keep what sessions said.

use super::super::dialect::Dialect;
use super::super::fix::Fix;
use super::super::survey::View;
use super::place::{fix, quoted};
use super::shell::rewrite;
use super::step::{append_step, dash_indent};

/// Writes a job's output to a file and uploads it, whatever happens.
pub fn keep(view: &View) -> Option<Fix> {
    let [call] = view.survey.calls.as_slice() else { return None };
    let step = view.step(call.step)?;
    let command = step.commands.get(call.command)?;
    let text = &step.script.as_ref()?.text;
    let piped =
        step.commands.get(call.command + 1).is_some_and(|next| next.joiner == super::super::shell::Joiner::Pipe);
    if command.around.is_some() || command.conditional || piped || !command.outputs.is_empty() {
        return None;
    }
    let id = match &view.job.matrix {
        None => view.job.id.value.clone(),
        // One log and one artefact for each job of the matrix.
        Some(matrix) if matrix.axes.len() == 1 => format!("{}-{}", view.job.id.value, view.session_of_matrix()?),
        Some(_) => return None,
    };
    let file = format!("build/nox-{id}-output.log");
    let line = super::shell::whole_line(text, command.span);
    let new = format!(
        "{}set -o pipefail\nmkdir -p build\n{} 2>&1 | tee {file}{}",
        text.get(..line.start)?,
        text.get(line.start..command.span.end)?,
        text.get(command.span.end..)?
    );
    let (edit, change) = rewrite(view, step, &new)?;
    let dash = dash_indent(view)?;
    let uses = upload(view);
    let lines = [
        format!("{dash}- name: Upload nox output log"),
        format!("{dash}  if: always()"),
        format!("{dash}  uses: {uses}"),
        format!("{dash}  with:"),
        format!("{dash}    name: ci-logs-{id}"),
        format!("{dash}    path: {file}"),
    ];
    let value = format!(
        "{{name: Upload nox output log, if: always(), uses: {}, with: {{name: {}, path: {}}}}}",
        quoted(&uses),
        quoted(&format!("ci-logs-{id}")),
        quoted(&file)
    );
    let (added, inserted) = append_step(view, &lines, &value)?;
    Some(fix(view, "keep the output and upload it", false, vec![edit, added], vec![change, inserted]))
}

/// The upload action that the project uses already, or the forge's own.
fn upload(view: &View) -> String {
    let used = view.project.jobs().flat_map(|view| &view.job.steps).find(|step| step.is_upload());
    used.and_then(|step| step.uses.as_ref()).map_or_else(
        || match view.workflow.dialect {
            Dialect::Forgejo => "https://code.forgejo.org/forgejo/upload-artifact@v4".to_owned(),
            Dialect::Gitea => "actions/upload-artifact@v3".to_owned(),
            Dialect::Github => "actions/upload-artifact@v6".to_owned(),
        },
        |uses| uses.value.clone(),
    )
}
