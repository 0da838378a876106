//! `noxide matrix`: sessions distributed to several runners.

use super::ci_args::MatrixArgs;
use super::error::CliError;
use super::list::{load_for_listing, print_stdout};
use super::output_context::{OutputContext, print_stderr};
use super::output_format::OutputFormat;
use crate::output::{MatrixEntry, render_matrix_json, render_matrix_yaml};
use crate::record::RunStore;
use crate::run::ShardPlan;

/// Exit code where nothing was selected.
const EXIT_NOTHING_SELECTED: u8 = 4;

/// Prints the matrix, balanced by history. Parts that would be empty are left out.
///
/// # Errors
/// When the project cannot be opened, or needs form a circle.
pub(super) fn print_matrix(args: &MatrixArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let opened = load_for_listing(&args.load, screen)?;
    if opened.manifest.queue.is_empty() {
        print_stderr("nothing is selected: name sessions by -s, or give some `default=True`");
        return Ok(EXIT_NOTHING_SELECTED);
    }
    let history =
        RunStore::open_existing(&opened.manifest.root).map(|folder| folder.load_history()).unwrap_or_default();
    let plan = ShardPlan::new(&opened.manifest, &opened.options, &history, args.shards)?;
    let name = |id: &crate::project::SessionId| opened.manifest.sessions[id.0].name.clone();
    let parts: Vec<_> = plan.parts.iter().filter(|part| !part.sessions.is_empty()).collect();
    let known = |part: &&crate::run::ShardPart| part.sessions.iter().all(|id| history.usual_stats(&name(id)).is_some());
    let entries: Vec<MatrixEntry> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| MatrixEntry {
            shard: format!("{}/{}", at + 1, parts.len()),
            sessions: part.sessions.iter().map(name).collect(),
            usual: known(part).then_some(part.weight),
        })
        .collect();
    print_stdout(&match args.format {
        OutputFormat::Text => render_matrix_yaml(&entries),
        OutputFormat::Json => format!("{}\n", render_matrix_json(&entries)),
    });
    Ok(0)
}
