//! NX213: The gate job treats a skipped job as failed.

use std::collections::HashSet;

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX213",
        name: "gate-fails-on-skipped",
        summary: "The gate job treats a skipped job as failed.",
    },
    rationale: "A job that is skipped on purpose then blocks the merge, and a gate that fails for the wrong reason is soon ignored. Reported if a needed job has a condition that the gate does not have: a needed job without a condition is skipped only after a failure.",
    evidence: "Observed: the gate was removed, restored, and failed for weeks. The rule reads scripts that compare results with `success` (in expressions, in variables, or in `toJSON(needs)`), steps that fail by their `if`, and `re-actors/alls-green` without `allowed-skips`. Not reported where the condition only asks for the success of needed jobs, where the script handles other results, or where an expression sets `allowed-skips`.",
    advice: "Accept `success` and `skipped`, and report jobs that failed or were cancelled.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    if: github.event_name == 'push'
    runs-on: docker
    steps:
      - run: nox
  gate:
    runs-on: docker
    needs: [a]
    if: always()
    steps:
      - run: |
          [ "${{ needs.a.result }}" = "success" ] || exit 1
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    if: github.event_name == 'push'
    runs-on: docker
    steps:
      - run: nox
  gate:
    runs-on: docker
    needs: [a]
    if: always()
    steps:
      - run: |
          case "${{ needs.a.result }}" in success|skipped) ;; *) exit 1 ;; esac
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(is_gate_job) {
        for step in &view.job.steps {
            let Some(required) = required_successes(&view, step) else { continue };
            let names = view.job.needs.iter().map(|need| need.value.as_str());
            if !has_skippable(&view, names.filter(|name| required.contains(name)).collect()) {
                continue;
            }
            let span = view.job.node.get_entry("if").map_or(view.job.id.span, |(key, _)| key.span);
            let finding = findings.report(view.source(), span, "this gate treats a skipped job as failed");
            let checked = step.script.as_ref().map_or(step.span, |script| script.span);
            finding.add_related(view.source(), checked, "only `success` passes");
            finding.fix = fixes::gate_job::rewrite_gate_script(&view, step);
        }
    }
}

/// The jobs whose result must be `success`.
enum RequiredSuccesses {
    /// All jobs in `needs`, except some.
    AllExcept(Vec<String>),
    Only(Vec<String>),
}

impl RequiredSuccesses {
    fn contains(&self, job: &str) -> bool {
        match self {
            Self::AllExcept(names) => !names.iter().any(|name| name == job),
            Self::Only(names) => names.iter().any(|name| name == job),
        }
    }
}

/// Returns the jobs that a step of a gate requires to succeed; `None` if it accepts skipped jobs, or is not understood.
fn required_successes(view: &JobView, step: &WorkflowStep) -> Option<RequiredSuccesses> {
    if step.uses_action("re-actors/alls-green") {
        let inputs: Vec<&SpannedText> =
            ["allowed-skips", "allowed-failures"].iter().filter_map(|name| step.input_value(name)).collect();
        let is_known = inputs.iter().all(|text| !text.value.contains("${{"));
        let names = inputs.iter().flat_map(|text| text.value.split(|c: char| c == ',' || "[]\"'".contains(c)));
        let names = names.map(|name| name.trim().to_owned()).collect();
        return is_known.then_some(RequiredSuccesses::AllExcept(names));
    }
    let script = script_text(step)?;
    let results = result_expressions(view, step, script);
    if results.is_empty() {
        return None;
    }
    let condition = step.condition.as_ref().map_or("", |text| text.value.as_str());
    if is_results_expression(&normalize_spaces(condition)) {
        return required_by_condition(&normalize_spaces(condition), script);
    }
    let plain = normalize_spaces(script);
    let rejects_skipped = plain.contains("contains(needs.*.result,'skipped')");
    let accepts_others = ["skipped", "failure", "cancelled"].iter().any(|word| script.contains(word));
    (rejects_skipped || (!accepts_others && compares_success(script) && can_fail(step, script)))
        .then(|| named_jobs(&results))
}

/// Returns the jobs that must not be skipped: with a skipped one, the condition of the step holds and the step fails.
fn required_by_condition(condition: &str, script: &str) -> Option<RequiredSuccesses> {
    let mut condition = condition.trim_start_matches("${{").trim_end_matches("}}").to_owned();
    for start in ["always()&&", "!cancelled()&&", "failure()||"] {
        condition = condition.replacen(start, "", 1);
    }
    if !fails_always(script) || condition.contains("&&") || condition.contains("!='skipped'") {
        return None;
    }
    if condition.contains("'skipped'") || condition.contains("\"skipped\"") {
        return Some(named_jobs(&[condition]));
    }
    let names = condition.split("needs.").skip(1).filter_map(|rest| rest.split_once(".result!='success'"));
    let names: Vec<String> = names.map(|(name, _)| name.to_owned()).filter(|name| is_job_name(name)).collect();
    (!names.is_empty()).then_some(RequiredSuccesses::Only(names))
}

/// Returns the script of a step: of `run`, or of `actions/github-script`.
fn script_text(step: &WorkflowStep) -> Option<&str> {
    let in_action = || step.input_value("script").filter(|_| step.uses_action("actions/github-script"));
    step.script.as_ref().map(|script| script.text.as_str()).or_else(|| in_action().map(|text| text.value.as_str()))
}

