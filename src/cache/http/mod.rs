//! A small blocking HTTP client that never waits long: bounded answers, few retries, one budget of patience.

mod client;
mod request_body;
mod retry_budget;

pub use client::{HttpClient, HttpError};
pub(crate) use client::{HttpRequest, HttpResponse};
pub use request_body::RequestBody;
pub use retry_budget::RetryBudget;
