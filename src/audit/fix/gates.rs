//! The gates that a fix must pass before a byte of it is kept.

use std::fmt;

use super::super::span::{SharedSource, Source, Span};
use super::super::yaml::{Node, read};
use super::change::{Edit, Fix, same};

/// The gate that a fix failed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The result does not mean what was intended, and nothing else.
    Meaning(String),
    /// A line outside the edits changed.
    Lines,
    /// A comment stands before something else than it did.
    Comments(String),
    /// It would touch an anchor, an alias or a merge key.
    Shared,
    /// The finding is still there, or another one came.
    Finding(String),
    /// Line endings or the end of the file changed.
    Endings,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meaning(why) => write!(f, "the result would not mean what was intended ({why})"),
            Self::Lines => f.write_str("a line that was not to be touched would change"),
            Self::Comments(comment) => write!(f, "the comment `{comment}` would stand before something else"),
            Self::Shared => f.write_str("an anchor, alias or merge key is in the way"),
            Self::Finding(rule) => write!(f, "{rule} would still be found, or be new"),
            Self::Endings => f.write_str("line endings or the end of the file would change"),
        }
    }
}

/// Makes a fix's edits in the text.
pub fn edited(text: &str, edits: &[Edit]) -> Option<String> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
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
pub fn pass(fix: &Fix) -> Result<SharedSource, Gate> {
    let source = &fix.source;
    let old = read(&source.text).map_err(|error| Gate::Meaning(error.to_string()))?;
    if crosses_merge(&old, &fix.edits) {
        return Err(Gate::Shared);
    }
    let mut wanted = old;
    for change in &fix.changes {
        change.apply(&mut wanted).ok_or(Gate::Shared)?;
    }
    let text = edited(&source.text, &fix.edits).ok_or(Gate::Lines)?;
    let result = read(&text).map_err(|error| Gate::Meaning(error.to_string()))?;
    if !same(&wanted, &result) {
        return Err(Gate::Meaning("another value, or another place".to_owned()));
    }
    let new = Source::new(source.path.clone(), text);
    endings(source, &new)?;
    conserved(source, fix)?;
    comments(source, &new, fix)?;
    Ok(new)
}

/// Makes the fix of a file that is no YAML and passes its text through the gates that bytes can answer.
pub fn pass_text(fix: &Fix) -> Result<SharedSource, Gate> {
    let text = edited(&fix.source.text, &fix.edits).ok_or(Gate::Lines)?;
    let new = Source::new(fix.source.path.clone(), text);
    endings(&fix.source, &new)?;
    conserved(&fix.source, fix)?;
    comments(&fix.source, &new, fix)?;
    Ok(new)
}

/// Whether an edit lies in a mapping with a merge key.
fn crosses_merge(node: &Node, edits: &[Edit]) -> bool {
    let touched = edits.iter().any(|edit| node.span.start <= edit.span.start && edit.span.end <= node.span.end + 1);
    let own = node.entries().iter().any(|(key, _)| key.text() == Some("<<"));
    let inner = node.entries().iter().map(|(_, value)| value).chain(node.items());
    (touched && own) || inner.into_iter().any(|value| crosses_merge(value, edits))
}

fn endings(old: &Source, new: &Source) -> Result<(), Gate> {
    let kinds = |source: &Source| {
        let windows = source.text.matches("\r\n").count();
        (windows > 0, source.text.matches('\n').count() > windows, source.text.ends_with('\n'))
    };
    if kinds(old) == kinds(new) { Ok(()) } else { Err(Gate::Endings) }
}

/// Lines without an edit in them stay; a removed line must stand elsewhere or be declared by an edit over it.
fn conserved(source: &Source, fix: &Fix) -> Result<(), Gate> {
    let inside =
        |edit: &Edit| source.text.is_char_boundary(edit.span.start) && source.text.is_char_boundary(edit.span.end);
    let whole = |edit: &Edit| {
        let cut = source.slice(edit.span);
        edit.text.is_empty() && cut.lines().any(|line| line.trim_start().starts_with('#') && !own(line))
    };
    // Moved as a whole, or each of its comments by itself.
    let moved = |edit: &Edit| {
        let mut said =
            source.slice(edit.span).lines().map(str::trim).filter(|line| line.starts_with('#') && !own(line));
        said.all(|line| fix.edits.iter().any(|other| other.text.contains(line)))
    };
    let fine = fix.edits.iter().all(|edit| inside(edit) && (!whole(edit) || moved(edit)));
    if fine { Ok(()) } else { Err(Gate::Lines) }
}

/// Whether a comment is noxide's own: written by a fix, and so written anew or taken away by one.
fn own(line: &str) -> bool {
    line.trim_start().starts_with("# noxide: ")
}

