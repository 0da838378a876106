//! Several calls of nox joined into one `noxide run`, with a log for each session where there were logs before.

use super::super::fix::{Change, Edit, Fix};
use super::super::shell::{Command, Installer, Joiner, Selection};
use super::super::span::Span;
use super::super::survey::{Call, Installed, View};
use super::super::workflow::Step;
use super::super::yaml::{Kind, Style};
use super::place::{self, fix, indent, quoted};
use super::shell::{rewrite, whole_line};

/// What the calls of one step ask for, taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    /// Sessions, each once.
    pub sessions: Vec<String>,
    /// Sessions that get arguments after `--`, and these.
    pub given: Vec<(Vec<String>, Vec<String>)>,
    /// Whether the others read no such arguments.
    pub deaf: bool,
    /// The folder of the logs.
    pub folder: Option<String>,
    /// Each log that was written, with the sessions whose logs replace it.
    pub logs: Vec<(String, Vec<String>)>,
    /// The bytes of the script from the first call to the last.
    pub span: Span,
}

/// Logs of a joined run, by session.
const LOG_NAME: &str = "nox-{session}-output.log";

impl Joined {
    /// The calls of a step; none where one of them asks for something of its own.
    pub(super) fn read(view: &View, step: &Step) -> Option<Self> {
        let calls: Vec<&Call> = view.survey.calls.iter().filter(|call| call.step == step.index).collect();
        let mut joined = Self { deaf: true, ..Self::default() };
        for call in &calls {
            joined.take(view, step, call)?;
        }
        let (first, last) = (calls.first()?, calls.last()?);
        let ends = last.command + usize::from(tee(step, last.command).is_some());
        // Nothing else stands between them.
        let known =
            |at: usize| calls.iter().any(|call| call.command == at || call.command + 1 == at && piped(step, at));
        if !(first.command..=ends).all(known) {
            return None;
        }
        joined.span = Span::new(step.commands.get(first.command)?.span.start, step.commands.get(ends)?.span.end);
        Some(joined)
    }

    fn take(&mut self, view: &View, step: &Step, call: &Call) -> Option<()> {
        let command = step.commands.get(call.command)?;
        let plain = command.program() == "nox"
            && command.assigns.is_empty()
            && !command.conditional
            && !command.heredoc
            && command.around.is_none()
            && command.outputs.is_empty()
            && matches!(command.joiner, Joiner::Then | Joiner::And)
            && call.nox.started_by.is_none()
            && matches!(call.nox.selection, Selection::Names(_))
            && only_names(command)
            && call.sessions.iter().all(|(name, _)| is_word(name));
        plain.then_some(())?;
        let names: Vec<String> = call.sessions.iter().map(|(name, _)| name.clone()).collect();
        if let Some(file) = tee(step, call.command) {
            let folder = file.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned();
            is_word(&folder).then_some(())?;
            (self.folder.as_ref().is_none_or(|known| *known == folder)).then_some(())?;
            self.folder = Some(folder);
            self.logs.push((file, names.clone()));
        } else if piped(step, call.command + 1) {
            return None;
        }
        let posargs = &call.nox.posargs;
        posargs.iter().all(|word| is_word(word)).then_some(())?;
        self.add(view, names, posargs);
        Some(())
    }

