//! The events of a run told again from its record, for what has no events of its own.

use super::{EventKind, RunEvent, RunMetadata, RunRecord, SessionResult};

/// Reconstructs events that fold to a record, ordered by time, with one log-growth event per attempt.
pub(crate) fn reconstruct_events(record: &RunRecord) -> Vec<RunEvent> {
    let start = RunMetadata {
        run_id: record.run_id.clone(),
        started_at: record.started_at.clone(),
        root: record.root.clone(),
        slots: record.slots,
        sessions: record.sessions.iter().map(|session| session.spec.clone()).collect(),
        commit: record.commit.clone(),
        versions: record.versions.clone(),
        shard: record.shard.clone(),
    };
    let mut events = Vec::new();
    let notices = record.notices.iter().map(|text| RunEvent { at: 0, kind: EventKind::Notice { text: text.clone() } });
    events.extend(notices);
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        push_session_events(result, record.wall_ms, &mut events);
    }
    if let Some(cause) = &record.interrupt_cause {
        events.push(RunEvent { at: record.wall_ms, kind: EventKind::RunInterrupted { cause: cause.clone() } });
    }
    // A stable sort: events of the same time stay in the order above.
    events.sort_by_key(|event| event.at);
    events.insert(0, RunEvent { at: 0, kind: EventKind::RunStarted(start) });
    events.extend(
        record.exit_code.map(|exit| RunEvent { at: record.wall_ms, kind: EventKind::RunFinished { exit_code: exit } }),
    );
    events
}

fn push_session_events(result: &SessionResult, wall: u64, events: &mut Vec<RunEvent>) {
    for (index, attempt) in result.attempts.iter().enumerate() {
        let session = result.session.clone();
        let started = EventKind::SessionStarted {
            session: session.clone(),
            attempt: attempt.number,
            slots: attempt.slots.clone(),
            log: attempt.log.clone(),
        };
        events.push(RunEvent { at: attempt.start, kind: started });
        if attempt.log_bytes > 0 {
            let number = attempt.number;
            let grew = EventKind::OutputGrew {
                session: session.clone(),
                attempt: number,
                from_offset: 0,
                to_offset: attempt.log_bytes,
            };
            events.push(RunEvent { at: attempt.end, kind: grew });
        }
        if let Some(next) = result.attempts.get(index + 1) {
            let delay = next.start.saturating_sub(attempt.end);
            let retried = EventKind::SessionRetried { session, attempt: attempt.clone(), delay_ms: delay };
            events.push(RunEvent { at: attempt.end, kind: retried });
        }
    }
    let end = result.attempts.last().map_or(wall, |attempt| attempt.end);
    events.push(RunEvent { at: end, kind: EventKind::SessionFinished(result.clone()) });
}
