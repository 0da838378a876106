//! Finds a project's settings: `noxide.toml`, or `[tool.noxide]` in `pyproject.toml`, never both.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::error::{SettingsError, SettingsSource};
use super::settings_file::{SettingsFile, read_toml};

/// Reads the settings file of a project, given its root; a project without one has none to heed.
pub fn load_settings(root: &Path) -> Result<SettingsFile, Vec<SettingsError>> {
    let own = read_source(root, "noxide.toml")?.map(|source| read_toml(&source, &[]));
    let shared = read_source(root, "pyproject.toml")?.map(|source| read_toml(&source, &["tool", "noxide"]));
    if let (Some(_), Some((Some(table), _))) = (&own, &shared) {
        let (file, table) = ("noxide.toml".to_owned(), table.location.file_and_line());
        return Err(vec![SettingsError::TwoFiles { file, table }]);
    }
    let mut settings = SettingsFile::default();
    let mut errors = Vec::new();
    for (file, mut reader) in [own, shared].into_iter().flatten() {
        // Tables may be written in pieces, and the parser tells faults as it finds them; people read from the top.
        reader.errors.sort_by_key(|error| error.location().map(|spot| spot.span.start));
        errors.extend(reader.errors);
        settings = file.map_or(settings, |file| file.value);
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn read_source(root: &Path, name: &str) -> Result<Option<Arc<SettingsSource>>, Vec<SettingsError>> {
    let path = root.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Arc::new(SettingsSource { name: name.to_owned(), path, text }))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(vec![SettingsError::Unreadable { path, reason: error.to_string() }]),
    }
}
