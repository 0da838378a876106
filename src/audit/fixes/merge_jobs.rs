//! Fix that merges jobs with the same setup into one job, whose sessions run in parallel in one `noxide run`.

use super::super::fix::{Fix, SemanticChange, TextEdit, YamlPathSegment, is_noxide_comment};
use super::super::project::JobView;
use super::super::source::{SourceFile, Span};
use super::super::workflow::WorkflowStep;
use super::join_nox_calls::JoinedCalls;
use super::merged_steps::{MovedStep, build_moved_step, merge_similar_uploads, to_flow_yaml};
use super::step_edit::step_indent;
use super::text_edit::{
    expand_to_lines, indent_at, leading_comments_start, mark_display_only, quote_if_needed, quote_scalar, unsafe_fix,
};

/// Id of the merged job.
const MERGED_JOB_NAME: &str = "sessions";

/// The merged job under construction.
#[derive(Default)]
struct MergedJob {
    steps_before: Vec<MovedStep>,
    steps_after: Vec<MovedStep>,
    joined_calls: Option<JoinedCalls>,
    setup_commands: Vec<String>,
    env: Vec<(String, String)>,
    timeout_minutes: u32,
}

/// Merges jobs of one workflow, as a patch to review. Returns `None` if one of them does more than set up, run sessions and upload.
pub(crate) fn merge_jobs(members: &[JobView]) -> Option<Fix> {
    let (first, names) = (members.first()?, members.iter().map(|view| view.job.id.value.as_str()).collect::<Vec<_>>());
    let is_possible =
        first.workflow.find_job(MERGED_JOB_NAME).is_none() && members.len() > 1 && !first.workflow.root.is_flow;
    if !is_possible
        || members.iter().any(|view| !is_mergeable(view, first, &names))
        || has_needs_expressions(first, &names)
    {
        return None;
    }
    let mut merged = MergedJob::default();
    for view in members {
        merged.add_job(view, members)?;
    }
    merged.steps_after = merge_similar_uploads(merged.steps_after, first, &step_indent(first)?, MERGED_JOB_NAME);
    let source = first.source();
    let lines = merged.render_lines(first)?;
    let mut edits = Vec::new();
    let merged_lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (number, view) in members.iter().enumerate() {
        let region = expand_to_lines(source, Span::new(view.job.id.span.start, view.job.node.span.end));
        let start = leading_comments_start(source, view.job.id.span.start);
        let all = source.slice(Span::new(start, region.end));
        // No comment of the user may be lost.
        let mut comments = all.lines().map(str::trim).filter(|line| line.starts_with('#') && !is_noxide_comment(line));
        if comments.any(|line| !merged_lines.iter().any(|merged_line| merged_line.trim() == line))
            || !all.ends_with('\n')
        {
            return None;
        }
        if number == 0 {
            let text: String = lines.iter().map(|line| format!("{line}{}", source.line_ending())).collect();
            edits.push(TextEdit { span: region, text });
        } else {
            edits.push(TextEdit { span: Span::new(blank_lines_start(source, start), region.end), text: String::new() });
        }
    }
    let mut changes =
        vec![SemanticChange::Set(vec!["jobs".into()], MERGED_JOB_NAME.to_owned(), merged.render_flow_yaml(first))];
    changes.extend(names.iter().map(|name| SemanticChange::Remove(vec!["jobs".into()], (*name).to_owned())));
    for (edit, change) in rewrite_dependent_needs(first, &names)? {
        edits.push(edit);
        changes.push(change);
    }
    let title = format!("merge {} jobs with the same setup, run their sessions in parallel", members.len());
    // The checks of the merged jobs vanish, and one of them may be required.
    Some(mark_display_only(unsafe_fix(first, &title, edits, changes)))
}

/// Whether a job has only keys that a merged job can have.
fn is_mergeable(view: &JobView, first: &JobView, names: &[&str]) -> bool {
    let node = &view.job.node;
    let is_known_key =
        |key: &str| matches!(key, "runs-on" | "container" | "needs" | "timeout-minutes" | "steps" | "name");
    let is_same_in_first = |key: &str| match (node.get(key), first.job.node.get(key)) {
        (Some(own), Some(other)) => own == other,
        (None, None) => true,
        _ => false,
    };
    let has_editable_steps = node.get("steps").is_some_and(|steps| !steps.is_flow && !steps.aliased);
    !node.is_flow
        && !node.aliased
        && has_editable_steps
        && node.entries().iter().all(|(key, _)| key.as_str().is_some_and(is_known_key))
        && is_same_in_first("runs-on")
        && is_same_in_first("container")
        && view.job.needs.iter().all(|need| names.contains(&need.value.as_str()))
        && view.job.steps.iter().all(|step| step.id.is_none() && !step.node.is_flow && !step.node.aliased)
        && !view.is_release()
}

