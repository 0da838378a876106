//! Audit findings as terminal text, JSON, SARIF, Markdown, GitHub annotations and plain lines, and statistics of them.

mod counts;
mod fix_summary;
mod forgejo;
mod format;
mod github;
mod groups;
mod json;
mod markdown;
mod pretty;
mod sarif;
mod statistics;

pub(crate) use counts::FindingCounts;
pub(crate) use fix_summary::{FixCounts, render_fix_summary};
use forgejo::render_forgejo;
pub(crate) use format::FindingFormat;
use github::render_github;
use json::{render_json, render_statistics_json};
use markdown::render_markdown;
use pretty::render_pretty;
use sarif::render_sarif;
use statistics::{render_statistics_markdown, render_statistics_text};
