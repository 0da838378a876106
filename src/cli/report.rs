//! `noxide report`: what records say, as a page, in words, for programs, and one against another.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::replay::find;
use super::report_args::{ReportArgs, ReportFormat};
use super::screen::{Screen, say};
use super::side::side;
use crate::fs::write_atomic;
use crate::output::log_tail;
use crate::record::{Folder, Record};
use crate::report::{Report, Tail, compare, markdown, page, perfetto, text};

/// Lines of a failed session's log.
const LINES: usize = 200;
/// Characters of one line of it.
const LONGEST: usize = 1_000;
/// Bytes of all logs together: a page has to stay small.
const ROOM: usize = 192 * 1024;

/// Writes a report of one run.
///
/// # Errors
/// When there is no such run, its record cannot be read, or the report cannot be written.
pub(super) fn report(args: &ReportArgs, screen: &Screen) -> Result<u8, Failure> {
    let folder = Folder::existing(Path::new("."));
    if let Some([before, after]) = args.compare.as_deref() {
        return compared(args, [before, after], folder.as_ref(), screen);
    }
    let (record, place) = chosen(&args.run, folder.as_ref())?;
    let earlier = folder.as_ref().map(|folder| earlier(folder, &record, args.history)).unwrap_or_default();
    let report = Report::new(&record, &earlier);
    let tails = || tails(&record, &place);
    let text = match args.format {
        ReportFormat::Html => page(&report, &tails()).map_err(|error| Failure::System {
            what: "cannot make the page".to_owned(),
            source: std::io::Error::other(error),
        })?,
        ReportFormat::Markdown => markdown(&report, &tails()),
        ReportFormat::Text => text(&report),
        ReportFormat::Json => format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default()),
        ReportFormat::Trace => format!("{}\n", perfetto(&report)),
    };
    let html = args.format == ReportFormat::Html;
    let target = match (&args.output, folder) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(folder)) if html => Some(folder.path().join("report.html")),
        _ => None,
    };
    write(target.as_deref(), &text, screen)?;
    Ok(0)
}

/// Writes a comparison.
fn compared(args: &ReportArgs, names: [&String; 2], folder: Option<&Folder>, screen: &Screen) -> Result<u8, Failure> {
    let [before, after] = names.map(|name| side(name, folder));
    let comparison = compare(&before?, &after?);
    let text = match args.format {
        ReportFormat::Json => format!("{:#}\n", serde_json::to_value(&comparison).unwrap_or_default()),
        ReportFormat::Markdown => comparison.markdown(),
        ReportFormat::Html | ReportFormat::Text => comparison.text(),
        ReportFormat::Trace => {
            return Err(Failure::Usage("a comparison has no trace: text, markdown or json".to_owned()));
        }
    };
    write(args.output.as_deref(), &text, screen)?;
    Ok(u8::from(args.check && comparison.slower()))
}

/// Writes to a file and says so, or to the standard output.
pub(super) fn write(target: Option<&Path>, text: &str, screen: &Screen) -> Result<(), Failure> {
    let Some(path) = target.filter(|path| *path != Path::new("-")) else {
        // A reader that left is no reason to fail.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return Ok(());
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .map_err(|source| Failure::System { what: "cannot write the report".to_owned(), source })?;
    if !screen.silent() {
        say(&format!("report: {}", path.display()));
    }
    Ok(())
}

/// The record that goes by a name, and the folder its logs are in.
pub(super) fn chosen(name: &str, folder: Option<&Folder>) -> Result<(Record, PathBuf), Failure> {
    let path = Path::new(name);
    if path.is_file() {
        let record = Record::read(path).map_err(|error| Failure::NoRun(error.to_string()))?;
        return Ok((record, path.parent().unwrap_or(Path::new(".")).to_path_buf()));
    }
    let folder = folder.ok_or_else(|| Failure::NoRun("no run is recorded here: there is no .noxide".to_owned()))?;
    let run = if name == "last" { newest(folder)? } else { find(folder, name)? };
    let record = folder.record(&run).map_err(|error| Failure::NoRun(error.to_string()))?;
    Ok((record, folder.run(&run)))
}

/// The newest run that is over.
fn newest(folder: &Folder) -> Result<String, Failure> {
    let over = |run: &String| folder.run(run).join("record.json").exists();
    let none = || Failure::NoRun("no run is recorded here".to_owned());
    folder.runs().into_iter().rev().find(over).ok_or_else(none)
}

/// Records before this one, newest first.
fn earlier(folder: &Folder, record: &Record, most: usize) -> Vec<Record> {
    let runs = folder.runs();
    let before = runs.iter().rev().filter(|run| **run < record.run);
    before.filter_map(|run| folder.record(run).ok()).take(most).collect()
}

/// The ends of the logs of what failed.
fn tails(record: &Record, place: &Path) -> Vec<Tail> {
    let mut room = ROOM;
    let mut tails = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last().filter(|_| result.outcome.is_failure()) else { continue };
        let Ok((lines, above)) = log_tail(&place.join(&last.log), last.log_bytes, LINES) else { continue };
        let mut lines: Vec<String> = lines.into_iter().map(|line| line.chars().take(LONGEST).collect()).collect();
        let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
        while size(&lines) > room && !lines.is_empty() {
            lines.drain(..lines.len().div_ceil(2));
        }
        room -= size(&lines);
        tails.push(Tail { session: result.session.as_str().to_owned(), lines, above });
    }
    tails
}
