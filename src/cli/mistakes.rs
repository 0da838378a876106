//! Settings errors as people see them: the line, a pointer, what may have been meant.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::config::SettingsError;

/// All errors, each with its line of the file where it has one, a blank line between two.
pub fn mistakes(errors: &[SettingsError], color: bool, unicode: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let decor = if unicode { DecorStyle::Unicode } else { DecorStyle::Ascii };
    let renderer = renderer.decor_style(decor);
    let shown: Vec<String> = errors.iter().map(|error| mistake(error, &renderer)).collect();
    shown.join("\n\n") + "\n"
}

fn mistake(error: &SettingsError, renderer: &Renderer) -> String {
    let title = Level::ERROR.primary_title(error.message());
    let Some(spot) = error.spot() else {
        return renderer.render(&[Group::with_title(title)]);
    };
    let snippet = Snippet::source(spot.source.text.as_str())
        .path(spot.source.name.as_str())
        .annotation(AnnotationKind::Primary.span(spot.span.clone()));
    let mut report = title.element(snippet);
    if let Some(hint) = error.hint() {
        report = report.element(Level::HELP.message(hint));
    }
    renderer.render(&[report])
}
