//! Source trees, environments, project files and ports that sessions share: locked by the commands as they run.

use std::path::{Path, PathBuf};
use std::process::Command;

use noxide::record::Outcome;

use crate::support::{
    NoxideRun, Project, build_once, noxide_command, noxide_in, python, run_checked, tool_path, write_script,
};

/// Functions with which sessions wait for one another.
const MEETING: &str = "P = pathlib.Path
def wait(name, seconds=60):
    until = time.monotonic() + seconds
    while not P(name).exists() and time.monotonic() < until:
        time.sleep(0.02)
    return P(name).exists()
";

/// A `uv` that writes the group of `uv sync --group` into `.venv`, and takes as long as a real one.
const UV: &str = "#!/bin/sh
mkdir -p .venv
case $1 in
sync) echo \"$3\" > .venv/group; sleep 0.1;;
add) echo \"# $2\" >> pyproject.toml; sleep 0.1;;
run) shift; exec \"$@\";;
esac
";

fn project_with_programs(sessions: &str, programs: &[(&str, &str)]) -> Project {
    let project = Project::with_sessions(&format!("{MEETING}{sessions}"));
    for (name, text) in programs {
        write_script(&project.outer_dir().join("programs").join(name), text);
    }
    project.write("pyproject.toml", "[project]\nname = 'own'\nversion = '1'\n");
    project
}

fn with_programs(project: &Project, arguments: &str) -> Command {
    let mut command = noxide_command(project, arguments);
    let programs = std::iter::once(project.outer_dir().join("programs"));
    let path = std::env::join_paths(programs.chain(std::env::split_paths(&tool_path()))).unwrap();
    command.env("PATH", path);
    command
}

fn run_with_programs(project: &Project, arguments: &str) -> NoxideRun {
    NoxideRun::finish(&mut with_programs(project, &format!("run {arguments}")))
}

fn assert_passed(ran: &NoxideRun) {
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
}

/// Wheels that builds of setuptools projects need, so that pip downloads none in a test.
fn build_wheels() -> PathBuf {
    build_once("build-wheels", |place| {
        let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "-d"];
        run_checked(Command::new(python()).args(pip).arg(place).args(["setuptools>=77", "wheel", "build"]));
    })
}

/// A setuptools project with 200 subpackages.
fn write_wide_project(root: &Path) {
    let package = root.join("wide");
    for number in 0..200 {
        let directory = package.join(format!("sub{number}"));
        std::fs::create_dir_all(&directory).unwrap();
        fs_err::write(directory.join("__init__.py"), format!("NUMBER = {number}\n")).unwrap();
    }
    fs_err::write(package.join("__init__.py"), "").unwrap();
    let text = "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n\
                [project]\nname = 'wide'\nversion = '1'\n[tool.setuptools.packages.find]\ninclude = ['wide*']\n";
    fs_err::write(root.join("pyproject.toml"), text).unwrap();
}

#[test]
fn builds_of_one_source_tree_never_overlap() {
    let noxfile = "import nox\nnox.options.default_venv_backend = 'virtualenv'\n\
                   @nox.session\n@nox.parametrize('number', [1, 2, 3])\n\
                   def tests(session, number):\n    session.install('.')\n    \
                   session.run('python', '-c', 'import wide.sub199', silent=True)\n\
                   @nox.session(venv_backend='uv')\ndef by_uv(session):\n    session.install('.')\n    \
                   session.run('python', '-c', 'import wide.sub199', silent=True)\n\
                   @nox.session\ndef packed(session):\n    session.install('build')\n    \
                   session.run('python', '-m', 'build', '--wheel')\n";
    let project = Project::new(noxfile);
    write_wide_project(project.root());
    let mut command = noxide_command(&project, "run -j 4");
    let wheels = build_wheels();
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", &wheels).env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    command.env("UV_OFFLINE", "1").env("UV_FIND_LINKS", &wheels).env("UV_NO_INDEX", "1");
    let ran = NoxideRun::finish(&mut command);
    assert_passed(&ran);
    assert!(ran.outcomes().iter().all(|(_, outcome)| *outcome == Some(Outcome::Passed)), "{}", ran.text);
    assert_eq!(std::fs::read_dir(project.root().join("dist")).unwrap().count(), 1);
}

