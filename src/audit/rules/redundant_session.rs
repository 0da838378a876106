//! NX211: A session repeats commands that another session already runs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX211",
        name: "redundant-session",
        summary: "A session repeats commands that another session already runs.",
    },
    rationale: "The same commands are executed twice in every run of the workflow.",
    evidence: "Observed: `dead_code` is the last command of `security_scan`, and both run in the same job.",
    advice: "Remove the smaller session from this job.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  security:
    runs-on: docker
    steps:
      - run: |
          nox -s security
          nox -s dead_code
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def security(session):
    session.install("bandit", "vulture")
    session.run("bandit", "src")
    session.run("vulture")

@nox.session
def dead_code(session):
    session.install("vulture")
    session.run("vulture")
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  security:
    runs-on: docker
    steps:
      - run: nox -s security
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def security(session):
    session.install("bandit", "vulture")
    session.run("bandit", "src")
    session.run("vulture")
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let names = view.session_names();
        for call in &view.analysis.nox_calls {
            for (name, span) in &call.sessions {
                let Some(larger) = find_containing_session(&view, name, names) else { continue };
                let finding = findings.report(
                    view.source(),
                    *span,
                    format!("`{name}` runs only commands that `{larger}` runs in the same job"),
                );
                if let (Some(noxfile), Some(session)) = (&project.noxfile, view.noxfile_session(name)) {
                    finding.add_related(
                        &noxfile.source,
                        noxfile.session_span(session),
                        format!("`{larger}` runs all of these commands"),
                    );
                }
                finding.fix = fixes::run_script::remove_session(&view, call, name, *span);
            }
        }
    }
}

/// Returns the session among `names` that runs all commands of this one, and more.
pub(super) fn find_containing_session<'a>(view: &JobView, name: &str, names: &'a [String]) -> Option<&'a str> {
    let session = view.noxfile_session(name)?;
    let commands: Vec<&Vec<String>> = session.run_actions().map(|run| &run.args).collect();
    let has_posargs = |session: &str| {
        view.analysis
            .nox_calls
            .iter()
            .any(|call| !call.parsed.posargs.is_empty() && call.sessions.iter().any(|(other, _)| other == session))
    };
    if commands.is_empty() || has_posargs(name) {
        return None;
    }
    names.iter().map(String::as_str).find(|other| {
        let Some(other) = view.noxfile_session(other).filter(|other| other.name != session.name) else { return false };
        let other_commands: Vec<&Vec<String>> = other.run_actions().map(|run| &run.args).collect();
        let fails_on_error =
            other.run_actions().all(|run| !commands.contains(&&run.args) || run.success_codes.is_empty());
        fails_on_error
            && other_commands.len() > commands.len()
            && commands.iter().all(|run| other_commands.contains(run))
    })
}
