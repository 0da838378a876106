//! A terminal for tests: enough of one to see what the board leaves on the screen.

/// Rows of a screen, above them what has scrolled off.
pub(crate) struct Terminal {
    width: usize,
    height: usize,
    rows: Vec<String>,
    at: usize,
}

impl Terminal {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, rows: vec![String::new()], at: 0 }
    }

    /// Makes the window narrower as terminals do that wrap lines anew.
    pub(crate) fn narrow(&mut self, width: usize) {
        self.width = width;
        let mut rows = Vec::new();
        for row in self.rows.drain(..) {
            let chars: Vec<char> = row.chars().collect();
            match chars.len() {
                0 => rows.push(String::new()),
                _ => rows.extend(chars.chunks(width).map(|chunk| chunk.iter().collect())),
            }
        }
        self.at = rows.len() - 1;
        self.rows = rows;
    }

    /// Shows text; control sequences other than those the board may use are a failure.
    pub(crate) fn show(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let count = || sequence[..end].parse::<usize>().unwrap();
                match &sequence[end..=end] {
                    "A" => self.at = self.at.saturating_sub(count()).max(self.rows.len().saturating_sub(self.height)),
                    "J" if end == 0 => {
                        self.rows.truncate(self.at + 1);
                        self.rows[self.at].clear();
                    }
                    "m" => {}
                    other => panic!("not for a board: {other}"),
                }
                rest = &sequence[end + 1..];
                continue;
            }
            match c {
                '\r' => {}
                '\n' => {
                    self.at += 1;
                    if self.at == self.rows.len() {
                        self.rows.push(String::new());
                    }
                }
                c => {
                    assert!(!c.is_control(), "{c:?} on the screen");
                    if self.rows[self.at].chars().count() == self.width {
                        self.at += 1;
                        self.rows.insert(self.at, String::new());
                    }
                    self.rows[self.at].push(c);
                }
            }
            rest = &rest[c.len_utf8()..];
        }
    }

    pub(crate) fn picture(&self) -> String {
        self.rows.join("\n").trim_end().to_owned()
    }
}
