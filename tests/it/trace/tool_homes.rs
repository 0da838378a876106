//! Homes of tools that lock what they share, such as cargo's: no conflicts on that, but on settings and programs there.

use serde_json::Value;

use crate::support::{NoxideRun, Project, noxide_in};

const NOXFILE: &str = "
import nox, os, pathlib, sqlite3
nox.options.default_venv_backend = 'none'
HOME = pathlib.Path(os.environ['HOME'])

def note_use(home, name):
    home.mkdir(parents=True, exist_ok=True)
    with open(home / '.package-cache', 'a') as lock:
        lock.write(name)
    database = sqlite3.connect(home / '.global-cache')
    database.execute('CREATE TABLE IF NOT EXISTS used (name)')
    database.execute('INSERT INTO used VALUES (?)', [name])
    database.commit()
    database.close()
    (home / 'registry' / 'src').mkdir(parents=True, exist_ok=True)
    (home / 'registry' / 'src' / 'unpacked').write_text(name)

@nox.session
def one(session):
    note_use(HOME / '.cargo', 'one')
    (HOME / '.cargo' / 'config.toml').write_text('one')
    (HOME / 'go' / 'pkg' / 'mod').mkdir(parents=True, exist_ok=True)
    (HOME / 'go' / 'pkg' / 'mod' / 'lock').write_text('one')
    (HOME / '.rustup').mkdir(exist_ok=True)
    (HOME / '.rustup' / 'settings.toml').write_text('one')

@nox.session
def two(session):
    note_use(HOME / '.cargo', 'two')
    (HOME / '.cargo' / 'config.toml').read_text()
    (HOME / 'go' / 'pkg' / 'mod' / 'lock').write_text('two')
    (HOME / '.rustup' / 'settings.toml').write_text('two')
";

#[test]
fn what_tools_lock_themselves_is_no_conflict() {
    let project = Project::new(NOXFILE);
    let home = project.outer_dir().canonicalize().unwrap().join("home");
    fs_err::create_dir(&home).unwrap();
    let mut command = noxide_in(project.root(), &["trace", "--format", "json"]);
    command.env("HOME", &home);
    for name in ["CARGO_HOME", "GOPATH", "GOMODCACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let conflicts = report["conflicts"].as_array().unwrap().iter();
    let paths: Vec<&str> = conflicts.map(|conflict| conflict["path"].as_str().unwrap()).collect();
    let expected = [".cargo/config.toml", ".rustup/settings.toml"].map(|name| home.join(name).display().to_string());
    assert_eq!(paths, expected, "{}", ran.stdout);
}
