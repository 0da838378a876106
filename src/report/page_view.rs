//! Template data of the HTML page: texts, classes, and positions as percentages of the time axis.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::ansi_html::render_ansi_html;
use super::critical_path::CriticalPathEntry;
use super::run_report::{AttemptReport, RunReport, SessionReport};
use super::summary_cards::{HeaderItem, SummaryCard, header_items, summary_cards};
use super::text::{FailedLogTail, describe_flakiness, format_lower_bound, format_usual_delta, outcome_mark};
use super::time_axis::{AxisTick, TimeAxis};
use crate::record::Outcome;
use crate::text::{format_duration, pluralize};

/// More slots than this are drawn as thin lines.
const MAX_THICK_LANES: usize = 12;
/// Empty lanes are shown up to this slot.
const MAX_LANES: usize = 1_024;
/// Longer lists are collapsed or truncated.
const MAX_LISTED: usize = 12;

/// Template data of the page.
#[derive(Serialize)]
pub(super) struct PageView {
    project: String,
    mark: &'static str,
    verdict: String,
    verdict_class: &'static str,
    interrupted: Option<String>,
    header_items: Vec<HeaderItem>,
    summary_cards: Vec<SummaryCard>,
    notices: Vec<String>,
    critical_path: Vec<CriticalPathView>,
    critical_path_is_long: bool,
    lower_bound: String,
    lanes: Vec<SlotLane>,
    lanes_class: &'static str,
    lanes_label: String,
    slots_summary: String,
    ticks: Vec<AxisTick>,
    filters: Vec<FilterPill>,
    columns: OptionalColumns,
    sessions: Vec<PageSessionRow>,
    failures: Vec<FailureView>,
    flaky: Vec<FlakySessionView>,
    hidden_flaky_count: usize,
    history_bars: Vec<HistoryBar>,
    history_summary: String,
}

/// Columns of the table that have content.
#[derive(Serialize)]
struct OptionalColumns {
    usual: bool,
    waited: bool,
    install: bool,
    busy: bool,
    history: bool,
    /// Whether the legend names cancelled and aborted sessions.
    stopped: bool,
}

impl OptionalColumns {
    fn for_report(report: &RunReport) -> Self {
        let any = |has: &dyn Fn(&SessionReport) -> bool| report.sessions.iter().any(has);
        Self {
            usual: any(&|session| !format_usual_delta(session).is_empty()),
            waited: any(&|session| shown_wait(session).is_some()),
            install: any(&|session| session.install.is_some_and(|ms| ms > 0)),
            busy: any(&|session| session.busy_cpus().is_some()),
            history: any(&|session| session.history.iter().flatten().filter(|past| past.wall.is_some()).count() > 1),
            stopped: any(&|session| matches!(session.outcome, Some(Outcome::Cancelled | Outcome::Aborted))),
        }
    }
}

/// Returns the time between ready and start, unless it is too short to be shown.
fn shown_wait(session: &SessionReport) -> Option<u64> {
    session.waited.filter(|waited| *waited >= 100)
}

#[derive(Serialize)]
struct CriticalPathView {
    index: usize,
    name: String,
    class: &'static str,
    time: String,
    why: String,
    gap: Option<String>,
    width: String,
    gap_width: Option<String>,
}

#[derive(Serialize)]
struct SlotLane {
    number: usize,
    bars: Vec<AttemptBar>,
}

#[derive(Serialize)]
struct AttemptBar {
    index: usize,
    name: String,
    class: String,
    left: String,
    width: String,
    install: Option<String>,
}

#[derive(Serialize)]
struct WaitBar {
    left: String,
    width: String,
}

