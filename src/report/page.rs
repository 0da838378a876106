//! Run report as one self-contained HTML page, without network access or other files.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use super::run_report::RunReport;
use super::text::FailedLogTail;
use super::{page_view, script_payload};

const PAGE_TEMPLATE: &str = include_str!("page/page.html");
const PAGE_CSS: &str = include_str!("page/page.css");
const PAGE_JS: &str = include_str!("page/page.js");

/// The template failed; this is a bug.
#[derive(Debug, thiserror::Error)]
#[error("cannot render the report page: {0}")]
pub struct PageError(#[from] minijinja::Error);

/// Renders the page; `tails` are the log ends of failed sessions.
///
/// # Errors
/// If the template is invalid.
pub fn render_page(report: &RunReport, tails: &[FailedLogTail]) -> Result<String, PageError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
    let view = page_view::build_page_view(report, tails);
    let data = to_inline_json(&script_payload::build_script_payload(report));
    let parts = context! {
        css => Value::from_safe_string(PAGE_CSS.to_owned()),
        js => Value::from_safe_string(PAGE_JS.to_owned()),
        data => Value::from_safe_string(data),
        version => env!("CARGO_PKG_VERSION"),
    };
    Ok(environment.render_str(PAGE_TEMPLATE, context! { ..Value::from(Serde(view)), ..parts })?)
}

/// Serializes data to JSON that cannot end its `script` element.
fn to_inline_json(data: &impl Serialize) -> String {
    let json = serde_json::to_string(data).unwrap_or_default();
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
