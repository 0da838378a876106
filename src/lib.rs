//! noxide runs the sessions of a noxfile in parallel. This file only lists the modules; `ARCHITECTURE.md` describes them.

pub mod audit;
pub mod cache;
pub mod cli;
pub mod config;
pub mod fs;
pub mod output;
pub mod project;
pub mod provision;
pub mod record;
pub mod report;
pub mod run;
mod text;
pub mod trace;
