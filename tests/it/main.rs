//! Integration tests: the built binary against real nox and uv.

mod host;
mod support;
