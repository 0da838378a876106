//! Fixes of the job that looks at how all others ended.

use super::super::fix::{Change, Edit, Fix};
use super::super::span::Span;
use super::super::survey::View;
use super::super::workflow::Step;
use super::place::{self, fix, indent, lines_after};
use super::shell::rewrite;

const SCRIPT: &str = "for result in ${{ join(needs.*.result, ' ') }}; do
  case \"$result\" in
    success|skipped) ;;
    *) echo \"a needed job ended: $result\"; exit 1 ;;
  esac
done
";

/// Lets the gate pass what was skipped, and look at every job it waits for.
pub fn honest(view: &View, step: &Step) -> Option<Fix> {
    let simple = step.commands.iter().all(|command| matches!(command.program(), "[" | "test" | "exit" | "echo"));
    let (edit, change) = simple.then(|| rewrite(view, step, SCRIPT))??;
    Some(fix(view, "pass skipped jobs, name the rest", false, vec![edit], vec![change]))
}

/// Adds jobs to the gate's `needs`.
pub fn wait_for(view: &View, jobs: &[&str]) -> Option<Fix> {
    let (key, needs) = view.job.node.entry("needs")?;
    let source = view.source();
    if needs.shared || view.job.node.flow {
        return None;
    }
    let all: Vec<&str> = view.job.needs.iter().map(|need| need.value.as_str()).chain(jobs.iter().copied()).collect();
    let last = needs.items().last();
    let edits = match last {
        Some(last) if needs.flow => {
            vec![Edit { span: Span::new(last.span.end, last.span.end), text: format!(", {}", jobs.join(", ")) }]
        }
        Some(last) => {
            let dash = indent(source, last.span.start).len().checked_sub(2)?;
            let lines: Vec<String> = jobs.iter().map(|job| format!("{}- {job}", " ".repeat(dash))).collect();
            vec![lines_after(source, last.span.end, &lines)]
        }
        None => vec![Edit { span: needs.span, text: format!("[{}]", all.join(", ")) }],
    };
    let _ = key;
    let change = Change::Set(place::job(view), "needs".to_owned(), format!("[{}]", all.join(", ")));
    Some(fix(view, "let the gate wait for every job", false, edits, vec![change]))
}