    fn add(&mut self, view: &View, names: Vec<String>, posargs: &[String]) {
        let new: Vec<String> = names.into_iter().filter(|name| !self.names().any(|known| known == name)).collect();
        if posargs.is_empty() {
            self.deaf &= new.iter().all(|name| view.facts(name).is_some_and(|facts| !facts.posargs));
            self.sessions.extend(new);
        } else if let Some((sessions, _)) = self.given.iter_mut().find(|(_, known)| *known == posargs) {
            sessions.extend(new);
        } else if !new.is_empty() {
            self.given.push((new, posargs.to_vec()));
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.given.iter().flat_map(|(names, _)| names).chain(&self.sessions)
    }

    /// Takes another step's calls in.
    pub(super) fn with(mut self, view: &View, other: Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (&self.folder, &other.folder) {
            (a == b).then_some(())?;
        }
        self.folder = self.folder.or(other.folder);
        self.logs.extend(other.logs);
        self.add(view, other.sessions, &[]);
        for (sessions, posargs) in other.given {
            self.add(view, sessions, &posargs);
        }
        Some(self)
    }

    /// The commands: one, unless arguments after `--` would reach sessions that must not get them.
    pub(super) fn commands(&self) -> Vec<String> {
        if let ([(names, posargs)], true) = (self.given.as_slice(), self.deaf) {
            return vec![self.command(&[&self.sessions[..], names].concat(), posargs)];
        }
        let given = self.given.iter().map(|(names, posargs)| self.command(names, posargs));
        let rest = (!self.sessions.is_empty()).then(|| self.command(&self.sessions, &[]));
        given.chain(rest).collect()
    }

    /// The commands as a script that runs each, whatever became of the one before.
    pub(super) fn script(&self) -> String {
        let commands = self.commands();
        if let [one] = commands.as_slice() {
            return format!("{one}\n");
        }
        let each: String = commands.iter().map(|command| format!("{command} || status=$?\n")).collect();
        format!("status=0\n{each}exit $status\n")
    }

    fn command(&self, sessions: &[String], posargs: &[String]) -> String {
        let mut text = format!("noxide run -s {}", sessions.join(" "));
        if let Some(folder) = &self.folder {
            text.push_str(&format!(" --logs {folder} --log-name '{LOG_NAME}'"));
        }
        if !posargs.is_empty() {
            text.push_str(&format!(" -- {}", posargs.join(" ")));
        }
        text
    }

    /// Where the log of a session goes, where logs were written before.
    pub(super) fn log(&self, session: &str) -> Option<String> {
        let name = LOG_NAME.replace("{session}", session);
        self.folder.as_deref().map(|folder| if folder == "." { name.clone() } else { format!("{folder}/{name}") })
    }

    /// The lines of an upload's path with the logs that are written now.
    pub(super) fn paths(&self, old: &str) -> Vec<String> {
        let new = |line: &str| match self.logs.iter().find(|(file, _)| file == line) {
            Some((_, sessions)) => sessions.iter().filter_map(|name| self.log(name)).collect(),
            None => vec![line.to_owned()],
        };
        old.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(new).collect()
    }
}

/// The file that a call's output is copied to.
fn tee(step: &Step, command: usize) -> Option<String> {
    let next = step.commands.get(command + 1).filter(|next| next.joiner == Joiner::Pipe && next.program() == "tee")?;
    let [_, file] = next.words.as_slice() else { return None };
    is_word(&file.text).then(|| file.text.clone())
}

fn piped(step: &Step, command: usize) -> bool {
    step.commands.get(command).is_some_and(|next| next.joiner == Joiner::Pipe)
}

/// Whether a shell reads it as one word, as it is.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c))
}

/// Whether a call has no flag but those that name sessions.
fn only_names(command: &Command) -> bool {
    let mut words = command.words.iter().skip(1).map(|word| word.text.as_str()).take_while(|word| *word != "--");
    words.all(|word| matches!(word, "-s" | "-e" | "--session" | "--sessions") || !word.starts_with('-'))
}

/// Where noxide joins nox in a job's own installation: the step's index, the place in its script, the words.
pub(super) fn installed<'a>(view: &View<'a>) -> Option<(&'a Installed, usize, String)> {
    let installs = &view.survey.installs;
    let known = |installed: &&Installed| {
        installed.install.by == Installer::Pip
            || (installed.install.by == Installer::Uv && installed.install.verb == "pip")
    };
    let found = installs.iter().filter(known).find(|installed| installed.install.package("nox").is_some())?;
    if found.install.package("noxide").is_some() {
        return None;
    }
    let word = found.install.package("nox")?;
    Some((found, word.span.end, format!(" noxide=={}", env!("CARGO_PKG_VERSION"))))
}

