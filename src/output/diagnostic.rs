//! Rendered error messages: message, causes, source excerpt, Python traceback frames and help.

use std::error::Error;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::OutputTheme;
use super::theme::TextStyle;
use crate::text::sanitize_line;

/// An error with its context, for people or programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    causes: Vec<String>,
    help: Vec<String>,
    excerpts: Vec<SourceExcerpt>,
    traceback: Vec<DiagnosticFrame>,
}

/// A span of a source text, shown with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceExcerpt {
    /// Path of the file as shown to people.
    pub path: String,
    /// Full text of the file.
    pub source: String,
    /// Byte range of the span.
    pub span: Range<usize>,
    /// Label shown at the span; may be empty.
    pub label: String,
}

/// A frame of a Python traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiagnosticFrame {
    /// Path of the file as shown to people.
    pub(crate) file: String,
    /// Line number, from 1.
    pub(crate) line: usize,
    /// Function name, or `<module>`.
    pub(crate) function: String,
    /// Text of the line, or empty.
    pub(crate) code: String,
}

impl Diagnostic {
    /// Applies a function to all texts but those of source files.
    pub(super) fn map_texts(mut self, map: &dyn Fn(&str) -> String) -> Self {
        let frames = self.traceback.iter_mut().map(|frame| &mut frame.code);
        for text in self.causes.iter_mut().chain(&mut self.help).chain(frames).chain([&mut self.message]) {
            *text = map(text);
        }
        self
    }

    /// Creates a diagnostic with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            help: Vec::new(),
            excerpts: Vec::new(),
            traceback: Vec::new(),
        }
    }

    /// Creates a diagnostic from an error and its sources, without causes that the previous message already ends with.
    pub(crate) fn from_error(error: &dyn Error) -> Self {
        let mut diagnostic = Self::new(error.to_string());
        let mut reported = diagnostic.message.clone();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !reported.ends_with(&text) {
                diagnostic.causes.push(text.clone());
            }
            reported = text;
            next = cause.source();
        }
        diagnostic
    }

    /// Adds a cause below the message.
    #[must_use]
    pub(crate) fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds a hint about what to do.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds a source excerpt.
    #[must_use]
    pub(crate) fn with_excerpt(mut self, excerpt: SourceExcerpt) -> Self {
        self.excerpts.push(excerpt);
        self
    }

    /// Adds Python traceback frames of the user's code, outermost first.
    #[must_use]
    pub(crate) fn with_traceback(mut self, frames: impl IntoIterator<Item = DiagnosticFrame>) -> Self {
        self.traceback.extend(frames);
        self
    }

    /// Renders the diagnostic for people, with a trailing newline.
    pub fn render(&self, theme: OutputTheme, width: Option<usize>) -> String {
        let level = Level::ERROR;
        let mut group = Group::with_title(level.primary_title(sanitize_text(&self.message)));
        for excerpt in &self.excerpts {
            let annotation = AnnotationKind::Primary.span(excerpt.clamped_span());
            let annotation =
                if excerpt.label.is_empty() { annotation } else { annotation.label(sanitize_text(&excerpt.label)) };
            let snippet = Snippet::source(&*excerpt.source).path(&*excerpt.path).annotation(annotation);
            group = group.element(snippet);
        }
        for cause in &self.causes {
            group = group.element(Level::NOTE.with_name("cause").message(sanitize_text(cause)));
        }
        if self.traceback.is_empty() {
            for help in &self.help {
                group = group.element(Level::HELP.message(sanitize_text(help)));
            }
        }
        let decor = if theme.unicode { DecorStyle::Unicode } else { DecorStyle::Ascii };
        let renderer = if theme.color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(decor).term_width(width.unwrap_or(140).max(20));
        let mut text = renderer.render(&[group]);
        text.push('\n');
        for frame in &self.traceback {
            let location =
                format!("  {}:{} in {}\n", sanitize_text(&frame.file), frame.line, sanitize_text(&frame.function));
            text.push_str(&theme.style_text(TextStyle::Dim, &location));
            if !frame.code.is_empty() {
                text.push_str(&format!("    {}\n", sanitize_text(frame.code.trim())));
            }
        }
        if !self.traceback.is_empty() {
            for help in &self.help {
                text.push_str(&format!("{}: {}\n", theme.style_text(TextStyle::Accent, "help"), sanitize_text(help)));
            }
        }
        text
    }

    /// Returns the JSON form: one element of the `errors` of a document.
    pub(crate) fn to_json(&self) -> Value {
        let locations: Vec<Value> = self
            .excerpts
            .iter()
            .map(|excerpt| {
                let (line, column) = excerpt.start_position();
                json!({ "file": excerpt.path, "line": line, "column": column, "label": excerpt.label })
            })
            .collect();
        let frames: Vec<Value> = self
            .traceback
            .iter()
            .map(|frame| {
                json!({ "file": frame.file, "line": frame.line, "function": frame.function, "code": frame.code.trim() })
            })
            .collect();
        json!({
            "severity": "error",
            "message": self.message,
            "causes": self.causes,
            "help": self.help,
            "locations": locations,
            "frames": frames,
        })
    }
}

