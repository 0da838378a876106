//! Colors of a log as HTML: SGR sequences become classes and styles, everything else is escaped.

use std::fmt::Write as _;

/// Style of a piece of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SgrState {
    /// Bold, dim, italic, underlined.
    attributes: [bool; 4],
    color: Option<SgrColor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SgrColor {
    /// One of the eight colors of a terminal, which the page's theme defines.
    Named(u8),
    Rgb(u8, u8, u8),
}

/// Renders lines with SGR sequences; the styles of a line end with it.
pub(super) fn render_ansi_html(lines: &[String]) -> String {
    let mut html = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            html.push('\n');
        }
        render_line(line, &mut html);
    }
    html
}

fn render_line(line: &str, html: &mut String) {
    let mut state = SgrState::default();
    let mut pieces = line.split("\x1b[");
    push_text(pieces.next().unwrap_or_default(), &state, html);
    for piece in pieces {
        match piece.split_once('m').filter(|(codes, _)| codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
        {
            Some((codes, text)) => {
                state.apply_codes(codes);
                push_text(text, &state, html);
            }
            None => push_text(piece, &state, html),
        }
    }
}

fn push_text(text: &str, state: &SgrState, html: &mut String) {
    if text.is_empty() {
        return;
    }
    let is_plain = *state == SgrState::default();
    if !is_plain {
        let mut classes: Vec<String> =
            (1..=4).filter(|number| state.attributes[number - 1]).map(|number| format!("a{number}")).collect();
        let mut style = String::new();
        match state.color {
            Some(SgrColor::Named(number)) => classes.push(format!("c{number}")),
            Some(SgrColor::Rgb(red, green, blue)) => style = format!(" style=\"color:rgb({red} {green} {blue})\""),
            None => {}
        }
        let _ = write!(html, "<span class=\"{}\"{style}>", classes.join(" "));
    }
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\u{1b}' => {}
            other => html.push(other),
        }
    }
    if !is_plain {
        html.push_str("</span>");
    }
}

impl SgrState {
    fn apply_codes(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|code| code.parse::<u8>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1..=4 => self.attributes[usize::from(code) - 1] = true,
                22 => self.attributes[..2].fill(false),
                23 | 24 => self.attributes[usize::from(code) - 21] = false,
                30..=37 => self.color = Some(SgrColor::Named(code - 30)),
                90..=97 => self.color = Some(SgrColor::Named(code - 90)),
                39 => self.color = None,
                38 | 48 => {
                    let color = match codes.next() {
                        Some(5) => codes.next().map(indexed_color),
                        Some(2) => {
                            codes.next().zip(codes.next()).zip(codes.next()).map(|((r, g), b)| SgrColor::Rgb(r, g, b))
                        }
                        _ => None,
                    };
                    if code == 38 {
                        self.color = color;
                    }
                }
                // Backgrounds and the rest are left out.
                _ => {}
            }
        }
    }
}

/// Returns a color of the palette of 256.
fn indexed_color(index: u8) -> SgrColor {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..=15 => SgrColor::Named(index % 8),
        16..=231 => {
            let cube = index - 16;
            SgrColor::Rgb(level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        232..=255 => {
            let gray = 8 + 10 * (index - 232);
            SgrColor::Rgb(gray, gray, gray)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(line: &str) -> String {
        render_ansi_html(&[line.to_owned()])
    }

    #[test]
    fn colors_become_classes_and_text_is_escaped() {
        assert_eq!(html("a <b> & \"c\""), "a &lt;b&gt; &amp; &quot;c&quot;");
        assert_eq!(html("\x1b[1;31mE  x\x1b[0m < y"), "<span class=\"a1 c1\">E  x</span> &lt; y");
        assert_eq!(html("\x1b[92mok\x1b[39m no"), "<span class=\"c2\">ok</span> no");
        assert_eq!(html("\x1b[38;5;196mr\x1b[m"), "<span class=\"\" style=\"color:rgb(255 0 0)\">r</span>");
        assert_eq!(html("\x1b[48;5;1;4mu\x1b[24m"), "<span class=\"a4\">u</span>");
        assert_eq!(html("\x1b[<script>"), "[&lt;script&gt;".trim_start_matches('['));
        assert_eq!(render_ansi_html(&["\x1b[31ma".to_owned(), "b".to_owned()]), "<span class=\"c1\">a</span>\nb");
    }
}
