//! Sessions and commands of each job, which a fix must keep: noxide never writes a fix that removes one.

use std::collections::BTreeMap;

use super::super::project::{AuditProject, JobNoxCall, JobView};
use super::super::shell::{ControlOperator, ShellCommand, parse_install};
use super::super::workflow::WorkflowStep;
use super::super::yaml::YamlNode;
use super::edit::is_equivalent;

/// How often a job does what, by description.
type WorkCounts = BTreeMap<String, usize>;

/// Finds what a workflow would no longer do after an edit: a job, a matrix entry, a session or a command. `None` if it
/// does all of it as often as before.
pub(super) fn find_lost_work(before: &AuditProject, after: &AuditProject, path: &str) -> Option<String> {
    let new_views = job_views(after, path);
    job_views(before, path).iter().find_map(|old| {
        let id = old.job.id.value.as_str();
        let Some(new) = new_views.iter().find(|new| new.job.id.value == id) else {
            return Some(format!("job `{id}` would be removed"));
        };
        if !is_same_matrix(matrix_node(old), matrix_node(new)) {
            return Some(format!("job `{id}` would have another matrix"));
        }
        if old.job.condition.as_ref().map(|text| &text.value) != new.job.condition.as_ref().map(|text| &text.value) {
            return Some(format!("job `{id}` would have another condition"));
        }
        let (old_sessions, new_sessions) = (session_counts(old), session_counts(new));
        if old_sessions != new_sessions {
            let lost = find_missing(&old_sessions, &new_sessions).or(find_missing(&new_sessions, &old_sessions));
            return Some(format!("job `{id}` would not run {} as before", lost.unwrap_or_default()));
        }
        let lost = find_missing(&command_counts(old), &command_counts(new))?;
        Some(format!("job `{id}` would no longer have {lost}"))
    })
}

fn job_views<'a>(project: &'a AuditProject, path: &str) -> Vec<JobView<'a>> {
    project.job_views().filter(|view| view.source().path == path).collect()
}

fn matrix_node<'a>(view: &JobView<'a>) -> Option<&'a YamlNode> {
    view.job.node.get("strategy")?.get("matrix")
}

fn is_same_matrix(old: Option<&YamlNode>, new: Option<&YamlNode>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => is_equivalent(old, new),
        (None, None) => true,
        _ => false,
    }
}

/// Returns the first description that occurs less often than before.
fn find_missing(before: &WorkCounts, after: &WorkCounts) -> Option<String> {
    let missing = before.iter().find(|(work, count)| after.get(*work).is_none_or(|left| left < *count));
    missing.map(|(work, _)| format!("`{work}`"))
}

/// Counts the sessions of a job, each with its arguments and the condition of its step.
fn session_counts(view: &JobView) -> WorkCounts {
    let mut counts = WorkCounts::new();
    for call in &view.analysis.nox_calls {
        let Some(step) = view.step(call.step_index) else { continue };
        let Some(command) = step.commands.get(call.command_index) else { continue };
        let options = call_options(call, command);
        let suffix = format!("{options}{}", condition_suffix(step));
        if call.sessions.is_empty() {
            *counts.entry(format!("nox {:?}{suffix}", call.parsed.selection)).or_insert(0) += 1;
        }
        for (name, _) in &call.sessions {
            *counts.entry(format!("session {name}{suffix}")).or_insert(0) += 1;
        }
    }
    counts
}

/// Returns the options of a call (without those that select sessions or name its logs) and its posargs.
fn call_options(call: &JobNoxCall, command: &ShellCommand) -> String {
    let after_program =
        command.words.iter().skip_while(|word| word.span.start < call.parsed.program_span.start).skip(1);
    let mut words = after_program.map(|word| word.text.as_str()).skip(usize::from(call.parsed.is_noxide)).peekable();
    // What starts the program, such as `timeout 60`, counts as an option.
    let prefix_length = command.words.len() - command.words_after_prefix().len();
    let prefix = command.words.iter().take(prefix_length).map(|word| word.text.as_str());
    let mut options: String = prefix.flat_map(|word| [" ", word]).collect();
    while let Some(word) = words.next() {
        match word {
            "-s" | "-e" | "--session" | "--sessions" => while words.next_if(|word| !word.starts_with('-')).is_some() {},
            "--logs" | "--log-name" => {
                words.next();
            }
            "--" => break,
            _ => options.push_str(&format!(" {word}")),
        }
    }
    if !call.parsed.posargs.is_empty() {
        options.push_str(&format!(" -- {}", call.parsed.posargs.join(" ")));
    }
    options
}

