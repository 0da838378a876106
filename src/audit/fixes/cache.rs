//! Fixes of cache steps: their key, their paths, a missing one.

use super::super::cache::{Cache, CacheKind, is_uv};
use super::super::dialect::Dialect;
use super::super::fix::{Change, Edit, Fix};
use super::super::span::Span;
use super::super::survey::View;
use super::super::workflow::{Step, Text};
use super::super::yaml::{Kind, Style};
use super::place::{self, comments_above, fix, indent, lines_at, quoted};
use super::recipe::recipe;
use super::step::{dash_indent, insert_step};

/// How a comment of noxide's begins: by it the next run finds its own words again.
pub const MARK: &str = "# noxide: ";

fn words() -> [String; 2] {
    [
        format!("{MARK}what uv and pip download, under a key of job group, platform, Python, version of uv and"),
        format!("{MARK}the files that decide what is installed; without an exact hit the newest of the same platform."),
    ]
}

/// Rewrites a cache step's paths, key and prefixes by the recipe, and says so in a comment.
pub fn key(view: &View, cache: &Cache) -> Option<Fix> {
    let step = view.step(cache.step).filter(|_| cache.kind == CacheKind::Action && !view.hands_out())?;
    let with = step.node.get("with").filter(|with| !with.flow && !with.shared && !step.node.flow)?;
    let recipe = recipe(view);
    let source = view.source();
    let mut paths: Vec<String> =
        cache.paths.iter().map(|path| path.value.clone()).filter(|path| !is_uv(path)).collect();
    let kept: Vec<String> = recipe.paths.iter().filter(|path| !paths.contains(path)).cloned().collect();
    paths = kept.into_iter().chain(paths).collect();
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    let route = place::step(view, step, Some("with"));
    let entries = [
        ("path", paths.as_slice(), true),
        ("key", std::slice::from_ref(&recipe.key), false),
        ("restore-keys", std::slice::from_ref(&recipe.prefix), true),
    ];
    for (name, lines, block) in entries {
        let depth = indent(source, with.entries().first()?.0.span.start);
        let block = block && (lines.len() > 1 || name == "restore-keys");
        let inner = format!("{}{depth}  ", source.ending());
        let written = if block { format!("|{inner}{}", lines.join(&inner)) } else { lines.join("") };
        let value = if block { format!("{}\n", lines.join("\n")) } else { lines.join("") };
        match with.entry(name) {
            None => {
                edits.push(super::place::lines_after(source, with.span.end, &[format!("{depth}{name}: {written}")]));
            }
            Some((key, old)) => {
                let Kind::Scalar(text, style) = &old.kind else { return None };
                if text.trim_end() == value.trim_end() {
                    continue;
                }
                let header = matches!(style, Style::Literal | Style::Folded);
                let start = if header {
                    header_start(source.slice(Span::new(key.span.end, old.span.start)), key.span.end)?
                } else {
                    old.span.start
                };
                edits.push(Edit { span: Span::new(start, old.span.end), text: written });
            }
        }
        changes.push(Change::Set(route.clone(), name.to_owned(), quoted(&value)));
    }
    let at = comments_above(source, step.span.start);
    let above = source.slice(Span::new(at, step.span.start));
    if !above.contains(MARK) {
        let dash = dash_indent(view)?;
        let lines = words().map(|line| format!("{dash}{line}"));
        edits.push(lines_at(source, source.line_start(source.line_of(step.span.start)), &lines));
    }
    Some(fix(
        view,
        "give the cache the folders that are used and a key of what decides their content",
        false,
        edits,
        changes,
    ))
}

/// Where a block's `|` stands after its key.
fn header_start(between: &str, from: usize) -> Option<usize> {
    let at = between.find(['|', '>'])?;
    let comment = between.find('#').is_some_and(|comment| comment < between.trim_end().len());
    (!comment).then_some(from + at)
}

/// Rewrites a wrong path: the whole step by the recipe.
pub fn path(view: &View, _wrong: &Text, _used: &str) -> Option<Fix> {
    let cache = view.survey.caches.iter().find(|cache| cache.kind == CacheKind::Action)?;
    key(view, cache)
}

/// Adds prefixes: the key up to its first hash.
pub fn restore_keys(view: &View, cache: &Cache) -> Option<Fix> {
    let step = view.step(cache.step)?;
    let key = cache.key.as_ref().filter(|key| !key.value.contains('\n'))?;
    let (before, _) = key.value.split_once("${{ hashFiles(")?;
    let with = step.node.get("with").filter(|with| !with.flow && !before.is_empty())?;
    let edit = place::add_entry(view.source(), with, "restore-keys", before)?;
    let change = Change::Set(place::step(view, step, Some("with")), "restore-keys".to_owned(), quoted(before));
    Some(fix(view, "take the newest entry of the same platform without an exact hit", true, vec![edit], vec![change]))
}

