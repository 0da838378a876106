//! Settings written into a file whose formatting stays.

use toml_edit::{Array, DocumentMut, Item, Table, Value};

/// One thing to be said of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingsEdit {
    /// It holds a lock.
    Lock {
        /// The session, or a pattern for several.
        session: String,
        /// The lock's name.
        lock: String,
    },
    /// It waits for another.
    After {
        /// The session.
        session: String,
        /// The one it waits for.
        prerequisite: String,
    },
    /// It runs alone.
    Exclusive {
        /// The session.
        session: String,
    },
}

/// Why a settings file cannot be edited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsEditError {
    /// It is no TOML.
    #[error("it cannot be read: {0}")]
    Syntax(#[from] toml_edit::TomlError),
    /// Something else stands where a table should be.
    #[error("{0} is no table")]
    NotTable(String),
    /// Something else stands where a list should be.
    #[error("{0} is no list")]
    NotList(String),
}

/// Says these things in a settings file; `below` are the tables that settings stand in. What is said already stays.
///
/// # Errors
/// When the file is no TOML or has something else in these places.
pub(crate) fn edit_settings(text: &str, below: &[&str], edits: &[SettingsEdit]) -> Result<String, SettingsEditError> {
    let mut document: DocumentMut = text.parse()?;
    for edit in edits {
        let (session, key) = match edit {
            SettingsEdit::Lock { session, .. } => (session, "locks"),
            SettingsEdit::After { session, .. } => (session, "after"),
            SettingsEdit::Exclusive { session } => (session, "exclusive"),
        };
        let mut table: &mut Item = document.as_item_mut();
        for name in below.iter().copied().chain(["sessions"]) {
            table = ensure_table(table, name, true)?;
        }
        let table = ensure_table(table, session, false)?;
        let named = || format!("{key} of {session}");
        match edit {
            SettingsEdit::Lock { lock: word, .. } | SettingsEdit::After { prerequisite: word, .. } => {
                append_to_list(table, key, word, named)?;
            }
            SettingsEdit::Exclusive { .. } => {
                if table.get(key).and_then(Item::as_bool) != Some(true) {
                    table[key] = toml_edit::value(true);
                }
            }
        }
    }
    Ok(document.to_string())
}

/// The table of this name, made where it is not there; one that only holds tables gets no head of its own.
fn ensure_table<'t>(table: &'t mut Item, name: &str, implicit: bool) -> Result<&'t mut Item, SettingsEditError> {
    let no_table = || SettingsEditError::NotTable(name.to_owned());
    let known = table.as_table_like_mut().ok_or_else(no_table)?;
    if known.get(name).is_none() {
        let mut new = Table::new();
        new.set_implicit(implicit);
        known.insert(name, Item::Table(new));
    }
    let found = known.get_mut(name).ok_or_else(no_table)?;
    if found.is_table_like() { Ok(found) } else { Err(no_table()) }
}

/// Adds a word to a list, in the list's own style.
fn append_to_list(
    table: &mut Item,
    key: &str,
    word: &str,
    named: impl Fn() -> String,
) -> Result<(), SettingsEditError> {
    let entry = table.as_table_like_mut().ok_or_else(|| SettingsEditError::NotTable(named()))?.entry(key);
    let list = entry.or_insert_with(|| Item::Value(Value::Array(Array::new())));
    let list = list.as_array_mut().ok_or_else(|| SettingsEditError::NotList(named()))?;
    if list.iter().any(|known| known.as_str() == Some(word)) {
        return Ok(());
    }
    let mut value = Value::from(word);
    // Where each stands on a line of its own so does this one, behind the comment of the last.
    let prefix = list.iter().last().and_then(|last| last.decor().prefix()).and_then(|prefix| prefix.as_str());
    match prefix.filter(|prefix| prefix.contains('\n')).map(str::to_owned) {
        Some(prefix) => {
            let behind = list.trailing().as_str().unwrap_or_default().to_owned();
            let (comment, end) = behind.split_at(behind.rfind('\n').unwrap_or(0));
            *value.decor_mut() = toml_edit::Decor::new(format!("{comment}{prefix}"), "");
            list.set_trailing(end.to_owned());
            list.push_formatted(value);
        }
        None => list.push(value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(session: &str, name: &str) -> SettingsEdit {
        SettingsEdit::Lock { session: session.to_owned(), lock: name.to_owned() }
    }

    #[test]
    fn what_stands_there_stays() {
        let text = "# head\n[project]\nname = 'x'   # odd\n\n[tool.noxide]\njobs=2\n\n[tool.noxide.sessions.a]\n\
                    locks = [\n  \"x\",  # why\n]\n\n[tool.ruff]\nline-length = 100\n";
        let edits = [
            lock("a", "db"),
            lock("a", "x"),
            lock("t-3.12(db='pg')", "db"),
            SettingsEdit::After { session: "b".to_owned(), prerequisite: "a".to_owned() },
            SettingsEdit::Exclusive { session: "bench".to_owned() },
        ];
        let edited = edit_settings(text, &["tool", "noxide"], &edits).unwrap();
        insta::assert_snapshot!(edited, @r#"
        # head
        [project]
        name = 'x'   # odd

        [tool.noxide]
        jobs=2

        [tool.noxide.sessions.a]
        locks = [
          "x",  # why
          "db",
        ]

        [tool.noxide.sessions."t-3.12(db='pg')"]
        locks = ["db"]

        [tool.noxide.sessions.b]
        after = ["a"]

        [tool.noxide.sessions.bench]
        exclusive = true

        [tool.ruff]
        line-length = 100
        "#);
        assert_eq!(edit_settings(&edited, &["tool", "noxide"], &edits).unwrap(), edited, "once is enough");
        let own = edit_settings("", &[], &[lock("a", "db")]).unwrap();
        assert_eq!(own, "[sessions.a]\nlocks = [\"db\"]\n");
    }

    #[test]
    fn what_is_no_table_is_left_alone() {
        let wrong = |text| edit_settings(text, &["tool", "noxide"], &[lock("a", "db")]).unwrap_err().to_string();
        assert!(wrong("tool = 1").contains("tool is no table"));
        assert!(wrong("[tool.noxide.sessions]\na = 1").contains("a is no table"));
        assert!(wrong("[tool.noxide.sessions.a]\nlocks = 1").contains("locks of a is no list"));
        assert!(wrong("[").contains("cannot be read"));
    }
}
