//! NX217: Each job of a matrix sets up interpreters that it does not use.

use super::prelude::*;
use crate::audit::shell::NoxCallSelection;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX217",
        name: "interpreters-per-entry",
        summary: "Each job of a matrix sets up interpreters that it does not use.",
    },
    rationale: "The matrix gives each job one Python version, and each job downloads and sets up all of them first. Over sessions and operating systems, that takes minutes of runner time for seconds of work.",
    evidence: "The nox action sets up five interpreters if `python-versions` is not set. Reported only where every call of nox in the job names the version of the matrix entry (`tests-${{ matrix.python }}`, `-p ${{ matrix.python }}`). A list of setup-python is not reported: tests of tools for several interpreters need it.",
    advice: "Set up the version of the entry only: `python-versions: ${{ matrix.python }}`.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [ubuntu-latest, windows-latest]
        python: ["3.12", "3.13", "3.14"]
    steps:
      - uses: actions/checkout@v6
      - uses: wntrblm/nox@2026.04.10
      - run: nox -s tests-${{ matrix.python }}
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [ubuntu-latest, windows-latest]
        python: ["3.12", "3.13", "3.14"]
    steps:
      - uses: actions/checkout@v6
      - uses: wntrblm/nox@2026.04.10
        with:
          python-versions: ${{ matrix.python }}
      - run: nox -s tests-${{ matrix.python }}
"#,
    )],
    check_project,
};

/// Number of interpreters from which on the setup is reported.
const MANY_INTERPRETERS: usize = 3;

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let Some(axis) = version_axis(&view) else { continue };
        for step in view.job.steps.iter().filter(|step| step.condition.is_none()) {
            let (Some(interpreters), Some(uses)) = (describe_interpreters(step), &step.uses) else { continue };
            let message =
                format!("each job of the matrix sets up {interpreters} and uses one: `${{{{ matrix.{axis} }}}}`");
            findings.report(view.source(), uses.span, message);
        }
    }
}

/// Returns the axis of the matrix that gives every call of nox in the job its one Python version.
fn version_axis<'a>(view: &JobView<'a>) -> Option<&'a str> {
    let matrix = view.job.matrix.as_ref()?;
    let is_version = |value: &String| value.starts_with(|c: char| c.is_ascii_digit());
    let axis = matrix.axes.iter().find(|(name, values)| {
        let name = name.to_lowercase();
        (name.contains("python") || name == "py") && values.len() > 1 && values.iter().all(is_version)
    });
    let (axis, _) = axis?;
    let calls = &view.analysis.nox_calls;
    let names_version = |text: &str| text.contains("${{") && text.contains(&format!("matrix.{axis} "));
    let is_single = |call: &crate::audit::project::JobNoxCall| {
        let command = view.step(call.step_index).and_then(|step| step.commands.get(call.command_index));
        let by_option = command.is_some_and(|command| {
            command.words.windows(2).any(|pair| {
                matches!(pair[0].text.as_str(), "-p" | "--python" | "--pythons")
                    && names_version(&spaced(&pair[1].text))
            })
        });
        let by_name = match &call.parsed.selection {
            NoxCallSelection::Names(words) => {
                words.iter().all(|word| word.text.contains("-${{") && names_version(&spaced(&word.text)))
            }
            _ => false,
        };
        by_option || by_name
    };
    (!calls.is_empty() && calls.iter().all(is_single)).then_some(axis)
}

/// Returns a text with a space before the end of each expression, so that names of axes can be compared.
fn spaced(text: &str) -> String {
    text.replace("}}", " }}")
}

/// Describes the interpreters that a step sets up, if they are many and written out.
fn describe_interpreters(step: &WorkflowStep) -> Option<String> {
    let input = |name: &str| step.input_value(name).map(|text| text.value.as_str());
    if !step.uses_action("wntrblm/nox") {
        return None;
    }
    let Some(versions) = input("python-versions") else {
        return Some("the default interpreters of the nox action".to_owned());
    };
    let count = versions.split(',').filter(|part| !part.trim().is_empty()).count();
    (count >= MANY_INTERPRETERS && !versions.contains("${{")).then(|| format!("{count} interpreters"))
}