#[derive(Serialize)]
struct FilterPill {
    value: &'static str,
    text: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct PageSessionRow {
    index: usize,
    name: String,
    class: String,
    mark: &'static str,
    outcome: &'static str,
    critical: bool,
    note: String,
    wait: Option<WaitBar>,
    bars: Vec<AttemptBar>,
    when: String,
    time: String,
    delta: String,
    waited: String,
    install: String,
    busy: String,
}

#[derive(Serialize)]
struct FailureView {
    mark: &'static str,
    name: String,
    outcome: &'static str,
    reason: String,
    omitted_note: String,
    log: String,
}

#[derive(Serialize)]
struct FlakySessionView {
    name: String,
    description: String,
}

#[derive(Serialize)]
struct HistoryBar {
    class: &'static str,
    height: u64,
    title: String,
}

/// Builds the template data.
pub(super) fn build_page_view(report: &RunReport, tails: &[FailedLogTail]) -> PageView {
    let axis = TimeAxis::for_report(report);
    let run = &report.run;
    let good = run.exit == Some(0);
    let indexes = report.session_indexes();
    PageView {
        project: run.project.clone(),
        mark: if good { "✓" } else { "✗" },
        verdict: report.format_verdict(),
        verdict_class: if good { "good" } else { "bad" },
        interrupted: run.interrupted.as_deref().map(crate::record::describe_interrupt),
        header_items: header_items(report),
        summary_cards: summary_cards(report),
        notices: run.notices.clone(),
        critical_path: report
            .critical_path
            .iter()
            .map(|link| critical_path_view(link, indexes.get(link.session.as_str()).copied(), report, &axis))
            .collect(),
        critical_path_is_long: report.critical_path.len() > MAX_LISTED,
        lower_bound: format_lower_bound(report),
        lanes: slot_lanes(report, &axis),
        lanes_class: if run.slots > MAX_THICK_LANES { "lanes many" } else { "lanes" },
        lanes_label: format!(
            "{} over {}; the table below shows the same data",
            pluralize(run.slots, "slot"),
            format_duration(axis.end_ms)
        ),
        slots_summary: slots_summary(report),
        ticks: axis.build_ticks(),
        filters: filter_pills(report),
        columns: OptionalColumns::for_report(report),
        sessions: report
            .sessions
            .iter()
            .enumerate()
            .map(|(index, session)| session_row(index, session, &axis))
            .collect(),
        failures: failure_views(report, tails),
        flaky: report
            .flaky_sessions
            .iter()
            .take(MAX_LISTED)
            .map(|flaky| FlakySessionView { name: flaky.session.clone(), description: describe_flakiness(flaky) })
            .collect(),
        hidden_flaky_count: report.flaky_sessions.len().saturating_sub(MAX_LISTED),
        history_bars: history_bars(report),
        history_summary: history_summary(report),
    }
}

fn session_class(session: &SessionReport) -> String {
    let mut class = session.outcome_str().to_owned();
    if session.flaky && session.outcome == Some(Outcome::Passed) {
        class = "flaky".to_owned();
    }
    if session.on_critical_path {
        class.push_str(" crit");
    }
    class
}

fn critical_path_view(
    link: &CriticalPathEntry,
    index: Option<usize>,
    report: &RunReport,
    axis: &TimeAxis,
) -> CriticalPathView {
    let index = index.unwrap_or(0);
    CriticalPathView {
        index,
        name: link.session.clone(),
        class: report.sessions.get(index).map_or("unfinished", SessionReport::outcome_str),
        time: format_duration(link.end - link.start),
        why: link.reason.describe_wait(),
        gap: (link.gap >= 100).then(|| format_duration(link.gap)),
        width: axis.format_percent(link.end - link.start),
        gap_width: (link.gap * 200 > axis.end_ms).then(|| axis.format_percent(link.gap)),
    }
}

fn attempt_bar(index: usize, session: &SessionReport, attempt: &AttemptReport, axis: &TimeAxis) -> AttemptBar {
    let outcome = match attempt.outcome {
        Outcome::Passed if session.flaky => "flaky",
        other => other.as_str(),
    };
    // Installs run first; with several attempts it is unknown in which one they ran.
    let is_single = session.attempts.len() == 1 && attempt.end > attempt.start;
    let install =
        session.install.filter(|ms| is_single && *ms > 0).map(|ms| ms as f64 / (attempt.end - attempt.start) as f64);
    let critical = if session.on_critical_path { " crit" } else { "" };
    AttemptBar {
        index,
        name: session.name.clone(),
        class: format!("{outcome}{critical}"),
        left: axis.format_percent(attempt.start),
        width: axis.format_percent(attempt.end - attempt.start),
        install: install.map(|share| format!("{:.0}", (share * 100.0).min(100.0))),
    }
}

fn slot_lanes(report: &RunReport, axis: &TimeAxis) -> Vec<SlotLane> {
    let mut lanes: BTreeMap<usize, Vec<AttemptBar>> = BTreeMap::new();
    for (index, session) in report.sessions.iter().enumerate() {
        for attempt in &session.attempts {
            // A record of unknown origin may list a slot twice.
            for slot in attempt.slots.iter().copied().collect::<BTreeSet<usize>>() {
                lanes.entry(slot).or_default().push(attempt_bar(index, session, attempt, axis));
            }
        }
    }
    // Slots that no attempt held have empty lanes, unless the record names slots that no machine has.
    let last_slot = lanes.keys().next_back().copied().filter(|slot| *slot < MAX_LANES);
    for slot in 0..last_slot.map_or(0, |last| last + 1) {
        lanes.entry(slot).or_default();
    }
    lanes.into_iter().map(|(number, bars)| SlotLane { number, bars }).collect()
}

fn slots_summary(report: &RunReport) -> String {
    let occupied: u64 = report
        .sessions
        .iter()
        .flat_map(|session| &session.attempts)
        .map(|attempt| (attempt.end - attempt.start).saturating_mul(attempt.slots.len() as u64))
        .fold(0, u64::saturating_add);
    let capacity = report.run.wall.max(1).saturating_mul(report.run.slots.max(1) as u64);
    let slots =
        format!("{} {}", pluralize(report.run.slots, "slot"), if report.run.slots == 1 { "was" } else { "were" });
    format!("The {slots} in use {:.0} % of the time.", (occupied as f64 * 100.0 / capacity as f64).min(100.0))
}

fn filter_pills(report: &RunReport) -> Vec<FilterPill> {
    let count = |matches: fn(&SessionReport) -> bool| report.sessions.iter().filter(|session| matches(session)).count();
    let mut pills = vec![FilterPill { value: "all", text: "all", count: report.sessions.len() }];
    let others: [(&'static str, &'static str, usize); 5] = [
        ("failed", "✗ failed", count(has_failed_itself)),
        ("stopped", "■ cancelled or aborted", count(was_stopped)),
        ("flaky", "~ flaky", report.sessions.iter().filter(|session| session.was_flaky).count()),
        ("critical", "◆ critical path", count(|session| session.on_critical_path)),
        ("slower", "slower than usual", count(is_slower_than_usual)),
    ];
    pills.extend(others.into_iter().filter(|(.., count)| *count > 0).map(|(value, text, count)| FilterPill {
        value,
        text,
        count,
    }));
    pills
}

/// Returns whether a session failed itself; unfinished ones count.
pub(super) fn has_failed_itself(session: &SessionReport) -> bool {
    session.is_failed() && !was_stopped(session)
}

/// Returns whether a session was stopped, or not started because of another one.
pub(super) fn was_stopped(session: &SessionReport) -> bool {
    matches!(session.outcome, Some(Outcome::Cancelled | Outcome::Aborted))
}

/// Returns whether a session is more than 25 % and half a second slower than usual.
pub(super) fn is_slower_than_usual(session: &SessionReport) -> bool {
    let times = session.wall.zip(session.usual).filter(|_| session.outcome == Some(Outcome::Passed));
    times.is_some_and(|(wall, usual)| wall * 4 > usual * 5 && wall > usual + 500)
}

fn session_row(index: usize, session: &SessionReport, axis: &TimeAxis) -> PageSessionRow {
    let time = |ms: Option<u64>| ms.map(format_duration).unwrap_or_default();
    let wait = session.waited.zip(session.start).filter(|(waited, _)| *waited * 500 > axis.end_ms);
    let bars = session.attempts.iter().map(|attempt| {
        let mut bar = attempt_bar(index, session, attempt, axis);
        bar.class = format!("r {}", bar.class);
        bar.name = String::new();
        bar
    });
    let slots = |attempt: &AttemptReport| attempt.slots.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let when = match (session.start, session.end, session.attempts.last()) {
        (Some(start), Some(end), Some(last)) => {
            format!("from {} to {} on slot {}", format_duration(start), format_duration(end), slots(last))
        }
        _ => "did not run".to_owned(),
    };
    PageSessionRow {
        index,
        name: session.name.clone(),
        class: session_class(session),
        mark: outcome_mark(session.outcome),
        outcome: session.outcome_str(),
        critical: session.on_critical_path,
        note: session.collect_notes().join("; "),
        wait: wait.map(|(waited, start)| WaitBar {
            left: axis.format_percent(start - waited),
            width: axis.format_percent(waited),
        }),
        bars: bars.collect(),
        when,
        time: time(session.wall),
        delta: format_usual_delta(session),
        waited: time(shown_wait(session)),
        install: time(session.install.filter(|ms| *ms > 0)),
        busy: session.busy_cpus().map(|busy| format!("{busy:.1}")).unwrap_or_default(),
    }
}

fn failure_views(report: &RunReport, tails: &[FailedLogTail]) -> Vec<FailureView> {
    let failed = |session: &&SessionReport| session.is_failed() && !session.attempts.is_empty();
    let tails_by_session: HashMap<&str, &FailedLogTail> =
        tails.iter().map(|tail| (tail.session.as_str(), tail)).collect();
    let view = |session: &SessionReport| {
        let tail = tails_by_session.get(session.name.as_str());
        FailureView {
            mark: outcome_mark(session.outcome),
            name: session.name.clone(),
            outcome: session.outcome_str(),
            reason: session.reason.clone(),
            omitted_note: tail.map(|tail| tail.omitted_note.clone()).unwrap_or_default(),
            log: tail.map(|tail| render_ansi_html(&tail.lines)).unwrap_or_default(),
        }
    };
    let mut failures: Vec<&SessionReport> = report.sessions.iter().filter(failed).collect();
    // What was stopped has no reason of its own.
    failures.sort_by_key(|session| was_stopped(session));
    failures.into_iter().map(view).collect()
}

fn history_bars(report: &RunReport) -> Vec<HistoryBar> {
    if report.recent_runs.len() < 2 {
        return Vec::new();
    }
    let longest = report.recent_runs.iter().map(|run| run.wall).max().unwrap_or(1).max(1);
    let last = report.recent_runs.len() - 1;
    let bar = |(at, run): (usize, &super::run_history::PastRun)| {
        let good = run.exit == Some(0);
        let result = match run.exit {
            Some(0) => "passed".to_owned(),
            Some(code) => format!("exit code {code}"),
            None => "killed".to_owned(),
        };
        HistoryBar {
            class: match (good, at == last) {
                (true, false) => "good",
                (true, true) => "good now",
                (false, false) => "bad",
                (false, true) => "bad now",
            },
            height: (run.wall * 100 / longest).max(2),
            title: format!("{}: {}, {result}", run.time.replace('T', " "), format_duration(run.wall)),
        }
    };
    report.recent_runs.iter().enumerate().map(bar).collect()
}

fn history_summary(report: &RunReport) -> String {
    let walls = || report.recent_runs.iter().map(|run| run.wall);
    let failed = report.recent_runs.iter().filter(|run| run.exit != Some(0)).count();
    let (shortest, longest) = (walls().min().unwrap_or(0), walls().max().unwrap_or(0));
    format!(
        "{} runs, oldest first, from {} to {}; {failed} failed (striped). The last one is this run.",
        report.recent_runs.len(),
        format_duration(shortest),
        format_duration(longest)
    )
}
