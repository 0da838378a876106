//! What the page's template shows: words, classes, and places as percentages of the time axis.

use serde::Serialize;

use super::axis::{Axis, Tick};
use super::chain::Link;
use super::tiles::{Fact, Tile, facts, tiles};
use super::whole::{AttemptFigures, Report, SessionFigures};
use super::words::{Tail, against_usual, bound, mark, unsteady};
use crate::record::{Outcome, duration};

/// More slots than that are drawn as thin lines.
const THICK: usize = 12;
/// Longer lists are folded or cut.
const LISTED: usize = 12;

/// All of the page.
#[derive(Serialize)]
pub(super) struct View {
    project: String,
    mark: &'static str,
    verdict: String,
    verdict_class: &'static str,
    interrupted: Option<String>,
    facts: Vec<Fact>,
    tiles: Vec<Tile>,
    notices: Vec<String>,
    chain: Vec<LinkView>,
    chain_long: bool,
    bound: String,
    lanes: Vec<Lane>,
    lanes_class: &'static str,
    lanes_label: String,
    slots_lead: String,
    ticks: Vec<Tick>,
    pills: Vec<Pill>,
    installs: bool,
    sessions: Vec<Row>,
    failures: Vec<Failure>,
    flaky: Vec<Unsteady>,
    flaky_more: usize,
    runs: Vec<RunBar>,
    runs_lead: String,
}

