//! `noxide cache status`: what the store holds.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::flags::CacheStatusArgs;
use super::opened::{print_document, store};
use crate::cache::store::{Kind, Status};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::listing::print;
use crate::output::{plural, size};

/// Prints the figures.
///
/// # Errors
/// When the store cannot be had.
pub(super) fn status(args: &CacheStatusArgs) -> Result<u8, Failure> {
    let status = store()?.status();
    match args.format {
        Format::Text => print(&told(&status, Timestamp::now())),
        Format::Json => print_document(&status),
    }
    Ok(0)
}

fn told(status: &Status, now: Timestamp) -> String {
    let read_only = if status.writable { "" } else { " (read-only)" };
    let mut text = format!("{}{read_only}\n", status.path);
    for kind in &status.kinds {
        let used = kind.used.map(|used| format!(", last used {}", ago(used, now))).unwrap_or_default();
        let what = match kind.kind {
            Kind::Built => "built wheel",
            Kind::Bytecode => "compiled wheel",
            Kind::Bucket => "whole cache",
            Kind::Venv => "environment",
            other => other.as_str(),
        };
        let count = plural(usize::try_from(kind.entries).unwrap_or(0), what);
        let _ = writeln!(text, "  {count:<16} {:>9} {:>9} files{used}", size(kind.bytes), kind.files);
    }
    let share = status.bytes.saturating_mul(100).checked_div(status.max_size).unwrap_or(100);
    let days = status.max_unused / 86_400;
    let _ = writeln!(
        text,
        "{} of {} ({share} %), unused entries go after {}",
        size(status.bytes),
        size(status.max_size),
        plural(usize::try_from(days).unwrap_or(0), "day"),
    );
    if status.unreadable > 0 {
        let what = plural(usize::try_from(status.unreadable).unwrap_or(0), "entry");
        let _ = writeln!(text, "{what} cannot be read: `noxide cache verify` names them");
    }
    if !status.aside.is_empty() {
        let _ = writeln!(text, "{} put aside as damaged", plural(status.aside.len(), "entry"));
    }
    text
}

/// How long ago, as roughly as people say it.
fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = usize::try_from(now.as_second() - then.as_second()).unwrap_or(0);
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} ago", plural(seconds / 60, "minute")),
        3_600..86_400 => format!("{} ago", plural(seconds / 3_600, "hour")),
        _ => format!("{} ago", plural(seconds / 86_400, "day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_roughly() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let before = |seconds: i64| ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!([before(-5), before(5)], ["just now", "just now"]);
        assert_eq!([before(61), before(7_200), before(200_000)], ["1 minute ago", "2 hours ago", "2 days ago"]);
    }
}
