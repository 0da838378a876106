//! The part of a document that is generated: between two marks, everything else left as it is.

/// The mark above.
pub const BEGIN: &str = "<!-- noxide bench: begin -->";
/// The mark below.
pub const END: &str = "<!-- noxide bench: end -->";

/// Marks that do not make a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkedError {
    /// One of the two is missing, or there are several.
    #[error("`{BEGIN}` and `{END}` must stand there once each, or not at all")]
    NoPair,
    /// The end comes first.
    #[error("`{END}` stands before `{BEGIN}`")]
    Crossed,
}

/// The document with its generated part replaced; one without marks gets them at its end.
///
/// # Errors
/// When the marks are no pair: nothing of what a person wrote may be lost.
pub fn marked(document: &str, part: &str) -> Result<String, MarkedError> {
    let block = format!("{BEGIN}\n{}\n{END}", part.trim_end());
    match (document.matches(BEGIN).count(), document.matches(END).count()) {
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
            let (begin, end) = (document.find(BEGIN).unwrap_or(0), document.find(END).unwrap_or(0));
            if end < begin {
                return Err(MarkedError::Crossed);
            }
            Ok(format!("{}{block}{}", &document[..begin], &document[end + END.len()..]))
        }
        _ => Err(MarkedError::NoPair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let once = marked("# CI\n", "| a |\n").unwrap();
        assert_eq!(once, format!("# CI\n\n{BEGIN}\n| a |\n{END}\n"));
        assert_eq!(marked(&once, "| a |\n").unwrap(), once, "twice is once");
        let around = format!("above\r\n{BEGIN}old{END} below");
        assert_eq!(marked(&around, "new").unwrap(), format!("above\r\n{BEGIN}\nnew\n{END} below"));
        for start in ["", "a", "a\n\n"] {
            assert!(marked(start, "x").unwrap().ends_with(&format!("{BEGIN}\nx\n{END}\n")));
        }
    }

    #[test]
    fn marks_that_are_no_pair_are_refused() {
        for text in [BEGIN.to_owned(), END.to_owned(), format!("{BEGIN}{BEGIN}{END}")] {
            assert_eq!(marked(&text, "x"), Err(MarkedError::NoPair));
        }
        assert_eq!(marked(&format!("{END}{BEGIN}"), "x"), Err(MarkedError::Crossed));
    }
}
