//! NX411: the workflow and the noxfile ask for different coverage.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX411",
        name: "contradicting-thresholds",
        what: "The workflow and the noxfile ask for different coverage.",
    },
    why: "Only one of the two decides, and who reads the other is misled.",
    evidence: "W21: 97 in the noxfile, 50 in a step that only prints (#8318, #9264).",
    advice: "Keep one number, in the noxfile or in pyproject.toml.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[
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
    good: &[
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    let Some(noxfile) = &project.noxfile else { return };
    let Some(threshold) = noxfile.thresholds().first() else { return };
    for view in project.jobs() {
        for step in &view.job.steps {
            let Some(script) = &step.script else { continue };
            for (range, number, value) in thresholds(&script.text) {
                if (value - threshold.value).abs() > f64::EPSILON {
                    let message = format!("the workflow asks for {value} %, the noxfile for {} %", threshold.value);
                    let finding = found.report(view.source(), script.place(range), message);
                    finding.also(&noxfile.source, noxfile.place_of_threshold(threshold), "the noxfile's number");
                    finding.fix = fixes::shell::replace(
                        &view,
                        step,
                        number,
                        &threshold.value.to_string(),
                        "ask for the noxfile's number",
                    );
                }
            }
        }
    }
}

/// Assignments of a threshold in a script: the whole, the number's own range, the number.
fn thresholds(text: &str) -> Vec<(Span, Span, f64)> {
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
