//! `noxide matrix`: a job matrix with one shard of the sessions for each runner.

use std::num::NonZeroUsize;

use clap::Args;

use super::error::CliError;
use super::exit_code::{ExitCode, NOTHING_SELECTED};
use super::list::load_for_listing;
use super::shared_args::{LoadArgs, OutputFormat};
use crate::output::{MatrixEntry, OutputContext, render_matrix_json, render_matrix_yaml};
use crate::project::ManifestIndex;
use crate::record::RunStore;
use crate::run::{ShardPart, ShardPlan};
use crate::text::escape_json_document;

/// Flags of `noxide matrix`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct MatrixArgs {
    /// Split the sessions into N shards, one for each runner
    #[arg(long, value_name = "N", help_heading = "Matrix")]
    pub(crate) shards: NonZeroUsize,
    /// Flags that select sessions and choose nox.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Print YAML for a workflow (text), or JSON (json) for `fromJSON(…).include`
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Prints the matrix, balanced by the durations of earlier runs, without empty parts.
///
/// # Errors
/// When the project cannot be loaded, or sessions wait for each other in a cycle.
pub(super) fn run(args: &MatrixArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let project = load_for_listing(&args.load, output)?;
    if project.manifest.queue.is_empty() {
        output.print_to_stderr(NOTHING_SELECTED);
        return Ok(ExitCode::NOTHING_SELECTED);
    }
    let history = RunStore::load_project_history(&project.manifest);
    let plan = ShardPlan::new(&project.manifest, &project.options, &history, args.shards)?;
    let name = |id: &ManifestIndex| project.manifest.sessions[id.0].name.clone();
    let parts: Vec<&ShardPart> = plan.parts.iter().filter(|part| !part.sessions.is_empty()).collect();
    let has_history = |part: &ShardPart| part.sessions.iter().all(|id| history.usual_stats(&name(id)).is_some());
    let entries: Vec<MatrixEntry> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| MatrixEntry {
            shard: format!("{}/{}", index + 1, parts.len()),
            sessions: part.sessions.iter().map(name).collect(),
            usual_ms: has_history(part).then_some(part.weight),
        })
        .collect();
    output.print_document(&match args.format {
        // Names are double-quoted, with the escapes of JSON.
        OutputFormat::Text => escape_json_document(&render_matrix_yaml(&entries)),
        OutputFormat::Json => format!("{}\n", render_matrix_json(&entries)),
    });
    Ok(ExitCode::SUCCESS)
}
