//! NX121: A job has a key of its own for content that other jobs keep under a shared one.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX121",
        name: "key-per-job",
        what: "A job has a key of its own for content that other jobs keep under a shared one.",
    },
    why: "The same packages are saved and stored twice, and the job does not profit from what the others saved.",
    evidence: "W7: `uv-quality-…` beside eight jobs with `uv-…`.",
    advice: "Let jobs with the same packages share one key, and no others.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
  quality:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-quality-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
  quality:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for workflow in &project.workflows {
        let mut keys: Vec<(View, &Cache, &Text)> = Vec::new();
        for view in project.jobs_of(workflow) {
            let caches = view.survey.caches.iter().filter(|cache| cache.keeps_python() && !cache.keeps_environments());
            keys.extend(caches.filter_map(|cache| Some((view, cache, cache.key.as_ref()?))));
        }
        for (view, cache, key) in &keys {
            let own = format!("-{}-", view.job.id.value);
            if !key.value.contains(&own) {
                continue;
            }
            let shared = key.value.replace(&own, "-");
            if let Some((_, _, other)) =
                keys.iter().find(|(other, _, text)| text.value == shared && other.job.id != view.job.id)
            {
                let finding = found.report(
                    view.source(),
                    key.span,
                    format!("job `{}` keeps under its own key what others keep under a shared one", view.job.id.value),
                );
                finding.also(view.source(), other.span, "the shared key");
                finding.fix = fixes::cache::key(view, cache);
            }
        }
    }
}
