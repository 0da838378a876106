//! `noxide bench`: before and after in interleaved rounds, and the table into the project's documentation.

use std::path::Path;

use super::bench_args::{BenchArgs, BenchFormat, WhichCaches};
use super::failure::Failure;
use super::listing::print;
use super::measure::Measure;
use super::screen::{Screen, say};
use crate::fs::write_atomic;
use crate::project::Checkout;
use crate::record::Machine;
use crate::report::bench::{Bench, BenchPlan, Caches, Facts, Variant, marked, rounds};

/// What the document begins with where there is none yet.
const HEAD: &str = "# CI/CD\n\n## Before and after\n\nWritten by `noxide bench`; what stands between the marks is replaced by the next bench.\n";

/// Measures and tells.
///
/// # Errors
/// When there is nothing to measure with, a command fails, a signal comes, or the document cannot be written.
pub(super) fn bench(args: &BenchArgs, screen: &Screen) -> Result<u8, Failure> {
    if args.rounds == 0 {
        return Err(Failure::Usage("--rounds 0: nothing would be measured".to_owned()));
    }
    let (variants, versions) = variants(args)?;
    let caches = match args.caches {
        WhichCaches::Both => vec![Caches::Cold, Caches::Warm],
        WhichCaches::Cold => vec![Caches::Cold],
        WhichCaches::Warm => vec![Caches::Warm],
    };
    // A document that could not be written should be known before an hour of rounds.
    if !args.no_write {
        document(&args.write, "")?;
    }
    let plan = BenchPlan { variants, rounds: args.rounds, warmup: args.warmup, caches };
    let mut measure = Measure::begin(args.scratch.as_deref(), args.ignore_failure, !screen.silent())?;
    let samples = rounds(&plan, &mut measure)?;
    drop(measure);
    let bench = Bench::new(plan, facts(versions), samples);
    print(&match args.format {
        BenchFormat::Text => bench.text(),
        BenchFormat::Markdown => bench.markdown(),
        BenchFormat::Json => format!("{:#}\n", serde_json::to_value(&bench).unwrap_or_default()),
    });
    if !args.no_write {
        let text = document(&args.write, &bench.markdown())?;
        write(&args.write, &text)?;
        if !screen.silent() {
            say(&format!("table: {}", args.write.display()));
        }
    }
    Ok(0)
}

/// The document with this table in it.
fn document(path: &Path, table: &str) -> Result<String, Failure> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => HEAD.to_owned(),
        Err(source) => return Err(Failure::System { what: "cannot read the document".to_owned(), source }),
    };
    marked(&text, table).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .map_err(|source| Failure::System { what: "cannot write the table".to_owned(), source })
}

/// Tools and their versions.
type Versions = Vec<(String, String)>;

/// The commands, and the versions of what they are.
fn variants(args: &BenchArgs) -> Result<(Vec<Variant>, Versions), Failure> {
    let variant = |name: &str, command: Vec<String>| Variant { name: name.to_owned(), command };
    let own = || -> Result<String, Failure> {
        let path = std::env::current_exe()
            .map_err(|source| Failure::System { what: "cannot find noxide's own program".to_owned(), source })?;
        path.into_os_string().into_string().map_err(|_| Failure::Usage("noxide's own path is no text".to_owned()))
    };
    let mut versions = vec![("noxide".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    let mut variants = Vec::new();
    if args.before.is_empty() {
        let nox = said(&["nox", "--version"]).ok_or_else(|| Failure::System {
            what: "no nox on PATH to compare with: name another command after --".to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        versions.push(("nox".to_owned(), nox.trim().to_owned()));
        versions.extend(said(&["uv", "--version"]).map(|uv| {
            let number = uv.split_whitespace().nth(1).unwrap_or_default().to_owned();
            ("uv".to_owned(), number)
        }));
        variants.push(variant("nox", vec!["nox".to_owned()]));
        if said(&["nox", "--help"]).is_some_and(|help| help.contains("--allow-parallel")) {
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
fn said(command: &[&str]) -> Option<String> {
    let done = std::process::Command::new(command.first()?)
        .args(&command[1..])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|done| done.status.success())?;
    // Old releases of nox print their version to the error stream.
    Some(format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
}

fn facts(versions: Versions) -> Facts {
    let machine = Machine::here();
    let commit = Checkout::of(Path::new(".")).map(|checkout| {
        let short = checkout.commit.get(..12).unwrap_or(&checkout.commit).to_owned();
        if checkout.dirty { short + "+" } else { short }
    });
    Facts { machine: format!("{} {}", machine.os, machine.arch), cpus: machine.cpus, commit, versions }
}
