//! Fixes of the gate job, which checks the results of all other jobs.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::project::JobView;
use super::super::source::Span;
use super::super::workflow::WorkflowStep;
use super::run_script::rewrite_script;
use super::text_edit::{self, indent_at, insert_lines_after, mark_display_only, unsafe_fix};

const GATE_SCRIPT: &str = "for result in ${{ join(needs.*.result, ' ') }}; do
  case \"$result\" in
    success|skipped) ;;
    *) echo \"a needed job has the result $result\"; exit 1 ;;
  esac
done
";

/// Replaces the gate's script by one that accepts skipped jobs and checks every needed job.
pub(crate) fn rewrite_gate_script(view: &JobView, step: &WorkflowStep) -> Option<Fix> {
    let simple = step.commands.iter().all(|command| matches!(command.program_name(), "[" | "test" | "exit" | "echo"));
    let (edit, change) = simple.then(|| rewrite_script(view, step, GATE_SCRIPT))??;
    Some(mark_display_only(unsafe_fix(view, "accept skipped jobs, report the others", vec![edit], vec![change])))
}

/// Adds jobs to the gate's `needs`.
pub(crate) fn add_gate_needs(view: &JobView, jobs: &[&str]) -> Option<Fix> {
    let (_, needs) = view.job.node.get_entry("needs")?;
    let source = view.source();
    if needs.aliased || view.job.node.is_flow {
        return None;
    }
    let all: Vec<&str> = view.job.needs.iter().map(|need| need.value.as_str()).chain(jobs.iter().copied()).collect();
    let last = needs.items().last();
    let edits = match last {
        Some(last) if needs.is_flow => {
            vec![TextEdit { span: Span::new(last.span.end, last.span.end), text: format!(", {}", jobs.join(", ")) }]
        }
        Some(last) => {
            let dash = indent_at(source, last.span.start).len().checked_sub(2)?;
            let lines: Vec<String> = jobs.iter().map(|job| format!("{}- {job}", " ".repeat(dash))).collect();
            vec![insert_lines_after(source, last.span.end, &lines)]
        }
        None => vec![TextEdit { span: needs.span, text: format!("[{}]", all.join(", ")) }],
    };
    let change = SemanticChange::Set(text_edit::job_path(view), "needs".to_owned(), format!("[{}]", all.join(", ")));
    Some(mark_display_only(unsafe_fix(view, "add the missing jobs to `needs`", edits, vec![change])))
}
