//! NX415: A job reads the result or outputs of a job that it does not need.

use super::prelude::*;
use crate::audit::yaml::{YamlKind, YamlNode};

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX415",
        name: "needs-context-missing",
        summary: "A job reads the result or outputs of a job that it does not need.",
    },
    rationale: "The `needs` context contains only the jobs that `needs` names directly, not those that they need in turn. For any other job it is empty: a condition is never or always true, and an output is an empty text.",
    evidence: "3 jobs of 597 sampled workflows, all in one file: a cache that is never saved. The forge reports nothing.",
    advice: "Add the job to `needs`.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  changes:
    runs-on: docker
    outputs: {code: "${{ steps.filter.outputs.code }}"}
    steps:
      - id: filter
        run: echo "code=true" >> "$GITHUB_OUTPUT"
  lint:
    runs-on: docker
    needs: changes
    steps:
      - run: nox -s lint
  tests:
    runs-on: docker
    needs: lint
    if: needs.changes.outputs.code == 'true'
    steps:
      - run: nox -s tests
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  changes:
    runs-on: docker
    outputs: {code: "${{ steps.filter.outputs.code }}"}
    steps:
      - id: filter
        run: echo "code=true" >> "$GITHUB_OUTPUT"
  tests:
    runs-on: docker
    needs: changes
    if: needs.changes.outputs.code == 'true'
    steps:
      - run: nox -s tests
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.workflow.kind == WorkflowFileKind::Workflow) {
        let mut reported: Vec<String> = Vec::new();
        let mut visit = |text: &str, key: Option<&str>, span: Span| {
            let is_condition = key == Some("if");
            for name in needs_references(text, is_condition) {
                let is_needed = view.job.needs.iter().any(|need| need.value.eq_ignore_ascii_case(&name));
                if is_needed || reported.contains(&name) {
                    continue;
                }
                let exists = view.workflow.jobs.iter().any(|job| job.id.value.eq_ignore_ascii_case(&name));
                let job = &view.job.id.value;
                let message = if exists {
                    format!("job `{job}` does not need `{name}`: `needs.{name}` is empty here")
                } else {
                    format!("there is no job `{name}`: `needs.{name}` is empty here")
                };
                let finding = findings.report(view.source(), span, message);
                if key.is_some_and(|key| CACHE_INPUTS.contains(&key)) {
                    finding.set_severity(Severity::Medium);
                }
                reported.push(name);
            }
        };
        visit_scalars(&view.job.node, None, &mut visit);
    }
}

/// Inputs of actions that decide whether a cache is restored or saved.
const CACHE_INPUTS: [&str; 8] = [
    "save-cache",
    "save-if",
    "enable-cache",
    "restore-cache",
    "cache",
    "lookup-only",
    "save-always",
    "cache-on-failure",
];

/// Calls a function with each scalar of a node, and the key that it is the value of.
fn visit_scalars(node: &YamlNode, key: Option<&str>, visit: &mut impl FnMut(&str, Option<&str>, Span)) {
    match &node.kind {
        YamlKind::Scalar(text, _) => visit(text, key, node.span),
        YamlKind::Seq(items) => items.iter().for_each(|item| visit_scalars(item, None, visit)),
        YamlKind::Map(entries) => {
            entries.iter().for_each(|(key, value)| visit_scalars(value, key.as_str(), visit));
        }
    }
}

/// Returns the jobs whose `outputs` or `result` the expressions of a text read. Without `${{`, a condition is one
/// expression.
fn needs_references(text: &str, is_condition: bool) -> Vec<String> {
    if is_condition && !text.contains("${{") {
        return expression_references(text);
    }
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${{") {
        let (inside, after) = after.split_once("}}").unwrap_or((after, ""));
        found.extend(expression_references(inside));
        rest = after;
    }
    found
}

/// Returns the names `x` of `needs.x.outputs` and `needs.x.result` in an expression, outside of quoted texts.
fn expression_references(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_quoted = false;
    for (index, c) in expression.char_indices() {
        if c == '\'' {
            is_quoted = !is_quoted;
        }
        let Some(after) = expression.get(index..).and_then(|rest| rest.strip_prefix("needs.")) else { continue };
        let before = expression.get(..index).and_then(|text| text.chars().next_back());
        let is_word = before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
        let property = after.get(name.len()..).unwrap_or_default();
        let is_context = property.starts_with(".outputs") || property.starts_with(".result");
        if !is_quoted && !is_word && !name.is_empty() && is_context {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_expressions_only() {
        assert_eq!(needs_references("needs.a.result == 'b' && needs.c-d.outputs.x", true), ["a", "c-d"]);
        assert_eq!(needs_references("echo ${{ needs.a.outputs.b }} needs.c.result", false), ["a"]);
        for text in ["contains(needs.*.result, 'failure')", "'needs.a.result'", "x.needs.a.result", "needs.a.x"] {
            assert!(needs_references(text, true).is_empty(), "{text}");
        }
    }
}