/// Two sessions that install different groups into one environment and use it while the other could.
const GROUPS: &str = "
def check(session, group, other):
    session.run('uv', 'sync', '--group', group, external=True)
    P(group + '.ready').touch()
    wait(other + '.ready', 1.5)
    assert P('.venv/group').read_text().strip() == group, 'another session changed .venv'
    P(group + '.ready').unlink()
@nox.session
def docs(session): check(session, 'docs', 'test')
@nox.session
def test(session): check(session, 'test', 'docs')
@nox.session
def apart(session): pass
";

#[test]
fn sessions_that_sync_one_environment_are_kept_apart_from_the_first_run() {
    let project = project_with_programs(GROUPS, &[("uv", UV)]);
    assert_passed(&run_with_programs(&project, "-j 2"));
    let logs = ["docs", "test"].map(|name| project.session_log(name));
    assert!(logs.iter().any(|log| log.contains("Waiting for environment .venv, which ")), "{logs:?}");
    let graph = NoxideRun::finish(&mut with_programs(&project, "graph"));
    assert!(graph.stdout.contains("lock environment .venv (ran uv sync --group docs)"), "{}", graph.stdout);
    assert!(!graph.stdout.lines().any(|line| line.contains("apart") && line.contains("lock")), "{}", graph.stdout);
    let again = run_with_programs(&project, "-j 2");
    assert_passed(&again);
    let ((docs, docs_end), (test, test_end)) = (again.times("docs"), again.times("test"));
    assert!(docs_end <= test || test_end <= docs, "the plan knows it now: no slot is held by a waiting session");
    assert!(!project.session_log("docs").contains("Waiting"), "{}", project.session_log("docs"));
}

#[test]
fn sessions_that_sync_equal_groups_share_the_environment() {
    let both = "
@nox.session
def one(session):
    session.run('uv', 'sync', '--group', 'test', external=True)
    P('one.ready').touch()
    assert wait('two.ready')
@nox.session
def two(session):
    session.run('uv', 'sync', '--group=test', '--frozen', external=True)
    P('two.ready').touch()
    assert wait('one.ready')
";
    let project = project_with_programs(both, &[("uv", UV)]);
    assert_passed(&run_with_programs(&project, "-j 2"));
    assert_passed(&run_with_programs(&project, "-j 2"));
}

/// A program that writes packages into `dist`, as `python -m build` does.
const PACKER: &str = "#!/bin/sh\nmkdir -p dist\necho \"$NOXIDE_SESSION\" > dist/package\nsleep 0.1\n";

#[test]
fn sessions_that_need_two_resources_in_opposite_order_do_not_block_each_other() {
    let opposite = "
@nox.session
def first(session):
    session.run('uv', 'sync', '--group', 'first', external=True)
    P('first.ready').touch(); wait('second.ready', 2)
    session.run('pyproject-build', external=True)
    assert P('.venv/group').read_text().strip() == 'first' and P('dist/package').read_text().strip() == 'first'
@nox.session
def second(session):
    session.run('pyproject-build', external=True)
    P('second.ready').touch(); wait('first.ready', 2)
    session.run('uv', 'sync', '--group', 'second', external=True)
    assert P('.venv/group').read_text().strip() == 'second'
";
    let project = project_with_programs(opposite, &[("uv", UV), ("pyproject-build", PACKER)]);
    for _ in 0..2 {
        let ran = run_with_programs(&project, "-j 2 --timeout 60s");
        assert_passed(&ran);
        for name in ["first.ready", "second.ready"] {
            std::fs::remove_file(project.root().join(name)).unwrap();
        }
        std::fs::remove_dir_all(project.root().join(".nox/.noxide/runs")).unwrap();
    }
}

#[test]
fn a_session_that_lost_the_environment_changes_it_again() {
    let sessions = "
@nox.session
def first(session):
    session.run('uv', 'sync', '--group', 'a', external=True)
    P('first.ready').touch(); assert wait('second.ready')
    session.run('uv', 'pip', 'install', 'more', external=True, env={'VIRTUAL_ENV': '.venv'})
    assert P('.venv/group').read_text().strip() == 'a', 'it was not synced again'
    time.sleep(0.2)
@nox.session
def second(session):
    session.run('uv', 'sync', '--group', 'a', external=True)
    P('second.ready').touch(); assert wait('first.ready')
    session.run('uv', 'pip', 'install', 'other', external=True, env={'VIRTUAL_ENV': '.venv'})
    P('.venv/group').write_text('changed by other')
    time.sleep(0.2)
";
    let project = project_with_programs(sessions, &[("uv", UV)]);
    assert_passed(&run_with_programs(&project, "-j 2"));
}

