//! Header of the HTML page: identity of the run and its totals.

use serde::Serialize;

use super::run_report::RunReport;
use crate::text::{format_duration, pluralize};

/// A fact about the run.
#[derive(Serialize)]
pub(super) struct HeaderItem {
    name: String,
    value: String,
}

/// A figure of the run.
#[derive(Serialize)]
pub(super) struct SummaryCard {
    name: &'static str,
    value: String,
    note: String,
}

/// Returns the facts that identify the run.
pub(super) fn header_items(report: &RunReport) -> Vec<HeaderItem> {
    let run = &report.run;
    let fact = |name: &str, value: String| HeaderItem { name: name.to_owned(), value };
    let mut facts = vec![fact("run", run.run.clone()), fact("at", run.time.replace('T', " "))];
    facts.extend(run.commit.as_ref().map(|commit| fact("commit", commit.get(..12).unwrap_or(commit).to_owned())));
    facts.extend(run.machine.ci.as_ref().map(|ci| fact("on", ci.clone())));
    facts.push(fact("machine", format!("{} {}, {} CPUs", run.machine.os, run.machine.arch, run.machine.cpus)));
    facts.extend(run.versions.iter().map(|(tool, version)| fact(tool, version.clone())));
    facts
}

/// Returns the figures of the run.
pub(super) fn summary_cards(report: &RunReport) -> Vec<SummaryCard> {
    let run = &report.run;
    let one_by_one =
        report.parallel_speedup().map(|gain| format!("sequential {}: {gain:.1}×", format_duration(run.sequential)));
    let mut tiles =
        vec![SummaryCard { name: "wall time", value: format_duration(run.wall), note: one_by_one.unwrap_or_default() }];
    let (bound, what) = report.lower_bounds.largest_bound();
    let part = bound as f64 * 100.0 / run.wall.max(1) as f64;
    tiles.push(SummaryCard {
        name: "cannot be less than",
        value: format_duration(bound),
        note: format!("{part:.0} % · {what}"),
    });
    if let Some(busy) = report.busy_cpus() {
        let part = busy * 100.0 / run.slots.max(1) as f64;
        let slots = pluralize(run.slots, "slot");
        tiles.push(SummaryCard {
            name: "CPUs busy",
            value: format!("{busy:.1}"),
            note: format!("{part:.0} % of {slots}"),
        });
    }
    let longest = report.sessions.iter().filter_map(|session| Some((session.waited?, &session.name))).max();
    let note = longest.filter(|(ms, _)| *ms > 0).map(|(ms, name)| format!("longest {}: {name}", format_duration(ms)));
    tiles.push(SummaryCard {
        name: "waiting for room",
        value: format_duration(run.waited),
        note: note.unwrap_or_else(|| "nothing waited".to_owned()),
    });
    if let Some(install) = run.install {
        let part = install as f64 * 100.0 / run.sequential.max(1) as f64;
        tiles.push(SummaryCard {
            name: "installs",
            value: format_duration(install),
            note: format!("{part:.0} % of all session time"),
        });
    }
    if let Some(cache) = run.cache.as_ref().filter(|cache| cache.hits + cache.misses > 0) {
        let part = f64::from(cache.hits) * 100.0 / f64::from(cache.hits + cache.misses);
        let note = format!("{} of {} packages restored", cache.hits, cache.hits + cache.misses);
        tiles.push(SummaryCard { name: "cache hits", value: format!("{part:.0} %"), note });
    }
    tiles
}
