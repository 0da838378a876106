//! Reads a script's commands: joins, loops, conditions, redirections.

use super::super::span::Span;
use super::command::{Command, Joiner, Loop, Word};
use super::lex::{Token, lex};

/// Reads all commands of a script, in its order.
pub fn read(script: &str) -> Vec<Command> {
    let mut reader = Reader::default();
    let mut tokens = lex(script).into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => reader.words.push(word),
            Token::Output | Token::Input => {
                if let Some(Token::Word(word)) = tokens.peek().cloned() {
                    tokens.next();
                    if token == Token::Output {
                        reader.outputs.push(word);
                    }
                }
            }
            Token::Heredoc => reader.heredoc = true,
            Token::Line => reader.end(Joiner::Then),
            Token::Operator(operator) => match operator {
                "&&" => reader.end(Joiner::And),
                "||" => reader.end(Joiner::Or),
                "|" => reader.end(Joiner::Pipe),
                "&" => reader.end(Joiner::Beside),
                _ => reader.end(Joiner::Then),
            },
        }
    }
    reader.end(Joiner::Then);
    reader.commands
}

#[derive(Default)]
struct Reader {
    words: Vec<Word>,
    outputs: Vec<Word>,
    heredoc: bool,
    joiner: Option<Joiner>,
    loops: Vec<Option<Loop>>,
    conditions: usize,
    commands: Vec<Command>,
}

impl Reader {
    /// Ends the command being read; `next` joins the one after it.
    fn end(&mut self, next: Joiner) {
        let words = std::mem::take(&mut self.words);
        let outputs = std::mem::take(&mut self.outputs);
        let heredoc = std::mem::take(&mut self.heredoc);
        if words.is_empty() {
            if next != Joiner::Then {
                self.joiner = Some(next);
            }
            return;
        }
        let joiner = self.joiner.replace(next).unwrap_or(Joiner::Then);
        let Some(words) = self.keywords(words) else { return };
        let assigned = words.iter().take_while(|word| assignment(word).is_some()).count();
        let assigns = words.iter().take(assigned).filter_map(assignment).collect();
        let words: Vec<Word> = words.into_iter().skip(assigned).collect();
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
        self.commands.push(Command {
            span: Span::new(first.span.start, last.span.end),
            words,
            assigns,
            joiner,
            outputs,
            around: self.loops.iter().rev().flatten().next().cloned(),
            conditional: self.conditions > 0,
            heredoc,
        });
    }

    /// Takes leading shell words off and keeps count of what is open; none where no command is left.
    fn keywords(&mut self, mut words: Vec<Word>) -> Option<Vec<Word>> {
        loop {
            let first = words.first()?.text.clone();
            match first.as_str() {
                "for" => {
                    let values: Vec<Word> = words.iter().skip(3).cloned().collect();
                    let (start, end) = (words.first()?.span.start, words.last()?.span.end);
                    let variable = words.get(1).map(|word| word.text.clone()).unwrap_or_default();
                    self.loops.push(Some(Loop { variable, values, head: Span::new(start, end) }));
                    return None;
                }
                "while" | "until" => {
                    self.loops.push(None);
                    self.conditions += 1;
                }
                "done" => {
                    if self.loops.pop().is_some_and(|open| open.is_none()) {
                        self.conditions = self.conditions.saturating_sub(1);
                    }
                }
                "if" | "case" => self.conditions += 1,
                "fi" | "esac" => self.conditions = self.conditions.saturating_sub(1),
                "do" | "then" | "else" | "elif" | "!" | "{" | "}" | "time" => {}
                _ => return Some(words),
            }
            words.remove(0);
        }
    }
}

fn assignment(word: &Word) -> Option<(String, String)> {
    let (name, value) = word.text.split_once('=')?;
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(script: &str) -> Vec<String> {
        read(script).iter().map(Command::line).collect()
    }

    #[test]
    fn commands_are_told_apart() {
        assert_eq!(lines("a b && c; d | e || f & g"), ["a b", "c", "d", "e", "f", "g"]);
        assert_eq!(lines("a \\\n  b # why\n# c\nd"), ["a b", "d"]);
        assert_eq!(
            lines("a 'x y' \"z \\\" w\" \\$ ${{ env.A }}b $(c d (e)) ${F}"),
            ["a x y z \" w $ ${{ env.A }}b $(c d (e)) ${F}"]
        );
        assert_eq!(lines("python - <<'PY' | x\nimport a\nPY\nb"), ["python -", "x", "b"]);
        assert_eq!(lines("cat <<-EOF > f\n  a; b\n  EOF\nc <<< d"), ["cat", "c"]);
        assert_eq!(lines("(a; b)\n{ c; }\n! d\ntime e"), ["a", "b", "c", "d", "e"]);
        assert_eq!(lines("'open"), ["open"]);
        assert_eq!(lines("\"open"), ["open"]);
        assert_eq!(lines("a $(b"), ["a $(b"]);
        assert!(lines("").is_empty() && lines("A=1").is_empty() && lines("&& \n >").is_empty());
    }

    #[test]
    fn joins_redirections_and_assignments() {
        let all = read("A=1 B=x nox -s a 2>&1 | tee log && b > out 2>>err &> all < in\n1>x c");
        assert_eq!(all[0].assigns, [("A".into(), "1".into()), ("B".into(), "x".into())]);
        assert_eq!((all[0].line().as_str(), all[1].joiner, all[2].joiner), ("nox -s a", Joiner::Pipe, Joiner::And));
        let outputs: Vec<_> = all[2].outputs.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(outputs, ["out", "err", "all"]);
        assert_eq!((all[3].outputs.len(), all[3].line().as_str()), (1, "c"));
        assert_eq!(read("a &\nb")[1].joiner, Joiner::Beside);
    }

    #[test]
    fn loops_and_conditions_are_known() {
        let all = read("for s in a b; do\n  nox -s $s\ndone\nif x; then y; elif z; then w; fi\nwhile v; do u; done\nt");
        let around = all[0].around.as_ref().unwrap();
        assert_eq!((around.variable.as_str(), around.values.len(), around.head), ("s", 2, Span::new(0, 12)));
        let conditional: Vec<bool> = all.iter().map(|command| command.conditional).collect();
        assert_eq!(conditional, [false, true, true, true, true, true, true, false]);
        assert!(all[7].around.is_none());
        assert!(read("cat <<X\nfor\nX\npython <<Y").iter().all(|command| command.heredoc));
    }

    #[test]
    fn programs_are_compared_without_their_folder() {
        let all = read("/usr/bin/pip install x");
        assert!(
            all[0].starts(&["pip", "install"]) && all[0].starts(&[]) && !all[0].starts(&["pip", "install", "x", "y"])
        );
        assert!(all[0].has("x") && !all[0].has("y"));
    }
}
