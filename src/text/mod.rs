//! Text functions used everywhere: counts, sizes, durations, hex, shortening, similar names, control sequences, Markdown.

mod format;
mod markdown;
mod nearest_name;
mod terminal;

pub(crate) use format::{
    encode_hex, format_age, format_delta, format_duration, format_size, format_size_limit, format_whole_seconds,
    is_hex, pluralize, shorten_text,
};
pub(crate) use markdown::{escape_markdown_cell, fenced_block};
pub(crate) use nearest_name::{closest_matches, did_you_mean, join_quoted};
pub(crate) use terminal::{
    break_commands, escape_json_document, last_visible_line, quote_path, sanitize_line, strip_control_sequences,
    to_safe_lines, to_single_line, visible_ranges,
};
