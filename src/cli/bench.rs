//! `noxide bench`: before and after in interleaved rounds, and the table into the project's documentation.

use std::path::Path;

use super::bench_args::{BenchArgs, BenchCacheChoice, BenchFormat};
use super::bench_runner::BenchRunner;
use super::error::CliError;
use super::list::print_stdout;
use super::output_context::{OutputContext, print_stderr};
use crate::fs::write_atomic;
use crate::project::GitCheckout;
use crate::record::Machine;
use crate::report::bench::{
    BenchCacheState, BenchEnvironment, BenchPlan, BenchReport, BenchVariant, replace_marked_block, run_rounds,
};

/// What the document begins with where there is none yet.
const DOCUMENT_HEADER: &str = "# CI/CD\n\n## Before and after\n\nWritten by `noxide bench`; what stands between the marks is replaced by the next bench.\n";

/// Measures and tells.
///
/// # Errors
/// When there is nothing to measure with, a command fails, a signal comes, or the document cannot be written.
pub(super) fn run_bench(args: &BenchArgs, screen: &OutputContext) -> Result<u8, CliError> {
    if args.rounds == 0 {
        return Err(CliError::Usage("--rounds 0: nothing would be measured".to_owned()));
    }
    let (variants, versions) = bench_variants(args)?;
    let caches = match args.caches {
        BenchCacheChoice::Both => vec![BenchCacheState::Cold, BenchCacheState::Warm],
        BenchCacheChoice::Cold => vec![BenchCacheState::Cold],
        BenchCacheChoice::Warm => vec![BenchCacheState::Warm],
    };
    // A document that could not be written should be known before an hour of rounds.
    if !args.no_write {
        insert_bench_table(&args.write, "")?;
    }
    let plan = BenchPlan { variants, rounds: args.rounds, warmup_rounds: args.warmup, cache_states: caches };
    let mut measure = BenchRunner::new(args.scratch.as_deref(), args.ignore_failure, !screen.is_quiet())?;
    let samples = run_rounds(&plan, &mut measure)?;
    drop(measure);
    let bench = BenchReport::from_samples(plan, bench_environment(versions), samples);
    print_stdout(&match args.format {
        BenchFormat::Text => bench.to_text(),
        BenchFormat::Markdown => bench.to_markdown(),
        BenchFormat::Json => format!("{:#}\n", serde_json::to_value(&bench).unwrap_or_default()),
    });
    if !args.no_write {
        let text = insert_bench_table(&args.write, &bench.to_markdown())?;
        write_document(&args.write, &text)?;
        if !screen.is_quiet() {
            print_stderr(&format!("table: {}", args.write.display()));
        }
    }
    Ok(0)
}

/// The document with this table in it.
fn insert_bench_table(path: &Path, table: &str) -> Result<String, CliError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => DOCUMENT_HEADER.to_owned(),
        Err(source) => return Err(CliError::Io { context: "cannot read the document".to_owned(), source }),
    };
    replace_marked_block(&text, table).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

fn write_document(path: &Path, text: &str) -> Result<(), CliError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .map_err(|source| CliError::Io { context: "cannot write the table".to_owned(), source })
}

/// Tools and their versions.
type ToolVersions = Vec<(String, String)>;

/// The commands, and the versions of what they are.
fn bench_variants(args: &BenchArgs) -> Result<(Vec<BenchVariant>, ToolVersions), CliError> {
    let variant = |name: &str, command: Vec<String>| BenchVariant { name: name.to_owned(), command };
    let own = || -> Result<String, CliError> {
        let path = std::env::current_exe()
            .map_err(|source| CliError::Io { context: "cannot find noxide's own program".to_owned(), source })?;
        path.into_os_string().into_string().map_err(|_| CliError::Usage("noxide's own path is no text".to_owned()))
    };
    let mut versions = vec![("noxide".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    let mut variants = Vec::new();
    if args.before.is_empty() {
        let nox = read_command_output(&["nox", "--version"]).ok_or_else(|| CliError::Io {
            context: "no nox on PATH to compare with: name another command after --".to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        versions.push(("nox".to_owned(), nox.trim().to_owned()));
        versions.extend(read_command_output(&["uv", "--version"]).map(|uv| {
            let number = uv.split_whitespace().nth(1).unwrap_or_default().to_owned();
            ("uv".to_owned(), number)
        }));
        variants.push(variant("nox", vec!["nox".to_owned()]));
        if read_command_output(&["nox", "--help"]).is_some_and(|help| help.contains("--allow-parallel")) {
            let command = ["nox", "-j", "auto", "--allow-parallel"].map(str::to_owned);
            variants.push(variant("nox -j auto", command.to_vec()));
        }
    } else {
        variants.push(variant(&args.before.join(" "), args.before.clone()));
    }
    if args.after.is_empty() {
        variants.push(variant("noxide run", vec![own()?, "run".to_owned()]));
    }
    for command in &args.after {
        variants.push(variant(command, ["sh", "-c", command].map(str::to_owned).to_vec()));
    }
    Ok((variants, versions))
}

/// What a command prints; none where it is not there or fails.
fn read_command_output(command: &[&str]) -> Option<String> {
    let done = std::process::Command::new(command.first()?)
        .args(&command[1..])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|done| done.status.success())?;
    // Old releases of nox print their version to the error stream.
    Some(format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
}

fn bench_environment(versions: ToolVersions) -> BenchEnvironment {
    let machine = Machine::detect();
    let commit = GitCheckout::detect(Path::new(".")).map(|checkout| {
        let short = checkout.commit.get(..12).unwrap_or(&checkout.commit).to_owned();
        if checkout.dirty { short + "+" } else { short }
    });
    BenchEnvironment { machine: format!("{} {}", machine.os, machine.arch), cpus: machine.cpus, commit, versions }
}
