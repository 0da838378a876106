//! NX411: The workflow and the noxfile set different coverage thresholds.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX411",
        name: "conflicting-thresholds",
        summary: "The workflow and the noxfile set different coverage thresholds.",
    },
    rationale: "Only one of them takes effect, and readers of the other are misled.",
    evidence: "Observed: 97 in the noxfile, 50 in a step that only prints it. The rule reads constants of the noxfile, and literals that a session passes (`--fail-under=97`); not reported where one of several thresholds is equal.",
    advice: "Keep one number, in the noxfile or in pyproject.toml.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s coverage
      - run: coverage report --fail-under=50
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

COVERAGE_THRESHOLD = 97

@nox.session
def coverage(session):
    session.run("coverage", "report", f"--fail-under={COVERAGE_THRESHOLD}")
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s coverage
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

COVERAGE_THRESHOLD = 97

@nox.session
def coverage(session):
    session.run("coverage", "report", f"--fail-under={COVERAGE_THRESHOLD}")
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some(noxfile) = &project.noxfile else { return };
    // 0 turns the check off.
    let thresholds: Vec<_> = noxfile.coverage_thresholds().into_iter().filter(|known| known.value > 0.0).collect();
    let Some(threshold) = thresholds.first() else { return };
    for view in project.job_views() {
        for step in &view.job.steps {
            let Some(script) = &step.script else { continue };
            for (range, number, value) in parse_thresholds(&script.text) {
                let is_known = thresholds.iter().any(|known| (value - known.value).abs() < f64::EPSILON);
                if !is_known && value > 0.0 {
                    let message = format!("the workflow requires {value} %, the noxfile {} %", threshold.value);
                    let finding = findings.report(view.source(), script.file_span(range), message);
                    finding.add_related(
                        &noxfile.source,
                        noxfile.threshold_span(threshold),
                        "the threshold of the noxfile",
                    );
                    finding.fix = fixes::run_script::replace_script_range(
                        &view,
                        step,
                        number,
                        &threshold.value.to_string(),
                        "use the threshold of the noxfile",
                    )
                    .map(fixes::mark_display_only);
                }
            }
        }
    }
}

/// Returns thresholds set in a script: the span of the assignment, the span of the number, and the number.
fn parse_thresholds(text: &str) -> Vec<(Span, Span, f64)> {
    let mut all = Vec::new();
    for name in ["threshold", "fail-under", "fail_under"] {
        for (at, _) in text.match_indices(name) {
            let after = text.get(at + name.len()..).unwrap_or_default();
            let skipped = after.len() - after.trim_start_matches([' ', '=', ':']).len();
            let number = after.get(skipped..).unwrap_or_default();
            let length = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
            let digits = number.get(..length).unwrap_or_default().trim_end_matches('.');
            if let (true, Ok(value)) = (skipped > 0, digits.parse()) {
                let start = at + name.len() + skipped;
                let end = start + digits.len();
                all.push((Span::new(at, end), Span::new(start, end), value));
            }
        }
    }
    all
}
