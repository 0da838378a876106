//! NX306: A log is written but not uploaded.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX306", name: "log-not-uploaded", summary: "A log is written but not uploaded." },
    rationale: "It is lost with the container, although it would explain a failure.",
    evidence: "Observed: the lint job writes two logs and uploads one; the forge's own job log is not available through the API. In a job that uploads nothing, only logs that the job does not read itself are reported; pedantic on GitHub where the job log has the same text.",
    advice: "Add the file to the `path` of the upload.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          set -o pipefail
          nox -s lint 2>&1 | tee build/lint.log
          nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/lint.log}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          set -o pipefail
          nox -s lint 2>&1 | tee build/lint.log
          nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/*.log}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let uploads: Vec<&WorkflowStep> = view.job.steps.iter().filter(|step| step.is_artifact_upload()).collect();
        if uploads.is_empty() {
            report_lost_logs(&view, findings);
        }
        let Some((step, path)) = uploads.first().and_then(|step| Some((*step, step.input_value("path")?))) else {
            continue;
        };
        for (file, span) in session_log_files(&view) {
            let covered = uploads
                .iter()
                .filter_map(|step| step.input_value("path"))
                .any(|path| path.value.split('\n').any(|path| is_file_covered(path.trim(), &file)));
            if !covered {
                let finding = findings.report(view.source(), path.span, format!("{file} is written but not uploaded"));
                finding.add_related(view.source(), span, "written here");
                // Another directory would change the layout of the artifact.
                let directory = |path: &str| path.trim().rsplit_once('/').map(|(directory, _)| directory.to_owned());
                let is_beside = path.value.lines().all(|line| directory(line) == directory(&file));
                finding.fix = is_beside.then(|| fixes::step_edit::add_upload_path(&view, step, path, &file)).flatten();
            }
        }
    }
}

/// Reports the logs of a job that uploads nothing and reads none of them itself.
fn report_lost_logs(view: &JobView, findings: &mut FindingSink) {
    let text = view.source().slice(view.job.node.span);
    for (file, span) in session_log_files(view) {
        let name = file.rsplit('/').next().unwrap_or(&file);
        if text.matches(name).count() > 1 {
            continue;
        }
        let finding = findings.report(view.source(), span, format!("{file} is written but not uploaded"));
        finding.set_advice("Upload the file with `if: always()`.");
        if view.workflow.forge == Forge::Github && !is_redirected(view, span) {
            // The job log has the same text.
            finding.set_persona(Persona::Pedantic);
        }
    }
}

/// Whether the file at this position gets output that the job log does not show.
fn is_redirected(view: &JobView, span: Span) -> bool {
    let outputs = |step: &WorkflowStep| {
        let files = step.commands.iter().flat_map(|command| &command.output_files);
        files.map(|word| step.file_span(word.span)).collect::<Vec<_>>()
    };
    view.job.steps.iter().flat_map(outputs).any(|output| output == span)
}

/// Returns the log files that a job's sessions write, each with the span of its name.
pub(super) fn session_log_files(view: &JobView) -> Vec<(String, Span)> {
    let mut logs = Vec::new();
    for call in &view.analysis.nox_calls {
        let Some(step) = view.step(call.step_index) else { continue };
        let outputs = step.commands.get(call.command_index).into_iter().flat_map(|command| &command.output_files);
        let tee = step
            .commands
            .get(call.command_index + 1)
            .filter(|next| next.preceding_operator == ControlOperator::Pipe && next.program_name() == "tee");
        let tee =
            tee.into_iter().flat_map(|command| command.words.iter().skip(1).filter(|word| !word.text.starts_with('-')));
        let files = outputs.chain(tee).filter(|word| is_resolvable_path(&word.text) && !word.text.starts_with("/dev/"));
        logs.extend(files.map(|word| (word.text.clone(), step.file_span(word.span))));
    }
    logs
}

/// Whether a path contains no variables other than those of the matrix.
fn is_resolvable_path(name: &str) -> bool {
    let mut parts = name.split("${{ matrix.");
    let first = parts.next().unwrap_or_default();
    !first.contains('$') && parts.all(|part| part.split_once("}}").is_some_and(|(_, rest)| !rest.contains('$')))
}

/// Whether an upload's path includes a file.
fn is_file_covered(path: &str, file: &str) -> bool {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let parts: Vec<&str> = path.split('*').collect();
    if parts.len() == 1 {
        return path == file || path == "." || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    file.starts_with(first) && file.ends_with(last)
}
