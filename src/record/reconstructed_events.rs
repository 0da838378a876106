//! The events of a run told again from its record, for what has no events of its own.

use super::{EventKind, RunEvent, RunMetadata, RunRecord, SessionResult};

/// The events that fold to this record, in the order of their time; each log is told of in one piece.
pub(crate) fn reconstruct_events(record: &RunRecord) -> Vec<RunEvent> {
    let start = RunMetadata {
        run: record.run.clone(),
        time: record.time.clone(),
        root: record.root.clone(),
        slots: record.slots,
        sessions: record.sessions.iter().map(|session| session.facts.clone()).collect(),
        commit: record.commit.clone(),
        versions: record.versions.clone(),
        shard: record.shard.clone(),
    };
    let mut events = Vec::new();
    let notices = record.notices.iter().map(|text| RunEvent { at: 0, fact: EventKind::Notice { text: text.clone() } });
    events.extend(notices);
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        push_session_events(result, record.wall, &mut events);
    }
    if let Some(cause) = &record.interrupted {
        events.push(RunEvent { at: record.wall, fact: EventKind::RunInterrupted { cause: cause.clone() } });
    }
    // Stable: what happened at one time stays in the order above.
    events.sort_by_key(|event| event.at);
    events.insert(0, RunEvent { at: 0, fact: EventKind::RunStarted(start) });
    events.extend(record.exit.map(|exit| RunEvent { at: record.wall, fact: EventKind::RunFinished { exit } }));
    events
}

fn push_session_events(result: &SessionResult, wall: u64, events: &mut Vec<RunEvent>) {
    for (place, attempt) in result.attempts.iter().enumerate() {
        let session = result.session.clone();
        let started = EventKind::SessionStarted {
            session: session.clone(),
            attempt: attempt.number,
            slots: attempt.slots.clone(),
            log: attempt.log.clone(),
        };
        events.push(RunEvent { at: attempt.start, fact: started });
        if attempt.log_bytes > 0 {
            let number = attempt.number;
            let grew =
                EventKind::OutputGrew { session: session.clone(), attempt: number, from: 0, to: attempt.log_bytes };
            events.push(RunEvent { at: attempt.end, fact: grew });
        }
        if let Some(next) = result.attempts.get(place + 1) {
            let delay = next.start.saturating_sub(attempt.end);
            let retried = EventKind::SessionRetried { session, attempt: attempt.clone(), delay };
            events.push(RunEvent { at: attempt.end, fact: retried });
        }
    }
    let end = result.attempts.last().map_or(wall, |attempt| attempt.end);
    events.push(RunEvent { at: end, fact: EventKind::SessionFinished(result.clone()) });
}
