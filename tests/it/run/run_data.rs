//! Run data: its directory, the commands that find it, and source distributions without it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{Project, python, run_checked, tool_path};

/// A session that passes, and one that fails and leaves a file in its temporary directory.
const SESSIONS: &str = "@nox.session\ndef good(session): print('a line of the log')\n\
                        @nox.session\ndef bad(session):\n    \
                        pathlib.Path(os.environ['TMPDIR'], 'left').write_text('x' * 1000)\n    session.error('no')\n";

/// Entries of a directory, sorted.
fn entries(directory: &Path) -> Vec<String> {
    let names = fs_err::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.into_iter().collect()
}

/// The run data directory below a directory of environments outside the project: the only one there.
fn only_child(directory: &Path) -> PathBuf {
    let names = entries(directory);
    assert_eq!(names.len(), 1, "{names:?}");
    directory.join(&names[0])
}

#[test]
fn run_data_is_below_the_environments_and_every_command_finds_it() {
    for (option, flag) in
        [(None, None), (Some("envs"), None), (Some("envs"), Some("of a flag")), (None, Some("../out"))]
    {
        let option_line = option.map(|value| format!("nox.options.envdir = '{value}'\n"));
        let project = Project::with_sessions(&format!("{}{SESSIONS}", option_line.unwrap_or_default()));
        let mut arguments = vec!["run"];
        arguments.extend(flag.map(|value| ["--envdir", value]).into_iter().flatten());
        let ran = project.noxide(&arguments);
        assert_eq!(ran.exit, Some(1), "{}{}", ran.stdout, ran.stderr);

        let envdir = flag.or(option).unwrap_or(".nox");
        let (envdir, is_inside) = match envdir.strip_prefix("../") {
            Some(name) => (project.root().with_file_name(name), false),
            None => (project.root().join(envdir), true),
        };
        let data = if is_inside { envdir.join(".noxide") } else { only_child(&envdir.join(".noxide")) };
        let run = entries(&data.join("runs")).pop().unwrap();
        let mut expected: Vec<String> = vec!["noxfile.py".to_owned()];
        expected.extend(is_inside.then(|| envdir.file_name().unwrap().to_str().unwrap().to_owned()));
        expected.sort_unstable();
        let found: Vec<String> = entries(project.root()).into_iter().filter(|name| name != "__pycache__").collect();
        assert_eq!(found, expected, "nothing else is in the project");

        let report = project.noxide(&["report", "--format", "text"]);
        assert_eq!(report.exit, Some(0), "{flag:?}: {}", report.stderr);
        assert!(report.stdout.contains("good"), "{}", report.stdout);
        assert_eq!(project.noxide(&["report"]).exit, Some(0));
        assert!(data.join("report.html").is_file());
        let replayed = project.noxide(&["replay", &run]);
        assert!(replayed.exit == Some(1) && replayed.stdout.contains("1 passed"), "{}", replayed.stdout);
        let merged = project.noxide(&["merge", data.to_str().unwrap()]);
        assert!(merged.exit == Some(1) && merged.stdout.contains("merged 1 run"), "{}{}", merged.stdout, merged.stderr);
        assert_eq!(entries(&data.join("runs")).len(), 2, "the merged run is in the same directory");
        let whole = project.root().with_file_name("merged");
        let merged = project.noxide(&["merge", envdir.to_str().unwrap(), "--dir", whole.to_str().unwrap()]);
        assert!(merged.exit == Some(1) && merged.stdout.contains("merged 1 run"), "{}{}", merged.stdout, merged.stderr);
        if flag.is_none() {
            let dry = project.noxide(&["run", "--dry-run", "--format", "json"]).stdout;
            let dry: serde_json::Value = serde_json::from_str(&dry).unwrap();
            assert!(dry["sessions"][0]["usual_ms"].is_u64(), "the history is known: {dry}");
        }
        let again = project.noxide(&["run", "--rerun", "failed", "--dry-run"]);
        assert!(again.exit == Some(0) && !again.stdout.contains("good"), "{}{}", again.stdout, again.stderr);
    }
}

#[test]
fn no_link_leads_out_of_the_run_data() {
    let project = Project::with_sessions(SESSIONS);
    assert_eq!(project.noxide(&["run"]).exit, Some(1));
    let walk = walkdir::WalkDir::new(project.root().join(".nox")).into_iter();
    let links: Vec<_> = walk.map(Result::unwrap).filter(walkdir::DirEntry::path_is_symlink).collect();
    assert!(links.is_empty(), "{links:?}");
    let named = project.newest_run_dir().join("temporary-directory");
    let temporary = PathBuf::from(fs_err::read_to_string(named).unwrap());
    assert!(temporary.join("1/left").is_file(), "of the failed session");
}

/// Prints the members of the source distribution that a backend builds; extracts them as `python -m build` does.
const BUILD_SDIST: &str = "import importlib, sys, tarfile, tempfile\n\
    name = importlib.import_module(sys.argv[1]).build_sdist(tempfile.mkdtemp(dir='..'), None)\n\
    import glob\n\
    (path,) = glob.glob('../tmp*/' + name)\n\
    with tarfile.open(path) as archive:\n    \
    archive.extractall(tempfile.mkdtemp(), **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))\n    \
    names = sorted(member.split('/', 1)[-1] for member in archive.getnames())\n\
    import os\n\
    os.remove(path)\n\
    print(*('sdist ' + name for name in names), sep='\\n')\n";

#[test]
fn source_distributions_do_not_contain_run_data() {
    let metadata = "[project]\nname = 'demo'\nversion = '1.0'\n";
    for backend in [
        "hatchling.build",
        "setuptools.build_meta",
        "flit_core.buildapi",
        "poetry.core.masonry.api",
        "pdm.backend",
        "scikit_build_core.build",
        "maturin",
    ] {
        let project = Project::with_sessions(SESSIONS);
        project.write("pyproject.toml", format!("{metadata}description = 'd'\n[build-system]\nrequires = []\n"));
        project.write("demo/__init__.py", "'''A package.'''\n");
        if backend == "maturin" {
            project.write("src/lib.rs", "");
            let library = "edition = '2021'\n[lib]\ncrate-type = ['cdylib']\n";
            project.write("Cargo.toml", format!("[package]\nname = 'demo'\nversion = '1.0.0'\n{library}"));
        }
        let build = || {
            let mut command = project.command(python());
            let output = run_checked(command.args(["-c", BUILD_SDIST, backend]).env("PATH", tool_path()));
            output.lines().filter_map(|line| line.strip_prefix("sdist ")).map(str::to_owned).collect::<Vec<_>>()
        };
        let before = build();
        assert!(before.iter().any(|name| name == "demo/__init__.py" || name == "src/lib.rs"), "{backend}: {before:?}");
        assert_eq!(project.noxide(&["run"]).exit, Some(1));
        assert_eq!(build(), before, "{backend}");
    }
}
