//! The repository itself: its example, its wheel, and the links in its documents.

mod example;
mod links;
mod release;
mod slow_tests;
pub(crate) mod wheel;
mod workflows;
