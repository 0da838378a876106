//! `noxide audit` and `noxide init`: workflows looked at, mended, and made.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::error::CliError;
use crate::audit::baseline::Baseline;
use crate::audit::dialect::Dialect;
use crate::audit::finding::{Finding, Severity};
use crate::audit::fix::{FixLevel, FixPlan, plan_fixes};
use crate::audit::inventory::build_inventory;
use crate::audit::noxfile::Noxfile;
use crate::audit::options::{AuditOptions, ForgeVersion, RuleSettings};
use crate::audit::project::AuditProject;
use crate::audit::project_files::{DiscoverError, find_project_files};
use crate::audit::rule_docs::{render_rule_page, render_rules_document};
use crate::audit::rule_runner::run_audit as look;
use crate::audit::rules;
use crate::audit::starter_workflow;
use crate::config::{AuditFlags, AuditSettings, load_settings};
use crate::output::OutputTheme;
use crate::output::findings::{self, FindingCounts};
use crate::project::SessionName;
use crate::record::{CacheCost, RunStore, SessionHistory};
use crate::text::{did_you_mean, pluralize};

/// Flags of `noxide audit`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditArgs {
    /// Files or folders to look at instead of all workflows
    #[arg(value_name = "PATH", help_heading = "Selection")]
    pub paths: Vec<PathBuf>,
    /// How findings are shown: text, json, sarif, github, forgejo or markdown
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub format: AuditFormat,
    /// The dialect of every file, whatever folder it lies in: github, forgejo or gitea
    #[arg(long, value_name = "DIALECT", help_heading = "Selection")]
    pub dialect: Option<Dialect>,
    /// How many jobs the runners take at once
    #[arg(long, value_name = "N", help_heading = "Selection")]
    pub runner_capacity: Option<NonZeroUsize>,
    /// The forge's version, such as 14 for Forgejo or 1.26 for Gitea
    #[arg(long, value_name = "VERSION", help_heading = "Selection")]
    pub forge_version: Option<ForgeVersion>,
    /// Say also what only some want to hear
    #[arg(long, help_heading = "Selection")]
    pub pedantic: bool,
    /// Leave a rule out, by its number or name
    #[arg(long, value_name = "RULE", help_heading = "Selection")]
    pub disable: Vec<String>,
    /// Show what installs, what is cached, and where each session runs
    #[arg(long, help_heading = "Instead of findings")]
    pub inventory: bool,
    /// Tell all about one rule
    #[arg(long, value_name = "RULE", help_heading = "Instead of findings")]
    pub explain: Option<String>,
    /// Print the page of all rules
    #[arg(long, help_heading = "Instead of findings")]
    pub rules: bool,
    /// Exit with 1 when something is found
    #[arg(long, help_heading = "Guard")]
    pub check: bool,
    /// The mildest severity that counts for --check: info, low, medium or high
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity, help_heading = "Guard")]
    pub fail_on: Option<Severity>,
    /// Pass over what this file knows
    #[arg(long, value_name = "FILE", help_heading = "Guard")]
    pub baseline: Option<PathBuf>,
    /// Write what is found to the baseline
    #[arg(long, help_heading = "Guard")]
    pub write_baseline: bool,
    /// Mend what can be mended without changing what a workflow does
    #[arg(long, help_heading = "Fixes")]
    pub fix: bool,
    /// Mend also what may change it
    #[arg(long, help_heading = "Fixes")]
    pub unsafe_fixes: bool,
    /// Show the fixes as a diff, write nothing
    #[arg(long, help_heading = "Fixes")]
    pub diff: bool,
}

/// Flags of `noxide init`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct InitArgs {
    /// The forge: github, forgejo or gitea; without it the one whose folder is there, else forgejo
    #[arg(long, value_name = "DIALECT", help_heading = "What is made")]
    pub dialect: Option<Dialect>,
    /// The branch whose pushes start it
    #[arg(long, value_name = "BRANCH", default_value = "main", help_heading = "What is made")]
    pub branch: String,
    /// Make a new workflow even where others run nox already; without it those get their parallel, cached form
    #[arg(long, help_heading = "What is made")]
    pub new: bool,
    /// Print it instead of writing it
    #[arg(long, help_heading = "What is made")]
    pub dry_run: bool,
}

