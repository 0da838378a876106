//! Installs of local projects: skipped if the build backend would read nothing new, and only then.

use std::path::Path;
use std::process::Command;

use crate::support::{NoxideRun, Project, noxide_command, python, run_checked};

#[test]
fn an_install_is_skipped_only_if_the_build_backend_reads_nothing_new() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = source.join("src/project/host/program");
    let mut cases = Command::new(python());
    cases.arg(source.join("tests/it/cache/local_projects.py"));
    cases.arg(program.join("install_facts.py")).arg(program.join("local_project.py"));
    assert_eq!(run_checked(&mut cases), "196 cases\n");
}

/// Runs the session, which must pass; returns how many installs ran and were skipped.
fn install(project: &Project) -> (u32, u32) {
    let mut command = noxide_command(project, "run --output stream");
    let ran = NoxideRun::finish(command.env("UV_CACHE_DIR", project.outer_dir().join("uv")));
    assert_eq!(ran.code(), 0, "{}", ran.text);
    let install = project.newest_record().sessions[0].result.as_ref().unwrap().install.unwrap();
    (install.commands, install.skipped)
}

#[test]
fn a_new_top_level_package_is_installed_and_a_stray_file_is_not() {
    let pyproject = "[build-system]\nrequires = ['setuptools>=61']\nbuild-backend = 'setuptools.build_meta'\n\
        [project]\nname = 'own'\nversion = '1'\n[tool.setuptools.packages.find]\ninclude = ['own*', 'late*']\n";
    for backend in ["uv", "virtualenv"] {
        let project = Project::new(&format!(
            "import nox, os\n@nox.session(venv_backend={backend:?}, reuse_venv=True)\ndef one(session):\n    \
             session.install('-e', '.')\n    names = [n for n in ('own', 'late') if os.path.isdir(n)]\n    \
             with session.chdir(session.create_tmp()):\n        \
             session.run('python', '-c', 'import ' + ', '.join(names))\n"
        ));
        project.write("pyproject.toml", pyproject);
        project.write("own/__init__.py", "");
        assert_eq!(install(&project), (1, 0), "{backend}");
        assert_eq!(install(&project), (0, 1), "{backend}");
        for stray in ["notes.txt", "todo.md", "Makefile"] {
            project.write(stray, "x");
        }
        project.write("own/more.py", "");
        assert_eq!(install(&project), (0, 1), "{backend}: nothing of that is read");
        project.write("late/__init__.py", "");
        assert_eq!(install(&project), (1, 0), "{backend}: the session imports the new package");
        assert_eq!(install(&project), (0, 1), "{backend}");
    }
}
