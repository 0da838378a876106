//! `noxide audit`: finds and fixes problems in workflows.

use clap::Args;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::last_run_data_dir;
use crate::audit::baseline::{Baseline, BaselineFile, BaselineOrigin};
use crate::audit::finding::Finding;
use crate::audit::fix::{FixLevel, plan_fixes};
use crate::audit::forge::Forge;
use crate::audit::inventory::build_inventory;
use crate::audit::options::{AuditOptions, FailLevel, ForgeVersion, InstallSource, RuleSettings};
use crate::audit::project::AuditProject;
use crate::audit::project_files::split_project_root;
use crate::audit::rule_docs::{render_explanation, render_rules_document};
use crate::audit::rule_runner::run_audit;
use crate::audit::rules;
use crate::config::{AuditFlags, AuditSettings, load_settings};
use crate::output::OutputContext;
use crate::output::findings::{FindingCounts, FindingFormat, FixCounts, render_fix_summary};
use crate::project::SessionName;
use crate::record::{CacheCost, RunStore, SessionHistory};
use crate::text::{pluralize, to_safe_lines};

/// Flags of `noxide audit`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditArgs {
    /// Project, workflow files or directories to audit [default: the project in the working directory]
    #[arg(value_name = "PATH", help_heading = "Selection")]
    pub paths: Vec<PathBuf>,
    /// Print findings as text, json, sarif, github, forgejo or markdown
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    #[arg(help_heading = "Output")]
    pub(crate) format: FindingFormat,
    /// Print how many findings each rule has, instead of the findings
    #[arg(long, conflicts_with_all = ["inventory", "fix", "diff", "write_baseline"], help_heading = "Output")]
    pub statistics: bool,
    /// Treat every file as written for this forge: github, forgejo or gitea [default: by its directory] [env: NOXIDE_AUDIT_FORGE]
    #[arg(long, value_name = "FORGE", help_heading = "Selection")]
    pub forge: Option<Forge>,
    /// Assume that the runners run N jobs at once [env: NOXIDE_AUDIT_RUNNER_CAPACITY]
    #[arg(long, value_name = "N", help_heading = "Selection")]
    pub runner_capacity: Option<NonZeroUsize>,
    /// Assume this version of the forge, such as 14 for Forgejo or 1.26 for Gitea [env: NOXIDE_AUDIT_FORGE_VERSION]
    #[arg(long, value_name = "VERSION", help_heading = "Selection")]
    pub forge_version: Option<ForgeVersion>,
    /// Include pedantic findings [env: NOXIDE_AUDIT_PEDANTIC]
    #[arg(long, help_heading = "Selection")]
    pub pedantic: bool,
    /// Disable a rule, given by ID or name; repeatable
    #[arg(long, value_name = "RULE", help_heading = "Selection")]
    pub disable: Vec<String>,
    /// List installs, caches, and where each session runs
    #[arg(long, help_heading = "Information")]
    pub inventory: bool,
    /// Explain a rule, given by ID or name
    #[arg(long, value_name = "RULE", help_heading = "Information")]
    pub explain: Option<String>,
    /// Print the documentation of all rules
    #[arg(long, help_heading = "Information")]
    pub rules: bool,
    /// Exit with 1 if there is a finding of at least this severity: info, low, medium, high or never
    #[arg(long, value_name = "LEVEL", default_value_t, help_heading = "Check")]
    pub fail_on: FailLevel,
    /// Ignore the findings in this file [env: NOXIDE_AUDIT_BASELINE]
    #[arg(long, value_name = "FILE", help_heading = "Check")]
    pub baseline: Option<PathBuf>,
    /// Write all findings to the baseline
    #[arg(long, help_heading = "Check")]
    pub write_baseline: bool,
    /// Apply safe fixes, which do not change which sessions run or what they do
    #[arg(long, help_heading = "Fixes")]
    pub fix: bool,
    /// With --fix or --diff: include unsafe fixes, such as adding a cache step or a timeout
    #[arg(long, help_heading = "Fixes")]
    pub unsafe_fixes: bool,
    /// Print the fixes as a diff instead of applying them
    #[arg(long, help_heading = "Fixes")]
    pub diff: bool,
    /// With --fix or --diff: let fixes install noxide from SOURCE, such as noxide==VERSION [env: NOXIDE_INSTALL]
    #[arg(long, value_name = "SOURCE", help_heading = "Fixes")]
    pub install: Option<InstallSource>,
}

/// Audits the workflows of a project.
///
/// # Errors
/// When settings are invalid, or a file cannot be read or written.
pub(super) fn run(args: &AuditArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let Some((root, paths)) = split_project_root(&args.paths)? else { return audit(args, output) };
    let baseline = args.baseline.as_ref().map(std::path::absolute).transpose().context("cannot find the baseline")?;
    if !root.as_os_str().is_empty() {
        std::env::set_current_dir(&root).map_err(|source| CliError::WorkingDirectory { path: root, source })?;
    }
    audit(&AuditArgs { paths, baseline, ..args.clone() }, output)
}

