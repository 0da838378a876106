//! Generated block of a Markdown document: the part between two markers, everything else left unchanged.

pub(crate) const BEGIN_MARKER: &str = "<!-- noxide bench: begin -->";
pub(crate) const END_MARKER: &str = "<!-- noxide bench: end -->";

/// Errors for markers that do not form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MarkdownBlockError {
    /// One of the markers is missing, or there are several.
    #[error("`{BEGIN_MARKER}` and `{END_MARKER}` must each appear once, or not at all")]
    Unpaired,
    /// The end marker comes first.
    #[error("`{END_MARKER}` is before `{BEGIN_MARKER}`")]
    EndBeforeBegin,
}

/// Replaces the generated block, or appends one if the document has no markers.
///
/// # Errors
/// If the markers do not form a pair; the document is then left unchanged.
pub(crate) fn replace_marked_block(document: &str, content: &str) -> Result<String, MarkdownBlockError> {
    let block = format!("{BEGIN_MARKER}\n{}\n{END_MARKER}", content.trim_end());
    match (document.matches(BEGIN_MARKER).count(), document.matches(END_MARKER).count()) {
        (0, 0) => {
            let gap = match document {
                "" => "",
                text if text.ends_with("\n\n") => "",
                text if text.ends_with('\n') => "\n",
                _ => "\n\n",
            };
            Ok(format!("{document}{gap}{block}\n"))
        }
        (1, 1) => {
            let (begin, end) = (document.find(BEGIN_MARKER).unwrap_or(0), document.find(END_MARKER).unwrap_or(0));
            if end < begin {
                return Err(MarkdownBlockError::EndBeforeBegin);
            }
            Ok(format!("{}{block}{}", &document[..begin], &document[end + END_MARKER.len()..]))
        }
        _ => Err(MarkdownBlockError::Unpaired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_the_markers_changes() {
        let once = replace_marked_block("# CI\n", "| a |\n").unwrap();
        assert_eq!(once, format!("# CI\n\n{BEGIN_MARKER}\n| a |\n{END_MARKER}\n"));
        assert_eq!(replace_marked_block(&once, "| a |\n").unwrap(), once, "replacing twice changes nothing");
        let around = format!("above\r\n{BEGIN_MARKER}old{END_MARKER} below");
        assert_eq!(
            replace_marked_block(&around, "new").unwrap(),
            format!("above\r\n{BEGIN_MARKER}\nnew\n{END_MARKER} below")
        );
        for start in ["", "a", "a\n\n"] {
            assert!(replace_marked_block(start, "x").unwrap().ends_with(&format!("{BEGIN_MARKER}\nx\n{END_MARKER}\n")));
        }
    }

    #[test]
    fn unpaired_markers_are_rejected() {
        for text in
            [BEGIN_MARKER.to_owned(), END_MARKER.to_owned(), format!("{BEGIN_MARKER}{BEGIN_MARKER}{END_MARKER}")]
        {
            assert_eq!(replace_marked_block(&text, "x"), Err(MarkdownBlockError::Unpaired));
        }
        assert_eq!(
            replace_marked_block(&format!("{END_MARKER}{BEGIN_MARKER}"), "x"),
            Err(MarkdownBlockError::EndBeforeBegin)
        );
    }
}
