//! What a noxfile does while it is imported: output, a change of the directory.

use noxide::record::ArtifactList;

use crate::support::{CommandDeadline as _, Project, noxide_command, python, run};

const PRINTS: &str = "import os, sys, nox\nprint('imported', os.path.basename(os.getcwd()))\n\
    print('to stderr', file=sys.stderr)\nos.system('echo from a command')\n\
    nox.options.default_venv_backend = 'none'\n\
    @nox.session\ndef one(session): session.log('one ran')\n@nox.session\ndef two(session): session.log('two ran')\n";

#[test]
fn output_of_the_import_is_shown_once() {
    let threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n";
    for noxfile in [PRINTS.to_owned(), format!("{threads}{PRINTS}")] {
        let project = Project::new(&noxfile);
        for flags in ["", "--output stream", "-vv", "--format json", "-j 1", "--dry-run"] {
            let ran = run(&project, flags);
            assert_eq!(ran.code(), 0, "{flags}: {}", ran.text);
            for words in ["imported a project\n", "to stderr\n", "from a command\n"] {
                assert_eq!(ran.text.matches(words).count(), 1, "{flags}: {words}: {}", ran.text);
                assert!(ran.stderr.contains(words), "{flags}: {}", ran.text);
            }
            if flags == "--format json" {
                serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap();
            } else if flags == "--output stream" {
                let log = String::from_utf8(ran.log("one", 1)).unwrap();
                assert!(log.contains("one ran") && !log.contains("imported"), "{log}");
            }
        }
        assert!(!run(&project, "-q").text.contains("imported"));
    }
    let listed = Project::new(PRINTS).noxide(&["list"]);
    assert!(listed.stderr.contains("imported a project") && !listed.stdout.contains("imported"), "{}", listed.text);
}

#[test]
fn output_of_the_import_cannot_command_the_runner_or_the_terminal() {
    let noxfile =
        PRINTS.replace("'to stderr'", "'::set-output name=a::b\\n::error::real\\n\\x1b]0;title\\x07 mysecretvalue'");
    let project = Project::new(&noxfile);
    let mut command = noxide_command(&project, "run");
    let ran = command.env("GITHUB_ACTIONS", "true").env("MY_TOKEN", "mysecretvalue").finish();
    let text = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{text}");
    let (before, rest) = text.split_once("::set-output").unwrap();
    assert!(before.contains("::stop-commands::noxide-"), "{text}");
    assert!(rest.contains("\n::error::real\n") && rest.contains("***") && !text.contains("mysecretvalue"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
}

#[test]
fn long_output_of_the_import_is_shown_from_its_last_part() {
    let noxfile = PRINTS.replace("print('imported'", "print('line ' * 20000 + '\\nthe end')\nprint('imported'");
    let ran = run(&Project::new(&noxfile), "");
    assert!(
        ran.stderr.contains("... (earlier output of the noxfile is left out)\nthe end\nimported"),
        "{}",
        ran.code()
    );
}

#[test]
fn a_noxfile_that_changes_the_directory_does_not_move_the_project() {
    let noxfile = "import os, nox\nos.makedirs('sub', exist_ok=True)\nos.chdir('sub')\n\
        @nox.session(venv_backend='none')\ndef one(session):\n    session.log('in %s', os.path.basename(os.getcwd()))\n    \
        os.makedirs('dist', exist_ok=True)\n    open('dist/made.txt', 'w').write('x')\n\
        @nox.session(venv_backend='virtualenv')\ndef two(session):\n    assert os.path.isdir('.nox/two')\n";
    let project = Project::new(noxfile);
    project.write("noxide.toml", "[sessions.one]\nartifacts = ['dist/*.txt']\n");
    let nox = project.command(python()).args(["-m", "nox"]).finish();
    let text = String::from_utf8_lossy(&nox.stderr).into_owned();
    assert!(nox.status.success() && text.contains("in a project"), "{text}");
    std::fs::remove_dir_all(project.root().join("dist")).unwrap();

    let ran = run(&project, "");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert!(String::from_utf8(ran.log("one", 1)).unwrap().contains("in a project"));
    let record = project.newest_record();
    assert_eq!(record.root, project.root());
    let collected = ArtifactList::session_dir(&project.newest_run_dir(), "one").join("files/dist/made.txt");
    assert!(collected.is_file(), "{}", ran.text);
    assert_eq!(std::fs::read_dir(project.root().join("sub")).unwrap().count(), 0, "nothing is written there");
    assert!(project.root().join(".nox/two").is_dir());
    let later = project.noxide(&["replay", "last"]);
    assert!(later.code() == 0 && later.text.contains("one"), "a later command finds the run: {}", later.text);
}

#[test]
fn files_named_like_modules_of_python_do_not_replace_them() {
    // nox is not started in the project's directory either: `nox` imports none of these.
    for threads in
        ["", "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"]
    {
        let project = Project::new(&format!("{threads}{PRINTS}"));
        for name in [
            "json",
            "re",
            "enum",
            "types",
            "random",
            "string",
            "select",
            "tempfile",
            "shutil",
            "subprocess",
            "logging",
            "runpy",
            "contextlib",
            "importlib",
        ] {
            fs_err::write(project.root().join(name).with_extension("py"), "raise ImportError('not the real one')\n")
                .unwrap();
        }
        let ran = run(&project, "");
        assert_eq!(ran.code(), 0, "{}", ran.text);
    }
}
