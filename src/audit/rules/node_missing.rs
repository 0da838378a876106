//! NX120: an action that needs Node runs in an image that has none.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX120",
        name: "node-missing",
        summary: "An action that needs Node runs in an image that has none.",
    },
    rationale: "Forgejo and Gitea run JavaScript actions with the image's own Node: the step fails before it starts.",
    evidence: "`python:*` and uv images have no Node (docs); the users' pipeline installs it by apt in every job.",
    advice: "Install Node first, use an image that has it, or do the work in a `run:` step.",
    severity: Severity::High,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo, Dialect::Gitea],
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let Some(image) =
            view.job.container.as_ref().filter(|text| IMAGES_WITHOUT_NODE.iter().any(|name| text.value.contains(name)))
        else {
            continue;
        };
        let first = view.job.steps.iter().find(|step| step.action.as_ref().is_some_and(ActionRef::needs_node));
        let Some((step, uses)) = first.and_then(|step| Some((step, step.uses.as_ref()?))) else { continue };
        let installed = view
            .analysis
            .network_fetches
            .iter()
            .any(|(at, fetch, _)| *at < step.index && fetch.resource.contains("node"));
        if !installed {
            let finding =
                found.report(view.source(), uses.span, format!("`{}` needs Node, which the image has not", uses.value));
            finding.add_related(view.source(), image.span, "this image");
        }
    }
}