/// Each comment line keeps the line it stands before; that line itself may be one that is edited.
fn comments(old: &Source, new: &Source, fix: &Fix) -> Result<(), Gate> {
    let inside = |line: usize| {
        let (start, end) = (old.line_start(line), old.line_start(line + 1));
        fix.edits.iter().any(|edit| {
            edit.span.start < end
                && edit.span.end.max(edit.span.start + 1) > start
                && edit.span != Span::new(start, start)
        })
    };
    let moved = |text: &str| fix.edits.iter().any(|edit| edit.text.contains(text.trim()));
    let after = anchored(new);
    let mut used = vec![false; after.len()];
    for (comment, next, number) in anchored(old) {
        let found = after.iter().enumerate().position(|(at, (other, line, _))| {
            !used[at] && *other == comment && (*line == next || inside(number) || moved(&comment))
        });
        match found {
            Some(at) => used[at] = true,
            None if own(&comment) => {}
            None => return Err(Gate::Comments(comment.trim().to_owned())),
        }
    }
    Ok(())
}

/// Comment lines with the next line that is none, and its number.
fn anchored(source: &Source) -> Vec<(String, String, usize)> {
    let lines: Vec<&str> = (0..source.line_count()).map(|line| source.line(line)).collect();
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
    use super::super::change::{Change, Segment};
    use super::*;

    const TEXT: &str = "a: 1\n# about b\nb: [x, y]\nc: &c {k: v}\nd: *c\ne:\n  <<: {z: 1}\n  f: 1\n";

    fn fix(edits: &[(&str, &str)], changes: Vec<Change>) -> Fix {
        let edits = edits.iter().map(|(old, new)| {
            let start = TEXT.find(old).unwrap();
            Edit { span: Span::new(start, start + old.len()), text: (*new).to_owned() }
        });
        let source = Source::new("x.yml", TEXT);
        Fix { title: "t".to_owned(), safe: true, source, edits: edits.collect(), changes }
    }

    fn set(key: &str, value: &str) -> Vec<Change> {
        vec![Change::Set(vec![], key.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_means_what_it_says_passes() {
        assert!(pass(&fix(&[("a: 1", "a: 2")], set("a", "2"))).is_ok());
        let route = || vec![Segment::from("b")];
        assert!(pass(&fix(&[("[x, y]", "[w, x, y]")], vec![Change::Insert(route(), 0, "w".to_owned())])).is_ok());
        assert!(pass(&fix(&[("[x, y]", "[y, x]")], vec![Change::Move(route(), 1, 0)])).is_ok());
        let first = vec![Segment::from("b"), Segment::from(0)];
        assert!(pass(&fix(&[("[x", "[z")], vec![Change::Replace(first, "z".to_owned())])).is_ok());
        assert!(pass(&fix(&[("a: 1\n", "")], vec![Change::Remove(vec![], "a".to_owned())])).is_ok());
    }

    #[test]
    fn each_gate_stops_what_it_is_for() {
        let gate = |edits: &[(&str, &str)], changes: Vec<Change>| pass(&fix(edits, changes)).unwrap_err();
        let route = |key: &str| vec![Segment::from(key)];
        let cases = [
            (gate(&[("a: 1", "a: 3")], set("a", "2")), "not mean what was intended"),
            (gate(&[("a: 1", "a: [")], set("a", "2")), "not mean what was intended"),
            (gate(&[("a: 1", "a: 2"), ("1", "3")], set("a", "2")), "line that was not to be touched"),
            (gate(&[("# about b\n", "")], vec![]), "line that was not to be touched"),
            (gate(&[("k: v", "k: w")], vec![Change::Set(route("c"), "k".to_owned(), "w".to_owned())]), "anchor, alias"),
            (gate(&[("k: v", "k: w")], vec![Change::Set(route("d"), "k".to_owned(), "w".to_owned())]), "anchor, alias"),
            (gate(&[("f: 1", "f: 2")], vec![Change::Set(route("e"), "f".to_owned(), "2".to_owned())]), "anchor, alias"),
            (gate(&[("a: 1\n", "a: 2\r\n")], set("a", "2")), "line endings"),
            (gate(&[("a: 1", "a: 2")], vec![Change::Replace(route("none"), "2".to_owned())]), "anchor, alias"),
            (gate(&[("a: 1", "a: 2")], vec![Change::Insert(route("b"), 9, "2".to_owned())]), "anchor, alias"),
            (gate(&[("a: 1", "a: 2")], vec![Change::Move(route("b"), 9, 0)]), "anchor, alias"),
            (gate(&[("a: 1", "a: 2")], vec![Change::Remove(route("b"), "x".to_owned())]), "anchor, alias"),
        ];
        for (number, (gate, expected)) in cases.iter().enumerate() {
            let words = gate.to_string();
            assert!(words.contains(expected) || matches!(gate, Gate::Comments(_)), "{number}: {words}");
        }
        assert!(Gate::Comments("# x".to_owned()).to_string().contains("`# x`"));
        assert!(Gate::Finding("NX101".to_owned()).to_string().contains("NX101"));
    }

    #[test]
    fn a_comment_keeps_its_line() {
        let source = Source::new("x.yml", TEXT);
        let at = TEXT.find("b: [x").unwrap();
        let edit = Edit { span: Span::new(at, at), text: "g: 1\n".to_owned() };
        let stolen = Fix { title: String::new(), safe: true, source, edits: vec![edit], changes: set("g", "1") };
        assert_eq!(pass(&stolen).unwrap_err(), Gate::Comments("# about b".to_owned()));
        assert!(edited("é", &[Edit { span: Span::new(1, 1), text: String::new() }]).is_none());
    }
}
