//! Output of `noxide graph`: sessions, needs with origins and common locks, as text, DOT, Mermaid or JSON.

use std::collections::HashMap;

use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Value, json};

use super::list::{describe_constraints, describe_need_origin};
use super::theme::TextStyle;
use super::{ListedSession, OutputTheme};
use crate::project::SessionName;
use crate::text::format_duration;

/// Renders the graph for people: each session with its needs, and the longest chain.
pub(crate) fn render_graph_text(sessions: &[ListedSession], theme: OutputTheme) -> String {
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let name_width =
        widest(&mut sessions.iter().map(|listed| measure_text_width(&listed.spec.name.display_name()))).min(40);
    let usual =
        |listed: &ListedSession| listed.spec.usual_ms.map_or(String::new(), |ms| format!("~{}", format_duration(ms)));
    let time_width = widest(&mut sessions.iter().map(|listed| measure_text_width(&usual(listed))));
    let mut text = String::new();
    for listed in sessions {
        let name = listed.spec.name.display_name();
        let padded = pad_str(&name, name_width, Alignment::Left, None);
        let mut line = theme.style_text(if listed.selected { TextStyle::Bold } else { TextStyle::Dim }, &padded);
        if time_width > 0 {
            line.push_str(&format!("  {}", pad_str(&usual(listed), time_width, Alignment::Right, None)));
        }
        let needs: Vec<String> = listed
            .spec
            .needs
            .iter()
            .map(|need| format!("{} ({})", need.session, describe_need_origin(&need.origin)))
            .collect();
        if !needs.is_empty() {
            line.push_str(&format!(
                "  {} {}",
                theme.style_text(TextStyle::Accent, theme.pick_glyph("←", "<-")),
                needs.join(", ")
            ));
        }
        let limits = describe_constraints(&listed.spec);
        if !limits.is_empty() {
            line.push_str(&theme.style_text(TextStyle::Dim, &format!("  [{}]", limits.join(", "))));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some((chain, ms)) = find_longest_chain(sessions) {
        let chain: Vec<String> = chain.into_iter().map(ToString::to_string).collect();
        let arrow = theme.pick_glyph(" → ", " -> ");
        text.push_str(&format!("\nlongest chain: {} (~{})\n", chain.join(arrow), format_duration(ms)));
    }
    text
}

/// Finds the chain of needs of selected sessions that usually takes longest. Sessions in a cycle are omitted.
fn find_longest_chain(sessions: &[ListedSession]) -> Option<(Vec<&SessionName>, u64)> {
    let index: HashMap<_, _> =
        sessions.iter().enumerate().map(|(session, listed)| (&listed.spec.name, session)).collect();
    let needs =
        |session: usize| sessions[session].spec.needs.iter().filter_map(|need| index.get(&need.session).copied());
    let mut chain_ends: Vec<Option<(u64, Option<usize>)>> = vec![None; sessions.len()];
    let mut pending: Vec<usize> = (0..sessions.len()).filter(|&session| sessions[session].selected).collect();
    loop {
        let pending_before = pending.len();
        pending.retain(|&session| {
            let ready = needs(session).all(|need| chain_ends[need].is_some() || !sessions[need].selected);
            if ready {
                let longest = needs(session).filter_map(|need| chain_ends[need].map(|(end, _)| (end, need))).max();
                let own_ms = sessions[session].spec.usual_ms.unwrap_or(0);
                chain_ends[session] = Some((own_ms + longest.map_or(0, |(end, _)| end), longest.map(|(_, need)| need)));
            }
            !ready
        });
        if pending.len() == pending_before {
            break;
        }
    }
    let last = (0..sessions.len())
        .filter(|&session| chain_ends[session].is_some())
        .max_by_key(|&session| (chain_ends[session].map(|(end, _)| end), std::cmp::Reverse(session)))?;
    let total = chain_ends[last].map(|(end, _)| end).filter(|end| *end > 0)?;
    let mut chain = Vec::new();
    let mut next = Some(last);
    while let Some(session) = next {
        chain.push(&sessions[session].spec.name);
        next = chain_ends[session].and_then(|(_, longest)| longest);
    }
    chain.reverse();
    Some((chain, total))
}

/// Returns locks held by more than one session, with those sessions.
fn shared_locks(sessions: &[ListedSession]) -> Vec<(&str, Vec<usize>)> {
    let mut locks: Vec<(&str, Vec<usize>)> = Vec::new();
    for (session, listed) in sessions.iter().enumerate() {
        for lock in &listed.spec.locks {
            match locks.iter_mut().find(|(known, _)| *known == lock) {
                Some((_, holders)) => holders.push(session),
                None => locks.push((lock, vec![session])),
            }
        }
    }
    locks.retain(|(_, holders)| holders.len() > 1);
    locks
}

/// Returns the needs between listed sessions: from, to, origin.
fn need_edges(sessions: &[ListedSession]) -> Vec<(usize, usize, String)> {
    let index: HashMap<_, _> =
        sessions.iter().enumerate().map(|(number, listed)| (&listed.spec.name, number)).collect();
    let mut edges = Vec::new();
    for (to, listed) in sessions.iter().enumerate() {
        for need in &listed.spec.needs {
            if let Some(&from) = index.get(&need.session) {
                edges.push((from, to, describe_need_origin(&need.origin)));
            }
        }
    }
    edges
}

/// Renders the graph for Graphviz.
pub(crate) fn render_graph_dot(sessions: &[ListedSession]) -> String {
    let mut text = "digraph noxide {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n".to_owned();
    for (number, listed) in sessions.iter().enumerate() {
        let mut label = listed.spec.name.to_string();
        if let Some(usual) = listed.spec.usual_ms {
            label.push_str(&format!("\n~{}", format_duration(usual)));
        }
        let mut attributes = if listed.spec.exclusive { ", peripheries=2".to_owned() } else { String::new() };
        if !listed.selected {
            attributes.push_str(", color=gray, fontcolor=gray");
        }
        text.push_str(&format!("  s{number} [label={}{attributes}];\n", quote_dot_string(&label)));
    }
    for (from, to, origin) in need_edges(sessions) {
        text.push_str(&format!("  s{from} -> s{to} [label={}];\n", quote_dot_string(&origin)));
    }
    for (lock, holders) in shared_locks(sessions) {
        let label = quote_dot_string(&format!("lock {lock}"));
        for pair in holders.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            text.push_str(&format!("  s{a} -> s{b} [label={label}, dir=none, style=dashed, constraint=false];\n"));
        }
    }
    text.push_str("}\n");
    text
}

fn quote_dot_string(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted.replace("##[", "## [")
}

/// Renders the graph for Mermaid, which forges display in Markdown.
pub(crate) fn render_graph_mermaid(sessions: &[ListedSession]) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (number, listed) in sessions.iter().enumerate() {
        let mut label = escape_mermaid_text(&listed.spec.name.display_name());
        if let Some(usual) = listed.spec.usual_ms {
            label.push_str(&format!("<br/>~{}", format_duration(usual)));
        }
        let (open, close) = if listed.spec.exclusive { ("[[", "]]") } else { ("[", "]") };
        text.push_str(&format!("  s{number}{open}\"{label}\"{close}\n"));
    }
    for (from, to, origin) in need_edges(sessions) {
        text.push_str(&format!("  s{from} -->|\"{}\"| s{to}\n", escape_mermaid_text(&origin)));
    }
    for (lock, holders) in shared_locks(sessions) {
        let label = escape_mermaid_text(&format!("lock {lock}"));
        for pair in holders.windows(2) {
            text.push_str(&format!("  s{} -.-|\"{label}\"| s{}\n", pair[0], pair[1]));
        }
    }
    let unselected: Vec<String> = sessions
        .iter()
        .enumerate()
        .filter(|(_, listed)| !listed.selected)
        .map(|(number, _)| format!("s{number}"))
        .collect();
    if !unselected.is_empty() {
        text.push_str("  classDef unselected stroke-dasharray: 4,opacity: 0.5\n");
        text.push_str(&format!("  class {} unselected\n", unselected.join(",")));
    }
    text
}