/// Whether an expression refers to one of the jobs through `needs`.
fn has_needs_expressions(first: &JobView, names: &[&str]) -> bool {
    let text = &first.source().text;
    names.iter().any(|name| text.contains(&format!("needs.{name}."))) || text.contains("needs['")
}

/// Returns the start of the blank lines before a job.
fn blank_lines_start(source: &SourceFile, start: usize) -> usize {
    let mut line = source.line_index(start);
    while line > 0 && source.line_text(line - 1).trim().is_empty() {
        line -= 1;
    }
    source.line_start(line)
}

/// Replaces the merged jobs in the `needs` of other jobs.
fn rewrite_dependent_needs(first: &JobView, names: &[&str]) -> Option<Vec<(TextEdit, SemanticChange)>> {
    let is_member = |name: &str| names.contains(&name);
    let others = first.workflow.jobs.iter().filter(|job| !is_member(&job.id.value));
    let mut edits = Vec::new();
    for job in others.filter(|job| job.needs.iter().any(|need| is_member(&need.value))) {
        let needs =
            job.node.get("needs").filter(|needs| !needs.aliased && (needs.is_flow || needs.as_str().is_some()))?;
        let other_needs = job.needs.iter().map(|need| need.value.as_str()).filter(|need| !is_member(need));
        let list = format!("[{}]", std::iter::once(MERGED_JOB_NAME).chain(other_needs).collect::<Vec<_>>().join(", "));
        let path: Vec<YamlPathSegment> = vec!["jobs".into(), job.id.value.as_str().into()];
        edits.push((
            TextEdit { span: needs.span, text: list.clone() },
            SemanticChange::Set(path, "needs".to_owned(), list),
        ));
    }
    Some(edits)
}

impl MergedJob {
    fn add_job(&mut self, view: &JobView, members: &[JobView]) -> Option<()> {
        let call_index = view.analysis.nox_calls.first()?.step_index;
        let step = view.step(call_index).filter(|step| step.condition.is_none())?;
        let is_single_step =
            view.analysis.nox_calls.iter().all(|call| call.step_index == call_index && !call.parsed.is_noxide);
        (is_single_step && view.required_order_reason().is_none()).then_some(())?;
        let joined = JoinedCalls::from_step(view, step)?;
        self.add_setup_commands(step, &joined)?;
        self.add_common_variables(view, step, members)?;
        let timeout = view.job.timeout_minutes.as_ref().map(|text| text.value.parse::<u32>());
        self.timeout_minutes = self.timeout_minutes.max(timeout?.ok()?);
        let mut insert_index = 0;
        for step in view.job.steps.iter().take(call_index) {
            let moved = build_moved_step(view, step, &joined)?;
            match self.steps_before.iter().position(|known| known.dedup_key == moved.dedup_key) {
                Some(known) => insert_index = known + 1,
                None => {
                    self.steps_before.insert(insert_index, moved);
                    insert_index += 1;
                }
            }
        }
        for step in view.job.steps.iter().skip(call_index + 1) {
            // A step without a condition would depend on the sessions of other jobs.
            step.condition.as_ref()?;
            self.steps_after.push(build_moved_step(view, step, &joined)?);
        }
        self.joined_calls = match self.joined_calls.take() {
            Some(before) => Some(before.merge(view, joined)?),
            None => Some(joined),
        };
        Some(())
    }

