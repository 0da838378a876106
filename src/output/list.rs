//! Output of `noxide list`: sessions, their needs with origins, locks and usual times.

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use serde::Serialize;
use serde_json::{Value, json};

use super::OutputTheme;
use super::theme::TextStyle;
use crate::record::{LockOrigin, NeedOrigin, SessionSpec};
use crate::text::{format_duration, pluralize, to_single_line};

/// A session of the noxfile, as listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListedSession {
    /// The session as it would be planned.
    #[serde(flatten)]
    pub(crate) spec: SessionSpec,
    /// Whether the command line selects it.
    pub(crate) selected: bool,
    /// Tags from the noxfile.
    pub(crate) tags: Vec<String>,
    /// Interpreter as requested by the noxfile.
    pub(crate) python: Option<String>,
}

/// Renders the list for people.
pub(crate) fn render_list_text(sessions: &[ListedSession], theme: OutputTheme, width: Option<usize>) -> String {
    let max_width = width.map_or(usize::MAX, |width| width.saturating_sub(1));
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let name_width =
        widest(&mut sessions.iter().map(|listed| measure_text_width(&listed.spec.name.display_name()))).min(40);
    let times: Vec<String> =
        sessions.iter().map(|listed| listed.spec.usual_ms.map_or(String::new(), approximate_duration)).collect();
    let time_width = widest(&mut times.iter().map(|time| measure_text_width(time)));
    let pythons: Vec<String> = sessions.iter().map(python_label).collect();
    let python_width = widest(&mut pythons.iter().map(|version| measure_text_width(version)));
    let mut text = String::new();
    for ((listed, time_text), version) in sessions.iter().zip(&times).zip(&pythons) {
        let style = if listed.selected { TextStyle::Bold } else { TextStyle::Dim };
        let name = listed.spec.name.display_name();
        let padded = pad_str(&name, name_width, Alignment::Left, None);
        let mut line = format!("{} {}", if listed.selected { "*" } else { "-" }, theme.style_text(style, &padded));
        let mut used_width = 2 + measure_text_width(&padded);
        if time_width > 0 {
            line.push_str(&format!(
                "  {}",
                theme.style_text(TextStyle::Dim, &pad_str(time_text, time_width, Alignment::Right, None))
            ));
            used_width += 2 + time_width;
        }
        if python_width > 0 {
            line.push_str(&format!(
                "  {}",
                theme.style_text(TextStyle::Dim, &pad_str(version, python_width, Alignment::Left, None))
            ));
            used_width += 2 + python_width;
        }
        let description_width = max_width.saturating_sub(used_width + 2);
        if !listed.spec.description.is_empty() && description_width >= 10 {
            line.push_str(&format!(
                "  {}",
                truncate_str(&listed.spec.description, description_width, theme.ellipsis())
            ));
        }
        text.push_str(line.trim_end());
        text.push('\n');
        for detail in session_details(listed, theme) {
            text.push_str(&format!("    {}\n", theme.style_text(TextStyle::Dim, &detail)));
        }
    }
    let selected = sessions.iter().filter(|listed| listed.selected).count();
    text.push_str(&format!("\n{}, {selected} selected (*)\n", pluralize(sessions.len(), "session")));
    text
}

fn approximate_duration(ms: u64) -> String {
    format!("~{}", format_duration(ms))
}

/// Returns `py3.12` for a version, else the interpreter as requested.
fn python_label(listed: &ListedSession) -> String {
    let requested = listed.python.as_deref().unwrap_or_default();
    if requested.starts_with(|c: char| c.is_ascii_digit()) { format!("py{requested}") } else { requested.to_owned() }
}

fn session_details(listed: &ListedSession, theme: OutputTheme) -> Vec<String> {
    let mut details = Vec::new();
    let needs: Vec<String> = listed
        .spec
        .needs
        .iter()
        .map(|need| format!("{} ({})", need.session, describe_need_origin(&need.origin)))
        .collect();
    if !needs.is_empty() {
        details.push(format!("after {}", needs.join(", ")));
    }
    let mut properties = describe_constraints(&listed.spec);
    if !listed.tags.is_empty() {
        properties.push(format!("tags {}", listed.tags.join(", ")));
    }
    if !properties.is_empty() {
        details.push(properties.join(theme.separator()));
    }
    details
}

/// Renders the list as JSON.
pub(crate) fn render_list_json(sessions: &[ListedSession]) -> Value {
    json!({ "version": 2, "sessions": sessions })
}

