//! Settings errors as diagnostics: the line, a pointer, what may have been meant.

use crate::config::SettingsError;
use crate::output::{Diagnostic, Excerpt};

/// One diagnostic an error, with its place in the file where it has one.
pub fn mistakes(errors: &[SettingsError]) -> Vec<Diagnostic> {
    errors.iter().map(mistake).collect()
}

fn mistake(error: &SettingsError) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(error.message());
    if let Some(spot) = error.spot() {
        diagnostic = diagnostic.excerpt(Excerpt {
            path: spot.source.name.clone(),
            source: spot.source.text.clone(),
            span: spot.span.clone(),
            label: String::new(),
        });
    }
    match error.hint() {
        Some(hint) => diagnostic.help(hint),
        None => diagnostic,
    }
}
