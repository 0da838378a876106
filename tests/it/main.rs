//! Integration tests: the built binary against real nox and uv.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_noxfile;
mod host;
mod host_environment;
mod session_process;
mod support;
