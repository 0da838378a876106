//! Noxfiles that cannot be loaded, and unusual ones that can: one clear message each.

use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use noxide::project::{HostError, LoadFailure, LoadStage, NoxStatus};

use crate::support::{HostArgs, Project, has_ended, run_host};

/// The error of a noxfile that does not load.
fn refused(noxfile: &str, args: &[&str]) -> (Project, LoadFailure) {
    let project = Project::new(noxfile);
    match HostArgs::args(args).start(&project) {
        Err(HostError::Load(failure)) => (project, *failure),
        Err(other) => panic!("{other}\n{}", other.output()),
        Ok(_) => panic!("it loaded"),
    }
}

const TWO: &str = "import nox\nnox.options.default_venv_backend = 'none'\n\
                   @nox.session\ndef lint(session): pass\n@nox.session\ndef tests(session): pass\n";

#[test]
fn a_missing_noxfile_is_named() {
    let project = Project::empty();
    let Err(HostError::Load(failure)) = HostArgs::args(&[]).start(&project) else { panic!() };
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Noxfile, Some(2)));
    let path = project.root().join("noxfile.py");
    assert_eq!(failure.message, format!("Failed to load Noxfile {}, no such file exists.", path.display()));
    let Err(HostError::Load(failure)) = HostArgs::args(&["-f", "other.py"]).start(&project) else { panic!() };
    assert!(failure.message.contains("other.py"));
}

#[test]
fn a_syntax_error_shows_the_line() {
    let (project, failure) = refused("import nox\n\ndef lint(session:\n    pass\n", &[]);
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Noxfile, Some(2)));
    assert_eq!(failure.message, "the noxfile is not valid Python");
    let exception = failure.exception.unwrap();
    assert!(exception.contains("def lint(session:") && exception.contains('^'), "{exception}");
    assert!(exception.contains("SyntaxError"), "{exception}");
    let frame = failure.frames.last().unwrap();
    assert_eq!((frame.file.as_path(), frame.line), (project.root().join("noxfile.py").as_path(), 3));
}

#[test]
fn a_noxfile_that_raises_shows_the_frames_of_the_user() {
    let noxfile = "import sys\nsys.path.insert(0, '.')\nimport json\nimport mine\nmine.check(json)\n";
    let project = Project::new(noxfile);
    project.write("mine.py", "def check(json):\n    return json.loads('{')\n");
    let Err(HostError::Load(failure)) = HostArgs::args(&[]).start(&project) else { panic!() };
    assert_eq!((failure.stage, failure.message.as_str()), (LoadStage::Noxfile, "the noxfile raised an exception"));
    let frames: Vec<_> =
        failure.frames.iter().map(|f| (f.file.file_name().unwrap().to_str().unwrap(), f.line)).collect();
    assert_eq!(frames, [("noxfile.py", 5), ("mine.py", 2)]);
    assert_eq!(failure.frames[1].text, "return json.loads('{')");
    assert!(failure.exception.unwrap().starts_with("json.decoder.JSONDecodeError: "));
}

#[test]
fn a_noxfile_that_exits_is_an_error() {
    let (_kept, failure) = refused("import sys\nprint('before')\nsys.exit('enough')\n", &[]);
    assert_eq!(failure.message, "the noxfile called sys.exit('enough')");
    assert_eq!(failure.frames.last().unwrap().line, 3);
    assert_eq!(failure.output.trim(), "before");
}

#[test]
fn a_noxfile_that_crashes_is_an_error() {
    let project = Project::new("import os\nprint('last words', flush=True)\nos._exit(9)\n");
    let Err(error @ HostError::Died { .. }) = HostArgs::args(&[]).start(&project) else { panic!() };
    assert!(error.to_string().contains("exit status: 9"), "{error}");
    assert_eq!(error.output(), "last words\n");
}

