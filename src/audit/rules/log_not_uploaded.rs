//! NX306: A log is written and never uploaded.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX306", name: "log-not-uploaded", what: "A log is written and never uploaded." },
    why: "It is gone with the container: the one file that would say why.",
    evidence: "W20: the lint job writes two logs and uploads one; the forge's own job log cannot be read by API there.",
    advice: "Add the file to the upload's `path`.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          set -o pipefail
          nox -s lint 2>&1 | tee build/lint.log
          nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/lint.log}
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          set -o pipefail
          nox -s lint 2>&1 | tee build/lint.log
          nox -s tests 2>&1 | tee build/tests.log
      - if: always()
        uses: actions/upload-artifact@v3
        with: {name: log, path: build/*.log}
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        let uploads: Vec<&Step> = view.job.steps.iter().filter(|step| step.is_upload()).collect();
        let Some((step, path)) = uploads.first().and_then(|step| Some((*step, step.input("path")?))) else { continue };
        for (file, place) in logs(&view) {
            let covered = uploads
                .iter()
                .filter_map(|step| step.input("path"))
                .any(|path| path.value.split('\n').any(|path| covers(path.trim(), &file)));
            if !covered {
                let finding = found.report(view.source(), path.span, format!("{file} is written and not uploaded"));
                finding.also(view.source(), place, "written here");
                finding.fix = fixes::step::add_path(&view, step, path, &file);
            }
        }
    }
}

/// The log files that a job's sessions write, with the words that name them.
pub(super) fn logs(view: &View) -> Vec<(String, Span)> {
    let mut logs = Vec::new();
    for call in &view.survey.calls {
        let Some(step) = view.step(call.step) else { continue };
        let outputs = step.commands.get(call.command).into_iter().flat_map(|command| &command.outputs);
        let tee =
            step.commands.get(call.command + 1).filter(|next| next.joiner == Joiner::Pipe && next.program() == "tee");
        let tee =
            tee.into_iter().flat_map(|command| command.words.iter().skip(1).filter(|word| !word.text.starts_with('-')));
        let files = outputs.chain(tee).filter(|word| known(&word.text) && !word.text.starts_with("/dev/"));
        logs.extend(files.map(|word| (word.text.clone(), step.place(word.span))));
    }
    logs
}

/// Whether a name says which file it is, if only for each job of a matrix.
fn known(name: &str) -> bool {
    let mut parts = name.split("${{ matrix.");
    let first = parts.next().unwrap_or_default();
    !first.contains('$') && parts.all(|part| part.split_once("}}").is_some_and(|(_, rest)| !rest.contains('$')))
}

/// Whether an upload's path takes a file in.
fn covers(path: &str, file: &str) -> bool {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let parts: Vec<&str> = path.split('*').collect();
    if parts.len() == 1 {
        return path == file || path == "." || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    file.starts_with(first) && file.ends_with(last)
}
