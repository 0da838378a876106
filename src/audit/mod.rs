//! Workflows looked at and mended: where they lose time, and where they lie.

pub mod dialect;
pub mod shell;
pub mod source;
pub mod workflow;
pub mod yaml;
