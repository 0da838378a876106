//! Integration tests: the library's modules together, and the built binary against real nox and uv.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on should say so
#![allow(unreachable_pub)] // one crate, nothing is exported

mod support;

mod architecture;
mod audit;
mod cache;
mod ci;
mod cli;
mod config;
mod host;
mod report;
mod repository;
mod robustness;
mod run;
mod trace;
