//! The gates that a fix must pass before a byte of it is kept.

use std::fmt;

use super::super::source::{SharedSource, SourceFile, Span};
use super::super::yaml::{YamlNode, parse_document};
use super::edit::{Fix, TextEdit, is_equivalent};

/// The gate that a fix failed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixError {
    /// The result does not mean what was intended, and nothing else.
    UnintendedChange(String),
    /// A line outside the edits changed.
    UntouchedLineChanged,
    /// A comment stands before something else than it did.
    CommentMoved(String),
    /// It would touch an anchor, an alias or a merge key.
    AliasedNode,
    /// The finding is still there, or another one came.
    FindingRemains(String),
    /// Line endings or the end of the file changed.
    LineEndingsChanged,
}

impl fmt::Display for FixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnintendedChange(why) => write!(f, "the result would not mean what was intended ({why})"),
            Self::UntouchedLineChanged => f.write_str("a line that was not to be touched would change"),
            Self::CommentMoved(comment) => write!(f, "the comment `{comment}` would stand before something else"),
            Self::AliasedNode => f.write_str("an anchor, alias or merge key is in the way"),
            Self::FindingRemains(rule) => write!(f, "{rule} would still be found, or be new"),
            Self::LineEndingsChanged => f.write_str("line endings or the end of the file would change"),
        }
    }
}

/// Makes a fix's edits in the text.
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

/// Makes the fix and passes its result through the gates that one file can answer.
pub(crate) fn validate_yaml_fix(fix: &Fix) -> Result<SharedSource, FixError> {
    let source = &fix.source;
    let old = parse_document(&source.text).map_err(|error| FixError::UnintendedChange(error.to_string()))?;
    if has_merge_key_edit(&old, &fix.edits) {
        return Err(FixError::AliasedNode);
    }
    let mut wanted = old;
    for change in &fix.changes {
        change.apply(&mut wanted).ok_or(FixError::AliasedNode)?;
    }
    let text = apply_edits(&source.text, &fix.edits).ok_or(FixError::UntouchedLineChanged)?;
    let result = parse_document(&text).map_err(|error| FixError::UnintendedChange(error.to_string()))?;
    if !is_equivalent(&wanted, &result) {
        return Err(FixError::UnintendedChange("another value, or another place".to_owned()));
    }
    let new = SourceFile::new(source.path.clone(), text);
    check_line_endings(source, &new)?;
    check_removed_lines(source, fix)?;
    check_comment_anchors(source, &new, fix)?;
    Ok(new)
}

/// Makes the fix of a file that is no YAML and passes its text through the gates that bytes can answer.
pub(crate) fn validate_text_fix(fix: &Fix) -> Result<SharedSource, FixError> {
    let text = apply_edits(&fix.source.text, &fix.edits).ok_or(FixError::UntouchedLineChanged)?;
    let new = SourceFile::new(fix.source.path.clone(), text);
    check_line_endings(&fix.source, &new)?;
    check_removed_lines(&fix.source, fix)?;
    check_comment_anchors(&fix.source, &new, fix)?;
    Ok(new)
}

/// Whether an edit lies in a mapping with a merge key.
fn has_merge_key_edit(node: &YamlNode, edits: &[TextEdit]) -> bool {
    let touched = edits.iter().any(|edit| node.span.start <= edit.span.start && edit.span.end <= node.span.end + 1);
    let own = node.entries().iter().any(|(key, _)| key.as_str() == Some("<<"));
    let inner = node.entries().iter().map(|(_, value)| value).chain(node.items());
    (touched && own) || inner.into_iter().any(|value| has_merge_key_edit(value, edits))
}

fn check_line_endings(old: &SourceFile, new: &SourceFile) -> Result<(), FixError> {
    let kinds = |source: &SourceFile| {
        let windows = source.text.matches("\r\n").count();
        (windows > 0, source.text.matches('\n').count() > windows, source.text.ends_with('\n'))
    };
    if kinds(old) == kinds(new) { Ok(()) } else { Err(FixError::LineEndingsChanged) }
}

/// Lines without an edit in them stay; a removed line must stand elsewhere or be declared by an edit over it.
fn check_removed_lines(source: &SourceFile, fix: &Fix) -> Result<(), FixError> {
    let inside =
        |edit: &TextEdit| source.text.is_char_boundary(edit.span.start) && source.text.is_char_boundary(edit.span.end);
    let whole = |edit: &TextEdit| {
        let cut = source.slice(edit.span);
        edit.text.is_empty() && cut.lines().any(|line| line.trim_start().starts_with('#') && !is_noxide_comment(line))
    };
    // Moved as a whole, or each of its comments by itself.
    let moved = |edit: &TextEdit| {
        let mut said = source
            .slice(edit.span)
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('#') && !is_noxide_comment(line));
        said.all(|line| fix.edits.iter().any(|other| other.text.contains(line)))
    };
    let fine = fix.edits.iter().all(|edit| inside(edit) && (!whole(edit) || moved(edit)));
    if fine { Ok(()) } else { Err(FixError::UntouchedLineChanged) }
}

/// Whether a comment is noxide's own: written by a fix, and so written anew or taken away by one.
fn is_noxide_comment(line: &str) -> bool {
    line.trim_start().starts_with("# noxide: ")
}

