//! Integration tests: the library's rooms together, and the built binary against real nox and uv.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on should say so
#![allow(unreachable_pub)] // one crate, nothing is exported

mod architecture;
mod example;
mod given;
mod graph;
mod host;
mod records;
mod schedule;
mod support;
mod tools;
mod wheel;
