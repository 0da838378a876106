//! Generated block of a Markdown document: the part between two markers, everything else left unchanged.

pub(crate) const BEGIN_DELIMITER: &str = "<!-- noxide bench: begin -->";
pub(crate) const END_DELIMITER: &str = "<!-- noxide bench: end -->";

/// Errors for markers that do not form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MarkdownBlockError {
    /// One of the markers is missing, or there are several.
    #[error("`{BEGIN_DELIMITER}` and `{END_DELIMITER}` must each appear once, or not at all")]
    Unpaired,
    /// The end marker comes first.
    #[error("`{END_DELIMITER}` is before `{BEGIN_DELIMITER}`")]
    EndBeforeBegin,
}

/// Replaces the generated block, or appends one if the document has no markers.
///
/// # Errors
/// If the markers do not form a pair; the document is then left unchanged.
pub(crate) fn replace_delimited_block(document: &str, content: &str) -> Result<String, MarkdownBlockError> {
    let block = format!("{BEGIN_DELIMITER}\n{}\n{END_DELIMITER}", content.trim_end());
    match (document.matches(BEGIN_DELIMITER).count(), document.matches(END_DELIMITER).count()) {
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
            let (begin, end) = (document.find(BEGIN_DELIMITER).unwrap_or(0), document.find(END_DELIMITER).unwrap_or(0));
            if end < begin {
                return Err(MarkdownBlockError::EndBeforeBegin);
            }
            Ok(format!("{}{block}{}", &document[..begin], &document[end + END_DELIMITER.len()..]))
        }
        _ => Err(MarkdownBlockError::Unpaired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_the_markers_changes() {
        let once = replace_delimited_block("# CI\n", "| a |\n").unwrap();
        assert_eq!(once, format!("# CI\n\n{BEGIN_DELIMITER}\n| a |\n{END_DELIMITER}\n"));
        assert_eq!(replace_delimited_block(&once, "| a |\n").unwrap(), once, "replacing twice changes nothing");
        let around = format!("above\r\n{BEGIN_DELIMITER}old{END_DELIMITER} below");
        assert_eq!(
            replace_delimited_block(&around, "new").unwrap(),
            format!("above\r\n{BEGIN_DELIMITER}\nnew\n{END_DELIMITER} below")
        );
        for start in ["", "a", "a\n\n"] {
            assert!(
                replace_delimited_block(start, "x")
                    .unwrap()
                    .ends_with(&format!("{BEGIN_DELIMITER}\nx\n{END_DELIMITER}\n"))
            );
        }
    }

    #[test]
    fn unpaired_markers_are_rejected() {
        for text in [
            BEGIN_DELIMITER.to_owned(),
            END_DELIMITER.to_owned(),
            format!("{BEGIN_DELIMITER}{BEGIN_DELIMITER}{END_DELIMITER}"),
        ] {
            assert_eq!(replace_delimited_block(&text, "x"), Err(MarkdownBlockError::Unpaired));
        }
        assert_eq!(
            replace_delimited_block(&format!("{END_DELIMITER}{BEGIN_DELIMITER}"), "x"),
            Err(MarkdownBlockError::EndBeforeBegin)
        );
    }
}