/// Audits the project in the working directory.
fn audit(args: &AuditArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let root = Path::new(".");
    if args.rules {
        output.print_document(&render_rules_document());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &args.explain {
        let rule = rules::find_rule(name).ok_or_else(|| unknown_rule(name))?;
        output.print_document(&render_explanation(rule));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = args.disable.iter().find(|name| rules::find_rule(name).is_none()) {
        return Err(unknown_rule(name));
    }
    let flags = AuditFlags {
        forge: args.forge,
        runner_capacity: args.runner_capacity,
        forge_version: args.forge_version,
        pedantic: args.pedantic,
        baseline: args.baseline.as_ref().map(|path| path.to_string_lossy().into_owned()),
        install: args.install.clone(),
    };
    let settings = resolve_audit_settings(&flags, root)?;
    let mut options =
        AuditOptions { cache_losses: CacheCost::load_losses(&last_run_data_dir(root)), ..settings.audit_options() };
    for rule in args.disable.iter().filter_map(|name| rules::find_rule(name)) {
        let disabled = RuleSettings { disable: true, ..RuleSettings::default() };
        options.rules.insert(rule.ident.id.to_owned(), disabled);
    }
    let project = AuditProject::load(root, &args.paths, None, options)?;
    if args.inventory {
        print_inventory(&project, args.format, output);
        return Ok(ExitCode::SUCCESS);
    }
    let origin = match &args.baseline {
        Some(_) => BaselineOrigin::CommandLine,
        None if settings.hides_baseline => BaselineOrigin::HiddenSettings,
        None => BaselineOrigin::Settings,
    };
    let baseline = settings.baseline.value.map(|path| BaselineFile::new(&path, root, origin));
    if args.fix || args.diff {
        let level = if args.unsafe_fixes { FixLevel::Unsafe } else { FixLevel::Safe };
        let known = baseline.map_or(Ok(Baseline::default()), |file| file.read())?;
        return Ok(check_findings(args, &apply_fixes(level, args.diff, root, project, &known, output)?));
    }
    print_findings(args, baseline.as_ref(), &project, output)
}

pub(super) fn resolve_audit_settings(flags: &AuditFlags, root: &Path) -> Result<AuditSettings, CliError> {
    let file = load_settings(root).map_err(CliError::Settings)?;
    let settings = AuditSettings::resolve(flags, &|name| std::env::var_os(name), &file).map_err(CliError::Settings)?;
    let errors = settings.validate_rules(&rules::rule_names());
    if errors.is_empty() { Ok(settings) } else { Err(CliError::Settings(errors)) }
}

fn unknown_rule(name: &str) -> CliError {
    CliError::UnknownRule { name: name.to_owned(), hint: rules::suggest_rule(name) }
}

fn print_inventory(project: &AuditProject, format: FindingFormat, output: &OutputContext) {
    let records = RunStore::open_existing(last_run_data_dir(&project.root))
        .map(|store| store.newest_records(SessionHistory::MAX_RUNS));
    let history = SessionHistory::from_records(&records.unwrap_or_default());
    let usual_ms = |name: &str| history.usual_stats(&SessionName::new(name)).map(|usual| usual.wall_ms);
    let inventory = build_inventory(project, &usual_ms);
    output.print_document(&match format {
        FindingFormat::Json => serde_json::to_string_pretty(&inventory).map(|text| text + "\n").unwrap_or_default(),
        FindingFormat::Markdown => to_safe_lines(&inventory.render_markdown()),
        _ => to_safe_lines(&inventory.render_text(output.stdout_width())),
    });
}

fn print_findings(
    args: &AuditArgs,
    baseline: Option<&BaselineFile>,
    project: &AuditProject,
    output: &OutputContext,
) -> Result<ExitCode, CliError> {
    let audit = run_audit(project);
    let mut counts = FindingCounts {
        workflow_files: project.workflows.len() + project.parse_failures.len(),
        ignored: audit.ignored_count,
        in_baseline: 0,
    };
    let mut findings = audit.findings;
    match baseline {
        None if args.write_baseline => {
            let message = "--write-baseline needs a file; pass --baseline FILE or set `baseline` in the settings";
            return Err(CliError::Usage(message.to_owned()));
        }
        None => {}
        Some(file) if args.write_baseline => {
            file.write(&Baseline::from_findings(&findings)).context("cannot write the baseline")?;
            output.print(&format!("wrote {} to {}\n", pluralize(findings.len(), "finding"), file.shown_path()));
            return Ok(ExitCode::SUCCESS);
        }
        Some(file) => (findings, counts.in_baseline) = file.read()?.remove_known(findings),
    }
    if args.statistics {
        let statistics = args.format.render_statistics(&findings, counts).ok_or_else(|| {
            let message = "--statistics has no annotations and no SARIF; pass --format text, json or markdown";
            CliError::Usage(message.to_owned())
        })?;
        output.print(&statistics);
    } else {
        let text = args.format.render(&findings, counts, output.stdout_theme, output.stdout_width());
        match args.format {
            FindingFormat::Text => output.print(&text),
            _ => output.print_document(&text),
        }
    }
    Ok(check_findings(args, &findings))
}

fn check_findings(args: &AuditArgs, findings: &[Finding]) -> ExitCode {
    ExitCode::from_check(findings.iter().any(|finding| args.fail_on.includes(finding.severity)))
}

/// Writes the fixes, or prints them as a diff, and returns the findings that the files have then.
pub(super) fn apply_fixes(
    level: FixLevel,
    is_dry_run: bool,
    root: &Path,
    project: AuditProject,
    known: &Baseline,
    output: &OutputContext,
) -> Result<Vec<Finding>, CliError> {
    let before = if is_dry_run { known.clone().remove_known(run_audit(&project).findings).0 } else { Vec::new() };
    let plan = plan_fixes(project, level, known);
    if is_dry_run {
        output.print_untrusted(&plan.unified_diff());
    } else {
        plan.write(root).context("cannot write the fixes")?;
    }
    let (findings_before, findings_left) = (plan.findings_before, plan.remaining.len());
    let counts = FixCounts { files: plan.changed_files.len(), findings_before, findings_left, is_dry_run };
    output.print_to_stderr(render_fix_summary(&plan.results(), &plan.unfixed_rules(), counts).trim_end());
    if plan.is_incomplete {
        output.print_to_stderr(
            "warning: the files are too large to apply all fixes at once; run `noxide audit --fix` again",
        );
    }
    Ok(if is_dry_run { before } else { plan.remaining })
}