#[test]
fn a_noxfile_that_hangs_is_killed_and_its_line_shown() {
    let noxfile = "import subprocess, time\nchild = subprocess.Popen(['sleep', '1000'])\n\
                   print(child.pid, flush=True)\ndef wait():\n    time.sleep(1000)\nwait()\n";
    let project = Project::new(noxfile);
    std::fs::rename(project.root().join("noxfile.py"), project.root().join("other.py")).unwrap();
    let host_args = HostArgs { timeout: Duration::from_millis(1500), ..HostArgs::args(&["--noxfile=other.py"]) };
    let since = Instant::now();
    let Err(error @ HostError::LoadTimeout { .. }) = host_args.start(&project) else { panic!() };
    assert!(since.elapsed() < Duration::from_secs(120));
    let noxfile = project.root().join("other.py");
    assert!(error.to_string().starts_with("other.py did not load within 1.5 s"), "{error}");
    assert!(error.to_string().ends_with(&format!("it hangs at {}, line 5", noxfile.display())), "{error}");
    assert_eq!(error.frames().iter().map(|frame| frame.line).collect::<Vec<_>>(), [6, 5]);
    assert_eq!(error.frames()[1].text, "time.sleep(1000)");
    let child = error.output().lines().next().unwrap();
    assert!(has_ended(child), "its child lives");
}

#[test]
fn megabytes_of_output_are_bounded() {
    let noise = "import sys\nfor _ in range(5000):\n    print('x' * 1000)\n    sys.stderr.write('y\\n')\n";
    let project = Project::new(&format!("{noise}{TWO}"));
    let (host, manifest) = HostArgs::args(&[]).start(&project).unwrap();
    assert_eq!(manifest.queue.len(), 2);
    assert!(host.captured_output().len() <= 64 * 1024);
    host.close();
}

#[test]
fn two_sessions_of_one_name_are_noticed() {
    let project =
        Project::new(&format!("{TWO}\n@nox.session(name='tests')\ndef again(session): session.log('again')\n"));
    let ran = run_host(&project, &HostArgs::args(&["-s", "tests"]));
    assert!(ran.log("tests").contains("again"));
    let notices: Vec<_> = ran.manifest.notices.iter().filter(|text| text.contains("lines 5 and 8")).collect();
    assert_eq!(notices, ["two sessions are named tests (lines 5 and 8 of noxfile.py): nox uses the last"]);
    let quiet = run_host(&Project::new(TWO), &HostArgs::args(&[]));
    assert!(quiet.manifest.notices.is_empty());
}

#[test]
fn an_unknown_session_lists_the_known_ones() {
    let (_kept, failure) = refused(TWO, &["-s", "test"]);
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Selection, Some(3)));
    assert_eq!(failure.message, "Error while collecting sessions.\nSessions not found: test");
    assert_eq!(failure.session_names, ["lint", "tests"]);
}

#[test]
fn an_empty_noxfile_is_an_error_and_an_empty_selection_is_not() {
    let (project, failure) = refused("import nox\n", &[]);
    let path = project.root().join("noxfile.py");
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Selection, Some(3)));
    assert_eq!(failure.message, format!("No sessions found in {}.", path.display()));
    let project = Project::new(&format!("{TWO}nox.options.sessions = []\n"));
    let (host, manifest) = HostArgs::args(&[]).start(&project).unwrap();
    assert_eq!((manifest.queue.len(), manifest.sessions.len()), (0, 2));
    host.close();
}

#[test]
fn a_cycle_is_reported_in_the_words_of_nox() {
    let cycle = "import nox\n@nox.session(requires=['b'])\ndef a(session): pass\n\
                 @nox.session(requires=['a'])\ndef b(session): pass\n";
    let (_kept, failure) = refused(cycle, &[]);
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Selection, Some(3)));
    assert!(failure.message.contains("Sessions are in a dependency cycle: a -> b -> a"), "{}", failure.message);
}

#[test]
fn wrong_arguments_are_reported_in_the_words_of_nox() {
    let (_kept, failure) = refused(TWO, &["--nonsense"]);
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Options, Some(2)));
    assert!(failure.message.to_lowercase().contains("--nonsense"), "{}", failure.message);
    let (_kept, failure) = refused(TWO, &["-R", "--reuse-venv", "maybe"]);
    assert!(failure.message.contains("maybe"), "{}", failure.message);
}

