//! Jobs that prepare themselves alike become one: prepared once, its sessions side by side in one `noxide run`.

use super::super::fix::{Change, Edit, Fix, Segment};
use super::super::span::{Source, Span};
use super::super::survey::View;
use super::super::workflow::Step;
use super::cache::MARK;
use super::gather::gathered;
use super::join::Joined;
use super::piece::{Piece, flow, piece};
use super::place::{comments_above, fix, indent, quoted, scalar, whole_lines};
use super::step::dash_indent;

/// The merged job's name.
const NAME: &str = "sessions";

/// The merged job as it grows.
#[derive(Default)]
struct Merged {
    before: Vec<Piece>,
    after: Vec<Piece>,
    joined: Option<Joined>,
    setup: Vec<String>,
    env: Vec<(String, String)>,
    minutes: u32,
}

/// Merges jobs of one workflow; none where one of them is more than preparation, sessions, and what follows them.
pub fn jobs(members: &[View]) -> Option<Fix> {
    let (first, names) = (members.first()?, members.iter().map(|view| view.job.id.value.as_str()).collect::<Vec<_>>());
    let clear = first.workflow.job(NAME).is_none() && members.len() > 1 && !first.workflow.root.flow;
    if !clear || members.iter().any(|view| !simple(view, first, &names)) || elsewhere(first, &names) {
        return None;
    }
    let mut merged = Merged::default();
    for view in members {
        merged.take(view, members)?;
    }
    merged.after = gathered(merged.after, first, &dash_indent(first)?, NAME);
    let source = first.source();
    let lines = merged.lines(first)?;
    let mut edits = Vec::new();
    let mut kept: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (number, view) in members.iter().enumerate() {
        let region = whole_lines(source, Span::new(view.job.id.span.start, view.job.node.span.end));
        let start = comments_above(source, view.job.id.span.start);
        let all = source.slice(Span::new(start, region.end));
        // No comment of people's may get lost.
        let said = all.lines().map(str::trim).filter(|line| line.starts_with('#') && !line.starts_with(MARK));
        if said.clone().any(|line| !kept.iter().any(|kept| kept.trim() == line)) || !all.ends_with('\n') {
            return None;
        }
        if number == 0 {
            let text: String = lines.iter().map(|line| format!("{line}{}", source.ending())).collect();
            edits.push(Edit { span: region, text });
        } else {
            edits.push(Edit { span: Span::new(gap(source, start), region.end), text: String::new() });
        }
    }
    kept.clear();
    let mut changes = vec![Change::Set(vec!["jobs".into()], NAME.to_owned(), merged.value(first))];
    changes.extend(names.iter().map(|name| Change::Remove(vec!["jobs".into()], (*name).to_owned())));
    for (edit, change) in waiting(first, &names)? {
        edits.push(edit);
        changes.push(change);
    }
    let title = format!("prepare once: run the sessions of {} jobs side by side in one", members.len());
    Some(fix(first, &title, false, edits, changes))
}

/// Whether a job holds nothing that one job for all could not hold.
fn simple(view: &View, first: &View, names: &[&str]) -> bool {
    let node = &view.job.node;
    let known = |key: &str| matches!(key, "runs-on" | "container" | "needs" | "timeout-minutes" | "steps" | "name");
    let same = |key: &str| match (node.get(key), first.job.node.get(key)) {
        (Some(own), Some(other)) => own == other,
        (None, None) => true,
        _ => false,
    };
    let steps = node.get("steps").is_some_and(|steps| !steps.flow && !steps.shared);
    !node.flow
        && !node.shared
        && steps
        && node.entries().iter().all(|(key, _)| key.text().is_some_and(known))
        && same("runs-on")
        && same("container")
        && view.job.needs.iter().all(|need| names.contains(&need.value.as_str()))
        && view.job.steps.iter().all(|step| step.id.is_none() && !step.node.flow && !step.node.shared)
        && !view.hands_out()
}

/// Whether another job asks for one of them by name, or the sessions keep an order.
fn elsewhere(first: &View, names: &[&str]) -> bool {
    let text = &first.source().text;
    names.iter().any(|name| text.contains(&format!("needs.{name}."))) || text.contains("needs['")
}

/// Where the blank lines before a job begin.
fn gap(source: &Source, start: usize) -> usize {
    let mut line = source.line_of(start);
    while line > 0 && source.line(line - 1).trim().is_empty() {
        line -= 1;
    }
    source.line_start(line)
}

/// The `needs` of the other jobs, with the merged one in place of the members.
fn waiting(first: &View, names: &[&str]) -> Option<Vec<(Edit, Change)>> {
    let member = |name: &str| names.contains(&name);
    let others = first.workflow.jobs.iter().filter(|job| !member(&job.id.value));
    let mut made = Vec::new();
    for job in others.filter(|job| job.needs.iter().any(|need| member(&need.value))) {
        let needs = job.node.get("needs").filter(|needs| !needs.shared && (needs.flow || needs.text().is_some()))?;
        let left = job.needs.iter().map(|need| need.value.as_str()).filter(|need| !member(need));
        let list = format!("[{}]", std::iter::once(NAME).chain(left).collect::<Vec<_>>().join(", "));
        let route: Vec<Segment> = vec!["jobs".into(), job.id.value.as_str().into()];
        made.push((Edit { span: needs.span, text: list.clone() }, Change::Set(route, "needs".to_owned(), list)));
    }
    Some(made)
}

