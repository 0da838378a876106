//! Markdown escaping: table cells and fenced code blocks.

use super::terminal::to_single_line;

/// Escapes text for a Markdown table cell, so that it cannot leave the cell or become markup.
pub(crate) fn escape_markdown_cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in to_single_line(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '$' | '#' => escaped.extend(['\\', c]),
            // Forges turn these into mentions and issue links.
            '@' => escaped.push_str("&#64;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns a fenced code block that its content cannot close.
pub(crate) fn fenced_block(body: &str) -> String {
    let mut fence = "```".to_owned();
    while body.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}text\n{body}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape_markdown_cell("a|b\n<i> @you #1"), "a\\|b &lt;i&gt; &#64;you \\#1");
        assert_eq!(fenced_block("a ``` b"), "````text\na ``` b\n````\n");
    }
}
