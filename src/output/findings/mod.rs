//! An audit's findings for every reader: people, editors, forges, programs.

mod forgejo;
mod github;
mod json;
mod markdown;
mod pretty;
mod sarif;
mod tally;

pub use forgejo::forgejo;
pub use github::github;
pub use json::json;
pub use markdown::markdown;
pub use pretty::pretty;
pub use sarif::sarif;
pub use tally::Tally;
