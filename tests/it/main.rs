//! Integration tests: the built binary against real nox and uv.

mod architecture;
mod example;
mod tools;
mod wheel;