/// Each comment line keeps the line it stands before; that line itself may be one that is edited.
fn check_comment_anchors(old: &SourceFile, new: &SourceFile, fix: &Fix) -> Result<(), FixError> {
    let inside = |line: usize| {
        let (start, end) = (old.line_start(line), old.line_start(line + 1));
        fix.edits.iter().any(|edit| {
            edit.span.start < end
                && edit.span.end.max(edit.span.start + 1) > start
                && edit.span != Span::new(start, start)
        })
    };
    let moved = |text: &str| fix.edits.iter().any(|edit| edit.text.contains(text.trim()));
    let after = comment_anchors(new);
    let mut used = vec![false; after.len()];
    for (comment, next, number) in comment_anchors(old) {
        let found = after.iter().enumerate().position(|(at, (other, line, _))| {
            !used[at] && *other == comment && (*line == next || inside(number) || moved(&comment))
        });
        match found {
            Some(at) => used[at] = true,
            None if is_noxide_comment(&comment) => {}
            None => return Err(FixError::CommentMoved(comment.trim().to_owned())),
        }
    }
    Ok(())
}

/// Comment lines with the next line that is none, and its number.
fn comment_anchors(source: &SourceFile) -> Vec<(String, String, usize)> {
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
    use super::super::edit::{SemanticChange, YamlPathSegment};
    use super::*;

    const TEXT: &str = "a: 1\n# about b\nb: [x, y]\nc: &c {k: v}\nd: *c\ne:\n  <<: {z: 1}\n  f: 1\n";

    fn fix(edits: &[(&str, &str)], changes: Vec<SemanticChange>) -> Fix {
        let edits = edits.iter().map(|(old, new)| {
            let start = TEXT.find(old).unwrap();
            TextEdit { span: Span::new(start, start + old.len()), text: (*new).to_owned() }
        });
        let source = SourceFile::new("x.yml", TEXT);
        Fix { title: "t".to_owned(), safe: true, source, edits: edits.collect(), changes }
    }

    fn set(key: &str, value: &str) -> Vec<SemanticChange> {
        vec![SemanticChange::Set(vec![], key.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_means_what_it_says_passes() {
        assert!(validate_yaml_fix(&fix(&[("a: 1", "a: 2")], set("a", "2"))).is_ok());
        let route = || vec![YamlPathSegment::from("b")];
        assert!(
            validate_yaml_fix(&fix(
                &[("[x, y]", "[w, x, y]")],
                vec![SemanticChange::Insert(route(), 0, "w".to_owned())]
            ))
            .is_ok()
        );
        assert!(validate_yaml_fix(&fix(&[("[x, y]", "[y, x]")], vec![SemanticChange::Move(route(), 1, 0)])).is_ok());
        let first = vec![YamlPathSegment::from("b"), YamlPathSegment::from(0)];
        assert!(validate_yaml_fix(&fix(&[("[x", "[z")], vec![SemanticChange::Replace(first, "z".to_owned())])).is_ok());
        assert!(
            validate_yaml_fix(&fix(&[("a: 1\n", "")], vec![SemanticChange::Remove(vec![], "a".to_owned())])).is_ok()
        );
    }

    #[test]
    fn each_gate_stops_what_it_is_for() {
        let gate =
            |edits: &[(&str, &str)], changes: Vec<SemanticChange>| validate_yaml_fix(&fix(edits, changes)).unwrap_err();
        let route = |key: &str| vec![YamlPathSegment::from(key)];
        let cases = [
            (gate(&[("a: 1", "a: 3")], set("a", "2")), "not mean what was intended"),
            (gate(&[("a: 1", "a: [")], set("a", "2")), "not mean what was intended"),
            (gate(&[("a: 1", "a: 2"), ("1", "3")], set("a", "2")), "line that was not to be touched"),
            (gate(&[("# about b\n", "")], vec![]), "line that was not to be touched"),
            (
                gate(&[("k: v", "k: w")], vec![SemanticChange::Set(route("c"), "k".to_owned(), "w".to_owned())]),
                "anchor, alias",
            ),
            (
                gate(&[("k: v", "k: w")], vec![SemanticChange::Set(route("d"), "k".to_owned(), "w".to_owned())]),
                "anchor, alias",
            ),
            (
                gate(&[("f: 1", "f: 2")], vec![SemanticChange::Set(route("e"), "f".to_owned(), "2".to_owned())]),
                "anchor, alias",
            ),
            (gate(&[("a: 1\n", "a: 2\r\n")], set("a", "2")), "line endings"),
            (gate(&[("a: 1", "a: 2")], vec![SemanticChange::Replace(route("none"), "2".to_owned())]), "anchor, alias"),
            (gate(&[("a: 1", "a: 2")], vec![SemanticChange::Insert(route("b"), 9, "2".to_owned())]), "anchor, alias"),
            (gate(&[("a: 1", "a: 2")], vec![SemanticChange::Move(route("b"), 9, 0)]), "anchor, alias"),
            (gate(&[("a: 1", "a: 2")], vec![SemanticChange::Remove(route("b"), "x".to_owned())]), "anchor, alias"),
        ];
        for (number, (gate, expected)) in cases.iter().enumerate() {
            let words = gate.to_string();
            assert!(words.contains(expected) || matches!(gate, FixError::CommentMoved(_)), "{number}: {words}");
        }
        assert!(FixError::CommentMoved("# x".to_owned()).to_string().contains("`# x`"));
        assert!(FixError::FindingRemains("NX101".to_owned()).to_string().contains("NX101"));
    }

    #[test]
    fn a_comment_keeps_its_line() {
        let source = SourceFile::new("x.yml", TEXT);
        let at = TEXT.find("b: [x").unwrap();
        let edit = TextEdit { span: Span::new(at, at), text: "g: 1\n".to_owned() };
        let stolen = Fix { title: String::new(), safe: true, source, edits: vec![edit], changes: set("g", "1") };
        assert_eq!(validate_yaml_fix(&stolen).unwrap_err(), FixError::CommentMoved("# about b".to_owned()));
        assert!(apply_edits("é", &[TextEdit { span: Span::new(1, 1), text: String::new() }]).is_none());
    }
}
