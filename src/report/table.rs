//! Tables rendered as text or Markdown, with cells escaped.

use console::{Alignment, measure_text_width, pad_str};

/// A table of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextTable {
    /// Column headings, and whether a column is right-aligned.
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// Creates a table; each column has a heading and may be right-aligned for figures.
    pub(crate) fn new(columns: &[(&str, bool)]) -> Self {
        Self { columns: columns.iter().map(|(head, right)| ((*head).to_owned(), *right)).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn push_row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Renders the table as text; columns that are empty in every row are omitted.
    pub(crate) fn to_text(&self) -> String {
        let filled = |column: usize| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()));
        let shown: Vec<usize> = (0..self.columns.len()).filter(|column| filled(*column)).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| to_one_line(cell)).collect()).collect();
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let heads: Vec<String> = self.columns.iter().map(|(head, _)| head.clone()).collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&heads]).map(|row| measure_text_width(&cell(row, column)));
            cells.max().unwrap_or(0)
        };
        let mut text = String::new();
        for row in std::iter::once(&heads).chain(&rows) {
            let padded: Vec<String> = shown
                .iter()
                .map(|column| {
                    let side = if self.columns[*column].1 { Alignment::Right } else { Alignment::Left };
                    pad_str(&cell(row, *column), width(*column), side, None).into_owned()
                })
                .collect();
            text.push_str(padded.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    pub(crate) fn to_markdown(&self) -> String {
        let heads: Vec<String> = self.columns.iter().map(|(head, _)| escape_markdown_cell(head)).collect();
        let sides: Vec<&str> = self.columns.iter().map(|(_, right)| if *right { "--:" } else { ":--" }).collect();
        let mut text = format!("| {} |\n|{}|\n", heads.join(" | "), sides.join("|"));
        for row in &self.rows {
            let cells: Vec<String> = (0..self.columns.len())
                .map(|at| row.get(at).map_or(String::new(), |text| escape_markdown_cell(text)))
                .collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text
    }
}

/// Removes line ends and control characters.
pub(super) fn to_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Escapes text so that it cannot leave its cell or become markup.
pub(super) fn escape_markdown_cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in to_one_line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '$' | '#' => safe.extend(['\\', c]),
            // Forges turn these into mentions and issue links.
            '@' => safe.push_str("&#64;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Returns a fenced code block that its content cannot close.
pub(super) fn fenced_block(body: &str) -> String {
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
    fn cells_stay_cells() {
        let mut table = TextTable::new(&[("name", false), ("time", true), ("note", false)]);
        table.push_row(vec!["a|b\n<i>".to_owned(), "1.0s".to_owned()]);
        table.push_row(vec!["@you \\ `x`".to_owned(), "12.0s".to_owned()]);
        assert_eq!(table.to_text(), "name         time\na|b <i>      1.0s\n@you \\ `x`  12.0s\n");
        assert_eq!(
            table.to_markdown(),
            "| name | time | note |\n|:--|--:|:--|\n| a\\|b &lt;i&gt; | 1.0s |  |\n| &#64;you \\\\ \\`x\\` | 12.0s |  |\n"
        );
        assert_eq!(fenced_block("a ``` b"), "````text\na ``` b\n````\n");
    }
}
