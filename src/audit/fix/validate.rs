//! Validation of fixes: the checks that an edited file must pass before it is written.

use super::super::source::{SharedSource, SourceFile, Span};
use super::super::yaml::{YamlNode, parse_document};
use super::edit::{ChangeError, Fix, TextEdit, is_equivalent};

/// The check that a fix failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// The result differs from the intended change.
    #[error("the result would differ from the intended change ({0})")]
    UnintendedChange(String),
    /// Two edits overlap, or one is outside the file.
    #[error("its edits overlap or are outside the file")]
    OverlappingEdits,
    /// A comment of the user is removed.
    #[error("the comment `{0}` would be removed")]
    CommentRemoved(String),
    /// A comment precedes another line than before.
    #[error("the comment `{0}` would precede another line")]
    CommentMoved(String),
    /// The edit touches an anchor, an alias or a merge key.
    #[error("an anchor, alias or merge key cannot be edited")]
    AliasedNode,
    /// A change is of a path that does not exist, or of a value of another type.
    #[error("it does not fit the content of the file")]
    DoesNotFit,
    /// The finding remains, or one of high severity appears.
    #[error("{0} would remain, or a finding of high severity would appear")]
    FindingRemains(String),
    /// A session or a command would be lost.
    #[error("{0}")]
    WorkLost(String),
    /// Line endings or the end of the file changed.
    #[error("line endings or the end of the file would change")]
    LineEndingsChanged,
}

impl From<ChangeError> for FixError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::AliasedNode => Self::AliasedNode,
            ChangeError::DoesNotFit => Self::DoesNotFit,
        }
    }
}

/// Applies edits to a text; `None` if they overlap or do not fit.
pub(crate) fn apply_edits(text: &str, edits: &[TextEdit]) -> Option<String> {
    let mut edits: Vec<&TextEdit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    if edits.windows(2).any(|pair| pair[0].span.end > pair[1].span.start) {
        return None;
    }
    let mut new = text.to_owned();
    for edit in edits.iter().rev() {
        new.get(edit.span.start..edit.span.end)?;
        new.replace_range(edit.span.start..edit.span.end, &edit.text);
    }
    Some(new)
}

/// Applies a fix to a workflow and checks the result.
pub(crate) fn validate_yaml_fix(fix: &Fix) -> Result<SharedSource, FixError> {
    let source = &fix.source;
    let old = parse_document(&source.text).map_err(|error| FixError::UnintendedChange(error.to_string()))?;
    if has_merge_key_edit(&old, &fix.edits) {
        return Err(FixError::AliasedNode);
    }
    let mut expected = old;
    for change in &fix.changes {
        change.apply(&mut expected)?;
    }
    let text = apply_edits(&source.text, &fix.edits).ok_or(FixError::OverlappingEdits)?;
    let result = parse_document(&text).map_err(|error| FixError::UnintendedChange(error.to_string()))?;
    if !is_equivalent(&expected, &result) {
        return Err(FixError::UnintendedChange("another value or position changed".to_owned()));
    }
    let new = SourceFile::new(source.path.clone(), text);
    check_line_endings(source, &new)?;
    check_removed_comments(source, fix)?;
    check_comments(source, &new, fix)?;
    Ok(new)
}

/// Applies a fix to a file that is not YAML and checks the text of the result.
pub(crate) fn validate_text_fix(fix: &Fix) -> Result<SharedSource, FixError> {
    let text = apply_edits(&fix.source.text, &fix.edits).ok_or(FixError::OverlappingEdits)?;
    let new = SourceFile::new(fix.source.path.clone(), text);
    check_line_endings(&fix.source, &new)?;
    check_removed_comments(&fix.source, fix)?;
    check_comments(&fix.source, &new, fix)?;
    Ok(new)
}

/// Whether an edit is within a mapping that has a merge key.
fn has_merge_key_edit(node: &YamlNode, edits: &[TextEdit]) -> bool {
    let is_edited = edits.iter().any(|edit| node.span.start <= edit.span.start && edit.span.end <= node.span.end + 1);
    let has_merge_key = node.entries().iter().any(|(key, _)| key.as_str() == Some("<<"));
    let children = node.entries().iter().map(|(_, value)| value).chain(node.items());
    (is_edited && has_merge_key) || children.into_iter().any(|value| has_merge_key_edit(value, edits))
}