/// Puts a cache step before the first installation; in a job that hands something out, a comment that none is meant.
pub fn missing(view: &View, install: Span) -> Option<Fix> {
    if view.hands_out() {
        return meant(view, install);
    }
    let first = view.survey.installs.iter().map(|installed| installed.step);
    let first = first.chain(view.survey.calls.iter().map(|call| call.step)).min()?;
    let checkout = view.job.steps.iter().find(|step| step.is("actions/checkout"))?;
    let before = view.step(first).filter(|step| step.index > checkout.index)?;
    let recipe = recipe(view);
    let dash = dash_indent(view)?;
    let uses = cache_action(view)?;
    let mut lines: Vec<String> = words().iter().map(|line| format!("{dash}{line}")).collect();
    lines.push(format!("{dash}- name: Restore Python packages"));
    lines.push(format!("{dash}  uses: {uses}"));
    lines.push(format!("{dash}  with:"));
    lines.push(format!("{dash}    path: |"));
    lines.extend(recipe.paths.iter().map(|path| format!("{dash}      {path}")));
    lines.push(format!("{dash}    key: {}", recipe.key));
    lines.push(format!("{dash}    restore-keys: |"));
    lines.push(format!("{dash}      {}", recipe.prefix));
    let value = format!(
        "{{name: Restore Python packages, uses: {}, with: {{path: {}, key: {}, restore-keys: {}}}}}",
        quoted(&uses),
        quoted(&format!("{}\n", recipe.paths.join("\n"))),
        quoted(&recipe.key),
        quoted(&format!("{}\n", recipe.prefix)),
    );
    insert_step(view, before, &lines, &value, "restore a cache before the first installation")
}

/// Keeps the sessions' environments in an entry of their own, in each job of the first workflow that hands nothing out.
///
/// They hold absolute paths, so the workspace is part of the key; and they must fit exactly, so there are no prefixes.
pub fn environments(running: &[View]) -> Option<Fix> {
    let first = running.iter().find(|view| !view.hands_out() && view.survey.caches.iter().any(Cache::keeps_uv))?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for view in running.iter().filter(|view| view.source() == first.source() && !view.hands_out()) {
        let recipe = recipe(view);
        recipe.prefix.contains("-py").then_some(())?;
        let steps = view.survey.installs.iter().map(|installed| installed.step);
        let at = steps.chain(view.survey.calls.iter().map(|call| call.step)).min()?;
        let checkout = view.job.steps.iter().find(|step| step.is("actions/checkout"))?;
        let before = view.step(at).filter(|step| step.index > checkout.index)?;
        let dash = dash_indent(view)?;
        let uses = cache_action(view)?;
        let key = format!("{}-${{{{ github.workspace }}}}", recipe.key.replacen("uv-", "nox-", 1));
        let lines = [
            format!("{dash}{MARK}the sessions' environments, only where the whole key fits: they hold absolute paths."),
            format!("{dash}- name: Restore environments"),
            format!("{dash}  uses: {uses}"),
            format!("{dash}  with:"),
            format!("{dash}    path: .nox"),
            format!("{dash}    key: {key}"),
        ];
        let value = format!(
            "{{name: Restore environments, uses: {}, with: {{path: .nox, key: {}}}}}",
            quoted(&uses),
            quoted(&key)
        );
        let made = insert_step(view, before, &lines, &value, "")?;
        edits.extend(made.edits);
        changes.extend(made.changes);
    }
    Some(fix(first, "keep the environments that are meant to be used again", false, edits, changes))
}

/// The cache action that the project uses already, or the newest that all forges serve; none where actions are
/// pinned by commit, which cannot be known from here.
fn cache_action(view: &View) -> Option<String> {
    let by_commit = |step: &Step| step.action.as_ref().is_some_and(|action| action.version.len() == 40);
    if view.job.steps.iter().any(by_commit) {
        return None;
    }
    let used = view.project.jobs().flat_map(|view| &view.job.steps).find(|step| step.is_cache());
    let absolute = view.job.steps.iter().any(|step| step.action.as_ref().is_some_and(|action| action.host.is_some()));
    Some(used.and_then(|step| step.uses.as_ref()).map_or_else(
        || match view.workflow.dialect {
            Dialect::Forgejo if absolute => "https://data.forgejo.org/actions/cache@v4".to_owned(),
            Dialect::Github => "actions/cache@v5".to_owned(),
            _ => "actions/cache@v4".to_owned(),
        },
        |uses| uses.value.clone(),
    ))
}

/// Says in a comment that a job which hands something out keeps no cache on purpose.
fn meant(view: &View, install: Span) -> Option<Fix> {
    let source = view.source();
    let line = source.line_of(install.start);
    let end = source.line_start(line) + source.line(line).len();
    let step = view.job.steps.iter().find(|step| step.span.holds(install))?;
    let (key, value) = step.node.entry("run")?;
    let one_line = source.line_of(key.span.start) == line && source.line_of(value.span.end) == line;
    let free = !source.line(line).contains('#')
        && !step.node.flow
        && matches!(value.kind, Kind::Scalar(_, Style::Plain | Style::Quoted));
    (one_line && free)
        .then(|| Edit {
            span: Span::new(end, end),
            text: "  # noxide: ignore[NX101] a release is built from nothing".to_owned(),
        })
        .map(|edit| fix(view, "say that no cache is meant here", false, vec![edit], vec![]))
}
