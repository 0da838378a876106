//! A run as a trace that Chrome and Perfetto show: sessions on slots, waits, needs as arrows.

use serde_json::{Value, json};

use super::whole::{Report, SessionFigures};

/// The process whose threads are slots.
const SLOTS: u32 = 1;
/// The process whose tracks are waits.
const WAITS: u32 = 2;

/// The run in the trace event format (a JSON object; times in microseconds).
pub fn perfetto(report: &Report) -> Value {
    let mut events = vec![name("process_name", SLOTS, 0, "slots"), name("process_name", WAITS, 0, "waiting")];
    events.extend((0..report.run.slots).map(|slot| name("thread_name", SLOTS, slot, &format!("slot {slot}"))));
    let mut arrow = 0;
    for (number, session) in report.sessions.iter().enumerate() {
        events.extend(attempts(session));
        events.extend(wait(session, number));
        for need in &session.needs {
            let from = report.sessions.iter().find(|other| other.name == need.on.as_str());
            if let Some([from, to]) = from.and_then(|from| arrow_ends(from, session, arrow)) {
                events.extend([from, to]);
                arrow += 1;
            }
        }
    }
    let run = &report.run;
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": { "run": run.run, "time": run.time, "commit": run.commit, "exit": run.exit },
    })
}

fn name(what: &str, process: u32, thread: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": process, "tid": thread, "args": { "name": name } })
}

/// One event a slot that an attempt held.
fn attempts(session: &SessionFigures) -> Vec<Value> {
    let event = |attempt: &super::whole::AttemptFigures, slot: &usize| {
        json!({
            "ph": "X", "name": session.name, "cat": attempt.outcome.word(), "pid": SLOTS, "tid": slot,
            "ts": attempt.start * 1_000, "dur": (attempt.end - attempt.start) * 1_000,
            "args": {
                "outcome": attempt.outcome.word(), "attempt": attempt.number, "reason": attempt.reason,
                "critical": session.critical, "description": session.description,
            },
        })
    };
    session.attempts.iter().flat_map(|attempt| attempt.slots.iter().map(move |slot| event(attempt, slot))).collect()
}

fn wait(session: &SessionFigures, number: usize) -> Vec<Value> {
    let (Some(start), Some(waited)) = (session.start, session.waited.filter(|waited| *waited > 0)) else {
        return Vec::new();
    };
    let event = |phase: &str, at: u64| {
        json!({
            "ph": phase, "name": session.name, "cat": "waiting", "id": number, "pid": WAITS, "tid": 0,
            "ts": at * 1_000,
        })
    };
    vec![event("b", start - waited), event("e", start)]
}

/// An arrow from the end of a session to the start of one that needs it.
fn arrow_ends(from: &SessionFigures, to: &SessionFigures, id: u32) -> Option<[Value; 2]> {
    let (last, first) = (from.attempts.last()?, to.attempts.first()?);
    let event = |phase: &str, slot: usize, at: u64| {
        json!({
            "ph": phase, "bp": "e", "name": "need", "cat": "need", "id": id, "pid": SLOTS, "tid": slot,
            "ts": at * 1_000,
        })
    };
    // An arrow starts within the slice it belongs to.
    let leaves = last.end.saturating_sub(1).max(last.start);
    Some([event("s", *last.slots.first()?, leaves), event("f", *first.slots.first()?, first.start)])
}