/// Counts what else a job does: commands, actions and variables. Added ones do not matter, and neither do the versions
/// of what it installs.
fn command_counts(view: &JobView) -> WorkCounts {
    let mut counts = WorkCounts::new();
    let mut add = |work: String| *counts.entry(work).or_insert(0) += 1;
    for (name, value) in view.workflow.env.iter().chain(&view.job.env) {
        add(format!("{}: {}", name.value, value.value));
    }
    for step in &view.job.steps {
        let suffix = condition_suffix(step);
        if let Some(action) = &step.action {
            // An upload may run in more cases than before.
            let suffix = if step.is_artifact_upload() { "" } else { &suffix };
            add(format!("uses {} {}{suffix}", action.name.rsplit('/').next().unwrap_or_default(), action.subpath));
        }
        for (name, value) in &step.env {
            add(format!("{}: {}", name.value, value.value));
        }
        for (index, command) in step.commands.iter().enumerate() {
            let is_call = |index: usize| {
                view.analysis.nox_calls.iter().any(|call| call.step_index == step.index && call.command_index == index)
            };
            let is_log = command.program_name() == "tee"
                && command.preceding_operator == ControlOperator::Pipe
                && index.checked_sub(1).is_some_and(is_call);
            if !is_call(index) && !is_log && command.program_name() != "set" {
                add(format!("{}{suffix}", command_text(command)));
            }
        }
    }
    counts
}

/// Returns a command with its variables; of an install, without versions and `--locked`.
fn command_text(command: &ShellCommand) -> String {
    let is_install = parse_install(command).is_some();
    let variables = command.assignments.iter().map(|(name, value)| format!("{name}={value} "));
    let words = command.words.iter().map(|word| word.text.as_str());
    let words = words.filter(|word| !is_install || *word != "--locked");
    let words = words.map(|word| if is_install { word.split("==").next().unwrap_or(word) } else { word });
    variables.collect::<String>() + &words.collect::<Vec<_>>().join(" ")
}

fn condition_suffix(step: &WorkflowStep) -> String {
    step.condition.as_ref().map(|text| format!(" if {}", text.value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::super::options::AuditOptions;
    use super::super::super::rule_runner::tests::project;
    use super::*;

    const PATH: &str = ".forgejo/workflows/ci.yml";
    const TEXT: &str = "on: push\njobs:\n  a:\n    runs-on: docker\n    strategy: {matrix: {s: [x, y]}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install nox .\n      - run: |\n          make it\n          A=1 nox -s lint tests -- -k x\n          nox -s '${{ matrix.s }}'\n      - if: github.ref == 'x'\n        run: echo end\n      - uses: actions/upload-artifact@v4\n  b:\n    runs-on: docker\n    steps:\n      - run: for s in p q; do nox -s $s; done\n";

    fn lost(old: &str, new: &str) -> Option<String> {
        assert!(TEXT.contains(old), "{old}");
        let load = |text: &str| project(&[(PATH, text)], AuditOptions::default());
        find_lost_work(&load(TEXT), &load(&TEXT.replacen(old, new, 1)), PATH)
    }

    #[test]
    fn every_loss_is_found() {
        for (old, new) in [
            ("          make it\n", ""),
            ("make it", "make that"),
            ("nox -s lint tests", "nox -s lint"),
            ("nox -s lint tests", "nox -s lint tests tests"),
            ("-- -k x", ""),
            ("[x, y]", "[x]"),
            ("      - uses: actions/checkout@v4\n", ""),
            ("pip install nox .", "pip install nox"),
            ("github.ref == 'x'", "github.ref == 'y'"),
            ("        run: echo end", "        run: echo"),
            ("in p q;", "in p;"),
            ("  b:\n    runs-on: docker\n", "  c:\n    runs-on: docker\n"),
            ("  b:\n    runs-on: docker\n", "  b:\n    if: false\n    runs-on: docker\n"),
            ("nox -s lint tests --", "nox -R -s lint tests --"),
        ] {
            assert!(lost(old, new).is_some(), "{old}");
        }
        assert_eq!(lost("          make it\n", "").as_deref(), Some("job `a` would no longer have `make it`"));
    }

    #[test]
    fn a_fix_that_keeps_all_sessions_and_commands_loses_nothing() {
        for (old, new) in [
            ("pip install nox .", "pip install nox==2026.10.20 ."),
            ("nox -s lint tests -- -k x", "noxide run -s tests lint --logs build --log-name '{session}' -- -k x"),
            ("for s in p q; do nox -s $s; done", "noxide run -s p q"),
            ("          make it\n", "          set -o pipefail\n          make it\n          mkdir -p build\n"),
            ("-- -k x\n", "-- -k x 2>&1 | tee build/a.log\n"),
            (
                "      - uses: actions/upload-artifact@v4\n",
                "      - uses: actions/upload-artifact@v6\n        if: always()\n",
            ),
            ("    runs-on: docker\n", "    runs-on: docker\n    timeout-minutes: 3\n"),
        ] {
            assert_eq!(lost(old, new), None, "{new}");
        }
    }
}
