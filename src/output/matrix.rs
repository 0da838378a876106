//! Job matrix that distributes sessions to several runners: YAML for a workflow, or JSON for `fromJSON`.

use serde_json::{Value, json};

use crate::project::SessionName;
use crate::text::format_duration;

/// One entry of the matrix: the sessions of one runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MatrixEntry {
    /// Shard, such as `1/3`.
    pub(crate) shard: String,
    /// Sessions of the shard.
    pub(crate) sessions: Vec<SessionName>,
    /// Sum of their usual wall times in milliseconds, if known.
    pub(crate) usual_ms: Option<u64>,
}

/// Renders the matrix as YAML for a workflow.
pub(crate) fn render_matrix_yaml(entries: &[MatrixEntry]) -> String {
    let mut text = "strategy:\n  fail-fast: false\n  matrix:\n    include:\n".to_owned();
    for entry in entries {
        if let Some(usual) = entry.usual_ms {
            text.push_str(&format!("      # about {} of sessions\n", format_duration(usual)));
        }
        text.push_str(&format!("      - shard: {}\n", quote_yaml_string(&entry.shard)));
        text.push_str(&format!("        sessions: {}\n", quote_yaml_string(&shell_quote_names(&entry.sessions))));
    }
    text
}

/// Renders the matrix for `fromJSON(…).include`; the caller prints it on one line, as a step output requires.
pub(crate) fn render_matrix_json(entries: &[MatrixEntry]) -> Value {
    let include = entries.iter().map(|entry| {
        let mut row = json!({ "shard": entry.shard, "sessions": shell_quote_names(&entry.sessions) });
        if let Some(usual) = entry.usual_ms {
            row["seconds"] = json!(usual.div_ceil(1_000));
        }
        row
    });
    json!({ "version": 1, "include": include.collect::<Vec<_>>() })
}

/// Quotes the session names for a shell, to be used after `-s`.
fn shell_quote_names(sessions: &[SessionName]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c);
    let quote = |name: &SessionName| {
        let name = name.as_str();
        if !name.is_empty() && name.chars().all(plain) {
            name.to_owned()
        } else {
            format!("'{}'", name.replace('\'', r"'\''"))
        }
    };
    sessions.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Quotes a YAML scalar: a JSON string is valid YAML.
fn quote_yaml_string(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<MatrixEntry> {
        let entry = |shard: &str, sessions: &[&str], usual| MatrixEntry {
            shard: shard.to_owned(),
            sessions: sessions.iter().map(|name| SessionName::new(*name)).collect(),
            usual_ms: usual,
        };
        vec![entry("1/2", &["lint", "tests-3.12(db='pg')"], Some(61_001)), entry("2/2", &[], None)]
    }

    #[test]
    fn yaml_for_a_workflow() {
        insta::assert_snapshot!(render_matrix_yaml(&entries()), @r#"
        strategy:
          fail-fast: false
          matrix:
            include:
              # about 1m 01s of sessions
              - shard: "1/2"
                sessions: "lint 'tests-3.12(db='\\''pg'\\'')'"
              - shard: "2/2"
                sessions: ""
        "#);
    }

    #[test]
    fn json_on_one_line() {
        assert_eq!(
            render_matrix_json(&entries()).to_string(),
            r#"{"version":1,"include":[{"shard":"1/2","sessions":"lint 'tests-3.12(db='\\''pg'\\'')'","seconds":62},{"shard":"2/2","sessions":""}]}"#
        );
    }
}
