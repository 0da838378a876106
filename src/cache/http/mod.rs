//! A small blocking HTTP client with size limits, timeouts, retries, and a limit on the total waiting time.

mod client;
mod request_body;
mod retry_budget;

pub use client::{HttpClient, HttpError};
pub(crate) use client::{HttpRequest, HttpResponse};
pub use request_body::RequestBody;
pub use retry_budget::RetryBudget;
