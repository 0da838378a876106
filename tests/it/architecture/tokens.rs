//! Rust source as a list of tokens, without comments, strings and characters.

/// One token and its line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// An identifier, `::`, or one other character.
    pub(super) text: String,
    /// Counted from 1.
    pub(super) line: usize,
    /// Whether it is in a `#[cfg(test)] mod … { }`.
    pub(super) in_tests: bool,
    /// Number of inline modules around it.
    pub(super) depth: usize,
}

/// All tokens of a source file.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { rest: source.chars().collect(), at: 0, line: 1, found: Vec::new() };
    reader.read();
    mark_modules(&mut reader.found);
    reader.found
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Reader {
    fn read(&mut self) {
        while let Some(next) = self.peek(0) {
            match next {
                '/' if self.peek(1) == Some('/') => self.skip_while(|c| c != '\n'),
                '/' if self.peek(1) == Some('*') => self.skip_block_comment(),
                '"' => self.skip_text(),
                '\'' => self.skip_character_or_lifetime(),
                ':' if self.peek(1) == Some(':') => {
                    self.push("::".to_owned());
                    self.step();
                    self.step();
                }
                c if c.is_whitespace() => self.step(),
                c if c.is_alphanumeric() || c == '_' => self.read_word(),
                c => {
                    self.push(c.to_string());
                    self.step();
                }
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&keep) {
            self.step();
        }
    }

    fn push(&mut self, text: String) {
        self.found.push(Token { text, line: self.line, in_tests: false, depth: 0 });
    }

    fn skip_block_comment(&mut self) {
        let mut open = 0;
        while let Some(next) = self.peek(0) {
            match (next, self.peek(1)) {
                ('/', Some('*')) => open += 1,
                ('*', Some('/')) => open -= 1,
                _ => {
                    self.step();
                    continue;
                }
            }
            self.step();
            self.step();
            if open == 0 {
                return;
            }
        }
    }

    fn skip_text(&mut self) {
        self.step();
        while let Some(next) = self.peek(0) {
            self.step();
            match next {
                '\\' => self.step(),
                '"' => return,
                _ => {}
            }
        }
    }

    fn skip_raw_text(&mut self) {
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.step();
        }
        self.step();
        while let Some(next) = self.peek(0) {
            self.step();
            if next == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                (0..hashes).for_each(|_| self.step());
                return;
            }
        }
    }

    fn skip_character_or_lifetime(&mut self) {
        self.step();
        if self.peek(0) == Some('\\') {
            self.step();
            self.step();
            self.skip_while(|c| c != '\'');
            self.step();
        } else if self.peek(1) == Some('\'') {
            self.step();
            self.step();
        } else {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
        }
    }

    fn read_word(&mut self) {
        let start = self.at;
        let line = self.line;
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let word: String = self.rest[start..self.at].iter().collect();
        let hashes = self.rest[self.at..].iter().take_while(|c| **c == '#').count();
        if matches!(word.as_str(), "r" | "br" | "cr") && self.peek(hashes) == Some('"') {
            self.skip_raw_text();
            return;
        }
        self.found.push(Token { text: word, line, in_tests: false, depth: 0 });
    }
}

/// Sets for each token its depth of inline modules, and whether one of them is for tests only.
fn mark_modules(found: &mut [Token]) {
    let mut open: Vec<Option<bool>> = Vec::new();
    for at in 0..found.len() {
        let modules = open.iter().flatten();
        found[at].depth = modules.clone().count();
        found[at].in_tests = modules.clone().any(|tests| *tests);
        match found[at].text.as_str() {
            "{" => {
                let is_module = at >= 2 && found[at - 2].text == "mod";
                open.push(is_module.then(|| follows_cfg_test(&found[..at - 2])));
            }
            "}" => {
                open.pop();
            }
            _ => {}
        }
    }
}

/// Whether the tokens end with `#[cfg(test)]`, possibly followed by other attributes and a visibility.
fn follows_cfg_test(before: &[Token]) -> bool {
    let text = |back: usize| before.len().checked_sub(back).map(|at| before[at].text.as_str());
    (1..40)
        .take_while(|back| !matches!(text(*back), None | Some(";" | "}")))
        .any(|back| text(back) == Some("test") && text(back + 2) == Some("cfg") && text(back + 4) == Some("#"))
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn words(source: &str) -> Vec<String> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_texts_and_characters_are_left_out() {
        let source =
            "a // crate::b\n/* c /* d */ e */ f \"crate::g \\\" h\" r#\"i \" j\"# '\"' 'k' '\\'' l<'m> b\"n\" r#type";
        assert_eq!(words(source), ["a", "f", "l", "<", ">", "b", "r", "#", "type"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_texts() {
        let found = tokens("/* 1\n2 */ \"3\n4\"\nlast");
        assert_eq!(found.last().map(|token| token.line), Some(4));
    }

    #[test]
    fn test_modules_are_known() {
        let source = "fn a() { b } #[cfg(test)] mod tests { use super::c; mod deeper { d } } mod plain { e } f";
        let found = tokens(source);
        let of = |word: &str| {
            let token = found.iter().find(|token| token.text == word).unwrap();
            (token.in_tests, token.depth)
        };
        assert_eq!(of("b"), (false, 0));
        assert_eq!(of("c"), (true, 1));
        assert_eq!(of("d"), (true, 2));
        assert_eq!(of("e"), (false, 1));
        assert_eq!(of("f"), (false, 0));
    }
}