#[test]
fn a_nox_that_is_too_old_is_rejected() {
    let (_kept, failure) = refused(&format!("{TWO}nox.needs_version = '>=2099'\n"), &[]);
    assert_eq!((failure.stage, failure.exit_code), (LoadStage::Noxfile, Some(2)));
    assert!(failure.message.contains(">=2099"), "{}", failure.message);
}

#[test]
fn wrong_options_in_the_noxfile_are_attributed_to_it() {
    let (_kept, failure) = refused("import nox\nnox.options.nonsense = 1\n", &[]);
    assert_eq!(failure.stage, LoadStage::Noxfile);
    assert!(failure.exception.unwrap().contains("nonsense"));
}

#[test]
fn a_missing_interpreter_is_skipped_or_fails_as_nox_does() {
    let noxfile = "import nox\n@nox.session(python='2.99')\ndef old(session): pass\n";
    let project = Project::new(noxfile);
    let ran = run_host(&project, &HostArgs::args(&[]));
    assert_eq!(ran.status("old"), NoxStatus::Skipped);
    assert!(ran.finished["old"].reason.contains("2.99"));
    let ran = run_host(&project, &HostArgs::args(&["--error-on-missing-interpreters"]));
    assert_eq!(ran.status("old"), NoxStatus::Failed);
    let ran = run_host(&project, &HostArgs::args(&[]).env("CI", "1"));
    assert_eq!(ran.status("old"), NoxStatus::Failed);
}

#[test]
fn a_locale_and_a_path_without_utf8_work() {
    let project = Project::empty();
    let odd = project.root().join(std::ffi::OsString::from_vec(b"caf\xe9 1".to_vec()));
    std::fs::create_dir(&odd).unwrap();
    let noxfile = "import nox\nnox.options.default_venv_backend = 'none'\n\
                   @nox.session\n@nox.parametrize('x', ['é'])\ndef söß(session, x):\n    print(x, '✓')\n    session.log('done ✓')\n";
    std::fs::copy(project.write("noxfile.py", noxfile), odd.join("noxfile.py")).unwrap();
    let host_args = HostArgs::args(&[]).env("LC_ALL", "C").env("PYTHONCOERCECLOCALE", "0").env("PYTHONUTF8", "0");
    let ran = run_host(&project, &host_args);
    assert_eq!(ran.status("söß(x='é')"), NoxStatus::Success, "{:?}", ran.logs);
    let project = project.below(&odd);
    let ran = run_host(&project, &HostArgs::args(&[]));
    assert_eq!(ran.status("söß(x='é')"), NoxStatus::Success);
}

#[test]
fn five_hundred_sessions_are_loaded_and_listed() {
    let noxfile = "import nox\nnox.options.default_venv_backend = 'none'\n\
                   @nox.session\n@nox.parametrize('n', range(500))\ndef many(session, n): pass\n";
    let project = Project::new(noxfile);
    let ran = run_host(&project, &HostArgs::args(&[]));
    assert_eq!(ran.finished.len(), 500);
    assert!(ran.finished.values().all(|one| one.status == NoxStatus::Success));
}

#[test]
fn a_program_that_is_not_python_is_recognized() {
    let project = Project::new(TWO);
    let nothing = HostArgs { python: project.root().join("none"), ..HostArgs::default() };
    let Err(error @ HostError::Start { .. }) = nothing.start(&project) else { panic!() };
    assert!(error.to_string().starts_with("cannot run "), "{error}");
    let odd = project.outer_dir().join("odd");
    crate::support::write_script(&odd, "#!/bin/sh\necho hello\necho nonsense >&0\ncat >/dev/null\n");
    let Err(error @ HostError::Died { .. }) = (HostArgs { python: odd, ..HostArgs::default() }).start(&project) else {
        panic!()
    };
    assert_eq!(error.output(), "hello\n");
}

#[test]
fn errors_carry_frames_and_output() {
    let project = Project::new("print('said')\n1 / 0\n");
    let Err(error) = HostArgs::args(&[]).start(&project) else { panic!() };
    assert_eq!(
        (error.output(), error.frames().len(), error.to_string().as_str()),
        ("said\n", 1, "the noxfile raised an exception")
    );
}