fn check_line_endings(old: &SourceFile, new: &SourceFile) -> Result<(), FixError> {
    let kinds = |source: &SourceFile| {
        let windows = source.text.matches("\r\n").count();
        (windows > 0, source.text.matches('\n').count() > windows, source.text.ends_with('\n'))
    };
    if kinds(old) == kinds(new) { Ok(()) } else { Err(FixError::LineEndingsChanged) }
}

/// Checks that every removed comment of the user is inserted again by another edit.
fn check_removed_comments(source: &SourceFile, fix: &Fix) -> Result<(), FixError> {
    let removed = fix.edits.iter().filter(|edit| edit.text.is_empty()).map(|edit| source.slice(edit.span));
    let mut comments =
        removed.flat_map(str::lines).map(str::trim).filter(|line| line.starts_with('#') && !is_noxide_comment(line));
    match comments.find(|line| !fix.edits.iter().any(|other| other.text.contains(line))) {
        Some(comment) => Err(FixError::CommentRemoved(comment.to_owned())),
        None => Ok(()),
    }
}

/// Comment of the step that caches downloads.
pub(crate) const CACHE_STEP_COMMENT: [&str; 2] = [
    "# One cache for all jobs that install the same packages: the downloads of uv and pip, keyed by platform, Python, uv",
    "# and the files that decide what is installed. Without an exact hit, the latest entry of the same platform is restored.",
];

/// Comment of the step that caches environments.
pub(crate) const ENVIRONMENTS_STEP_COMMENT: &str =
    "# Environments of the sessions, restored only on an exact hit: they contain absolute paths.";

/// Whether noxide wrote the comment: a fix may rewrite or remove only such comments.
pub(crate) fn is_noxide_comment(line: &str) -> bool {
    let line = line.trim();
    line == ENVIRONMENTS_STEP_COMMENT || CACHE_STEP_COMMENT.contains(&line)
}

/// Checks that every comment still precedes the same line, unless that line is edited.
fn check_comments(old: &SourceFile, new: &SourceFile, fix: &Fix) -> Result<(), FixError> {
    let is_edited = |line: usize| {
        let (start, end) = (old.line_start(line), old.line_start(line + 1));
        fix.edits.iter().any(|edit| {
            edit.span.start < end
                && edit.span.end.max(edit.span.start + 1) > start
                && edit.span != Span::new(start, start)
        })
    };
    let is_rewritten = |text: &str| fix.edits.iter().any(|edit| edit.text.contains(text.trim()));
    let after = comment_followers(new);
    let mut used = vec![false; after.len()];
    for (comment, next, number) in comment_followers(old) {
        let position = after.iter().enumerate().position(|(at, (other, line, _))| {
            !used[at] && *other == comment && (*line == next || is_edited(number) || is_rewritten(&comment))
        });
        match position {
            Some(at) => used[at] = true,
            None if is_noxide_comment(&comment) => {}
            None => return Err(FixError::CommentMoved(comment.trim().to_owned())),
        }
    }
    Ok(())
}