impl Merged {
    fn take(&mut self, view: &View, members: &[View]) -> Option<()> {
        let at = view.survey.calls.first()?.step;
        let step = view.step(at).filter(|step| step.condition.is_none())?;
        let one = view.survey.calls.iter().all(|call| call.step == at && !call.nox.noxide);
        (one && super::super::order::keeps_order(view).is_none()).then_some(())?;
        let joined = Joined::read(view, step)?;
        self.set_up(step, &joined)?;
        self.variables(view, step, members)?;
        let timeout = view.job.timeout.as_ref().map(|text| text.value.parse::<u32>());
        self.minutes = self.minutes.max(timeout?.ok()?);
        let mut last = 0;
        for step in view.job.steps.iter().take(at) {
            let piece = piece(view, step, &joined)?;
            match self.before.iter().position(|known| known.key == piece.key) {
                Some(known) => last = known + 1,
                None => {
                    self.before.insert(last, piece);
                    last += 1;
                }
            }
        }
        for step in view.job.steps.iter().skip(at + 1) {
            // What follows must not depend on the sessions of other jobs.
            step.condition.as_ref()?;
            self.after.push(piece(view, step, &joined)?);
        }
        self.joined = match self.joined.take() {
            Some(before) => Some(before.with(view, joined)?),
            None => Some(joined),
        };
        Some(())
    }

    /// What the script does before and beside its calls: only folders are made.
    fn set_up(&mut self, step: &Step, joined: &Joined) -> Option<()> {
        for command in step.commands.iter().filter(|command| !joined.span.holds(command.span)) {
            match command.program() {
                "set" => {}
                "mkdir"
                    if command.span.end <= joined.span.start && command.joiner == super::super::shell::Joiner::Then =>
                {
                    let line = command.line();
                    if !self.setup.contains(&line) {
                        self.setup.push(line);
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Variables that all jobs set alike; those that say how many workers there are give way to noxide's own.
    fn variables(&mut self, view: &View, step: &Step, members: &[View]) -> Option<()> {
        let workers = |name: &str| {
            let counted =
                view.project.noxfile.as_ref().map(super::super::noxfile::Noxfile::workers).unwrap_or_default();
            counted.iter().any(|workers| workers.variable.as_deref() == Some(name))
        };
        for (name, value) in step.env.iter().filter(|(name, _)| !workers(&name.value)) {
            let everywhere = members.iter().all(|other| {
                let call = other.survey.calls.first().and_then(|call| other.step(call.step));
                call.is_some_and(|step| step.env.iter().any(|(n, v)| n.value == name.value && v.value == value.value))
            });
            everywhere.then_some(())?;
            let pair = (name.value.clone(), value.value.clone());
            if !self.env.contains(&pair) {
                self.env.push(pair);
            }
        }
        Some(())
    }

    fn script(&self) -> String {
        self.setup.iter().map(|line| format!("{line}\n")).collect::<String>()
            + &self.joined.as_ref().map(Joined::script).unwrap_or_default()
    }

    /// The job's lines.
    fn lines(&self, first: &View) -> Option<Vec<String>> {
        let source = first.source();
        let (key, _) = first.job.node.entries().first()?;
        let depth = indent(source, key.span.start);
        let mut lines = vec![format!("{}{NAME}:", indent(source, first.job.id.span.start))];
        for (key, value) in first.job.node.entries() {
            match key.text()? {
                "needs" | "name" | "timeout-minutes" => {}
                "steps" => lines.push(format!("{depth}timeout-minutes: {}", self.minutes)),
                _ => {
                    let span = whole_lines(source, Span::new(key.span.start, value.span.end.max(key.span.end)));
                    lines.extend(source.slice(span).lines().map(str::to_owned));
                }
            }
        }
        lines.push(format!("{depth}steps:"));
        let dash = dash_indent(first)?;
        lines.extend(self.before.iter().flat_map(|piece| piece.lines.clone()));
        lines.push(format!("{dash}- name: Run the sessions side by side"));
        lines.push(format!("{dash}  run: |"));
        lines.extend(self.script().lines().map(|line| format!("{dash}    {line}")));
        if !self.env.is_empty() {
            lines.push(format!("{dash}  env:"));
            lines.extend(self.env.iter().map(|(name, value)| format!("{dash}    {name}: {}", scalar(value))));
        }
        lines.extend(self.after.iter().flat_map(|piece| piece.lines.clone()));
        Some(lines)
    }

    /// The job's meaning, from the nodes it was made of and not from its lines.
    fn value(&self, first: &View) -> String {
        let mut entries: Vec<String> = Vec::new();
        for (key, value) in first.job.node.entries() {
            if matches!(key.text(), Some("runs-on" | "container")) {
                entries.push(format!("{}: {}", flow(key), flow(value)));
            }
        }
        entries.push(format!("\"timeout-minutes\": {}", self.minutes));
        let mut run = format!("\"name\": \"Run the sessions side by side\", \"run\": {}", quoted(&self.script()));
        if !self.env.is_empty() {
            let pairs: Vec<String> =
                self.env.iter().map(|(name, value)| format!("{}: {}", quoted(name), scalar(value))).collect();
            run.push_str(&format!(", \"env\": {{{}}}", pairs.join(", ")));
        }
        let steps = self.before.iter().map(|piece| flow(&piece.node)).chain([format!("{{{run}}}")]);
        let steps: Vec<String> = steps.chain(self.after.iter().map(|piece| flow(&piece.node))).collect();
        entries.push(format!("\"steps\": [{}]", steps.join(", ")));
        format!("{{{}}}", entries.join(", "))
    }
}
