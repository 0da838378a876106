//! NX211: A session repeats commands that another session already runs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX211",
        name: "redundant-session",
        summary: "A session repeats commands that another session already runs.",
    },
    rationale: "The same commands run twice in every run.",
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

/// The session among `names` that runs all commands of this one, and more.
pub(super) fn find_containing_session<'a>(view: &JobView, name: &str, names: &'a [String]) -> Option<&'a str> {
    let session = view.noxfile_session(name)?;
    let own: Vec<&Vec<String>> = session.run_actions().map(|run| &run.args).collect();
    let posargs = |session: &str| {
        view.analysis
            .nox_calls
            .iter()
            .any(|call| !call.parsed.posargs.is_empty() && call.sessions.iter().any(|(other, _)| other == session))
    };
    if own.is_empty() || posargs(name) {
        return None;
    }
    names.iter().map(String::as_str).find(|other| {
        let Some(other) = view.noxfile_session(other).filter(|other| other.name != session.name) else { return false };
        let theirs: Vec<&Vec<String>> = other.run_actions().map(|run| &run.args).collect();
        let strict = other.run_actions().all(|run| !own.contains(&&run.args) || run.success_codes.is_empty());
        strict && theirs.len() > own.len() && own.iter().all(|run| theirs.contains(run))
    })
}
