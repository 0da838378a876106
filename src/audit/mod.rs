//! Workflows looked at and mended: where they lose time, and where they lie.

pub mod baseline;
pub mod cache;
pub mod dialect;
pub mod discover;
pub mod explain;
pub mod facts;
pub mod finding;
pub mod fix;
pub mod fixes;
pub mod ignore;
pub mod init;
pub mod inventory;
mod inventory_text;
pub mod key;
pub mod mend;
pub mod noxfile;
pub mod options;
pub mod order;
pub mod report;
pub mod rule;
pub mod rules;
pub mod schema;
pub mod shell;
pub mod span;

pub mod survey;
pub mod workflow;
pub mod yaml;
