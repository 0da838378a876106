//! `noxide ci`: one step that brings what sessions need, runs them, keeps what is new, gathers logs and judges.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::loaded_project::settings_root;
use super::run::{self, EXIT_SIGNAL_BASE, RunCommandResult};
use super::run_args::CiArgs;
use super::shared_args::OutputFormat;
use crate::fs::write_atomic;
use crate::output::print_stdout;
use crate::output::{OutputContext, print_stderr};
use crate::report::combine_coverage;

/// What a run's folder has that goes into the folder of `--dir`.
const GATHERED_NAMES: [&str; 4] = ["record.json", "events.jsonl", "logs", "artifacts"];

/// Does all of a CI job and gives the exit code: that of the run, or 1 where too little is covered.
///
/// # Errors
/// When the run cannot even begin, or what it left cannot be gathered.
pub(super) fn run_ci_job(args: &CiArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let mut run_args = args.run.clone();
    let dir = std::path::absolute(&args.ci.dir).map_err(|source| io_error("cannot find --dir", source))?;
    reset_output_dir(&dir).map_err(|source| io_error("cannot use --dir", source))?;
    run_args.output.junit.get_or_insert_with(|| dir.join("junit.xml"));
    let root = settings_root(args.run.selection.noxfile.as_deref().map(Path::new));
    let RunCommandResult { mut exit_code, run_dir: record, mut provisioner } =
        run::run_sessions(&run_args, screen, Some(&args.ci.remote))?;
    if let Some(run) = &record {
        copy_run_files(run, &dir).map_err(|source| io_error("cannot gather what the run left", source))?;
    }
    let mut lines = Vec::new();
    if let Some(provision) = &mut provisioner {
        provision.finish_upload();
        let trouble =
            args.ci.write_sums.then(|| provision.write_checksums().err()).flatten().map(|error| error.to_string());
        lines.extend(provision.summary_lines().into_iter().chain(trouble).map(|line| format!("cache: {line}")));
        let text = format!("{:#}\n", provision.to_json());
        write_atomic(&dir.join("cache.json"), text.as_bytes()).map_err(|source| io_error("cannot write", source))?;
    }
    if args.ci.coverage && exit_code <= EXIT_SIGNAL_BASE {
        exit_code = exit_code.max(check_coverage(args, &root, record.as_deref(), &dir, &mut lines));
    }
    lines.push(format!("gathered in {}", args.ci.dir.display()));
    print_summary(args, &lines);
    Ok(exit_code)
}

fn io_error(what: &str, source: std::io::Error) -> CliError {
    CliError::Io { context: what.to_owned(), source }
}

/// Combines coverage data and holds it to the floor.
fn check_coverage(args: &CiArgs, root: &Path, run: Option<&Path>, dir: &Path, lines: &mut Vec<String>) -> u8 {
    let folders: Vec<PathBuf> = std::iter::once(root.to_path_buf()).chain(run.map(Path::to_path_buf)).collect();
    match combine_coverage(&folders, &[], dir) {
        Ok(found) => {
            let mut exit = 0;
            for found in found {
                exit = exit.max(u8::from(!found.reaches(args.ci.fail_under)));
                lines.push(format!("coverage: {}", found.describe(args.ci.fail_under)));
            }
            exit
        }
        Err(error) => {
            lines.push(format!("coverage: {error}"));
            CliError::from(error).exit_code().code()
        }
    }
}

/// Makes the folder, and removes what an earlier run of this command left there.
fn reset_output_dir(dir: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(dir)?;
    // Nothing in it is a change of the project.
    write_atomic(&dir.join(".gitignore"), b"*\n")?;
    for name in GATHERED_NAMES.iter().chain(&["junit.xml", "cache.json", "coverage.json", ".coverage"]) {
        let path = dir.join(name);
        let removed = if path.is_dir() { fs_err::remove_dir_all(&path) } else { fs_err::remove_file(&path) };
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

/// Copies what a run left into the folder.
fn copy_run_files(run: &Path, dir: &Path) -> std::io::Result<()> {
    for name in GATHERED_NAMES {
        crate::record::copy_tree(&run.join(name), &dir.join(name))?;
    }
    Ok(())
}

/// Says what was done around the run: on the standard output, or the error stream where that is a document's; and in the
/// summary that the forge shows.
fn print_summary(args: &CiArgs, lines: &[String]) {
    let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    match args.run.output.format {
        OutputFormat::Text => print_stdout(&text),
        OutputFormat::Json => print_stderr(text.trim_end()),
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
    let list = lines.iter().fold("\n".to_owned(), |text, line| text + "- " + line + "\n");
    let opened = fs_err::OpenOptions::new().create(true).append(true).open(PathBuf::from(path));
    if let Err(error) = opened.and_then(|mut file| file.write_all(list.as_bytes())) {
        print_stderr(&format!("warning: the summary: {error}"));
    }
}