#[test]
fn a_session_that_ends_in_any_way_frees_what_it_held() {
    let sessions = "
@nox.session
def killed(session):
    session.run('uv', 'sync', '--group', 'a', external=True)
    P('killed.ready').touch()
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
@nox.session
def hangs(session):
    session.run('uv', 'sync', '--group', 'b', external=True)
    time.sleep(600)
@nox.session
def waits(session):
    assert wait('killed.ready')
    session.run('uv', 'sync', '--group', 'c', external=True)
";
    let project = project_with_programs(sessions, &[("uv", UV)]);
    project.write("noxide.toml", "grace-period = '1s'\n[sessions.hangs]\ntimeout = '1s'\n");
    let ran = run_with_programs(&project, "-j 3");
    let outcomes = ["killed", "hangs", "waits"].map(|name| ran.outcome(name));
    assert_eq!(outcomes, [Outcome::Crashed, Outcome::TimedOut, Outcome::Passed], "{}", ran.text);
}

#[test]
fn limits_of_time_do_not_include_waiting() {
    let sessions = "
@nox.session
def long(session):
    session.run('uv', 'sync', '--group', 'a', external=True)
    P('long.ready').touch()
    time.sleep(10)
@nox.session
def short(session):
    assert wait('long.ready')
    session.run('uv', 'sync', '--group', 'b', external=True)
";
    let project = project_with_programs(sessions, &[("uv", UV)]);
    project.write("noxide.toml", "[sessions.short]\ntimeout = '8s'\nidle-timeout = '8s'\n");
    let ran = run_with_programs(&project, "-j 2");
    assert_passed(&ran);
    assert!(ran.times("short").1 - ran.times("short").0 >= 8_000, "it waited longer than its limit");
}

#[test]
fn a_session_that_rewrites_the_project_runs_beside_no_reader() {
    let sessions = "
def read(session, name):
    before = P('pyproject.toml').read_text()
    P(name + '.ready').touch()
    wait('adds.started', 1.5)
    assert P('pyproject.toml').read_text() == before
@nox.session
def one(session): read(session, 'one')
@nox.session
def adds(session):
    assert wait('one.ready')
    before = P('pyproject.toml').read_text()
    session.run('uv', 'add', 'attrs==1', external=True)
    P('adds.started').touch()
    time.sleep(0.3)
    assert P('pyproject.toml').read_text() == before + '# attrs==1\\n'
    P('pyproject.toml').write_text(before)
@nox.session
def two(session): read(session, 'two')
";
    let project = project_with_programs(sessions, &[("uv", UV)]);
    assert_passed(&run_with_programs(&project, "-j 2"));
    let graph = NoxideRun::finish(&mut with_programs(&project, "graph"));
    let expected = "lock files pyproject.toml and uv.lock (ran uv add attrs==1)";
    assert!(graph.stdout.contains(expected), "{}", graph.stdout);
    std::fs::remove_file(project.root().join("adds.started")).unwrap();
    let again = run_with_programs(&project, "-j 3");
    assert_passed(&again);
    let overlaps =
        |name: &str| again.times(name).0 < again.times("adds").1 && again.times("adds").0 < again.times(name).1;
    assert!(!overlaps("one") && !overlaps("two"));
}

#[test]
fn commands_with_one_fixed_port_do_not_overlap() {
    let server = "#!/bin/sh\nmkdir port-8123 || exit 1\nsleep 0.4\nrmdir port-8123\n";
    let sessions = "
@nox.session
def options(session): session.run('uvicorn', 'app:app', '--port', '8123', external=True)
@nox.session
def settings(session): session.run('pytest', external=True)
@nox.session
def other(session):
    session.run('uvicorn', 'app:app', '--port=0', external=True, success_codes=[0, 1])
";
    let project = project_with_programs(sessions, &[("uvicorn", server), ("pytest", server)]);
    project.write("pytest.ini", "[pytest]\npostgresql_port = 8123\n");
    let ran = run_with_programs(&project, "-j 2 -s options settings");
    assert_passed(&ran);
    let graph = NoxideRun::finish(&mut with_programs(&project, "graph"));
    assert!(graph.stdout.contains("lock port 8123 during uvicorn app:app --port 8123"), "{}", graph.stdout);
    assert!(graph.stdout.contains("lock port 8123 during pytest"), "{}", graph.stdout);
}