/// How findings are shown.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditFormat {
    /// With their source, for people
    #[default]
    Text,
    /// One document, version 1
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// GitHub's annotations
    Github,
    /// Plain lines in folds, for Forgejo and Gitea
    Forgejo,
    /// A table, for a step's summary
    Markdown,
}

/// What a command says and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    /// For the standard output.
    pub(crate) stdout: String,
    /// For the error stream.
    pub(crate) stderr: String,
    /// The exit code.
    pub(crate) exit_code: u8,
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    let named = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
    named.ok_or_else(|| format!("`{text}` is no severity: info, low, medium or high"))
}

/// Audits the workflows of a project.
///
/// # Errors
/// When settings are wrong.
pub(super) fn audit_workflows(
    args: &AuditArgs,
    root: &Path,
    paint: OutputTheme,
    width: Option<usize>,
) -> Result<CommandOutput, CliError> {
    if args.rules {
        return Ok(CommandOutput { stdout: render_rules_document(), ..CommandOutput::default() });
    }
    if let Some(name) = &args.explain {
        return Ok(match rules::find_rule(name) {
            Some(rule) => CommandOutput { stdout: render_rule_page(rule, 1), ..CommandOutput::default() },
            None => error_output(2, &format!("there is no rule `{name}`{}", suggest_rule(name))),
        });
    }
    if let Some(name) = args.disable.iter().find(|name| rules::find_rule(name).is_none()) {
        return Ok(error_output(2, &format!("there is no rule `{name}`{}", suggest_rule(name))));
    }
    let settings = resolve_audit_settings(&audit_flags(args), root)?;
    let mut args = args.clone();
    args.baseline = settings.baseline.value.clone().map(PathBuf::from);
    let options = AuditOptions { cache_losses: load_cache_losses(root), ..audit_options(&args, &settings) };
    let project = match AuditProject::load(root, &args.paths, None, options) {
        Ok(project) => project,
        Err(error @ DiscoverError::NoWorkflows(_)) => return Ok(error_output(4, &error.to_string())),
        Err(error) => return Ok(error_output(3, &error.to_string())),
    };
    Ok(if args.inventory {
        inventory_output(&project, args.format, width)
    } else if args.fix || args.unsafe_fixes || args.diff {
        apply_fixes(&args, root, project)
    } else {
        findings_output(&args, root, &project, paint, width)
    })
}

fn audit_flags(args: &AuditArgs) -> AuditFlags {
    AuditFlags {
        dialect: args.dialect,
        runner_capacity: args.runner_capacity,
        forge_version: args.forge_version,
        pedantic: args.pedantic,
        baseline: args.baseline.as_ref().map(|path| path.to_string_lossy().into_owned()),
    }
}

fn resolve_audit_settings(flags: &AuditFlags, root: &Path) -> Result<AuditSettings, CliError> {
    let file = load_settings(root).map_err(CliError::Settings)?;
    let settings = AuditSettings::resolve(flags, &|name| std::env::var_os(name), &file).map_err(CliError::Settings)?;
    let known: Vec<&str> = rules::all_rules().iter().flat_map(|rule| [rule.ident.id, rule.ident.name]).collect();
    let wrong = settings.validate_rules(&known);
    if wrong.is_empty() { Ok(settings) } else { Err(CliError::Settings(wrong)) }
}

fn audit_options(args: &AuditArgs, settings: &AuditSettings) -> AuditOptions {
    let mut options = settings.audit_options();
    for rule in args.disable.iter().filter_map(|name| rules::find_rule(name)) {
        let off = RuleSettings { disable: true, ..RuleSettings::default() };
        options.rules.insert(rule.ident.id.to_owned(), off);
    }
    options
}

/// How many of the newest records are asked what the cache costs.
const MAX_COST_RECORDS: usize = 50;

/// What the project's own records say of sessions for which restoring took longer than it saved.
fn load_cache_losses(root: &Path) -> BTreeMap<String, String> {
    // Only reads: a tree without `.noxide` stays without.
    let records =
        RunStore::open_existing(root).map(|folder| folder.newest_records(MAX_COST_RECORDS)).unwrap_or_default();
    let results = records.iter().flat_map(|record| &record.sessions).filter_map(|session| session.result.as_ref());
    let costs = CacheCost::measure_by_session(results).into_iter();
    costs.filter_map(|(name, cost)| Some((name.as_str().to_owned(), cost.describe_loss()?))).collect()
}