#[derive(Serialize)]
struct LinkView {
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
struct Lane {
    number: usize,
    bars: Vec<Bar>,
}

#[derive(Serialize)]
struct Bar {
    index: usize,
    name: String,
    class: String,
    left: String,
    width: String,
    install: Option<String>,
}

#[derive(Serialize)]
struct Span {
    left: String,
    width: String,
}

#[derive(Serialize)]
struct Pill {
    value: &'static str,
    text: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct Row {
    index: usize,
    name: String,
    class: String,
    mark: &'static str,
    word: &'static str,
    critical: bool,
    note: String,
    wait: Option<Span>,
    bars: Vec<Bar>,
    when: String,
    time: String,
    delta: String,
    waited: String,
    install: String,
    busy: String,
}

#[derive(Serialize)]
struct Failure {
    mark: &'static str,
    name: String,
    word: &'static str,
    reason: String,
    above: String,
    log: String,
}

#[derive(Serialize)]
struct Unsteady {
    name: String,
    words: String,
}

#[derive(Serialize)]
struct RunBar {
    class: &'static str,
    height: u64,
    title: String,
}

/// The page's words.
pub(super) fn view(report: &Report, tails: &[Tail]) -> View {
    let axis = Axis::of(report);
    let run = &report.run;
    let good = run.exit == Some(0);
    View {
        project: run.project.clone(),
        mark: if good { "✓" } else { "✗" },
        verdict: report.verdict(),
        verdict_class: if good { "good" } else { "bad" },
        interrupted: run.interrupted.clone(),
        facts: facts(report),
        tiles: tiles(report),
        notices: run.notices.clone(),
        chain: report.held_up.iter().map(|link| link_view(link, report, &axis)).collect(),
        chain_long: report.held_up.len() > LISTED,
        bound: bound(report),
        lanes: lanes(report, &axis),
        lanes_class: if run.slots > THICK { "lanes many" } else { "lanes" },
        lanes_label: format!("{} slots over {}; the table below has the same figures", run.slots, duration(axis.end)),
        slots_lead: slots_lead(report),
        ticks: axis.ticks(),
        pills: pills(report),
        installs: run.install.is_some(),
        sessions: report.sessions.iter().enumerate().map(|(index, session)| row(index, session, &axis)).collect(),
        failures: failures(report, tails),
        flaky: report
            .flaky
            .iter()
            .take(LISTED)
            .map(|flaky| Unsteady { name: flaky.session.clone(), words: unsteady(flaky) })
            .collect(),
        flaky_more: report.flaky.len().saturating_sub(LISTED),
        runs: runs(report),
        runs_lead: runs_lead(report),
    }
}

fn class(session: &SessionFigures) -> String {
    let mut class = session.word().to_owned();
    if session.flaky && session.outcome == Some(Outcome::Passed) {
        class = "flaky".to_owned();
    }
    if session.critical {
        class.push_str(" crit");
    }
    class
}

fn link_view(link: &Link, report: &Report, axis: &Axis) -> LinkView {
    let index = report.sessions.iter().position(|session| session.name == link.session).unwrap_or(0);
    LinkView {
        index,
        name: link.session.clone(),
        class: report.sessions.get(index).map_or("unfinished", SessionFigures::word),
        time: duration(link.end - link.start),
        why: link.because.words(),
        gap: (link.gap >= 100).then(|| duration(link.gap)),
        width: axis.percent(link.end - link.start),
        gap_width: (link.gap * 200 > axis.end).then(|| axis.percent(link.gap)),
    }
}

fn bar(index: usize, session: &SessionFigures, attempt: &AttemptFigures, axis: &Axis) -> Bar {
    let outcome = match attempt.outcome {
        Outcome::Passed if session.flaky => "flaky",
        other => other.word(),
    };
    // An install comes first; of several attempts it is not known whose it was.
    let alone = session.attempts.len() == 1 && attempt.end > attempt.start;
    let install =
        session.install.filter(|ms| alone && *ms > 0).map(|ms| ms as f64 / (attempt.end - attempt.start) as f64);
    let critical = if session.critical { " crit" } else { "" };
    Bar {
        index,
        name: session.name.clone(),
        class: format!("{outcome}{critical}"),
        left: axis.percent(attempt.start),
        width: axis.percent(attempt.end - attempt.start),
        install: install.map(|share| format!("{:.0}", (share * 100.0).min(100.0))),
    }
}

fn lanes(report: &Report, axis: &Axis) -> Vec<Lane> {
    let sessions = || report.sessions.iter().enumerate();
    let most = sessions().flat_map(|(_, session)| session.attempts.iter().flat_map(|attempt| &attempt.slots)).max();
    let Some(most) = most else { return Vec::new() };
    let held = |slot: usize| {
        sessions()
            .flat_map(|(index, session)| session.attempts.iter().map(move |attempt| (index, session, attempt)))
            .filter(|(.., attempt)| attempt.slots.contains(&slot))
            .map(|(index, session, attempt)| bar(index, session, attempt, axis))
            .collect()
    };
    (0..=*most).map(|slot| Lane { number: slot, bars: held(slot) }).collect()
}

fn slots_lead(report: &Report) -> String {
    let held: u64 = report
        .sessions
        .iter()
        .flat_map(|session| &session.attempts)
        .map(|attempt| (attempt.end - attempt.start) * attempt.slots.len() as u64)
        .sum();
    let room = report.run.wall.max(1) * report.run.slots.max(1) as u64;
    let slots =
        if report.run.slots == 1 { "one slot was".to_owned() } else { format!("{} slots were", report.run.slots) };
    format!("The {slots} taken {:.0} % of the time.", (held as f64 * 100.0 / room as f64).min(100.0))
}

fn pills(report: &Report) -> Vec<Pill> {
    let count = |which: fn(&SessionFigures) -> bool| report.sessions.iter().filter(|session| which(session)).count();
    let mut pills = vec![Pill { value: "all", text: "all", count: report.sessions.len() }];
    let others: [(&'static str, &'static str, usize); 4] = [
        ("failed", "✗ failed", count(SessionFigures::failed)),
        ("flaky", "~ flaky", report.sessions.iter().filter(|session| unsteady_one(report, session)).count()),
        ("critical", "◆ waited for", count(|session| session.critical)),
        ("slower", "slower than usual", count(slower)),
    ];
    pills.extend(others.into_iter().filter(|(.., count)| *count > 0).map(|(value, text, count)| Pill {
        value,
        text,
        count,
    }));
    pills
}

/// Whether a session changes its mind, now or in earlier runs.
pub(super) fn unsteady_one(report: &Report, session: &SessionFigures) -> bool {
    report.flaky.iter().any(|flaky| flaky.session == session.name)
}

/// More than a quarter and half a second slower than it usually is.
pub(super) fn slower(session: &SessionFigures) -> bool {
    let both = session.wall.zip(session.usual).filter(|_| session.outcome == Some(Outcome::Passed));
    both.is_some_and(|(wall, usual)| wall * 4 > usual * 5 && wall > usual + 500)
}

fn row(index: usize, session: &SessionFigures, axis: &Axis) -> Row {
    let time = |ms: Option<u64>| ms.map(duration).unwrap_or_default();
    let wait = session.waited.zip(session.start).filter(|(waited, _)| *waited * 500 > axis.end);
    let bars = session.attempts.iter().map(|attempt| {
        let mut bar = bar(index, session, attempt, axis);
        bar.class = format!("r {}", bar.class);
        bar.name = String::new();
        bar
    });
    let slots = |attempt: &AttemptFigures| attempt.slots.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let when = match (session.start, session.end, session.attempts.last()) {
        (Some(start), Some(end), Some(last)) => {
            format!("from {} to {} on slot {}", duration(start), duration(end), slots(last))
        }
        _ => "did not run".to_owned(),
    };
    Row {
        index,
        name: session.name.clone(),
        class: class(session),
        mark: mark(session.outcome),
        word: session.word(),
        critical: session.critical,
        note: session.notes().join("; "),
        wait: wait.map(|(waited, start)| Span { left: axis.percent(start - waited), width: axis.percent(waited) }),
        bars: bars.collect(),
        when,
        time: time(session.wall),
        delta: against_usual(session),
        waited: time(session.waited.filter(|waited| *waited >= 100)),
        install: time(session.install),
        busy: session.busy().map(|busy| format!("{busy:.1}")).unwrap_or_default(),
    }
}

fn failures(report: &Report, tails: &[Tail]) -> Vec<Failure> {
    let failed = |session: &&SessionFigures| session.failed() && !session.attempts.is_empty();
    let view = |session: &SessionFigures| {
        let tail = tails.iter().find(|tail| tail.session == session.name);
        Failure {
            mark: mark(session.outcome),
            name: session.name.clone(),
            word: session.word(),
            reason: session.reason.clone(),
            above: tail.map(|tail| tail.above.clone()).unwrap_or_default(),
            log: tail.map(|tail| tail.lines.join("\n")).unwrap_or_default(),
        }
    };
    report.sessions.iter().filter(failed).map(view).collect()
}

fn runs(report: &Report) -> Vec<RunBar> {
    if report.runs.len() < 2 {
        return Vec::new();
    }
    let most = report.runs.iter().map(|run| run.wall).max().unwrap_or(1).max(1);
    let last = report.runs.len() - 1;
    let bar = |(at, run): (usize, &super::past::PastRun)| {
        let good = run.exit == Some(0);
        let end = match run.exit {
            Some(0) => "good".to_owned(),
            Some(code) => format!("exit code {code}"),
            None => "killed".to_owned(),
        };
        RunBar {
            class: match (good, at == last) {
                (true, false) => "good",
                (true, true) => "good now",
                (false, false) => "bad",
                (false, true) => "bad now",
            },
            height: (run.wall * 100 / most).max(2),
            title: format!("{}: {}, {end}", run.time.replace('T', " "), duration(run.wall)),
        }
    };
    report.runs.iter().enumerate().map(bar).collect()
}

fn runs_lead(report: &Report) -> String {
    let walls = || report.runs.iter().map(|run| run.wall);
    let failed = report.runs.iter().filter(|run| run.exit != Some(0)).count();
    let (least, most) = (walls().min().unwrap_or(0), walls().max().unwrap_or(0));
    format!(
        "{} runs, oldest first, from {} to {}; {failed} failed (striped). The last is this one.",
        report.runs.len(),
        duration(least),
        duration(most)
    )
}
