//! NX210: Several jobs download the same tool.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX210", name: "repeated-download", summary: "Several jobs download the same tool." },
    rationale: "Each job repeats the download and the index update, and depends on the slowest mirror.",
    evidence: "Observed: Node with apt, 20 to 30 s in each of 12 jobs; Helm, 15 to 25 s in each of 3 jobs. Each tool is reported once per workflow. Pedantic on GitHub-hosted runners, or if only two jobs download it.",
    advice: "Download it once per run: use an image that has it, one job with `noxide run`, or a cache keyed by its version.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
  b:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
  c:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        // Only jobs of the same image and runner could share what they download.
        let mut downloads: std::collections::BTreeMap<(&str, String), Vec<(JobView, Span)>> =
            std::collections::BTreeMap::new();
        for view in project.workflow_job_views(workflow) {
            for (_, fetch, span) in &view.analysis.network_fetches {
                let locations = downloads.entry((fetch.resource.as_str(), describe_runner(&view))).or_default();
                if !locations.iter().any(|(other, _)| std::ptr::eq(other.job, view.job)) {
                    locations.push((view, *span));
                }
            }
        }
        // One command can download several packages.
        let mut groups: Vec<DownloadGroup> = Vec::new();
        for ((resource, _), locations) in downloads.iter().filter(|(_, locations)| locations.len() > 1) {
            let spans = |all: &[(JobView, Span)]| all.iter().map(|(_, span)| *span).collect::<Vec<_>>();
            match groups.iter_mut().find(|group| spans(group.locations) == spans(locations)) {
                Some(group) => group.names.push(format!("`{resource}`")),
                None => groups.push(DownloadGroup { names: vec![format!("`{resource}`")], locations }),
            }
        }
        for DownloadGroup { names, locations } in groups {
            let [(view, first), others @ ..] = locations else { continue };
            let verb = if names.len() == 1 { "is" } else { "are" };
            let message = format!("{} {verb} downloaded in {} jobs", names.join(", "), locations.len());
            let finding = findings.report(view.source(), *first, message);
            for (other, span) in others {
                finding.add_related(other.source(), *span, format!("again in job `{}`", other.job.id.value));
            }
            if locations.len() < 3 || !view.is_self_hosted() {
                finding.set_severity(Severity::Info).set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Resources that the same commands download.
struct DownloadGroup<'a> {
    names: Vec<String>,
    locations: &'a [(JobView<'a>, Span)],
}

/// Returns the image and the labels of a job's runner.
fn describe_runner(view: &JobView) -> String {
    let image = view.job.container.as_ref().map_or("", |text| text.value.as_str());
    let labels = view.job.runs_on.iter().map(|label| label.value.as_str());
    format!("{image} {}", labels.collect::<Vec<_>>().join(" "))
}