fn error_output(exit: u8, message: &str) -> CommandOutput {
    CommandOutput { stderr: format!("error: {message}\n"), exit_code: exit, ..CommandOutput::default() }
}

fn suggest_rule(name: &str) -> String {
    let known = rules::all_rules().iter().flat_map(|rule| [rule.ident.id, rule.ident.name]);
    did_you_mean(name, known).map(|hint| format!("; {hint}")).unwrap_or_default()
}

fn inventory_output(project: &AuditProject, format: AuditFormat, width: Option<usize>) -> CommandOutput {
    // Only reads: a tree without `.noxide` stays without.
    let records = RunStore::open_existing(&project.root).map(|folder| folder.newest_records(SessionHistory::MAX_RUNS));
    let history = SessionHistory::from_records(&records.unwrap_or_default());
    let usual = |name: &str| history.usual_stats(&SessionName::new(name)).map(|usual| usual.wall_ms);
    let table = build_inventory(project, &usual);
    let out = match format {
        AuditFormat::Json => serde_json::to_string_pretty(&table).map(|text| text + "\n").unwrap_or_default(),
        AuditFormat::Markdown => table.render_markdown(),
        _ => table.render_text(width),
    };
    CommandOutput { stdout: out, ..CommandOutput::default() }
}

fn findings_output(
    args: &AuditArgs,
    root: &Path,
    project: &AuditProject,
    paint: OutputTheme,
    width: Option<usize>,
) -> CommandOutput {
    let audit = look(project);
    let mut tally = FindingCounts {
        workflow_files: project.workflows.len() + project.parse_failures.len(),
        ignored: audit.ignored_count,
        in_baseline: 0,
    };
    let mut all = audit.findings;
    if args.write_baseline && args.baseline.is_none() {
        return error_output(2, "--write-baseline needs --baseline FILE, or `baseline` in the settings");
    }
    if let Some(path) = &args.baseline {
        let path = root.join(path);
        if args.write_baseline {
            let text = Baseline::from_findings(&all).to_json();
            return match crate::fs::write_atomic(&path, text.as_bytes()) {
                Ok(()) => {
                    let findings = pluralize(all.len(), "finding");
                    CommandOutput {
                        stdout: format!("{findings} written to {}\n", path.display()),
                        ..CommandOutput::default()
                    }
                }
                Err(error) => error_output(3, &error.to_string()),
            };
        }
        match Baseline::read(&path) {
            Ok(baseline) => (all, tally.in_baseline) = baseline.remove_known(all),
            Err(error) => return error_output(3, &error.to_string()),
        }
    }
    let out = match args.format {
        AuditFormat::Text => findings::render_pretty(&all, tally, paint, width),
        AuditFormat::Json => findings::render_json(&all, tally),
        AuditFormat::Sarif => findings::render_sarif(&all),
        AuditFormat::Github => findings::render_github(&all, tally),
        AuditFormat::Forgejo => findings::render_forgejo(&all, tally),
        AuditFormat::Markdown => findings::render_markdown(&all, tally),
    };
    CommandOutput { stdout: out, exit_code: check_exit_code(args, &all), ..CommandOutput::default() }
}

fn check_exit_code(args: &AuditArgs, findings: &[Finding]) -> u8 {
    let least = args.fail_on.unwrap_or(Severity::Info);
    u8::from(args.check && findings.iter().any(|finding| finding.severity >= least))
}

fn apply_fixes(args: &AuditArgs, root: &Path, project: AuditProject) -> CommandOutput {
    let wanted = if args.unsafe_fixes { FixLevel::All } else { FixLevel::Safe };
    let before = look(&project).findings.len();
    let plan = plan_fixes(project, wanted);
    let mut said = CommandOutput::default();
    if args.diff {
        for changed in &plan.changed_files {
            let diff = similar::TextDiff::from_lines(&changed.old.text, &changed.new.text);
            let path = &changed.old.path;
            said.stdout.push_str(&diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string());
        }
    } else {
        for changed in &plan.changed_files {
            if let Err(error) = crate::fs::write_atomic(&root.join(&changed.new.path), changed.new.text.as_bytes()) {
                return error_output(3, &error.to_string());
            }
        }
    }
    said.stderr = format_fix_summary(&plan, before, args.diff);
    said.exit_code = check_exit_code(args, &look(&plan.project).findings);
    said
}

