//! Command substitutions of a script: `$(…)` and backquotes, wherever the shell expands them.

use super::super::source::Span;

/// Returns the spans of the commands inside `$(…)` and backquotes, in order; those inside another one are part of it.
pub(crate) fn find_substitutions(script: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let bytes = script.as_bytes();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or_default();
    let (mut index, mut in_quotes) = (0, false);
    while index < bytes.len() {
        match byte(index) {
            b'\\' => index += 1,
            b'"' => in_quotes = !in_quotes,
            // A single quote within double quotes, or one that is never closed, quotes nothing.
            b'\'' if !in_quotes => {
                let rest = script.get(index + 1..).unwrap_or_default();
                index += rest.find('\'').map_or(0, |length| length + 1);
            }
            b'#' if !in_quotes && (index == 0 || byte(index - 1).is_ascii_whitespace()) => {
                let rest = script.get(index..).unwrap_or_default();
                index += rest.find('\n').unwrap_or(rest.len());
            }
            b'$' if byte(index + 1) == b'(' && byte(index + 2) != b'(' => {
                let end = closing_parenthesis(bytes, index + 2);
                found.push(Span::new(index + 2, end));
                index = end;
            }
            b'`' => {
                let rest = script.get(index + 1..).unwrap_or_default();
                if let Some(length) = rest.find('`') {
                    // A backquote at the end of a line continues a command of PowerShell.
                    if !rest.starts_with(['\n', '\r']) {
                        found.push(Span::new(index + 1, index + 1 + length));
                        index += length + 1;
                    }
                }
            }
            _ => {}
        }
        index += 1;
    }
    found
}

/// Returns the index of the parenthesis that closes one before `start`, or the end of the text.
fn closing_parenthesis(bytes: &[u8], start: usize) -> usize {
    let mut depth = 1;
    for (index, byte) in bytes.iter().enumerate().skip(start) {
        depth += i32::from(*byte == b'(') - i32::from(*byte == b')');
        if depth == 0 {
            return index;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutions_are_found_where_the_shell_expands_them() {
        let texts = |script: &str| -> Vec<String> {
            let spans = find_substitutions(script);
            spans.into_iter().map(|span| script[span.start..span.end].to_owned()).collect()
        };
        assert_eq!(texts("A=$(./x y | z) b \"$(c (d))\"; e"), ["./x y | z", "c (d)"]);
        assert_eq!(texts("echo `a b` it's $(c)"), ["a b", "c"]);
        assert_eq!(texts("echo 'no $(a)' $((1 + 2)) \\$(b) # $(c)\nd"), [""; 0]);
        assert_eq!(texts("x `\n  y `\n  z"), [""; 0]);
        assert_eq!(texts("open $(a"), ["a"]);
    }
}
