//! Settings errors as diagnostics: the line, a pointer, what may have been meant.

use crate::config::SettingsError;
use crate::output::{Diagnostic, SourceExcerpt};

/// One diagnostic an error, with its place in the file where it has one.
pub fn settings_diagnostics(errors: &[SettingsError]) -> Vec<Diagnostic> {
    errors.iter().map(settings_diagnostic).collect()
}

fn settings_diagnostic(error: &SettingsError) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(error.message());
    if let Some(spot) = error.location() {
        diagnostic = diagnostic.with_excerpt(SourceExcerpt {
            path: spot.source.name.clone(),
            source: spot.source.text.clone(),
            span: spot.span.clone(),
            label: String::new(),
        });
    }
    match error.hint() {
        Some(hint) => diagnostic.with_help(hint),
        None => diagnostic,
    }
}
