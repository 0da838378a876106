//! `noxide init`: creates a workflow that runs the sessions, or fixes the workflows that run nox.

use clap::Args;
use std::path::Path;

use super::audit::{apply_fixes, resolve_audit_settings};
use super::build_info::released_version;
use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use crate::audit::baseline::Baseline;
use crate::audit::fix::FixLevel;
use crate::audit::forge::Forge;
use crate::audit::options::{AuditOptions, InstallSource};
use crate::audit::project::AuditProject;
use crate::audit::starter_workflow::{REVIEW_NOTE, StarterWorkflow};
use crate::cache::IndexAnswer;
use crate::config::AuditFlags;
use crate::output::OutputContext;

/// Printed after fixes, which never replace a workflow.
const NEW_WORKFLOW_NOTE: &str =
    "note: `noxide init --new` creates a new workflow that runs all sessions with `noxide ci`";

/// Flags of `noxide init`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Workflow")]
pub struct InitArgs {
    /// Create a workflow for github, forgejo or gitea [default: the forge whose directory exists, else forgejo]
    #[arg(long, value_name = "FORGE")]
    pub forge: Option<Forge>,
    /// Let the workflow install noxide from SOURCE: noxide==VERSION, URL or path of a wheel, git+URL@COMMIT, 'uses: ACTION@VERSION' or 'image: IMAGE' [default: the version of this noxide, if it is a release] [env: NOXIDE_INSTALL]
    #[arg(long, value_name = "SOURCE")]
    pub install: Option<InstallSource>,
    /// Run the workflow on pushes to this branch
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub branch: String,
    /// Create a new workflow, even if workflows run nox already; without this flag all fixes of `noxide audit` are applied to those
    #[arg(long)]
    pub new: bool,
    /// Print the result without writing it
    #[arg(long)]
    pub dry_run: bool,
}

/// Creates a workflow that runs the default sessions, or fixes the workflows that run nox.
///
/// # Errors
/// When settings are invalid, it is unknown what to install noxide from, or the workflow exists or cannot be written.
pub(super) fn run(args: &InitArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let root = Path::new(".");
    let flags = AuditFlags { forge: args.forge, install: args.install.clone(), ..AuditFlags::default() };
    let settings = resolve_audit_settings(&flags, root)?;
    let install = settings.install.value.clone().map_or_else(|| find_own_release(root, output), Ok);
    if !args.new {
        let options = AuditOptions { install: install.as_ref().ok().cloned(), ..settings.audit_options() };
        let project = AuditProject::load(root, &[], None, options);
        if let Some(project) = project.ok().filter(AuditProject::has_nox_calls) {
            apply_fixes(FixLevel::Unsafe, args.dry_run, root, project, &Baseline::default(), output)?;
            output.print_to_stderr(NEW_WORKFLOW_NOTE);
            return Ok(ExitCode::SUCCESS);
        }
    }
    let workflow = StarterWorkflow::generate(root, args.forge, &args.branch, &install?);
    if args.dry_run {
        output.print_document(&workflow.text);
        return Ok(ExitCode::SUCCESS);
    }
    workflow.write(root)?;
    output.print(&format!("{}\n", workflow.path));
    output.print_to_stderr(REVIEW_NOTE);
    Ok(ExitCode::SUCCESS)
}

/// Returns the requirement of this noxide, if it is a release that the project's package index has, as far as that can
/// be checked.
fn find_own_release(root: &Path, output: &OutputContext) -> Result<InstallSource, CliError> {
    let cargo_version = env!("CARGO_PKG_VERSION");
    let Some(version) = released_version(cargo_version) else {
        let reason = format!("noxide {cargo_version} is not a release, so that no package index has it");
        return Err(CliError::NoInstallSource(reason));
    };
    let source = InstallSource::from_version(&version);
    match IndexAnswer::for_requirement(root, &source.to_string()).context("cannot start uv")? {
        IndexAnswer::Found => Ok(source),
        IndexAnswer::Missing => Err(CliError::NoInstallSource(format!("the package index does not have {source}"))),
        IndexAnswer::Unknown(reason) => {
            output.warn(&format!("cannot check that the package index has {source}: {reason}"));
            Ok(source)
        }
    }
}
