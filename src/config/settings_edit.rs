//! Edits of a settings file that preserve its formatting.

use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::error::SettingsError;
use super::settings_file::load_settings;
use crate::fs::write_atomic;
use crate::text::pluralize;

/// Keys that lead to the settings in `pyproject.toml`.
const PYPROJECT_TABLE_PATH: &[&str] = &["tool", "noxide"];

/// A setting of a session to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingsEdit {
    /// The session holds a lock.
    Lock {
        /// The session, or a pattern.
        session: String,
        /// The lock's name.
        lock: String,
    },
    /// The session waits for another.
    After {
        /// The session.
        session: String,
        /// The one it waits for.
        waits_for: String,
    },
    /// The session runs exclusively.
    Exclusive {
        /// The session.
        session: String,
    },
}

/// Why a settings file cannot be edited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsEditError {
    /// Invalid TOML.
    #[error("invalid TOML: {0}")]
    Syntax(#[from] toml_edit::TomlError),
    /// A value that must be a table is not.
    #[error("{0} must be a table")]
    NotTable(String),
    /// A value that must be a list is not.
    #[error("{0} must be a list")]
    NotList(String),
}

/// Why edits cannot be applied to the settings of a project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyEditsError {
    /// The file has a text to which the edits cannot be added.
    #[error("cannot edit {}: {source}", path.display())]
    Edit { path: PathBuf, source: SettingsEditError },
    /// The file cannot be read or written.
    #[error("cannot edit {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// With the edits, the settings would be invalid; the file is as it was.
    #[error("the settings are invalid")]
    Invalid(Vec<SettingsError>),
}

/// Returns the edits as they would be in an empty `pyproject.toml`.
pub(crate) fn render_settings(edits: &[SettingsEdit]) -> String {
    edit_settings("", PYPROJECT_TABLE_PATH, edits).unwrap_or_default()
}

/// Writes the edits to `noxide.toml` or `pyproject.toml` below `root` and returns a message.
///
/// # Errors
/// When the file cannot be read, edited or written, or its settings would be invalid.
pub(crate) fn apply_settings_edits(root: &Path, edits: &[SettingsEdit]) -> Result<String, ApplyEditsError> {
    if edits.is_empty() {
        return Ok("no settings to write: no conflict is left to prevent".to_owned());
    }
    let own = root.join("noxide.toml");
    let pyproject = root.join("pyproject.toml");
    let (path, table_path): (&Path, &[&str]) =
        if own.exists() || !pyproject.exists() { (&own, &[]) } else { (&pyproject, PYPROJECT_TABLE_PATH) };
    let io_error = |source| ApplyEditsError::Io { path: path.to_owned(), source };
    let text = if path.exists() { fs_err::read_to_string(path).map_err(io_error)? } else { String::new() };
    let edited = edit_settings(&text, table_path, edits)
        .map_err(|source| ApplyEditsError::Edit { path: path.to_owned(), source })?;
    if edited == text {
        return Ok(format!("{} has these settings already", path.display()));
    }
    write_atomic(path, edited.as_bytes()).map_err(io_error)?;
    if let Err(errors) = load_settings(root) {
        write_atomic(path, text.as_bytes()).map_err(io_error)?;
        return Err(ApplyEditsError::Invalid(errors));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("wrote {} to {name}", pluralize(edits.len(), "setting")))
}

/// Adds settings to the text of a settings file, in which the keys of `table_path` lead to the settings; existing ones stay.
///
/// # Errors
/// When the text is not TOML, or has values of another type there.
fn edit_settings(text: &str, table_path: &[&str], edits: &[SettingsEdit]) -> Result<String, SettingsEditError> {
    let mut document: DocumentMut = text.parse()?;
    for edit in edits {
        let (session, key) = match edit {
            SettingsEdit::Lock { session, .. } => (session, "locks"),
            SettingsEdit::After { session, .. } => (session, "after"),
            SettingsEdit::Exclusive { session } => (session, "exclusive"),
        };
        let mut table: &mut Item = document.as_item_mut();
        for name in table_path.iter().copied().chain(["sessions"]) {
            table = ensure_table(table, name, true)?;
        }
        let table = ensure_table(table, session, false)?;
        let named = || format!("{key} of {session}");
        match edit {
            SettingsEdit::Lock { lock: value, .. } | SettingsEdit::After { waits_for: value, .. } => {
                append_to_list(table, key, value, named)?;
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

/// Returns the table of this name and creates it if needed; an implicit table gets no header.
fn ensure_table<'t>(table: &'t mut Item, name: &str, implicit: bool) -> Result<&'t mut Item, SettingsEditError> {
    let not_table = || SettingsEditError::NotTable(name.to_owned());
    let known = table.as_table_like_mut().ok_or_else(not_table)?;
    if known.get(name).is_none() {
        let mut new = Table::new();
        new.set_implicit(implicit);
        known.insert(name, Item::Table(new));
    }
    let found = known.get_mut(name).ok_or_else(not_table)?;
    if found.is_table_like() { Ok(found) } else { Err(not_table()) }
}

/// Appends a string to a list, formatted like its other items.
fn append_to_list(
    table: &mut Item,
    key: &str,
    item: &str,
    named: impl Fn() -> String,
) -> Result<(), SettingsEditError> {
    let entry = table.as_table_like_mut().ok_or_else(|| SettingsEditError::NotTable(named()))?.entry(key);
    let list = entry.or_insert_with(|| Item::Value(Value::Array(Array::new())));
    let list = list.as_array_mut().ok_or_else(|| SettingsEditError::NotList(named()))?;
    if list.iter().any(|known| known.as_str() == Some(item)) {
        return Ok(());
    }
    let mut value = Value::from(item);
    // In a list with one item per line, adds a line after the comment of the last item.
    let prefix = list.iter().last().and_then(|last| last.decor().prefix()).and_then(|prefix| prefix.as_str());
    match prefix.filter(|prefix| prefix.contains('\n')).map(str::to_owned) {
        Some(prefix) => {
            let trailing = list.trailing().as_str().unwrap_or_default().to_owned();
            let (comment, end) = trailing.split_at(trailing.rfind('\n').unwrap_or(0));
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
    fn existing_text_is_preserved() {
        let text = "# head\n[project]\nname = 'x'   # odd\n\n[tool.noxide]\njobs=2\n\n[tool.noxide.sessions.a]\n\
                    locks = [\n  \"x\",  # why\n]\n\n[tool.ruff]\nline-length = 100\n";
        let edits = [
            lock("a", "db"),
            lock("a", "x"),
            lock("t-3.12(db='pg')", "db"),
            SettingsEdit::After { session: "b".to_owned(), waits_for: "a".to_owned() },
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
        assert_eq!(
            edit_settings(&edited, &["tool", "noxide"], &edits).unwrap(),
            edited,
            "a second edit changes nothing"
        );
        let own = edit_settings("", &[], &[lock("a", "db")]).unwrap();
        assert_eq!(own, "[sessions.a]\nlocks = [\"db\"]\n");
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let wrong = |text| edit_settings(text, &["tool", "noxide"], &[lock("a", "db")]).unwrap_err().to_string();
        assert!(wrong("tool = 1").contains("tool must be a table"));
        assert!(wrong("[tool.noxide.sessions]\na = 1").contains("a must be a table"));
        assert!(wrong("[tool.noxide.sessions.a]\nlocks = 1").contains("locks of a must be a list"));
        assert!(wrong("[").contains("invalid TOML"));
    }
}
