//! Minimal terminal emulator for tests: the control sequences of the board, and the resulting screen.

/// Rows of a screen and its scrollback.
pub(crate) struct VirtualTerminal {
    width: usize,
    height: usize,
    rows: Vec<String>,
    cursor_row: usize,
}

impl VirtualTerminal {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, rows: vec![String::new()], cursor_row: 0 }
    }

    /// Makes the window narrower, as a terminal that rewraps lines does.
    pub(crate) fn shrink_width(&mut self, width: usize) {
        self.width = width;
        let mut rows = Vec::new();
        for row in self.rows.drain(..) {
            let chars: Vec<char> = row.chars().collect();
            match chars.len() {
                0 => rows.push(String::new()),
                _ => rows.extend(chars.chunks(width).map(|chunk| chunk.iter().collect())),
            }
        }
        self.cursor_row = rows.len() - 1;
        self.rows = rows;
    }

    /// Writes text; panics on control sequences the board must not use.
    pub(crate) fn write_text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let count = || sequence[..end].parse::<usize>().unwrap();
                match &sequence[end..=end] {
                    "A" => {
                        self.cursor_row =
                            self.cursor_row.saturating_sub(count()).max(self.rows.len().saturating_sub(self.height));
                    }
                    "J" if end == 0 => {
                        self.rows.truncate(self.cursor_row + 1);
                        self.rows[self.cursor_row].clear();
                    }
                    "m" => {}
                    other => panic!("unexpected control sequence: {other}"),
                }
                rest = &sequence[end + 1..];
                continue;
            }
            match c {
                '\r' => {}
                '\n' => {
                    self.cursor_row += 1;
                    if self.cursor_row == self.rows.len() {
                        self.rows.push(String::new());
                    }
                }
                c => {
                    assert!(!c.is_control(), "{c:?} on the screen");
                    if self.rows[self.cursor_row].chars().count() == self.width {
                        self.cursor_row += 1;
                        self.rows.insert(self.cursor_row, String::new());
                    }
                    self.rows[self.cursor_row].push(c);
                }
            }
            rest = &rest[c.len_utf8()..];
        }
    }

    pub(crate) fn screen_text(&self) -> String {
        self.rows.join("\n").trim_end().to_owned()
    }
}
