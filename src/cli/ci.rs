//! `noxide ci`: one step that brings what sessions need, runs them, keeps what is new, gathers logs and judges.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{CiArgs, Format};
use super::coverage::combine;
use super::failure::Failure;
use super::listing::print;
use super::opened::root;
use super::run::{self, Ended, SIGNALS};
use super::screen::{Screen, say};
use crate::fs::write_atomic;

/// What a run's folder has that goes into the folder of `--dir`.
const KEPT: [&str; 4] = ["record.json", "events.jsonl", "logs", "artifacts"];

/// Does all of a CI job and gives the exit code: that of the run, or 1 where too little is covered.
///
/// # Errors
/// When the run cannot even begin, or what it left cannot be gathered.
pub(super) fn ci(args: &CiArgs, screen: &Screen) -> Result<u8, Failure> {
    let mut run_args = args.run.clone();
    let dir = std::path::absolute(&args.ci.dir).map_err(|source| system("cannot find --dir", source))?;
    clear(&dir).map_err(|source| system("cannot use --dir", source))?;
    run_args.shown.junit.get_or_insert_with(|| dir.join("junit.xml"));
    let root = root(args.run.selection.noxfile.as_deref().map(Path::new));
    let Ended { mut exit, folder: record, mut provision } = run::run(&run_args, screen, Some(&args.ci.remote))?;
    if let Some(run) = &record {
        gather(run, &dir).map_err(|source| system("cannot gather what the run left", source))?;
    }
    let mut lines = Vec::new();
    if let Some(provision) = &mut provision {
        provision.close();
        let trouble = args.ci.write_sums.then(|| provision.write_sums()).flatten();
        lines.extend(provision.lines().into_iter().chain(trouble).map(|line| format!("cache: {line}")));
        let text = format!("{:#}\n", provision.document());
        write_atomic(&dir.join("cache.json"), text.as_bytes()).map_err(|source| system("cannot write", source))?;
    }
    if args.ci.coverage && exit <= SIGNALS {
        exit = exit.max(covered(args, &root, record.as_deref(), &dir, &mut lines));
    }
    lines.push(format!("gathered in {}", args.ci.dir.display()));
    tell(args, &lines);
    Ok(exit)
}

fn system(what: &str, source: std::io::Error) -> Failure {
    Failure::System { what: what.to_owned(), source }
}

/// Combines coverage data and holds it to the floor.
fn covered(args: &CiArgs, root: &Path, run: Option<&Path>, dir: &Path, lines: &mut Vec<String>) -> u8 {
    let folders: Vec<PathBuf> = std::iter::once(root.to_path_buf()).chain(run.map(Path::to_path_buf)).collect();
    match combine(&folders, &[], dir) {
        Ok(found) => {
            let mut exit = 0;
            for found in found {
                let low = args.ci.fail_under.filter(|floor| found.hundredths() < floor.0);
                let than = low.map(|floor| format!(", less than the {} % asked", f64::from(floor.0) / 100.0));
                exit = exit.max(u8::from(low.is_some()));
                let than = than.unwrap_or_default();
                lines.push(format!("coverage: {:.2} % ({}, {} files{than})", found.percent, found.tool, found.files));
            }
            exit
        }
        Err(failure) => {
            lines.push(format!("coverage: {failure}"));
            failure.exit()
        }
    }
}

/// Makes the folder, and removes what an earlier run of this command left there.
fn clear(dir: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(dir)?;
    // Nothing in it is a change of the project.
    write_atomic(&dir.join(".gitignore"), b"*\n")?;
    for name in KEPT.iter().chain(&["junit.xml", "cache.json", "coverage.json", ".coverage"]) {
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
fn gather(run: &Path, dir: &Path) -> std::io::Result<()> {
    for name in KEPT {
        crate::record::copy(&run.join(name), &dir.join(name))?;
    }
    Ok(())
}

/// Says what was done around the run: on the standard output, or the error stream where that is a document's; and in the
/// summary that the forge shows.
fn tell(args: &CiArgs, lines: &[String]) {
    let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    match args.run.shown.format {
        Format::Text => print(&text),
        Format::Json => say(text.trim_end()),
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
    let list = lines.iter().fold("\n".to_owned(), |text, line| text + "- " + line + "\n");
    let opened = fs_err::OpenOptions::new().create(true).append(true).open(PathBuf::from(path));
    if let Err(error) = opened.and_then(|mut file| file.write_all(list.as_bytes())) {
        say(&format!("warning: the summary: {error}"));
    }
}
