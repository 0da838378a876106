//! `noxide audit` and `noxide init`: workflows looked at, mended, and made.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::Failure;
use crate::audit::baseline::Baseline;
use crate::audit::dialect::Dialect;
use crate::audit::discover::{DiscoverError, files};
use crate::audit::explain::{explain, page};
use crate::audit::finding::{Finding, Severity};
use crate::audit::init;
use crate::audit::inventory::inventory;
use crate::audit::mend::{FixPlan, Wanted, plan};
use crate::audit::noxfile::Noxfile;
use crate::audit::options::{AuditOptions, RuleSettings, Version};
use crate::audit::report::audit as look;
use crate::audit::rules;
use crate::audit::survey::Project;
use crate::config::{AuditFlags, AuditSettings, load};
use crate::output::findings::{self, Tally};
use crate::output::{Paint, plural};
use crate::project::SessionName;
use crate::record::{CacheCost, Folder, History};

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
    pub forge_version: Option<Version>,
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
    #[arg(long, value_name = "SEVERITY", value_parser = severity, help_heading = "Guard")]
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
pub struct Said {
    /// For the standard output.
    pub out: String,
    /// For the error stream.
    pub err: String,
    /// The exit code.
    pub exit: u8,
}

fn severity(text: &str) -> Result<Severity, String> {
    let named = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
    named.ok_or_else(|| format!("`{text}` is no severity: info, low, medium or high"))
}

/// Audits the workflows of a project.
///
/// # Errors
/// When settings are wrong.
pub(super) fn audit(args: &AuditArgs, root: &Path, paint: Paint, width: Option<usize>) -> Result<Said, Failure> {
    if args.rules {
        return Ok(Said { out: page(), ..Said::default() });
    }
    if let Some(name) = &args.explain {
        return Ok(match rules::find(name) {
            Some(rule) => Said { out: explain(rule, 1), ..Said::default() },
            None => failed(2, &format!("there is no rule `{name}`{}", nearest(name))),
        });
    }
    if let Some(name) = args.disable.iter().find(|name| rules::find(name).is_none()) {
        return Ok(failed(2, &format!("there is no rule `{name}`{}", nearest(name))));
    }
    let settings = settings(&flags(args), root)?;
    let mut args = args.clone();
    args.baseline = settings.baseline.value.clone().map(PathBuf::from);
    let options = AuditOptions { cache_losses: cache_losses(root), ..options(&args, &settings) };
    let project = match Project::read(root, &args.paths, None, options) {
        Ok(project) => project,
        Err(error @ DiscoverError::Nothing(_)) => return Ok(failed(4, &error.to_string())),
        Err(error) => return Ok(failed(3, &error.to_string())),
    };
    Ok(if args.inventory {
        inventoried(&project, args.format, width)
    } else if args.fix || args.unsafe_fixes || args.diff {
        mended(&args, root, project)
    } else {
        found(&args, root, &project, paint, width)
    })
}

fn flags(args: &AuditArgs) -> AuditFlags {
    AuditFlags {
        dialect: args.dialect,
        runner_capacity: args.runner_capacity,
        forge_version: args.forge_version,
        pedantic: args.pedantic,
        baseline: args.baseline.as_ref().map(|path| path.to_string_lossy().into_owned()),
    }
}

fn settings(flags: &AuditFlags, root: &Path) -> Result<AuditSettings, Failure> {
    let file = load(root).map_err(Failure::Settings)?;
    let settings = AuditSettings::resolve(flags, &|name| std::env::var_os(name), &file).map_err(Failure::Settings)?;
    let known: Vec<&str> = rules::all().iter().flat_map(|rule| [rule.name.id, rule.name.name]).collect();
    let wrong = settings.check_rules(&known);
    if wrong.is_empty() { Ok(settings) } else { Err(Failure::Settings(wrong)) }
}

fn options(args: &AuditArgs, settings: &AuditSettings) -> AuditOptions {
    let mut options = settings.options();
    for rule in args.disable.iter().filter_map(|name| rules::find(name)) {
        let off = RuleSettings { disable: true, ..RuleSettings::default() };
        options.rules.insert(rule.name.id.to_owned(), off);
    }
    options
}

/// How many of the newest records are asked what the cache costs.
const RECORDS: usize = 50;

/// What the project's own records say of sessions for which restoring took longer than it saved.
fn cache_losses(root: &Path) -> BTreeMap<String, String> {
    // Only reads: a tree without `.noxide` stays without.
    let records = Folder::existing(root).map(|folder| folder.newest(RECORDS)).unwrap_or_default();
    let results = records.iter().flat_map(|record| &record.sessions).filter_map(|session| session.result.as_ref());
    let costs = CacheCost::of(results).into_iter();
    costs.filter_map(|(name, cost)| Some((name.as_str().to_owned(), cost.loss()?))).collect()
}

fn failed(exit: u8, message: &str) -> Said {
    Said { err: format!("error: {message}\n"), exit, ..Said::default() }
}

fn nearest(name: &str) -> String {
    let known = rules::all().iter().flat_map(|rule| [rule.name.id, rule.name.name]);
    let near =
        known.map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()), known)).min();
    near.filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}

fn inventoried(project: &Project, format: AuditFormat, width: Option<usize>) -> Said {
    // Only reads: a tree without `.noxide` stays without.
    let records = Folder::existing(&project.root).map(|folder| folder.newest(History::RUNS));
    let history = History::new(&records.unwrap_or_default());
    let usual = |name: &str| history.usual(&SessionName::new(name)).map(|usual| usual.wall);
    let table = inventory(project, &usual);
    let out = match format {
        AuditFormat::Json => serde_json::to_string_pretty(&table).map(|text| text + "\n").unwrap_or_default(),
        AuditFormat::Markdown => table.markdown(),
        _ => table.text(width),
    };
    Said { out, ..Said::default() }
}

