//! NX211: A session runs although another one does all that it does.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX211",
        name: "contained-session",
        what: "A session runs although another one does all that it does.",
    },
    why: "The same commands run twice in every run.",
    evidence: "W14: `dead_code` is the last command of `security_scan`, and both run in the same job.",
    advice: "Leave the smaller one out here.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[
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
    good: &[
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        let names = view.sessions();
        for call in &view.survey.calls {
            for (name, place) in &call.sessions {
                let Some(larger) = container(&view, name, names) else { continue };
                let finding = found.report(
                    view.source(),
                    *place,
                    format!("`{name}` does only what `{larger}` does in the same job"),
                );
                if let (Some(noxfile), Some(facts)) = (&project.noxfile, view.facts(name)) {
                    finding.also(&noxfile.source, noxfile.place_of_session(facts), "all its commands are in the other");
                }
                finding.fix = fixes::shell::drop_session(&view, call, name, *place);
            }
        }
    }
}

/// The session among `names` that does all that this one does, and more.
pub(super) fn container<'a>(view: &View, name: &str, names: &'a [String]) -> Option<&'a str> {
    let facts = view.facts(name)?;
    let own: Vec<&Vec<String>> = facts.runs().map(|run| &run.args).collect();
    let posargs = |session: &str| {
        view.survey
            .calls
            .iter()
            .any(|call| !call.nox.posargs.is_empty() && call.sessions.iter().any(|(other, _)| other == session))
    };
    if own.is_empty() || posargs(name) {
        return None;
    }
    names.iter().map(String::as_str).find(|other| {
        let Some(other) = view.facts(other).filter(|other| other.name != facts.name) else { return false };
        let theirs: Vec<&Vec<String>> = other.runs().map(|run| &run.args).collect();
        let strict = other.runs().all(|run| !own.contains(&&run.args) || run.accepts.is_empty());
        strict && theirs.len() > own.len() && own.iter().all(|run| theirs.contains(run))
    })
}
