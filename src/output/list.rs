//! `noxide list`: the noxfile's sessions, what they wait for and why, locks and usual times.

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use serde_json::{Value, json};

use super::listed_session::{describe_constraints, describe_need_origin};
use super::theme::TextStyle;
use super::{ListedSession, OutputTheme};
use crate::text::{format_duration, pluralize};

/// The list for people.
pub(crate) fn render_list_text(sessions: &[ListedSession], paint: OutputTheme, width: Option<usize>) -> String {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(1));
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let name = widest(&mut sessions.iter().map(|listed| measure_text_width(listed.facts.name.as_str()))).min(40);
    let times: Vec<String> =
        sessions.iter().map(|listed| listed.facts.usual.map_or(String::new(), approximate_duration)).collect();
    let time = widest(&mut times.iter().map(|time| measure_text_width(time)));
    let pythons: Vec<String> = sessions.iter().map(python_label).collect();
    let python = widest(&mut pythons.iter().map(|version| measure_text_width(version)));
    let mut text = String::new();
    for ((listed, time_text), version) in sessions.iter().zip(&times).zip(&pythons) {
        let tone = if listed.selected { TextStyle::Bold } else { TextStyle::Dim };
        let padded = pad_str(listed.facts.name.as_str(), name, Alignment::Left, None);
        let mut line = format!("{} {}", if listed.selected { "*" } else { "-" }, paint.style_text(tone, &padded));
        let mut taken = 2 + measure_text_width(&padded);
        if time > 0 {
            line.push_str(&format!(
                "  {}",
                paint.style_text(TextStyle::Dim, &pad_str(time_text, time, Alignment::Right, None))
            ));
            taken += 2 + time;
        }
        if python > 0 {
            line.push_str(&format!(
                "  {}",
                paint.style_text(TextStyle::Dim, &pad_str(version, python, Alignment::Left, None))
            ));
            taken += 2 + python;
        }
        let left = room.saturating_sub(taken + 2);
        if !listed.facts.description.is_empty() && left >= 10 {
            line.push_str(&format!("  {}", truncate_str(&listed.facts.description, left, paint.ellipsis())));
        }
        text.push_str(line.trim_end());
        text.push('\n');
        for detail in session_details(listed, paint) {
            text.push_str(&format!("    {}\n", paint.style_text(TextStyle::Dim, &detail)));
        }
    }
    let selected = sessions.iter().filter(|listed| listed.selected).count();
    text.push_str(&format!("\n{}, {selected} selected (*)\n", pluralize(sessions.len(), "session")));
    text
}

fn approximate_duration(ms: u64) -> String {
    format!("~{}", format_duration(ms))
}

/// `py3.12` for a version, else the interpreter as it was asked for.
fn python_label(listed: &ListedSession) -> String {
    let asked = listed.python.as_deref().unwrap_or_default();
    if asked.starts_with(|c: char| c.is_ascii_digit()) { format!("py{asked}") } else { asked.to_owned() }
}

fn session_details(listed: &ListedSession, paint: OutputTheme) -> Vec<String> {
    let mut details = Vec::new();
    let needs: Vec<String> =
        listed.facts.needs.iter().map(|need| format!("{} ({})", need.on, describe_need_origin(&need.origin))).collect();
    if !needs.is_empty() {
        details.push(format!("after {}", needs.join(", ")));
    }
    let mut traits = describe_constraints(&listed.facts);
    if !listed.tags.is_empty() {
        traits.push(format!("tags {}", listed.tags.join(", ")));
    }
    if !traits.is_empty() {
        details.push(traits.join(paint.separator()));
    }
    details
}

/// The list for programs.
pub(crate) fn render_list_json(sessions: &[ListedSession]) -> Value {
    json!({ "version": 1, "sessions": sessions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::graph::tests::sessions;

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    #[test]
    fn people_see_what_waits_for_what_and_why() {
        insta::assert_snapshot!(render_list_text(&sessions(), PLAIN, Some(80)), @r#"
        * lint                       ~3.4s          Check the style.
        * tests-3.12(db='pg', n=1)  ~40.0s  py3.12
            after lint (pyproject.toml:41)
            lock db · 2 cpus · tags ci, slow
        * benchmark
            lock db · alone
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
            lock db, alone
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
    fn programs_see_all_of_it() {
        let value = render_list_json(&sessions());
        assert_eq!(value["version"], 1);
        let report = &value["sessions"][3];
        assert_eq!(report["name"], "coverage_report");
        assert_eq!(report["needs"][1]["origin"]["from"], "coverage");
        assert_eq!((&report["selected"], &report["usual"]), (&json!(true), &json!(2_000)));
    }
}