/// What was mended in each file, what was not, and what is left.
fn format_fix_summary(plan: &FixPlan, before: usize, only_shown: bool) -> String {
    let done = plan.applied.iter().map(|done| (&done.path, format!("  {}  {}", done.rule_id, done.title)));
    let dropped = plan.rejected.iter().map(|dropped| {
        (&dropped.path, format!("  {}  not done: {}: {}", dropped.rule_id, dropped.title, dropped.error))
    });
    let mut files: Vec<(&String, Vec<(String, usize)>)> = Vec::new();
    for (path, line) in done.chain(dropped) {
        let at = files.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            files.push((path, Vec::new()));
            files.len() - 1
        });
        match files[at].1.iter_mut().find(|(known, _)| *known == line) {
            Some((_, times)) => *times += 1,
            None => files[at].1.push((line, 1)),
        }
    }
    let mut text = String::new();
    for (path, lines) in files {
        text.push_str(&format!("{path}\n"));
        for (line, times) in lines {
            let often = if times > 1 { format!(" ({times} times)") } else { String::new() };
            text.push_str(&format!("{line}{often}\n"));
        }
    }
    let left = look(&plan.project).findings.len();
    let verb = if only_shown { "would mend" } else { "mended" };
    let (files, fixes) = (pluralize(plan.changed_files.len(), "file"), pluralize(plan.applied.len(), "fix"));
    text.push_str(&format!("{verb} {files} by {fixes}: {} before, {left} left\n", pluralize(before, "finding")));
    text
}

/// Makes a workflow that runs every session, or the parallel, cached form of those that are there.
///
/// # Errors
/// When settings are wrong.
pub(super) fn init_workflow(args: &InitArgs, root: &Path) -> Result<CommandOutput, CliError> {
    if !args.new {
        let settings = resolve_audit_settings(&AuditFlags { dialect: args.dialect, ..AuditFlags::default() }, root)?;
        let project = AuditProject::load(root, &[], None, settings.audit_options());
        if let Some(project) = project.ok().filter(has_nox_calls) {
            let fixes = AuditArgs { unsafe_fixes: true, diff: args.dry_run, ..AuditArgs::default() };
            return Ok(apply_fixes(&fixes, root, project));
        }
    }
    Ok(create_workflow(args, root))
}

/// Whether a workflow runs nox itself, and not noxide.
fn has_nox_calls(project: &AuditProject) -> bool {
    project.job_views().any(|view| view.analysis.nox_calls.iter().any(|call| !call.parsed.is_noxide))
}

fn create_workflow(args: &InitArgs, root: &Path) -> CommandOutput {
    let there = |folder: &str| root.join(folder).is_dir();
    let dialect = args.dialect.unwrap_or_else(|| match (there(".forgejo"), there(".gitea"), there(".github")) {
        (false, true, _) => Dialect::Gitea,
        (false, false, true) => Dialect::Github,
        _ => Dialect::Forgejo,
    });
    let files = find_project_files(root);
    let noxfile = files.noxfile_name.as_deref().and_then(|name| Noxfile::read(root, name));
    let (path, text) = starter_workflow::generate_workflow(dialect, &files, noxfile.as_ref(), &args.branch);
    if args.dry_run {
        return CommandOutput { stdout: text, ..CommandOutput::default() };
    }
    let target = root.join(&path);
    if target.exists() {
        return error_output(2, &format!("{path} is there already; `noxide audit --fix` mends it"));
    }
    let made =
        target.parent().map_or(Ok(()), |folder| fs_err::create_dir_all(folder).map_err(|error| error.to_string()));
    match made.and_then(|()| crate::fs::write_atomic(&target, text.as_bytes()).map_err(|error| error.to_string())) {
        Ok(()) => CommandOutput {
            stdout: format!("{path}\n"),
            stderr: starter_workflow::REVIEW_NOTE.to_owned(),
            ..CommandOutput::default()
        },
        Err(error) => error_output(3, &error),
    }
}
