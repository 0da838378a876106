//! Audit findings as terminal text, JSON, SARIF, Markdown, GitHub annotations and plain lines.

mod counts;
mod fix_summary;
mod forgejo;
mod github;
mod json;
mod markdown;
mod pretty;
mod sarif;

pub(crate) use counts::FindingCounts;
pub(crate) use fix_summary::{FixCounts, FixView, render_fix_summary};
pub(crate) use forgejo::render_forgejo;
pub(crate) use github::render_github;
pub(crate) use json::render_json;
pub(crate) use markdown::render_markdown;
pub(crate) use pretty::render_pretty;
pub(crate) use sarif::render_sarif;
