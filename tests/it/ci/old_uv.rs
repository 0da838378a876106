//! A uv that records no digests: packages in a lock file are stored, others are reported.

use std::process::Command;

use super::step::{Machine, names};
use crate::cache::fixture::Fixture;
use crate::support::{build_once, python, run_checked};

const NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'uv'\n\
    @nox.session\ndef one(session):\n    session.install('alpha')\n    session.run('python', '-c', 'import alpha, beta')\n";

#[test]
fn locked_packages_are_saved_from_a_uv_without_digests() {
    // The one that the users' workflows pin.
    let old = build_once("uv-0.8.0", |dir| {
        run_checked(Command::new(python()).args(["-m", "venv"]).arg(dir));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nox==2026.10.20", "uv==0.8.0"];
        run_checked(Command::new(dir.join("bin/python")).args(pip));
    });
    let nox = old.join("bin/nox").display().to_string();
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", NOXFILE);
    let remote_dir = fixture.project.outer_dir().join("remote").display().to_string();
    let run = |name: &'static str, more: &[&str]| {
        let machine = Machine { fixture: &fixture, name };
        let (ran, cache) = machine.ci(&[&["--remote", &remote_dir], more].concat(), &[("NOXIDE_NOX", &nox)]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        (ran.text, cache)
    };
    let (output, cache) = run("first-machine", &[]);
    assert!(
        output.contains("2 packages downloaded by sessions cannot be saved: uv 0.8.0 records digests only"),
        "{output}"
    );
    assert_eq!(names(&cache["uploaded"]["packages"]), [""; 0], "{cache:#}");

    let (output, cache) = run("second-machine", &["--locked"]);
    assert!(!output.contains("cannot be kept"), "{output}");
    assert_eq!(names(&cache["uploaded"]["packages"]), ["alpha 1.0", "beta 2.0"], "{cache:#}");
    let (_, cache) = run("third-machine", &["--locked"]);
    assert_eq!(names(&cache["downloaded"]["packages"]), ["alpha 1.0", "beta 2.0"], "{cache:#}");
    assert_eq!(cache["uploaded"]["bytes"], 0, "{cache:#}");
}
