//! NX304: A report or log is uploaded only when all earlier steps succeed.

use super::prelude::*;
use crate::audit::shell::ShellCommand;
use crate::audit::workflow::WorkflowJob;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX304",
        name: "upload-without-always",
        summary: "A report or log is uploaded only when all earlier steps succeed.",
    },
    rationale: "It is missing exactly when it is needed. Not reported for data that a later job downloads, which runs only after a success; for steps with a condition or `if-no-files-found: error`; where the sessions may fail (`continue-on-error`); or where the job only combines what other jobs uploaded.",
    evidence: "57 steps in 35 % of sampled repositories.",
    advice: "Add `if: always()`, or `if: ${{ !cancelled() }}`.",
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
      - run: nox -s tests 2>&1 | tee build/tests.log
      - uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let runs_tests = |step: &WorkflowStep| {
            view.analysis.nox_calls.iter().any(|call| call.step_index == step.index)
                || step.commands.iter().any(is_test_command)
        };
        let Some(first) = view.job.steps.iter().position(runs_tests) else { continue };
        // A report is combined from downloaded data after the tests, or not at all.
        if view.job.steps.iter().any(|step| step.uses_action("actions/download-artifact")) && combines_data(&view) {
            continue;
        }
        for step in view.job.steps.iter().filter(|step| step.index > first && step.is_artifact_upload()) {
            let path = step.input_value("path").map(|text| text.value.to_lowercase()).unwrap_or_default();
            let is_report = path.split(|c: char| !c.is_ascii_alphanumeric()).any(is_report_word);
            // Missing files would fail the step again, and where sessions may fail, it runs anyway.
            let asserts_files = step.input_value("if-no-files-found").is_some_and(|text| text.value == "error");
            let before = view.job.steps.iter().take(step.index);
            let mut sessions = before.filter(|step| runs_tests(step));
            let may_fail = |step: &WorkflowStep| {
                let value = step.node.get("continue-on-error").and_then(|node| node.as_str());
                value.is_some_and(|value| value != "false")
            };
            let is_reached_anyway = sessions.all(may_fail) || view.job.continue_on_error.is_some();
            if is_report
                && !step.runs_after_failure()
                && step.condition.is_none()
                && !asserts_files
                && !is_reached_anyway
                && !is_downloaded(&view, step)
            {
                let fix = fixes::step_edit::add_always_condition(&view, step);
                let message = if view.analysis.nox_calls.is_empty() {
                    "not uploaded when a test fails"
                } else {
                    "not uploaded when a session fails"
                };
                let finding = findings.report(view.source(), step.span, message);
                finding.set_fix(fix);
            }
        }
    }
}

/// Whether a word of a path stands for logs or reports.
fn is_report_word(word: &str) -> bool {
    matches!(word, "log" | "logs" | "htmlcov" | "result" | "results" | "xml" | "output" | "outputs")
        || ["report", "coverage", "junit", "testresult"].iter().any(|start| word.starts_with(start))
}

/// Whether a command runs tests: pytest, tox or unittest, started directly or by uv, poetry, pdm, hatch or coverage.
fn is_test_command(command: &ShellCommand) -> bool {
    let mut words = command.words.iter().map(|word| word.text.as_str()).peekable();
    let is_start = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        let is_python = name.starts_with("python");
        is_python || matches!(name, "uv" | "poetry" | "pdm" | "hatch" | "coverage" | "xvfb-run" | "run" | "uvx")
    };
    while words.next_if(|word| is_start(word) || word.starts_with('-')).is_some() {}
    words.next().is_some_and(|word| matches!(word, "pytest" | "py.test" | "tox" | "unittest"))
}

/// Whether another job, or a workflow that this one starts, downloads the artifact or may do so: a download without a
/// written name can have any.
fn is_downloaded(view: &JobView, step: &WorkflowStep) -> bool {
    let name = step.input_value("name").map_or("artifact", |text| text.value.as_str());
    let is_log = name.to_lowercase().contains("log");
    let written = name.split("${{").next().unwrap_or_default();
    let is_other_name = |text: &SpannedText| {
        let is_computed = text.value.contains("${{");
        !is_computed && if written == name { text.value != name } else { !text.value.starts_with(written) }
    };
    let downloads = |job: &WorkflowJob| {
        let text = view.source().slice(job.node.span);
        let named = job.steps.iter().filter(|step| {
            let is_download =
                step.uses_action("actions/download-artifact") || step.uses_action("forgejo/download-artifact");
            is_download && step.input_value("name").is_some_and(is_other_name)
        });
        text.contains("gh run download") || text.matches("download-artifact").count() > named.count()
    };
    let mut in_workflow = view.workflow.jobs.iter().filter(|job| job.id.value != view.job.id.value);
    let calls_workflow = view.workflow.jobs.iter().any(|job| job.uses.is_some());
    // Coverage data is combined by another job; logs are for people.
    (in_workflow.any(downloads) || calls_workflow) && !is_log
}

/// Whether the sessions of a job that downloads artifacts are named after coverage.
fn combines_data(view: &JobView) -> bool {
    let names = |text: &str| text.contains("coverage") || text.contains("combine");
    let in_commands = view.job.steps.iter().flat_map(|step| &step.commands);
    let mut runs = in_commands.filter(|command| is_test_command(command) && !command.has_word("pytest"));
    let sessions = view.session_names();
    let by_tool = sessions.is_empty() && runs.all(|command| names(&command.command_line()));
    by_tool || (!sessions.is_empty() && sessions.iter().all(|name| names(name)))
}
