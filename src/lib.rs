//! noxide: a noxfile's sessions side by side, right and fast. This file lists the rooms and nothing else.

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