/// Escapes text for Mermaid: every character special to its grammar or HTML becomes an entity.
fn escape_mermaid_text(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | ',' | ':' | '/' | '=' | '(' | ')') => {
                quoted.push(c);
            }
            c if c.is_control() => quoted.push(' '),
            c => quoted.push_str(&format!("#{};", c as u32)),
        }
    }
    quoted
}

/// Renders the graph as JSON: sessions, needs as edges, common locks, the longest chain.
pub(crate) fn render_graph_json(sessions: &[ListedSession]) -> Value {
    let name = |session: usize| sessions[session].spec.name.as_str();
    let needs: Vec<Value> = sessions
        .iter()
        .flat_map(|listed| {
            listed
                .spec
                .needs
                .iter()
                .map(|need| json!({ "session": listed.spec.name, "needs": need.session, "origin": need.origin }))
        })
        .collect();
    let locks: Vec<Value> = shared_locks(sessions)
        .into_iter()
        .map(|(lock, holders)| json!({ "lock": lock, "sessions": holders.into_iter().map(name).collect::<Vec<_>>() }))
        .collect();
    let chain = find_longest_chain(sessions).map(|(chain, usual)| json!({ "sessions": chain, "usual_ms": usual }));
    json!({ "version": 2, "sessions": sessions, "needs": needs, "locks": locks, "longest_chain": chain })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::output::event_builder::{session_spec, session_spec_with_usual};
    use crate::record::{NeedOrigin, SessionNeed, SessionSpec};

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };
    const TESTS: &str = "tests-3.12(db='pg', n=1)";

    /// Returns sessions with every kind of need, lock and constraint.
    pub(crate) fn sessions() -> Vec<ListedSession> {
        let listed = |spec: SessionSpec, selected| ListedSession { spec, selected, tags: Vec::new(), python: None };
        let need = |on: &str, origin| SessionNeed { session: on.into(), origin };
        let coverage = |on: &str| need(on, NeedOrigin::Coverage { data_file: ".coverage".to_owned() });
        let settings = need("lint", NeedOrigin::Settings { location: "pyproject.toml:41".to_owned() });
        let locks = vec!["db".to_owned()];
        let lint =
            SessionSpec { description: "Check the style.".to_owned(), ..session_spec_with_usual("lint", 3_400, &[]) };
        let tests = SessionSpec {
            locks: locks.clone(),
            cpus: 2,
            needs: vec![settings],
            ..session_spec_with_usual(TESTS, 40_000, &[])
        };
        let report = SessionSpec {
            needs: vec![need("lint", NeedOrigin::Requires), coverage(TESTS)],
            ..session_spec_with_usual("coverage_report", 2_000, &[])
        };
        let bench = SessionSpec { exclusive: true, locks, ..session_spec("benchmark") };
        let deploy = SessionSpec { needs: vec![need("build \"x\"", NeedOrigin::Notify)], ..session_spec("deploy") };
        let mut all = vec![
            listed(lint, true),
            listed(tests, true),
            listed(bench, true),
            listed(report, true),
            listed(deploy, false),
        ];
        all[1].python = Some("3.12".to_owned());
        all[1].tags = vec!["ci".to_owned(), "slow".to_owned()];
        all.push(listed(session_spec("build \"x\""), false));
        all
    }

    #[test]
    fn text_dot_and_mermaid() {
        insta::assert_snapshot!(render_graph_text(&sessions(), PLAIN), @r#"
        lint                       ~3.4s
        tests-3.12(db='pg', n=1)  ~40.0s  ← lint (pyproject.toml:41)  [lock db, 2 cpus]
        benchmark                         [lock db, exclusive]
        coverage_report            ~2.0s  ← lint (requires), tests-3.12(db='pg', n=1) (coverage .coverage)
        deploy                            ← build "x" (notify)
        build "x"

        longest chain: lint → tests-3.12(db='pg', n=1) → coverage_report (~45.4s)
        "#);
        insta::assert_snapshot!(render_graph_dot(&sessions()), @r#"
        digraph noxide {
          rankdir=LR;
          node [shape=box, style=rounded];
          s0 [label="lint\n~3.4s"];
          s1 [label="tests-3.12(db='pg', n=1)\n~40.0s"];
          s2 [label="benchmark", peripheries=2];
          s3 [label="coverage_report\n~2.0s"];
          s4 [label="deploy", color=gray, fontcolor=gray];
          s5 [label="build \"x\"", color=gray, fontcolor=gray];
          s0 -> s1 [label="pyproject.toml:41"];
          s0 -> s3 [label="requires"];
          s1 -> s3 [label="coverage .coverage"];
          s5 -> s4 [label="notify"];
          s1 -> s2 [label="lock db", dir=none, style=dashed, constraint=false];
        }
        "#);
        insta::assert_snapshot!(render_graph_mermaid(&sessions()), @r#"
        flowchart LR
          s0["lint<br/>~3.4s"]
          s1["tests-3.12(db=#39;pg#39;, n=1)<br/>~40.0s"]
          s2[["benchmark"]]
          s3["coverage_report<br/>~2.0s"]
          s4["deploy"]
          s5["build #34;x#34;"]
          s0 -->|"pyproject.toml:41"| s1
          s0 -->|"requires"| s3
          s1 -->|"coverage .coverage"| s3
          s5 -->|"notify"| s4
          s1 -.-|"lock db"| s2
          classDef unselected stroke-dasharray: 4,opacity: 0.5
          class s4,s5 unselected
        "#);
        assert!(render_graph_text(&sessions(), OutputTheme { color: true, unicode: false }).contains("<-"));
    }

    #[test]
    fn json_has_edges_locks_and_the_longest_chain() {
        let value = render_graph_json(&sessions());
        assert_eq!(value["needs"].as_array().map(Vec::len), Some(4));
        assert_eq!(value["locks"], json!([{ "lock": "db", "sessions": [TESTS, "benchmark"] }]));
        assert_eq!(
            value["longest_chain"],
            json!({ "sessions": ["lint", TESTS, "coverage_report"], "usual_ms": 45_400 })
        );
        assert!(render_graph_json(&[])["longest_chain"].is_null());
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(quote_dot_string("a\"b\\c\nd\x1b"), "\"a\\\"b\\\\c\\nd \"");
        assert_eq!(
            escape_mermaid_text("db='pg' \"x\" <b>#;|]\x1b"),
            "db=#39;pg#39; #34;x#34; #60;b#62;#35;#59;#124;#93; "
        );
    }

    #[test]
    fn a_cycle_has_no_longest_chain() {
        let listed = |spec| ListedSession { spec, selected: true, tags: Vec::new(), python: None };
        let cycle = [listed(session_spec_with_usual("a", 5, &["b"])), listed(session_spec_with_usual("b", 5, &["a"]))];
        assert!(find_longest_chain(&cycle).is_none());
        assert!(find_longest_chain(&[listed(session_spec("a"))]).is_none(), "it has no usual time");
    }
}
