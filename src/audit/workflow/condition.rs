//! What an `if:` says, as far as rules ask.

/// Whether a step or job with this condition runs although something before it failed.
pub(crate) fn runs_after_failure(condition: Option<&str>) -> bool {
    condition.is_some_and(|text| {
        let text = text.replace(' ', "");
        let bare = text.replace("!cancelled()", "\u{1}").replace("!failure()", "").replace("!always()", "");
        bare.contains('\u{1}') || bare.contains("always()") || bare.contains("failure()")
    })
}

/// Whether the condition holds only for a tag.
pub(crate) fn is_tag_only(condition: Option<&str>) -> bool {
    condition.is_some_and(|text| {
        let text = text.replace('"', "'");
        !text.contains('!') && (text.contains("'refs/tags") || text.contains("ref_type == 'tag'"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        for text in ["always()", "${{ !cancelled() }}", "failure()", "! cancelled() && x", "success() || failure()"] {
            assert!(runs_after_failure(Some(text)), "{text}");
        }
        for text in ["success()", "github.ref == 'x'", "!failure()"] {
            assert!(!runs_after_failure(Some(text)), "{text}");
        }
        assert!(!runs_after_failure(None));
        assert!(
            is_tag_only(Some("startsWith(github.ref, 'refs/tags/v')"))
                && is_tag_only(Some("github.ref_type == \"tag\""))
        );
        assert!(!is_tag_only(Some("!startsWith(github.ref, 'refs/tags')")) && !is_tag_only(None));
    }
}
