//! Integration tests: the built binary against real nox and uv.

mod output;
