//! A small blocking HTTP client that never waits long: bounded answers, few retries, one budget of patience.

mod client;
mod patience;
mod payload;
mod roots;

pub use client::{Answer, Client, HttpError, Request};
pub use patience::Patience;
pub use payload::Payload;
