//! Shell parser: tokens into commands with operators, loops, conditions and redirections.

use std::sync::Arc;

use super::super::source::Span;
use super::command::{ControlOperator, ForLoop, ShellCommand, ShellWord};
use super::command_prefix::prefix_assignments;
use super::lexer::{ShellToken, tokenize_script};

/// Parses all commands of a script, in order.
pub fn parse_script(script: &str) -> Vec<ShellCommand> {
    let mut parser = ShellParser::default();
    let mut tokens = tokenize_script(script).into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            ShellToken::Word(word) => parser.words.push(word),
            // The output of another command as a file.
            ShellToken::RedirectInput if tokens.peek() == Some(&ShellToken::Operator("(")) => parser.has_heredoc = true,
            ShellToken::RedirectOutput | ShellToken::RedirectInput => {
                if let Some(ShellToken::Word(word)) = tokens.peek().cloned() {
                    tokens.next();
                    if token == ShellToken::RedirectOutput {
                        parser.output_files.push(word);
                    }
                }
            }
            ShellToken::Heredoc => parser.has_heredoc = true,
            ShellToken::Newline => parser.finish_command(ControlOperator::Sequence),
            ShellToken::Operator("(") if parser.starts_array() => {
                // The elements of an array are no commands.
                while tokens.next_if(|token| *token != ShellToken::Operator(")")).is_some() {}
                tokens.next();
            }
            ShellToken::Operator(operator) => match operator {
                "&&" => parser.finish_command(ControlOperator::And),
                "||" => parser.finish_command(ControlOperator::Or),
                "|" | "|&" => parser.finish_command(ControlOperator::Pipe),
                "&" => parser.finish_command(ControlOperator::Background),
                _ => parser.finish_command(ControlOperator::Sequence),
            },
        }
    }
    parser.finish_command(ControlOperator::Sequence);
    parser.commands
}

#[derive(Default)]
struct ShellParser {
    words: Vec<ShellWord>,
    output_files: Vec<ShellWord>,
    has_heredoc: bool,
    pending_operator: Option<ControlOperator>,
    open_loops: Vec<Option<Arc<ForLoop>>>,
    condition_depth: usize,
    commands: Vec<ShellCommand>,
}

impl ShellParser {
    /// Whether a parenthesis after the words so far starts the elements of an array (`x=(a b)`).
    fn starts_array(&self) -> bool {
        let name = self.words.last().and_then(|word| word.text.strip_suffix('='));
        name.is_some_and(|name| is_variable_name(name.strip_suffix('+').unwrap_or(name)))
    }

    /// Ends the current command; `next` is the operator before the following one.
    fn finish_command(&mut self, next: ControlOperator) {
        let words = std::mem::take(&mut self.words);
        let outputs = std::mem::take(&mut self.output_files);
        let heredoc = std::mem::take(&mut self.has_heredoc);
        if words.is_empty() {
            if next != ControlOperator::Sequence {
                self.pending_operator = Some(next);
            }
            return;
        }
        let operator = self.pending_operator.replace(next).unwrap_or(ControlOperator::Sequence);
        let Some(words) = self.strip_keywords(words) else { return };
        let assignment_count = words.iter().take_while(|word| parse_assignment(word).is_some()).count();
        let mut assignments: Vec<_> = words.iter().take(assignment_count).filter_map(parse_assignment).collect();
        let words: Vec<ShellWord> = words.into_iter().skip(assignment_count).collect();
        assignments.extend(prefix_assignments(&words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>()));
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
        self.commands.push(ShellCommand {
            span: Span::new(first.span.start, last.span.end),
            words,
            assignments,
            preceding_operator: operator,
            output_files: outputs,
            enclosing_loop: self.open_loops.iter().rev().flatten().next().cloned(),
            is_conditional: self.condition_depth > 0,
            has_heredoc: heredoc,
        });
    }

    /// Removes leading shell keywords and tracks open loops and conditions; `None` if no command is left.
    fn strip_keywords(&mut self, mut words: Vec<ShellWord>) -> Option<Vec<ShellWord>> {
        for start in 0..words.len() {
            let rest = words.get(start..)?;
            match rest.first()?.text.as_str() {
                "for" => {
                    let values: Vec<ShellWord> = rest.iter().skip(3).cloned().collect();
                    let header_span = Span::new(rest.first()?.span.start, rest.last()?.span.end);
                    let variable = rest.get(1).map(|word| word.text.clone()).unwrap_or_default();
                    self.open_loops.push(Some(Arc::new(ForLoop { variable, values, header_span })));
                    return None;
                }
                "while" | "until" => {
                    self.open_loops.push(None);
                    self.condition_depth += 1;
                }
                "done" => {
                    if self.open_loops.pop().is_some_and(|open| open.is_none()) {
                        self.condition_depth = self.condition_depth.saturating_sub(1);
                    }
                }
                "case" => {
                    // Its word and the first pattern are no commands.
                    self.condition_depth += 1;
                    return None;
                }
                "if" => self.condition_depth += 1,
                "fi" | "esac" => self.condition_depth = self.condition_depth.saturating_sub(1),
                "do" | "then" | "else" | "elif" | "!" | "{" | "}" | "time" => {}
                _ => return Some(words.split_off(start)),
            }
        }
        None
    }
}

