//! Facts of a run: events, records on disk, history.

mod event;
mod outcome;

pub use event::{Attempt, Event, Fact, NeedFacts, NeedOrigin, RunFacts, SessionFacts, SessionResult};
pub use outcome::Outcome;