    /// Collects the other commands of the script; only `set` and `mkdir` are accepted.
    fn add_setup_commands(&mut self, step: &WorkflowStep, joined: &JoinedCalls) -> Option<()> {
        for command in step.commands.iter().filter(|command| !joined.script_span.contains(command.span)) {
            match command.program_name() {
                "set" => {}
                "mkdir"
                    if command.span.end <= joined.script_span.start
                        && command.preceding_operator == super::super::shell::ControlOperator::Sequence =>
                {
                    let line = command.command_line();
                    if !self.setup_commands.contains(&line) {
                        self.setup_commands.push(line);
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Collects variables that all jobs set to the same value; those that set a number of workers are dropped, since
    /// noxide sets it.
    fn add_common_variables(&mut self, view: &JobView, step: &WorkflowStep, members: &[JobView]) -> Option<()> {
        let is_worker_count = |name: &str| {
            let functions = view
                .project
                .noxfile
                .as_ref()
                .map(super::super::noxfile::Noxfile::cpu_count_functions)
                .unwrap_or_default();
            functions.iter().any(|function| function.override_variable.as_deref() == Some(name))
        };
        for (name, value) in step.env.iter().filter(|(name, _)| !is_worker_count(&name.value)) {
            let is_shared = members.iter().all(|other| {
                let call = other.analysis.nox_calls.first().and_then(|call| other.step(call.step_index));
                call.is_some_and(|step| step.env.iter().any(|(n, v)| n.value == name.value && v.value == value.value))
            });
            is_shared.then_some(())?;
            let pair = (name.value.clone(), value.value.clone());
            if !self.env.contains(&pair) {
                self.env.push(pair);
            }
        }
        Some(())
    }

    fn render_script(&self) -> String {
        self.setup_commands.iter().map(|line| format!("{line}\n")).collect::<String>()
            + &self.joined_calls.as_ref().map(JoinedCalls::to_script).unwrap_or_default()
    }

    /// Returns the lines of the merged job.
    fn render_lines(&self, first: &JobView) -> Option<Vec<String>> {
        let source = first.source();
        let (key, _) = first.job.node.entries().first()?;
        let indent = indent_at(source, key.span.start);
        let mut lines = vec![format!("{}{MERGED_JOB_NAME}:", indent_at(source, first.job.id.span.start))];
        for (key, value) in first.job.node.entries() {
            match key.as_str()? {
                "needs" | "name" | "timeout-minutes" => {}
                "steps" => lines.push(format!("{indent}timeout-minutes: {}", self.timeout_minutes)),
                _ => {
                    let span = expand_to_lines(source, Span::new(key.span.start, value.span.end.max(key.span.end)));
                    lines.extend(source.slice(span).lines().map(str::to_owned));
                }
            }
        }
        lines.push(format!("{indent}steps:"));
        let dash_indent = step_indent(first)?;
        lines.extend(self.steps_before.iter().flat_map(|moved| moved.lines.clone()));
        lines.push(format!("{dash_indent}- name: Run sessions in parallel"));
        lines.push(format!("{dash_indent}  run: |"));
        lines.extend(self.render_script().lines().map(|line| format!("{dash_indent}    {line}")));
        if !self.env.is_empty() {
            lines.push(format!("{dash_indent}  env:"));
            lines.extend(
                self.env.iter().map(|(name, value)| format!("{dash_indent}    {name}: {}", quote_if_needed(value))),
            );
        }
        lines.extend(self.steps_after.iter().flat_map(|moved| moved.lines.clone()));
        Some(lines)
    }

    /// Returns the merged job as a YAML value, built from nodes independently of its lines.
    fn render_flow_yaml(&self, first: &JobView) -> String {
        let mut entries: Vec<String> = Vec::new();
        for (key, value) in first.job.node.entries() {
            if matches!(key.as_str(), Some("runs-on" | "container")) {
                entries.push(format!("{}: {}", to_flow_yaml(key), to_flow_yaml(value)));
            }
        }
        entries.push(format!("\"timeout-minutes\": {}", self.timeout_minutes));
        let mut run =
            format!("\"name\": \"Run sessions in parallel\", \"run\": {}", quote_scalar(&self.render_script()));
        if !self.env.is_empty() {
            let pairs: Vec<String> = self
                .env
                .iter()
                .map(|(name, value)| format!("{}: {}", quote_scalar(name), quote_if_needed(value)))
                .collect();
            run.push_str(&format!(", \"env\": {{{}}}", pairs.join(", ")));
        }
        let steps = self.steps_before.iter().map(|moved| to_flow_yaml(&moved.node)).chain([format!("{{{run}}}")]);
        let steps: Vec<String> = steps.chain(self.steps_after.iter().map(|moved| to_flow_yaml(&moved.node))).collect();
        entries.push(format!("\"steps\": [{}]", steps.join(", ")));
        format!("{{{}}}", entries.join(", "))
    }
}
