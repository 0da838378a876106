//! `noxide matrix` and `--shard`: sessions dealt to several runners.

use super::ci_flags::MatrixArgs;
use super::failure::Failure;
use super::format::Format;
use super::listing::{open, print};
use super::opened::Opened;
use super::screen::{Screen, say};
use crate::output::{MatrixEntry, matrix_json, matrix_yaml};
use crate::record::{Folder, History, ShardFacts};
use crate::run::{Shard, ShardPlan};

/// Exit code where nothing was selected.
const NOTHING_SELECTED: u8 = 4;

/// Prints the matrix, balanced by history. Parts that would be empty are left out.
///
/// # Errors
/// When the project cannot be opened, or needs form a circle.
pub(super) fn matrix(args: &MatrixArgs, screen: &Screen) -> Result<u8, Failure> {
    let opened = open(&args.load, screen)?;
    if opened.manifest.queue.is_empty() {
        say("nothing is selected: name sessions by -s, or give some `default=True`");
        return Ok(NOTHING_SELECTED);
    }
    let history = Folder::existing(&opened.manifest.root).map(|folder| folder.history()).unwrap_or_default();
    let plan = ShardPlan::new(&opened.manifest, &opened.options, &history, args.shards)?;
    let name = |id: &crate::project::SessionId| opened.manifest.sessions[id.0].name.clone();
    let parts: Vec<_> = plan.parts.iter().filter(|part| !part.sessions.is_empty()).collect();
    let known = |part: &&crate::run::Part| part.sessions.iter().all(|id| history.usual(&name(id)).is_some());
    let entries: Vec<MatrixEntry> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| MatrixEntry {
            shard: format!("{}/{}", at + 1, parts.len()),
            sessions: part.sessions.iter().map(name).collect(),
            usual: known(part).then_some(part.weight),
        })
        .collect();
    print(&match args.format {
        Format::Text => matrix_yaml(&entries),
        Format::Json => format!("{}\n", matrix_json(&entries)),
    });
    Ok(0)
}

/// Leaves of the queue what one shard runs, and gives the facts for its record.
///
/// Without history: every runner plans for itself, and what one has run before the others may not know.
///
/// # Errors
/// When needs form a circle.
pub(super) fn cut(opened: &mut Opened, shard: Shard) -> Result<ShardFacts, Failure> {
    let plan = ShardPlan::new(&opened.manifest, &opened.options, &History::default(), shard.count)?;
    let mine = plan.parts.into_iter().nth(shard.index.get() - 1).unwrap_or_default();
    let all = opened.manifest.queue.iter().map(|id| opened.manifest.sessions[id.0].name.clone()).collect::<Vec<_>>();
    opened.notices.push(format!("shard {shard}: {} of {} sessions", mine.sessions.len(), all.len()));
    opened.manifest.queue.retain(|id| mine.sessions.contains(id));
    Ok(ShardFacts { index: shard.index.get(), count: shard.count.get(), sessions: all })
}
