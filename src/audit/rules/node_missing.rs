//! NX120: An action that needs Node runs in an image without Node.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX120",
        name: "node-missing",
        summary: "An action that needs Node runs in an image without Node.",
    },
    rationale: "Forgejo and Gitea run JavaScript actions with the image's own Node: without it, the step fails before it starts.",
    evidence: "`python:*` and uv images have no Node (documentation); the example installs it with apt in every job.",
    advice: "Install Node first, use an image that has it, or replace the action by a `run:` step.",
    severity: Severity::High,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: &[Forge::Forgejo, Forge::Gitea],
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    container: python:3.13-slim
    steps:
      - uses: actions/checkout@v4
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    container: python:3.13-slim
    steps:
      - run: apt-get update && apt-get install -y nodejs
      - uses: actions/checkout@v4
"#,
    )],
    check_project,
};

const IMAGES_WITHOUT_NODE: [&str; 6] = ["python:", "debian:", "ubuntu:", "alpine:", "astral-sh/uv", "pypy:"];

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let Some(image) =
            view.job.container.as_ref().filter(|text| IMAGES_WITHOUT_NODE.iter().any(|name| text.value.contains(name)))
        else {
            continue;
        };
        let first = view.job.steps.iter().find(|step| step.action.as_ref().is_some_and(ActionRef::needs_node));
        let Some((step, uses)) = first.and_then(|step| Some((step, step.uses.as_ref()?))) else { continue };
        let has_node = view
            .analysis
            .network_fetches
            .iter()
            .any(|(at, fetch, _)| *at < step.index && fetch.resource.contains("node"));
        if !has_node {
            let finding = findings.report(
                view.source(),
                uses.span,
                format!("`{}` needs Node, which this image does not have", uses.value),
            );
            finding.add_related(view.source(), image.span, "this image");
        }
    }
}
