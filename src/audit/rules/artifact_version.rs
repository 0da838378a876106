//! NX305: The forge does not support this version of the artifact action.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX305",
        name: "artifact-version",
        summary: "The forge does not support this version of the artifact action.",
    },
    rationale: "GitHub has turned off version 3 and older. Forgejo supports the protocol of version 3, and that of version 4 only through its own forks.",
    evidence: "3 of the sampled steps; documentation of both forges.",
    advice: "On GitHub, use version 4 or newer. The version of a commit is read from the comment beside it (`# v3.1.0`). From version 4 on, an artifact has one name in a run: add the matrix values to the name of an upload in a matrix, and set `include-hidden-files` for files that start with a dot. On Forgejo, use `forgejo/upload-artifact@v4` or version 3 of the original action.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: &[Forge::Forgejo, Forge::Github],
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/upload-artifact@v4
        with: {name: log, path: build/tests.log}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for step in &view.job.steps {
            let Some(action) = step.action.as_ref().filter(|action| {
                action.is_named("actions/upload-artifact") || action.is_named("actions/download-artifact")
            }) else {
                continue;
            };
            let (Some(major), Some(uses)) = (action.major_version(), &step.uses) else { continue };
            let fork = format!(
                "{}/forgejo/{}@v4",
                Forge::Forgejo.default_action_host().replace("https://data", "https://code"),
                action.name.rsplit('/').next().unwrap_or_default()
            );
            match view.workflow.forge {
                Forge::Github if major <= 3 => {
                    // GitHub Enterprise Server, whose runners are self-hosted, supports only version 3.
                    let is_hosted = !view.is_self_hosted();
                    let is_compatible = is_hosted && keeps_artifacts(&view, step);
                    // The first versions that run on Node 24.
                    let version = if step.is_artifact_upload() { "v6" } else { "v7" };
                    let fix =
                        is_compatible.then(|| fixes::step_edit::set_action_version(&view, step, version)).flatten();
                    let finding = findings.report(view.source(), uses.span, "GitHub no longer supports this version");
                    finding.set_fix(fix);
                    if !is_hosted {
                        finding.set_confidence(Confidence::Medium).set_severity(Severity::Medium);
                    }
                }
                Forge::Forgejo if major >= 4 && is_original_host(action.host.as_deref()) => {
                    let fix = (keeps_artifacts(&view, step) && !action.is_commit())
                        .then(|| fixes::step_edit::replace_uses(&view, step, &fork, "use Forgejo's fork"))
                        .flatten();
                    findings
                        .report(view.source(), uses.span, "Forgejo does not support the protocol of this version")
                        .set_fix(fix);
                }
                _ => {}
            }
        }
    }
}

/// Whether the actions of a host are those of GitHub or unchanged copies of them: a mirror of one's own may be changed.
fn is_original_host(host: Option<&str>) -> bool {
    let mirror = Forge::Forgejo.default_action_host();
    let mirror = mirror.rsplit('/').next().unwrap_or_default();
    host.is_none_or(|host| host == "github.com" || host == mirror || host == mirror.replace("data.", "code."))
}

/// Whether version 4 stores the same artifacts: no two uploads have one name, and no uploaded file is hidden. A download
/// keeps working if every upload of the workflow does: with one artifact for each job of a matrix it needs `pattern` and
/// `merge-multiple`.
fn keeps_artifacts(view: &JobView, step: &WorkflowStep) -> bool {
    if !step.is_artifact_upload() {
        let mut views = view.project.workflow_job_views(view.workflow);
        return views.all(|other| {
            let mut uploads = other.job.steps.iter().filter(|step| step.is_artifact_upload());
            uploads.all(|upload| keeps_artifacts(&other, upload))
        });
    }
    let name = step.input_value("name").map_or("artifact", |text| text.value.as_str());
    let path = step.input_value("path").map_or("", |text| text.value.as_str());
    let same_name = |other: &&WorkflowStep| {
        other.is_artifact_upload() && other.input_value("name").map_or("artifact", |text| text.value.as_str()) == name
    };
    let uploads = view.workflow.jobs.iter().flat_map(|job| &job.steps).filter(same_name).count();
    let has_own_name = uploads == 1 && (view.job.matrix.is_none() || name.contains("matrix."));
    let is_hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
    let includes_hidden = step.input_value("include-hidden-files").is_some();
    let has_hidden = path.lines().flat_map(|line| line.trim().split('/')).any(is_hidden);
    has_own_name && (includes_hidden || !has_hidden) && !path.contains("${{")
}
