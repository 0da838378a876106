//! Phases of accesses: installs and what noxide's host reads for itself are told apart from the work of a session.

use serde_json::{Value, json};

use crate::support::Project;

const NOXFILE: &str = "
import nox, os, pathlib, subprocess, sys

WAIT = '''
import os, time
def wait(path):
    until = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < until
        time.sleep(0.01)
def touch(path):
    open(path, 'w').close()
'''

@nox.session(venv_backend='uv')
def one(session):
    beside = subprocess.Popen([sys.executable, '-c', WAIT + '''
wait('.nox/installing')
open('beside.txt').read()
open('linked/data.txt').read()
touch('.nox/beside')
'''])
    session.install('.')
    session.run_install('python', '-c', WAIT + '''
open('installed.txt').read()
open('linked/data.txt').read()
open('shared.txt').read()
open('made.txt', 'w').write('made')
os.listdir('listed')
touch('.nox/installing')
wait('.nox/beside')
''')
    assert beside.wait() == 0
    session.run('python', '-c', WAIT + '''
open('shared.txt').read()
open('work.txt').read()
''')
";

/// A build backend in the project, which needs no package index.
const BACKEND: &str = "
import zipfile

def build_wheel(directory, settings=None, metadata=None):
    name, info = 'own-1.0-py3-none-any.whl', 'own-1.0.dist-info/'
    files = {
        'own.py': open('README.md').read(),
        info + 'METADATA': 'Metadata-Version: 2.1\\nName: own\\nVersion: 1.0\\n',
        info + 'WHEEL': 'Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
    }
    files[info + 'RECORD'] = ''.join(name + ',,\\n' for name in files) + info + 'RECORD,,\\n'
    with zipfile.ZipFile(directory + '/' + name, 'w') as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
";

#[test]
fn installs_are_told_apart_from_the_work_of_a_session() {
    for settings in ["", "[sessions.one.env]\nLD_PRELOAD = \"\"\n"] {
        let project = Project::new(NOXFILE);
        project.write("noxide.toml", settings);
        project.write("backend.py", BACKEND);
        project.write(
            "pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\n\
             [project]\nname = \"own\"\nversion = \"1.0\"\n",
        );
        for name in ["README.md", "beside.txt", "installed.txt", "shared.txt", "work.txt", "data/data.txt", "listed/x"]
        {
            project.write(name, "");
        }
        std::os::unix::fs::symlink("data", project.root().join("linked")).unwrap();
        let ran = project.noxide(&["trace"]);
        assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
        let directory = project.root().join(".nox/.noxide/trace/sessions");
        let file = fs_err::read_dir(directory).unwrap().next().unwrap().unwrap().path();
        let accesses: Value = serde_json::from_slice(&fs_err::read(file).unwrap()).unwrap();
        let phases = |path: &str| accesses["phases"][path].clone();
        for (path, expected) in [
            ("installed.txt", json!(["install"])),
            ("made.txt", json!(["install"])),
            ("listed", json!(["install"])),
            ("shared.txt", json!(["run", "install"])),
            ("linked", json!(["run", "install"])),
            ("data/data.txt", json!(["run", "install"])),
            ("work.txt", Value::Null),
            ("beside.txt", Value::Null),
        ] {
            assert_eq!(phases(path), expected, "{settings} {path} in {accesses:#}");
        }
        for path in ["README.md", "backend.py"] {
            let phases = phases(path).to_string();
            assert!(phases.contains("install") && !phases.contains("run"), "{settings} {path}: {accesses:#}");
        }
        assert!(accesses["read"].as_array().unwrap().contains(&json!("work.txt")), "{accesses:#}");
        assert!(!accesses["absent"].to_string().contains("noxide-phase"), "{accesses:#}");
    }
}
