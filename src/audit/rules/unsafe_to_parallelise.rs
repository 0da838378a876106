//! NX206: sessions of a job build on one another: running them side by side would change results.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX206",
        name: "unsafe-to-parallelise",
        what: "Sessions of a job build on one another: running them side by side would change results.",
    },
    why: "`--cov-append`, a shared coverage file, `dist/`, git writes: the order is part of the meaning, so noxide offers no rewrite here.",
    evidence: "2 of 75 sampled repositories append coverage between sessions; the users' test sessions rebuild one template database (T1).",
    advice: "Give each session its own data file and combine at the end, or keep the order.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          nox -s unit
          nox -s integration
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def unit(session):
    session.run("pytest", "--cov", "tests/unit")

@nox.session
def integration(session):
    session.run("pytest", "--cov", "--cov-append", "tests/integration")
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
      - run: |
          nox -s unit
          nox -s integration
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def unit(session):
    session.run("pytest", "tests/unit")

@nox.session
def integration(session):
    session.run("pytest", "tests/integration")
"#,
        ),
    ],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs().filter(|view| view.sessions().len() > 1) {
        if let (Some(reason), Some(call)) = (reason(&view), view.survey.calls.first()) {
            found.report(view.source(), call.place, format!("these sessions keep their order: {reason}"));
        }
    }
}

/// Why the sessions of a job must keep their order, if they must.
pub(super) fn reason(view: &View) -> Option<String> {
    for name in view.sessions() {
        let Some(facts) = view.facts(name) else { continue };
        for run in facts.runs() {
            let line = run.args.join(" ");
            if line.contains("--cov-append") || (line.contains("coverage") && line.contains("--append")) {
                return Some(format!("`{name}` appends to the coverage of the one before"));
            }
            if run.args.first().is_some_and(|word| word == "git")
                && ["commit", "tag", "push", "add"].iter().any(|verb| run.args.iter().any(|word| word == verb))
            {
                return Some(format!("`{name}` writes to the repository"));
            }
        }
    }
    let between = view.survey.calls.first()?.step..=view.survey.calls.last()?.step;
    let conditional = |step: &&Step| between.contains(&step.index) && step.condition.is_some();
    let called = |step: &&Step| view.survey.calls.iter().any(|call| call.step == step.index);
    if let Some(step) = view.job.steps.iter().filter(called).find(conditional) {
        return Some(format!("step `{}` has a condition of its own", step.title()));
    }
    let exports = view.job.steps.iter().filter(|step| between.contains(&step.index)).any(|step| {
        step.script.as_ref().is_some_and(|script| {
            script.text.contains("_ENV\"") || script.text.contains("_ENV ") || script.text.ends_with("_ENV")
        })
    });
    exports.then(|| "a step between them sets the environment".to_owned())
}
