//! The workflow of `noxide init`, executed by act with a wheel from an index of the test.

use super::act_run::run_act;
use super::backends::acttools;
use crate::cache::fixture::Fixture;
use crate::repository::wheel::index_program_wheel;
use crate::support::{CommandDeadline as _, noxide_command, run_checked};

#[test]
fn a_new_workflow_installs_noxide_and_its_second_run_restores() {
    let fixture = Fixture::new();
    let project = &fixture.project;
    project.write(
        "noxfile.py",
        "import nox\nnox.options.default_venv_backend = 'uv'\n\
         @nox.session\ndef one(session):\n    session.install('alpha')\n    session.run('python', '-c', 'import beta')\n\
         @nox.session(venv_backend='none')\ndef two(session): session.log('two ran')\n",
    );
    project.write(".gitignore", "uv.lock\n.venv\n.nox\n");
    let version = index_program_wheel(&project.outer_dir().join("index"));
    let created = noxide_command(project, &format!("init --install noxide=={version}")).finish();
    assert_eq!(String::from_utf8_lossy(&created.stdout), ".forgejo/workflows/noxide.yml\n");
    let git = |words: &[&str]| run_checked(project.command("git").args(words));
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x"]);

    let work = acttools("acttools-init");
    let index = format!("PIP_EXTRA_INDEX_URL={}/simple", fixture._index.url);
    let run = |more: &str| run_act(&work, project.root(), &["--drop-container", "--job-venv", "--env", &index, more]);
    let cold = run("--cold");
    assert!(cold.log.contains("cache: uploaded 2 packages") && cold.log.contains("two ran"), "{}", cold.log);
    assert_eq!(cold.artifacts, 1);
    let warm = run("--fresh-home");
    assert!(warm.log.contains("cache: downloaded 2 of 2 packages"), "{}", warm.log);
}
