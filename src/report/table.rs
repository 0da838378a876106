//! Tables rendered as text or Markdown, with escaped cells.

use console::{Alignment, measure_text_width, pad_str};

use crate::text::{escape_markdown_cell, to_single_line};

/// A table of text cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextTable {
    /// Column headings, and whether a column is right-aligned.
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// Creates a table; each column has a heading and may be right-aligned for numbers.
    pub(crate) fn new(columns: &[(&str, bool)]) -> Self {
        Self {
            columns: columns.iter().map(|(heading, right)| ((*heading).to_owned(), *right)).collect(),
            rows: Vec::new(),
        }
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
            self.rows.iter().map(|row| row.iter().map(|cell| to_single_line(cell)).collect()).collect();
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| heading.clone()).collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&headings]).map(|row| measure_text_width(&cell(row, column)));
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&rows) {
            let padded: Vec<String> = shown
                .iter()
                .map(|column| {
                    let alignment = if self.columns[*column].1 { Alignment::Right } else { Alignment::Left };
                    pad_str(&cell(row, *column), widths[*column], alignment, None).into_owned()
                })
                .collect();
            text.push_str(padded.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Renders the table as Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| escape_markdown_cell(heading)).collect();
        let alignments: Vec<&str> = self.columns.iter().map(|(_, right)| if *right { "--:" } else { ":--" }).collect();
        let mut text = format!("| {} |\n|{}|\n", headings.join(" | "), alignments.join("|"));
        for row in &self.rows {
            let cells: Vec<String> = (0..self.columns.len())
                .map(|column| row.get(column).map_or(String::new(), |text| escape_markdown_cell(text)))
                .collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped() {
        let mut table = TextTable::new(&[("name", false), ("time", true), ("note", false)]);
        table.push_row(vec!["a|b\n<i>".to_owned(), "1.0s".to_owned()]);
        table.push_row(vec!["@you \\ `x`".to_owned(), "12.0s".to_owned()]);
        assert_eq!(table.to_text(), "name         time\na|b <i>      1.0s\n@you \\ `x`  12.0s\n");
        assert_eq!(
            table.to_markdown(),
            "| name | time | note |\n|:--|--:|:--|\n| a\\|b &lt;i&gt; | 1.0s |  |\n| &#64;you \\\\ \\`x\\` | 12.0s |  |\n"
        );
    }
}