/// Describes the origin of a need in a few words.
pub(crate) fn describe_need_origin(origin: &NeedOrigin) -> String {
    // Files and variables may have any name.
    to_single_line(&match origin {
        NeedOrigin::Requires => "requires".to_owned(),
        NeedOrigin::Notify => "notify".to_owned(),
        NeedOrigin::Coverage { data_file } => format!("coverage {data_file}"),
        NeedOrigin::SharedVariable { name } => format!("shared variable {name}"),
        NeedOrigin::Settings { location } => location.clone(),
        NeedOrigin::Trace { path } => format!("trace: {path}"),
    })
}

/// Describes locks, exclusivity and CPUs that differ from the default.
pub(crate) fn describe_constraints(spec: &SessionSpec) -> Vec<String> {
    let mut limits: Vec<String> =
        spec.locks.iter().map(|lock| format!("lock {lock}{}", lock_origin(spec, lock))).collect();
    limits.extend(spec.lock_details.shared.iter().map(|lock| format!("shared lock {lock}{}", lock_origin(spec, lock))));
    limits.extend(spec.lock_details.during_commands.iter().map(|lock| match spec.lock_details.origins.get(lock) {
        Some(LockOrigin::Command { command }) => format!("lock {lock} during {command}"),
        _ => format!("lock {lock}"),
    }));
    if spec.exclusive {
        limits.push("exclusive".to_owned());
    }
    if spec.cpus != 1 {
        limits.push(format!("{} cpus", spec.cpus));
    }
    limits.iter().map(|limit| to_single_line(limit)).collect()
}

/// Describes the origin of a lock in brackets.
fn lock_origin(spec: &SessionSpec, lock: &str) -> String {
    match spec.lock_details.origins.get(lock) {
        Some(LockOrigin::Settings { location }) if !location.is_empty() => format!(" ({location})"),
        Some(LockOrigin::Noxfile) => " (noxfile)".to_owned(),
        Some(LockOrigin::Command { command }) => format!(" (ran {command})"),
        // The name of a lock from a trace contains its path.
        Some(LockOrigin::Settings { .. } | LockOrigin::Trace { .. }) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::graph::tests::sessions;

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    #[test]
    fn text_shows_needs_with_their_origin() {
        insta::assert_snapshot!(render_list_text(&sessions(), PLAIN, Some(80)), @r#"
        * lint                       ~3.4s          Check the style.
        * tests-3.12(db='pg', n=1)  ~40.0s  py3.12
            after lint (pyproject.toml:41)
            lock db · 2 cpus · tags ci, slow
        * benchmark
            lock db · exclusive
        * coverage_report            ~2.0s
            after lint (requires), tests-3.12(db='pg', n=1) (coverage .coverage)
        - deploy
            after build "x" (notify)
        - build "x"

        6 sessions, 4 selected (*)
        "#);
        insta::assert_snapshot!(render_list_text(&sessions(), OutputTheme { color: false, unicode: false }, Some(34)), @r#"
        * lint                       ~3.4s
        * tests-3.12(db='pg', n=1)  ~40.0s  py3.12
            after lint (pyproject.toml:41)
            lock db, 2 cpus, tags ci, slow
        * benchmark
            lock db, exclusive
        * coverage_report            ~2.0s
            after lint (requires), tests-3.12(db='pg', n=1) (coverage .coverage)
        - deploy
            after build "x" (notify)
        - build "x"

        6 sessions, 4 selected (*)
        "#);
        let pypy = ListedSession { python: Some("pypy3.10".to_owned()), ..sessions().remove(0) };
        assert_eq!(python_label(&pypy), "pypy3.10");
        assert_eq!(render_list_text(&[], PLAIN, None), "\n0 sessions, 0 selected (*)\n");
        assert!(
            render_list_text(&sessions(), OutputTheme { color: true, unicode: true }, None).contains("\x1b[1mlint")
        );
    }

    #[test]
    fn json_has_all_fields() {
        let value = render_list_json(&sessions());
        assert_eq!(value["version"], 2);
        let report = &value["sessions"][3];
        assert_eq!(report["name"], "coverage_report");
        assert_eq!(report["needs"][1]["origin"]["from"], "coverage");
        assert_eq!((&report["selected"], &report["usual_ms"]), (&json!(true), &json!(2_000)));
    }
}
