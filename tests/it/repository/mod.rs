//! The repository itself: its example, its wheel, and the links in its documents.

mod example;
mod links;
mod slow_tests;
mod wheel;