/// Returns each comment line, with the next line that is not a comment and the index of that line.
fn comment_followers(source: &SourceFile) -> Vec<(String, String, usize)> {
    let lines: Vec<&str> = (0..source.line_count()).map(|line| source.line_text(line)).collect();
    let comment = |line: &str| line.trim_start().starts_with('#');
    let mut pairs = Vec::new();
    let mut next = (String::new(), lines.len());
    for (at, line) in lines.iter().enumerate().rev() {
        if comment(line) {
            pairs.push(((*line).to_owned(), next.0.clone(), next.1));
        } else if !line.trim().is_empty() {
            next = ((*line).to_owned(), at);
        }
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::edit::{Applicability, SemanticChange, YamlPathSegment};
    use super::*;

    const TEXT: &str = "a: 1\n# about b\nb: [x, y]\nc: &c {k: v}\nd: *c\ne:\n  <<: {z: 1}\n  f: 1\n";

    fn fix(edits: &[(&str, &str)], changes: Vec<SemanticChange>) -> Fix {
        let edits = edits.iter().map(|(old, new)| {
            let start = TEXT.find(old).unwrap();
            TextEdit { span: Span::new(start, start + old.len()), text: (*new).to_owned() }
        });
        let source = SourceFile::new("x.yml", TEXT);
        Fix { title: "t".to_owned(), applicability: Applicability::Safe, source, edits: edits.collect(), changes }
    }

    fn set(key: &str, value: &str) -> Vec<SemanticChange> {
        vec![SemanticChange::Set(vec![], key.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_fix_with_its_intended_change_passes() {
        assert!(validate_yaml_fix(&fix(&[("a: 1", "a: 2")], set("a", "2"))).is_ok());
        let path = || vec![YamlPathSegment::from("b")];
        assert!(
            validate_yaml_fix(&fix(
                &[("[x, y]", "[w, x, y]")],
                vec![SemanticChange::Insert(path(), 0, "w".to_owned())]
            ))
            .is_ok()
        );
        assert!(
            validate_yaml_fix(&fix(
                &[("[x, y]", "[y, x]")],
                vec![SemanticChange::Move { path: path(), from: 1, to: 0 }]
            ))
            .is_ok()
        );
        let first = vec![YamlPathSegment::from("b"), YamlPathSegment::from(0)];
        assert!(validate_yaml_fix(&fix(&[("[x", "[z")], vec![SemanticChange::Replace(first, "z".to_owned())])).is_ok());
        assert!(
            validate_yaml_fix(&fix(&[("a: 1\n", "")], vec![SemanticChange::Remove(vec![], "a".to_owned())])).is_ok()
        );
    }

    #[test]
    fn each_check_rejects_its_kind_of_fix() {
        let error =
            |edits: &[(&str, &str)], changes: Vec<SemanticChange>| validate_yaml_fix(&fix(edits, changes)).unwrap_err();
        let path = |key: &str| vec![YamlPathSegment::from(key)];
        let cases = [
            (error(&[("a: 1", "a: 3")], set("a", "2")), "intended change"),
            (error(&[("a: 1", "a: [")], set("a", "2")), "intended change"),
            (error(&[("a: 1", "a: 2"), ("1", "3")], set("a", "2")), "edits overlap"),
            (error(&[("# about b\n", "")], vec![]), "the comment `# about b` would be removed"),
            (
                error(&[("k: v", "k: w")], vec![SemanticChange::Set(path("c"), "k".to_owned(), "w".to_owned())]),
                "anchor, alias",
            ),
            (
                error(&[("k: v", "k: w")], vec![SemanticChange::Set(path("d"), "k".to_owned(), "w".to_owned())]),
                "anchor, alias",
            ),
            (
                error(&[("f: 1", "f: 2")], vec![SemanticChange::Set(path("e"), "f".to_owned(), "2".to_owned())]),
                "anchor, alias",
            ),
            (error(&[("a: 1\n", "a: 2\r\n")], set("a", "2")), "line endings"),
            (error(&[("a: 1", "a: 2")], vec![SemanticChange::Replace(path("none"), "2".to_owned())]), "does not fit"),
            (error(&[("a: 1", "a: 2")], vec![SemanticChange::Insert(path("b"), 9, "2".to_owned())]), "does not fit"),
            (
                error(&[("a: 1", "a: 2")], vec![SemanticChange::Move { path: path("b"), from: 9, to: 0 }]),
                "does not fit",
            ),
            (error(&[("a: 1", "a: 2")], vec![SemanticChange::Remove(path("b"), "x".to_owned())]), "does not fit"),
        ];
        for (number, (error, expected)) in cases.iter().enumerate() {
            let message = error.to_string();
            assert!(message.contains(expected) || matches!(error, FixError::CommentMoved(_)), "{number}: {message}");
        }
        assert!(FixError::CommentMoved("# x".to_owned()).to_string().contains("`# x`"));
        assert!(FixError::FindingRemains("NX101".to_owned()).to_string().contains("NX101"));
    }

    #[test]
    fn a_comment_must_precede_its_line() {
        let source = SourceFile::new("x.yml", TEXT);
        let at = TEXT.find("b: [x").unwrap();
        let edit = TextEdit { span: Span::new(at, at), text: "g: 1\n".to_owned() };
        let fix = Fix {
            title: String::new(),
            applicability: Applicability::Safe,
            source,
            edits: vec![edit],
            changes: set("g", "1"),
        };
        assert_eq!(validate_yaml_fix(&fix).unwrap_err(), FixError::CommentMoved("# about b".to_owned()));
        assert!(apply_edits("é", &[TextEdit { span: Span::new(1, 1), text: String::new() }]).is_none());
    }
}
