//! Header of the HTML page: identity of the run and its totals.

use serde::Serialize;

use super::run_report::RunReport;
use crate::text::{format_duration, pluralize};

/// An item of the header, such as the commit.
#[derive(Serialize)]
pub(super) struct HeaderItem {
    name: String,
    value: String,
}

/// A card with one figure of the run.
#[derive(Serialize)]
pub(super) struct SummaryCard {
    name: &'static str,
    value: String,
    note: String,
}

/// Returns the items that identify the run.
pub(super) fn header_items(report: &RunReport) -> Vec<HeaderItem> {
    let run = &report.run;
    let item = |name: &str, value: String| HeaderItem { name: name.to_owned(), value };
    let mut items = vec![item("run", run.run_id.clone()), item("started", run.time.replace('T', " "))];
    items.extend(run.commit.as_ref().map(|commit| item("commit", commit.get(..12).unwrap_or(commit).to_owned())));
    items.extend(run.machine.ci.as_ref().map(|ci| item("CI", ci.clone())));
    items.push(item("machine", format!("{} {}, {} CPUs", run.machine.os, run.machine.arch, run.machine.cpus)));
    items.extend(run.versions.iter().map(|(tool, version)| item(tool, version.clone())));
    items
}

/// Returns the figures of the run.
pub(super) fn summary_cards(report: &RunReport) -> Vec<SummaryCard> {
    let run = &report.run;
    // The factor of a run that was stopped says nothing.
    let gain = report.parallel_speedup().filter(|_| run.interrupted.is_none()).map(|gain| format!(": {gain:.1}×"));
    let speedup_note = (run.session_total > 0)
        .then(|| format!("sum of sessions {}{}", format_duration(run.session_total), gain.unwrap_or_default()));
    let mut cards = vec![SummaryCard {
        name: "wall time",
        value: format_duration(run.wall),
        note: speedup_note.unwrap_or_default(),
    }];
    // Of a run that was stopped, it holds only for what ran.
    if run.interrupted.is_none() {
        let (bound, description) = report.lower_bounds.largest_bound();
        let percent = bound as f64 * 100.0 / run.wall.max(1) as f64;
        cards.push(SummaryCard {
            name: "lower bound",
            value: format_duration(bound),
            note: format!("{percent:.0} % · {description}"),
        });
    }
    if let Some(busy) = report.busy_cpus() {
        let percent = busy * 100.0 / run.slots.max(1) as f64;
        let slots = pluralize(run.slots, "slot");
        cards.push(SummaryCard {
            name: "CPUs busy",
            value: format!("{busy:.1}"),
            note: format!("{percent:.0} % of {slots}"),
        });
    }
    // Not the sum of all waits, which can be much longer than the run.
    let longest = report.sessions.iter().filter_map(|session| Some((session.waited?, &session.name))).max();
    if let Some((ms, name)) = longest.filter(|(ms, _)| *ms >= 100) {
        let note = format!("{name}, from ready to its start");
        cards.push(SummaryCard { name: "longest wait", value: format_duration(ms), note });
    }
    if let Some(install) = run.install.filter(|ms| *ms > 0) {
        let percent = install as f64 * 100.0 / run.session_total.max(1) as f64;
        cards.push(SummaryCard {
            name: "installs",
            value: format_duration(install),
            note: format!("{percent:.0} % of all session time"),
        });
    }
    if let Some(cache) = run.cache.as_ref().filter(|cache| cache.hits + cache.misses > 0) {
        let percent = f64::from(cache.hits) * 100.0 / f64::from(cache.hits + cache.misses);
        let note = format!("{} of {} packages restored", cache.hits, cache.hits + cache.misses);
        cards.push(SummaryCard { name: "cache hits", value: format!("{percent:.0} %"), note });
    }
    cards
}