fn found(args: &AuditArgs, root: &Path, project: &Project, paint: Paint, width: Option<usize>) -> Said {
    let audit = look(project);
    let mut tally = Tally { files: project.workflows.len() + project.broken.len(), ignored: audit.ignored, known: 0 };
    let mut all = audit.findings;
    if args.write_baseline && args.baseline.is_none() {
        return failed(2, "--write-baseline needs --baseline FILE, or `baseline` in the settings");
    }
    if let Some(path) = &args.baseline {
        let path = root.join(path);
        if args.write_baseline {
            let text = Baseline::of(&all).text();
            return match crate::fs::write_atomic(&path, text.as_bytes()) {
                Ok(()) => {
                    let findings = plural(all.len(), "finding");
                    Said { out: format!("{findings} written to {}\n", path.display()), ..Said::default() }
                }
                Err(error) => failed(3, &error.to_string()),
            };
        }
        match Baseline::read(&path) {
            Ok(baseline) => (all, tally.known) = baseline.without(all),
            Err(error) => return failed(3, &error.to_string()),
        }
    }
    let out = match args.format {
        AuditFormat::Text => findings::pretty(&all, tally, paint, width),
        AuditFormat::Json => findings::json(&all, tally),
        AuditFormat::Sarif => findings::sarif(&all),
        AuditFormat::Github => findings::github(&all, tally),
        AuditFormat::Forgejo => findings::forgejo(&all, tally),
        AuditFormat::Markdown => findings::markdown(&all, tally),
    };
    Said { out, exit: guard(args, &all), ..Said::default() }
}

fn guard(args: &AuditArgs, findings: &[Finding]) -> u8 {
    let least = args.fail_on.unwrap_or(Severity::Info);
    u8::from(args.check && findings.iter().any(|finding| finding.severity >= least))
}

fn mended(args: &AuditArgs, root: &Path, project: Project) -> Said {
    let wanted = if args.unsafe_fixes { Wanted::All } else { Wanted::Safe };
    let before = look(&project).findings.len();
    let plan = plan(project, wanted);
    let mut said = Said::default();
    if args.diff {
        for changed in &plan.files {
            let diff = similar::TextDiff::from_lines(&changed.old.text, &changed.new.text);
            let path = &changed.old.path;
            said.out.push_str(&diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string());
        }
    } else {
        for changed in &plan.files {
            if let Err(error) = crate::fs::write_atomic(&root.join(&changed.new.path), changed.new.text.as_bytes()) {
                return failed(3, &error.to_string());
            }
        }
    }
    said.err = told(&plan, before, args.diff);
    said.exit = guard(args, &look(&plan.project).findings);
    said
}

/// What was mended in each file, what was not, and what is left.
fn told(plan: &FixPlan, before: usize, only_shown: bool) -> String {
    let done = plan.applied.iter().map(|done| (&done.path, format!("  {}  {}", done.rule, done.title)));
    let dropped = plan
        .dropped
        .iter()
        .map(|dropped| (&dropped.path, format!("  {}  not done: {}: {}", dropped.rule, dropped.title, dropped.gate)));
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
    let (files, fixes) = (plural(plan.files.len(), "file"), plural(plan.applied.len(), "fix"));
    text.push_str(&format!("{verb} {files} by {fixes}: {} before, {left} left\n", plural(before, "finding")));
    text
}

/// Makes a workflow that runs every session, or the parallel, cached form of those that are there.
///
/// # Errors
/// When settings are wrong.
pub(super) fn init(args: &InitArgs, root: &Path) -> Result<Said, Failure> {
    if !args.new {
        let settings = settings(&AuditFlags { dialect: args.dialect, ..AuditFlags::default() }, root)?;
        let project = Project::read(root, &[], None, settings.options());
        if let Some(project) = project.ok().filter(runs_nox) {
            let fixes = AuditArgs { unsafe_fixes: true, diff: args.dry_run, ..AuditArgs::default() };
            return Ok(mended(&fixes, root, project));
        }
    }
    Ok(from_nothing(args, root))
}

/// Whether a workflow runs nox itself, and not noxide.
fn runs_nox(project: &Project) -> bool {
    project.jobs().any(|view| view.survey.calls.iter().any(|call| !call.nox.noxide))
}

fn from_nothing(args: &InitArgs, root: &Path) -> Said {
    let there = |folder: &str| root.join(folder).is_dir();
    let dialect = args.dialect.unwrap_or_else(|| match (there(".forgejo"), there(".gitea"), there(".github")) {
        (false, true, _) => Dialect::Gitea,
        (false, false, true) => Dialect::Github,
        _ => Dialect::Forgejo,
    });
    let files = files(root);
    let noxfile = files.noxfile.as_deref().and_then(|name| Noxfile::read(root, name));
    let (path, text) = init::workflow(dialect, &files, noxfile.as_ref(), &args.branch);
    if args.dry_run {
        return Said { out: text, ..Said::default() };
    }
    let target = root.join(&path);
    if target.exists() {
        return failed(2, &format!("{path} is there already; `noxide audit --fix` mends it"));
    }
    let made =
        target.parent().map_or(Ok(()), |folder| fs_err::create_dir_all(folder).map_err(|error| error.to_string()));
    match made.and_then(|()| crate::fs::write_atomic(&target, text.as_bytes()).map_err(|error| error.to_string())) {
        Ok(()) => Said { out: format!("{path}\n"), err: init::LOOK.to_owned(), ..Said::default() },
        Err(error) => failed(3, &error),
    }
}
