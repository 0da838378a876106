//! Run as a trace for Chrome and Perfetto: sessions by slot, waiting times, needs as arrows.

use serde_json::{Value, json};

use super::run_report::{RunReport, SessionReport};

/// Process whose threads are slots.
const SLOTS_PID: u32 = 1;
/// Process whose tracks are waits.
const WAITS_PID: u32 = 2;

/// Builds the trace in the trace event format (a JSON object; times in microseconds).
pub fn build_perfetto_trace(report: &RunReport) -> Value {
    let mut events = vec![
        metadata_event("process_name", SLOTS_PID, 0, "slots"),
        metadata_event("process_name", WAITS_PID, 0, "waiting"),
    ];
    events.extend(
        (0..report.run.slots).map(|slot| metadata_event("thread_name", SLOTS_PID, slot, &format!("slot {slot}"))),
    );
    let indexes = report.session_indexes();
    let mut arrow = 0;
    for (number, session) in report.sessions.iter().enumerate() {
        events.extend(attempt_events(session));
        events.extend(wait_events(session, number));
        for need in &session.needs {
            let from = indexes.get(need.session.as_str()).map(|index| &report.sessions[*index]);
            if let Some([from, to]) = from.and_then(|from| need_flow_events(from, session, arrow)) {
                events.extend([from, to]);
                arrow += 1;
            }
        }
    }
    let run = &report.run;
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": { "run": run.run_id, "time": run.time, "commit": run.commit, "exit": run.exit },
    })
}

fn metadata_event(kind: &str, process: u32, thread: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": kind, "pid": process, "tid": thread, "args": { "name": name } })
}

/// Returns one event per slot that an attempt held.
fn attempt_events(session: &SessionReport) -> Vec<Value> {
    let event = |attempt: &super::run_report::AttemptReport, slot: &usize| {
        json!({
            "ph": "X", "name": session.name, "cat": attempt.outcome.as_str(), "pid": SLOTS_PID, "tid": slot,
            "ts": attempt.start * 1_000, "dur": (attempt.end - attempt.start) * 1_000,
            "args": {
                "outcome": attempt.outcome.as_str(), "attempt": attempt.number, "reason": attempt.reason,
                "critical": session.on_critical_path, "description": session.description,
            },
        })
    };
    session.attempts.iter().flat_map(|attempt| attempt.slots.iter().map(move |slot| event(attempt, slot))).collect()
}

fn wait_events(session: &SessionReport, number: usize) -> Vec<Value> {
    let (Some(start), Some(waited)) = (session.start, session.waited.filter(|waited| *waited > 0)) else {
        return Vec::new();
    };
    let event = |phase: &str, at: u64| {
        json!({
            "ph": phase, "name": session.name, "cat": "waiting", "id": number, "pid": WAITS_PID, "tid": 0,
            "ts": at * 1_000,
        })
    };
    vec![event("b", start - waited), event("e", start)]
}

/// Returns an arrow from the end of a session to the start of one that depends on it.
fn need_flow_events(from: &SessionReport, to: &SessionReport, id: u32) -> Option<[Value; 2]> {
    let (last, first) = (from.attempts.last()?, to.attempts.first()?);
    let event = |phase: &str, slot: usize, at: u64| {
        json!({
            "ph": phase, "bp": "e", "name": "need", "cat": "need", "id": id, "pid": SLOTS_PID, "tid": slot,
            "ts": at * 1_000,
        })
    };
    // An arrow must start within its slice.
    let arrow_start = last.end.saturating_sub(1).max(last.start);
    Some([event("s", *last.slots.first()?, arrow_start), event("f", *first.slots.first()?, first.start)])
}