/// The edit that lets a job install noxide beside nox, unless a step's own script is rewritten anyway.
pub(super) fn with_noxide(view: &View, but: usize) -> Option<(Edit, Change)> {
    let (found, at, text) = installed(view)?;
    let step = view.step(found.step).filter(|step| step.index != but)?;
    let script = step.script.as_ref().filter(|script| script.exact && !script.shared && !step.node.flow)?;
    let mut new = script.text.clone();
    new.insert_str(at, &text);
    let edit = Edit { span: script.place(Span::new(at, at)), text };
    Some((edit, Change::Set(place::step(view, step, None), "run".to_owned(), quoted(&new))))
}

/// The same fix, with noxide installed beside nox where the job installs nox in another step.
#[must_use]
pub fn tooled(view: &View, mut fix: Fix) -> Fix {
    let own = view.survey.calls.first().map_or(usize::MAX, |call| call.step);
    if let Some((edit, change)) = with_noxide(view, own) {
        fix.edits.push(edit);
        fix.changes.push(change);
    } else if installed(view).is_some() || !has_noxide(view) {
        fix.title.push_str(" (needs noxide on the runner)");
    }
    fix
}

fn has_noxide(view: &View) -> bool {
    view.survey.installs.iter().any(|installed| installed.install.package("noxide").is_some())
}

/// Runs all calls of one step in one command, and uploads the logs that it writes.
pub fn one_run(view: &View) -> Option<Fix> {
    let index = view.survey.calls.first()?.step;
    let step = view.step(index).filter(|_| view.survey.calls.iter().all(|call| call.step == index))?;
    let joined = Joined::read(view, step).filter(|joined| joined.names().count() > 1)?;
    let commands = joined.commands();
    let [command] = commands.as_slice() else { return None };
    let text = &step.script.as_ref()?.text;
    let lines = Span::new(whole_line(text, joined.span).start, joined.span.end);
    let new = format!("{}{command}{}", text.get(..lines.start)?, text.get(lines.end..)?);
    let (edit, change) = rewrite(view, step, &new)?;
    let (mut edits, mut changes) = (vec![edit], vec![change]);
    for upload in view.job.steps.iter().filter(|step| step.is_upload()) {
        let Some(path) = upload.input("path") else { continue };
        let paths = joined.paths(&path.value);
        if paths != path.value.lines().map(str::trim).collect::<Vec<_>>() {
            let (edit, change) = set_paths(view, upload, &paths)?;
            edits.push(edit);
            changes.push(change);
        }
    }
    Some(tooled(view, fix(view, "run the sessions side by side", false, edits, changes)))
}

/// Replaces an upload's `path`.
pub(super) fn set_paths(view: &View, step: &Step, lines: &[String]) -> Option<(Edit, Change)> {
    let with = step.node.get("with").filter(|with| !with.flow && !with.shared)?;
    let (key, old) = with.entry("path")?;
    let Kind::Scalar(_, style) = &old.kind else { return None };
    let source = view.source();
    let block = *style == Style::Literal || lines.len() > 1;
    let value = if block { format!("{}\n", lines.join("\n")) } else { lines.concat() };
    let edit = match style {
        Style::Plain | Style::Quoted if !block => Edit { span: old.span, text: value.clone() },
        Style::Literal => {
            let depth = format!("{}{}", source.ending(), indent(source, old.span.start));
            Edit { span: old.span, text: lines.join(&depth) }
        }
        Style::Folded => return None,
        _ => {
            let depth = format!("{}{}  ", source.ending(), indent(source, key.span.start));
            Edit { span: old.span, text: format!("|{depth}{}", lines.join(&depth)) }
        }
    };
    Some((edit, Change::Set(place::step(view, step, Some("with")), "path".to_owned(), quoted(&value))))
}
