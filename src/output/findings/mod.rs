//! An audit's findings for every reader: people, editors, forges, programs.

mod counts;
mod forgejo;
mod github;
mod json;
mod markdown;
mod pretty;
mod sarif;

pub use counts::FindingCounts;
pub use forgejo::render_forgejo;
pub use github::render_github;
pub use json::render_json;
pub use markdown::render_markdown;
pub use pretty::render_pretty;
pub use sarif::render_sarif;