#[test]
fn a_session_with_an_environment_of_its_own_waits_for_no_other() {
    let sessions = "
def meet(session, name, other):
    session.run('uv', 'sync', '--group', name, external=True, env={'UV_PROJECT_ENVIRONMENT': str(P(session._runner.envdir))})
    session.run('python', '-m', 'venv', '--help', external=True, silent=True)
    P(name).touch()
    assert wait(other)
@nox.session
def one(session): meet(session, 'one', 'two')
@nox.session
def two(session): meet(session, 'two', 'one')
";
    let project = project_with_programs(sessions, &[("uv", UV)]);
    assert_passed(&run_with_programs(&project, "-j 2"));
}

#[test]
fn installs_into_environments_that_nox_creates_keep_no_sessions_apart() {
    // Environments of uv contain no `pip`: the one on PATH belongs to the environment of nox, which they do not change.
    let sessions = "
nox.options.default_venv_backend = 'uv'
def meet(session, name, other):
    session.install('-r', 'none.txt')
    P(name).touch()
    assert wait(other)
@nox.session
def one(session): meet(session, 'one', 'two')
@nox.session
def two(session): meet(session, 'two', 'one')
";
    let project = Project::with_sessions(&format!("{MEETING}{sessions}"));
    project.write("none.txt", "");
    for run in ["first", "second"] {
        // A trace would find that each waits for what the other writes.
        let ran = NoxideRun::finish(&mut noxide_command(&project, "run -j 2 --trace never"));
        assert_eq!(ran.exit, Some(0), "{run}: {}", ran.text);
        for name in ["one", "two"] {
            fs_err::remove_file(project.root().join(name)).unwrap();
        }
        let graph = NoxideRun::finish(&mut noxide_command(&project, "graph"));
        assert!(!graph.stdout.contains("lock"), "{run}: {}", graph.stdout);
    }
}

#[test]
fn real_uv_syncs_of_one_environment_do_not_disturb_each_other() {
    let wheel = |name: &str| {
        format!(
            "import base64, hashlib, zipfile\nname = '{name}'\ninfo = name + '-1.dist-info'\nfiles = {{name + '.py': b'', \
             info + '/METADATA': f'Metadata-Version: 2.1\\nName: {{name}}\\nVersion: 1\\n'.encode(), info + '/WHEEL': \
             b'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}}\n\
             record = ''.join(f'{{path}},sha256=' + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode() \
             + f',{{len(data)}}\\n' for path, data in files.items()) + info + '/RECORD,,\\n'\nfiles[info + '/RECORD'] = record.encode()\n\
             with zipfile.ZipFile(name + '-1-py3-none-any.whl', 'w') as archive:\n    \
             for path, data in files.items(): archive.writestr(path, data)\n"
        )
    };
    let sessions = "
def check(session, group):
    session.run('uv', 'sync', '--quiet', '--no-default-groups', '--group', group, external=True)
    for _ in range(5):
        session.run('.venv/bin/python', '-c', 'import ' + group, external=True, log=False)
        time.sleep(0.1)
@nox.session
def one(session): check(session, 'aaa')
@nox.session
def two(session): check(session, 'bbb')
";
    let project = Project::with_sessions(&format!("{MEETING}{sessions}"));
    project.write(
        "pyproject.toml",
        "[project]\nname = 'own'\nversion = '1'\nrequires-python = '>=3.11'\n[dependency-groups]\naaa = ['aaa']\nbbb = ['bbb']\n\
         [tool.uv]\npackage = false\n[tool.uv.sources]\naaa = { path = 'aaa-1-py3-none-any.whl' }\nbbb = { path = 'bbb-1-py3-none-any.whl' }\n",
    );
    for name in ["aaa", "bbb"] {
        run_checked(project.command(python()).arg("-c").arg(wheel(name)));
    }
    let mut command = noxide_in(project.root(), &["run", "-j", "2"]);
    command.env("UV_OFFLINE", "1").env("UV_CACHE_DIR", project.outer_dir().join("uv-cache"));
    assert_passed(&NoxideRun::finish(&mut command));
}