impl SourceExcerpt {
    /// Returns line and column of the start, from 1.
    pub(crate) fn start_position(&self) -> (usize, usize) {
        let preceding = &self.source[..self.clamped_span().start];
        let line_start = preceding.rfind('\n').map_or(0, |at| at + 1);
        (preceding.matches('\n').count() + 1, preceding[line_start..].chars().count() + 1)
    }

    /// Returns the span moved to character boundaries: the source may have changed since it was parsed.
    fn clamped_span(&self) -> Range<usize> {
        let floor = |at: usize| {
            let at = at.min(self.source.len());
            (0..=at).rev().find(|&at| self.source.is_char_boundary(at)).unwrap_or(0)
        };
        let start = floor(self.span.start);
        start..floor(self.span.end).max(start)
    }
}

/// Returns the document with all errors, for `--format json`.
pub(crate) fn errors_document(diagnostics: &[Diagnostic]) -> Value {
    json!({ "version": 2, "errors": diagnostics.iter().map(Diagnostic::to_json).collect::<Vec<_>>() })
}

/// Strips control sequences except line ends.
fn sanitize_text(text: &str) -> String {
    text.lines().map(|line| sanitize_line(line.as_bytes(), false)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    fn settings() -> Diagnostic {
        let source = "[tool.noxide]\nslots = 2\n\n[tool.noxide.sessions.lnit]\ncpus = 2\n".to_owned();
        let at = source.find("lnit").unwrap();
        let path = "pyproject.toml".to_owned();
        let excerpt = SourceExcerpt { path, source, span: at..at + 4, label: "no session has this name".to_owned() };
        Diagnostic::new("unknown session `lnit`").with_excerpt(excerpt).with_help("did you mean `lint`?")
    }

    fn traceback() -> Diagnostic {
        let frame = |line, function: &str, code: &str| DiagnosticFrame {
            file: "noxfile.py".to_owned(),
            line,
            function: function.to_owned(),
            code: code.to_owned(),
        };
        Diagnostic::new("the noxfile cannot be loaded")
            .with_cause("NameError: name 'sesion' is not defined")
            .with_traceback([frame(12, "<module>", "    check()"), frame(3, "check", "")])
            .with_help("run `python noxfile.py` to see the error")
    }

    #[test]
    fn text_has_location_cause_and_help() {
        insta::assert_snapshot!(settings().render(PLAIN, Some(80)), @r"
        error: unknown session `lnit`
          ╭▸ pyproject.toml:4:23
          │
        4 │ [tool.noxide.sessions.lnit]
          │                       ━━━━ no session has this name
          │
          ╰ help: did you mean `lint`?
        ");
        insta::assert_snapshot!(settings().render(OutputTheme { color: false, unicode: false }, None), @r"
        error: unknown session `lnit`
         --> pyproject.toml:4:23
          |
        4 | [tool.noxide.sessions.lnit]
          |                       ^^^^ no session has this name
          |
          = help: did you mean `lint`?
        ");
        insta::assert_snapshot!(traceback().render(PLAIN, Some(80)), @r"
        error: the noxfile cannot be loaded
         │
         ╰ cause: NameError: name 'sesion' is not defined
          noxfile.py:12 in <module>
            check()
          noxfile.py:3 in check
        help: run `python noxfile.py` to see the error
        ");
        let plain = Diagnostic::new("no session selected").with_cause("one\ntwo").with_help("try `noxide list`");
        insta::assert_snapshot!(plain.render(PLAIN, Some(80)), @r"
        error: no session selected
         │
         ├ cause: one
         │        two
         ╰ help: try `noxide list`
        ");
        assert!(settings().render(OutputTheme { color: true, unicode: true }, None).contains("\x1b["));
    }

    #[test]
    fn json_has_the_same_content() {
        insta::assert_snapshot!(format!("{:#}", errors_document(&[settings(), traceback()])));
    }

    #[test]
    fn causes_are_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Link {
            text: &'static str,
            source: Option<Box<Link>>,
        }
        let link = |text, source: Option<Link>| Link { text, source: source.map(Box::new) };
        let error = link("cannot load x: broken", Some(link("broken", Some(link("root", None)))));
        let diagnostic = Diagnostic::from_error(&error);
        assert_eq!(
            (diagnostic.message.as_str(), diagnostic.causes.as_slice()),
            ("cannot load x: broken", &["root".to_owned()][..])
        );
    }

    #[test]
    fn spans_outside_the_source_and_control_characters_are_tolerated() {
        for span in [500..900, 1..2, 2..1 + 1, 0..0, 2..usize::from(true)] {
            let excerpt =
                SourceExcerpt { path: "é".to_owned(), source: "éa\n".to_owned(), span, label: String::new() };
            let text = Diagnostic::new("odd \x1b[2J").with_excerpt(excerpt).render(PLAIN, Some(1));
            assert!(!text.contains('\x1b') && text.contains("odd"));
        }
    }
}
