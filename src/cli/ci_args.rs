//! Flags of the subcommands for many runners: `matrix`, `merge`, `gate`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::host_args::LoadArgs;
use super::output_format::OutputFormat;

/// Flags of `noxide matrix`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct MatrixArgs {
    /// To how many runners
    #[arg(long, value_name = "N", help_heading = "Matrix")]
    pub(crate) shards: NonZeroUsize,
    /// Which sessions, of which noxfile, by which nox.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// As text for a workflow, or as json for `fromJSON(…).include`
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide merge`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeArgs {
    /// Folders with what the runners left: runs, `.noxide` folders, or whatever holds such
    #[arg(value_name = "DIR", required_unless_present = "coverage", help_heading = "Selection")]
    pub(crate) folders: Vec<PathBuf>,
    /// Put the merged run into DIR [default: a new run in .noxide]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) dir: Option<PathBuf>,
    /// Write a JUnit report of all to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) junit: Option<PathBuf>,
    /// Combine coverage data too: files of coverage.py and of slipcover; without DIR those of the project
    #[arg(long, help_heading = "Coverage")]
    pub(crate) coverage: bool,
    /// Fail when less than so many percent are covered
    #[arg(long, value_name = "PERCENT", requires = "coverage", help_heading = "Coverage", value_parser = parse_percent)]
    pub(crate) fail_under: Option<PercentHundredths>,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Flags of `noxide ci` beside those of `noxide run`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CiStepArgs {
    /// Put logs, records, kept files and reports into DIR
    #[arg(long, value_name = "DIR", default_value = "noxide-ci", help_heading = "CI")]
    pub(crate) dir: PathBuf,
    /// Where packages are kept between runs: auto (the forge's cache), off, s3://BUCKET/PREFIX or a folder; several, the
    /// nearest first
    #[arg(long, value_name = "WHERE", env = "NOXIDE_REMOTE", default_value = "auto", help_heading = "CI")]
    pub(crate) remote: String,
    /// Write what each package unpacks to into noxide.sums; committed, nothing else is taken from elsewhere
    #[arg(long, help_heading = "CI")]
    pub(crate) write_sums: bool,
    /// Combine the coverage data that sessions wrote
    #[arg(long, help_heading = "CI")]
    pub(crate) coverage: bool,
    /// Fail when less than so many percent are covered
    #[arg(long, value_name = "PERCENT", requires = "coverage", help_heading = "CI", value_parser = parse_percent)]
    pub(crate) fail_under: Option<PercentHundredths>,
}

/// A percentage in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PercentHundredths(pub(crate) u32);

fn parse_percent(text: &str) -> Result<PercentHundredths, String> {
    let value: f64 = text.trim_end_matches('%').parse().map_err(|_| "a number from 0 to 100".to_owned())?;
    if !(0.0..=100.0).contains(&value) {
        return Err("a number from 0 to 100".to_owned());
    }
    Ok(PercentHundredths((value * 100.0).round() as u32))
}

/// Flags of `noxide gate`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct GateArgs {
    /// The results: what `${{ toJSON(needs) }}` gives [env: NOXIDE_NEEDS, NEEDS; else the standard input]
    #[arg(long, value_name = "JSON", help_heading = "Results")]
    pub needs: Option<String>,
    /// Jobs that must be among them
    #[arg(long, value_name = "JOB", value_delimiter = ',', help_heading = "Results")]
    pub expect: Vec<String>,
    /// Expect every job of this workflow but the one that runs the gate
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub workflow: Option<PathBuf>,
    /// The job that runs the gate [default: the one that this is, by GITHUB_JOB]
    #[arg(long, value_name = "JOB", requires = "workflow", help_heading = "Results")]
    pub job: Option<String>,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}