fn parse_assignment(word: &ShellWord) -> Option<(String, String)> {
    let (name, value) = word.text.split_once('=')?;
    // `x+=y` appends.
    let name = name.strip_suffix('+').unwrap_or(name);
    is_variable_name(name).then(|| (name.to_owned(), value.to_owned()))
}

/// Longer names are none of a variable.
const MAX_NAME_LEN: usize = 256;

fn is_variable_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(script: &str) -> Vec<String> {
        parse_script(script).iter().map(ShellCommand::command_line).collect()
    }

    #[test]
    fn commands_are_separated() {
        assert_eq!(lines("a b && c; d | e || f & g"), ["a b", "c", "d", "e", "f", "g"]);
        assert_eq!(lines("a \\\n  b # why\n# c\nd"), ["a b", "d"]);
        assert_eq!(
            lines("a 'x y' \"z \\\" w\" \\$ ${{ env.A }}b $(c d (e)) ${F}"),
            ["a x y z \" w $ ${{ env.A }}b $(c d (e)) ${F}"]
        );
        assert_eq!(lines("python - <<'PY' | x\nimport a\nPY\nb"), ["python -", "x", "b"]);
        assert_eq!(lines("cat <<-EOF > f\n  a; b\n  EOF\nc <<< d"), ["cat", "c"]);
        assert_eq!(lines("(a; b)\n{ c; }\n! d\ntime e"), ["a", "b", "c", "d", "e"]);
        assert_eq!(
            lines("a \"$(sed -n 's/[\"'\\'')]/x/' \"$b\" | c)\" d\ne"),
            ["a $(sed -n 's/[\"'\\'')]/x/' \"$b\" | c) d", "e"]
        );
        assert_eq!(lines("'open"), ["open"]);
        assert_eq!(lines("\"open"), ["open"]);
        assert_eq!(lines("a $(b"), ["a $(b"]);
        assert_eq!(lines("x=(-e a\n  \"${y[@]}\")\nx+=(c); b"), ["b"]);
        assert!(lines("").is_empty() && lines("A=1").is_empty() && lines("&& \n >").is_empty());
    }

    #[test]
    fn operators_redirections_and_assignments_are_parsed() {
        let all = parse_script("A=1 B=x nox -s a 2>&1 | tee log && b > out 2>>err &> all < in\n1>x c");
        assert_eq!(all[0].assignments, [("A".into(), "1".into()), ("B".into(), "x".into())]);
        assert_eq!(
            (all[0].command_line().as_str(), all[1].preceding_operator, all[2].preceding_operator),
            ("nox -s a", ControlOperator::Pipe, ControlOperator::And)
        );
        let outputs: Vec<_> = all[2].output_files.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(outputs, ["out", "err", "all"]);
        assert_eq!((all[3].output_files.len(), all[3].command_line().as_str()), (1, "c"));
        assert!(parse_script("bash <(curl x)")[0].has_heredoc && !parse_script("bash < x")[0].has_heredoc);
        let merged = parse_script("a |& tee b || c");
        assert_eq!(
            (merged[1].preceding_operator, merged[1].command_line().as_str(), merged[2].preceding_operator),
            (ControlOperator::Pipe, "tee b", ControlOperator::Or)
        );
        assert_eq!(parse_script("a &\nb")[1].preceding_operator, ControlOperator::Background);
    }

    #[test]
    fn loops_and_conditions_are_tracked() {
        let all = parse_script(
            "for s in a b; do\n  nox -s $s\ndone\nif x; then y; elif z; then w; fi\nwhile v; do u; done\nt",
        );
        let for_loop = all[0].enclosing_loop.as_ref().unwrap();
        assert_eq!(
            (for_loop.variable.as_str(), for_loop.values.len(), for_loop.header_span),
            ("s", 2, Span::new(0, 12))
        );
        let conditional: Vec<bool> = all.iter().map(|command| command.is_conditional).collect();
        assert_eq!(conditional, [false, true, true, true, true, true, true, false]);
        assert!(all[7].enclosing_loop.is_none());
        assert_eq!(lines("case \"$x\" in\n  a) b;;\nesac\nc"), ["a", "b", "c"]);
        assert!(parse_script("cat <<X\nfor\nX\npython <<Y").iter().all(|command| command.has_heredoc));
    }

    #[test]
    fn programs_are_compared_without_their_directory() {
        let all = parse_script("/usr/bin/pip install x");
        assert_eq!(all[0].program_name(), "pip");
        assert!(all[0].has_word("x") && !all[0].has_word("y"));
    }
}