/// Returns the expressions of job results that a script reads: in its text, in the variables that it uses, and in the
/// condition of its step.
fn result_expressions(view: &JobView, step: &WorkflowStep, script: &str) -> Vec<String> {
    let variables = [&step.env, &view.job.env, &view.workflow.env].into_iter().flatten();
    let is_used = |name: &str| {
        script.match_indices(name).any(|(at, _)| {
            let (before, after) = (script.get(..at).unwrap_or_default(), script.get(at + name.len()..));
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !before.ends_with(is_word) && !after.unwrap_or_default().starts_with(is_word)
        })
    };
    let variables = variables.filter(|(name, _)| is_used(&name.value)).map(|(_, value)| value.value.as_str());
    let condition = step.condition.iter().map(|text| text.value.as_str());
    let texts = std::iter::once(script).chain(variables).chain(condition).map(normalize_spaces);
    texts.filter(|text| is_results_expression(text)).collect()
}

/// Whether a normalized text reads the results of needed jobs.
fn is_results_expression(text: &str) -> bool {
    (text.contains("needs.") && text.contains(".result")) || text.to_lowercase().contains("tojson(needs)")
}

/// Returns the jobs whose results the expressions read.
fn named_jobs(expressions: &[String]) -> RequiredSuccesses {
    let reads_all = |text: &String| text.contains("needs.*.result") || text.to_lowercase().contains("tojson(needs)");
    if expressions.iter().any(reads_all) {
        return RequiredSuccesses::AllExcept(Vec::new());
    }
    let names = expressions.iter().flat_map(|text| text.split("needs.").skip(1));
    let names = names.filter_map(|rest| rest.split_once(".result")).map(|(name, _)| name.to_owned());
    RequiredSuccesses::Only(names.filter(|name| is_job_name(name)).collect())
}

fn is_job_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Returns a text without spaces and with single quotes only.
fn normalize_spaces(text: &str) -> String {
    text.replace('"', "'").split_whitespace().collect()
}

/// Whether a script compares something with `success`, or searches for it.
fn compares_success(script: &str) -> bool {
    script.match_indices("success").any(|(at, word)| {
        let before = script.get(..at).unwrap_or_default();
        let before = before.trim_end_matches(|c: char| c == ' ' || "'\"\\(^".contains(c));
        let after = script.get(at + word.len()..).unwrap_or_default();
        before.ends_with(['=', '~']) || after.starts_with(')') || before.ends_with("grep -qv") || before.ends_with("-v")
    })
}

/// Whether a script can fail: by a command that exits or raises, or by the status of a test.
fn can_fail(step: &WorkflowStep, script: &str) -> bool {
    let is_test = |program: &str| matches!(program, "[" | "[[" | "test" | "jq" | "grep");
    let mut commands = step.commands.iter();
    fails_always(script)
        || ["assert", "raise "].iter().any(|word| script.contains(word))
        || commands.any(|command| is_test(command.program_name()) && !command.is_conditional)
}

/// Whether a script has a command that fails whenever it is reached.
fn fails_always(script: &str) -> bool {
    ["exit 1", "exit(1)", "sys.exit(", "setFailed", "exit ${{"].iter().any(|text| script.contains(text))
        || script.lines().any(|line| line.trim() == "false" || line.trim() == "/bin/false")
}

/// Whether one of some needed jobs can be skipped on purpose: it has a condition that the gate has not, or needs such a job.
fn has_skippable(view: &JobView, names: Vec<&str>) -> bool {
    let condition = |text: &SpannedText| {
        let text = normalize_spaces(&text.value);
        text.trim_start_matches("${{").trim_end_matches("}}").to_owned()
    };
    let gate_condition = view.job.condition.as_ref().map(condition).unwrap_or_default();
    let mut pending = names;
    let mut seen: HashSet<&str> = HashSet::new();
    while let Some(name) = pending.pop() {
        let Some(job) = view.workflow.find_job(name).filter(|_| seen.insert(name)) else { continue };
        // Without `always()`, what remains of the condition.
        let own = job.condition.as_ref().map(condition).unwrap_or_default();
        let own =
            ["always()&&", "!cancelled()&&", "success()&&"].iter().fold(own, |text, start| text.replace(start, ""));
        // What holds in the repository itself skips the job only in forks.
        let is_repository = |part: &str| part.contains("github.repository") && part.contains("==");
        let only_repository = own.split("||").any(|choice| choice.split("&&").all(is_repository));
        // If it asks for success, it is skipped only after a failure, which the gate reports.
        let asks_for_success = own.split("&&").all(|part| {
            let name = part.strip_prefix("needs.").and_then(|rest| rest.strip_suffix(".result=='success'"));
            name.is_some_and(|name| job.needs.iter().any(|need| need.value == name))
        });
        let is_certain = asks_for_success || ["", "success()", "always()", "!cancelled()"].contains(&own.as_str());
        if !is_certain && !only_repository && !own.contains("failure()") && !gate_condition.contains(&own) {
            return true;
        }
        // It runs whatever happens to the jobs that it needs.
        if job.runs_after_failure() && !asks_for_success {
            continue;
        }
        pending.extend(job.needs.iter().map(|need| need.value.as_str()));
    }
    false
}

/// Whether a job only checks the results of other jobs.
pub(super) fn is_gate_job(view: &JobView) -> bool {
    let reads_results = |step: &WorkflowStep| {
        let reads = |script: &str| {
            let mut texts = result_expressions(view, step, script).into_iter();
            let condition = step.condition.as_ref().map_or(String::new(), |text| normalize_spaces(&text.value));
            texts.any(|text| text != condition || fails_always(script))
        };
        step.uses_action("re-actors/alls-green") || script_text(step).is_some_and(reads)
    };
    view.job.runs_after_failure()
        && !view.job.needs.is_empty()
        && view.job.steps.iter().any(reads_results)
        && view.analysis.nox_calls.is_empty()
}
