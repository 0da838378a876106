//! Fixes that could do harm: what they keep, and where they are refused.

use noxide::audit::fix::FixLevel;

use super::audit_project::{apply_fixes, directory, find};

const FILE: &str = ".forgejo/workflows/ci.yml";
const NOXFILE: &str = "import nox\n@nox.session\ndef a(s):\n    s.run('vulture')\n@nox.session\ndef b(s):\n    s.run('mypy', *s.posargs)\n@nox.session\ndef c(s):\n    s.run('pyright')\n";

#[test]
fn noxide_run_is_written_only_where_noxide_is_installed() {
    let text = |tools: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: pip install {tools}\n      - run: nox -s a c\n"
        )
    };
    for (tools, expected) in [("nox==1", false), ("nox==1 noxide==1", true)] {
        let root = directory(&[(FILE, &text(tools)), ("noxfile.py", NOXFILE)]);
        let shown = find(root.path(), false);
        let fix =
            shown.iter().find(|finding| finding.rule.id == "NX201").and_then(|finding| finding.fix.as_ref()).unwrap();
        assert_eq!(fix.title.contains("requires noxide"), !expected);
        apply_fixes(root.path(), FixLevel::Unsafe);
        let new = fs_err::read_to_string(root.path().join(FILE)).unwrap();
        assert_eq!((new.contains("noxide run -s a c"), new.contains("noxide==0")), (expected, false), "{new}");
    }
}

#[test]
fn concurrency_is_added_only_for_pull_requests_that_share_no_group() {
    let job = "jobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: nox -s a\n";
    let group = "concurrency:\n  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}\n  cancel-in-progress: true\n";
    let added = |text: &str| {
        let root = directory(&[(FILE, text)]);
        apply_fixes(root.path(), FixLevel::Safe);
        fs_err::read_to_string(root.path().join(FILE)).unwrap().contains(group)
    };
    for on in [
        "pull_request",
        "[push, pull_request]",
        "{pull_request: {types: [opened, synchronize]}, schedule: [{cron: '0 0 * * *'}]}",
    ] {
        assert!(added(&format!("on: {on}\n{job}")), "{on}");
    }
    for on in [
        "push",
        "release",
        "workflow_dispatch",
        "{schedule: [{cron: '0 0 * * *'}]}",
        "[pull_request, workflow_call]",
        "[pull_request, pull_request_target]",
        "{pull_request: {types: [opened, closed]}}",
        "{pull_request: {types: [labeled]}}",
    ] {
        assert!(!added(&format!("on: {on}\n{job}")), "{on}");
    }
    for other in [
        "  b: {uses: ./.forgejo/workflows/x.yml}\n",
        "  deploy-pages: {runs-on: docker, timeout-minutes: 3, steps: [{run: x}]}\n",
        "  b: {runs-on: docker, timeout-minutes: 3, steps: [{run: twine upload x}]}\n",
        "  b: {runs-on: docker, timeout-minutes: 3, steps: [{run: gh release create v1}]}\n",
    ] {
        assert!(!added(&format!("on: pull_request\n{job}{other}")), "{other}");
    }
}

#[test]
fn new_artifact_versions_keep_the_artifacts() {
    let upload = |more: &str, with: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    timeout-minutes: 3\n{more}    steps:\n      - uses: actions/upload-artifact@v3\n        with: {with}\n"
        )
    };
    let matrix = "    strategy: {matrix: {s: [a, b]}}\n";
    for (text, expected) in [
        (upload("", "{name: x, path: build/x}"), true),
        (upload(matrix, "{name: 'x-${{ matrix.s }}', path: build/x}"), true),
        (upload(matrix, "{name: x, path: build/x}"), false),
        (upload("", "{name: x, path: .coverage}"), false),
        (upload("", "{name: x, path: build/.hidden/x}"), false),
        (upload("", "{name: x, path: '${{ env.OUT }}'}"), false),
        (
            upload(
                "",
                "{name: x, path: x}\n      - uses: actions/upload-artifact@v3\n        with: {name: x, path: y}",
            ),
            false,
        ),
        (upload("", "{name: x, path: x}").replace("ubuntu-latest", "self-hosted"), false),
    ] {
        let root = directory(&[(".github/workflows/ci.yml", &text)]);
        apply_fixes(root.path(), FixLevel::Unsafe);
        let new = fs_err::read_to_string(root.path().join(".github/workflows/ci.yml")).unwrap();
        assert_eq!(new.contains("upload-artifact@v6"), expected, "{text}");
    }
}

#[test]
fn a_key_is_completed_and_nothing_of_it_is_lost() {
    let cache = |path: &str, key: &str| {
        format!(
            "      - uses: actions/cache@v4\n        with:\n          path: {path}\n          key: {key}\n      - run: nox -s a\n"
        )
    };
    let head =
        "on: push\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    container: python:3.13\n    steps:\n";
    let key = |path: &str, key: &str| {
        let text = format!("{head}{}", cache(path, key));
        let root = directory(&[(FILE, &text), ("noxfile.py", NOXFILE), ("pyproject.toml", "")]);
        apply_fixes(root.path(), FixLevel::Unsafe);
        let new = fs_err::read_to_string(root.path().join(FILE)).unwrap();
        new.lines().find_map(|line| line.trim().strip_prefix("key: ").map(str::to_owned)).unwrap()
    };
    assert_eq!(
        key("~/.cache/uv", "deps-${{ env.ROUND }}-${{ hashFiles('pyproject.toml') }}-x"),
        "deps-${{ env.ROUND }}-${{ runner.os }}-${{ runner.arch }}-py3.13-${{ hashFiles('pyproject.toml', 'noxfile.py') }}-x"
    );
    assert_eq!(
        key("~/.cache/pip", "pip-${{ runner.os }}"),
        "pip-${{ runner.os }}-py3.13-${{ hashFiles('pyproject.toml', 'noxfile.py') }}"
    );
    for (path, other) in [
        ("[~/.cache/uv, target]", "x-${{ hashFiles('pyproject.toml') }}"),
        ("tests/data", "data-v1"),
        ("\"|\\n~/.cache/uv\\ntarget\"", "x-${{ hashFiles('pyproject.toml') }}"),
        ("~/.cache/uv", "x-${{ hashFiles('pyproject.toml') }}-${{ hashFiles('uv.lock') }}"),
    ] {
        assert_eq!(key(path, other), other, "{path}");
    }
}

#[test]
fn a_cache_is_added_only_for_the_tools_of_the_job_on_linux() {
    let job = |runner: &str, steps: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: {runner}\n    timeout-minutes: 3\n    steps:\n      - uses: actions/checkout@v4\n{steps}"
        )
    };
    let nox = "      - run: pip install nox==1 sphinx\n      - run: nox -s a\n";
    let uv = NOXFILE.replace("import nox\n", "import nox\nnox.options.default_venv_backend = 'uv'\n");
    let path = |text: &str, noxfile: Option<&str>| {
        let mut files = vec![(".github/workflows/ci.yml", text), ("pyproject.toml", "")];
        files.extend(noxfile.map(|text| ("noxfile.py", text)));
        let root = directory(&files);
        apply_fixes(root.path(), FixLevel::Unsafe);
        let new = fs_err::read_to_string(root.path().join(".github/workflows/ci.yml")).unwrap();
        let after = new.split("path: |\n").nth(1).unwrap_or_default();
        let paths: Vec<&str> = after.lines().map(str::trim).take_while(|line| !line.starts_with("key:")).collect();
        assert!(!new.contains("hashFiles('uv.lock')") && !new.contains("noxide: ignore"), "{new}");
        paths.join(" ")
    };
    let ubuntu = "ubuntu-latest";
    assert_eq!(path(&job(ubuntu, nox), Some(NOXFILE)), "~/.cache/pip");
    assert_eq!(path(&job(ubuntu, nox), Some(&uv)), "~/.cache/uv ~/.cache/pip");
    assert_eq!(path(&job(ubuntu, "      - run: uv pip install sphinx && uvx nox -s a\n"), Some(&uv)), "~/.cache/uv");
    assert_eq!(path(&job(ubuntu, nox), None), "", "sessions of an unknown backend");
    for runner in ["windows-latest", "macos-latest", "self-hosted", "${{ matrix.os }}"] {
        assert_eq!(path(&job(runner, nox), Some(NOXFILE)), "", "{runner}");
    }
    let poetry = "      - run: poetry install\n      - run: nox -s a\n";
    assert_eq!(path(&job(ubuntu, poetry), Some(NOXFILE)), "");
    let release = format!(
        "{}  publish:\n    needs: a\n    runs-on: ubuntu-latest\n    timeout-minutes: 3\n    steps:\n      - uses: pypa/gh-action-pypi-publish@v1\n",
        job(ubuntu, nox)
    );
    assert_eq!(path(&release, Some(NOXFILE)), "");
    let plain = job(ubuntu, nox);
    for (old, new) in [
        ("on: push\n", "on: push\npermissions: {contents: write}\n"),
        ("on: push\n", "on: [push, release]\n"),
        ("on: push\n", "on: {push: {branches: [release-*]}}\n"),
        ("on: push\n", "on: {push: {tags: ['v*'], branches: [main]}}\n"),
        ("    timeout-minutes: 3\n", "    timeout-minutes: 3\n    permissions: {id-token: write}\n"),
        ("  a:\n", "  tag-version:\n"),
        ("  a:\n", "  build-wheels:\n"),
        (nox, &format!("{nox}      - uses: actions/upload-artifact@v6\n        with: {{name: x, path: dist/}}\n")),
    ] {
        assert!(plain.contains(old), "{old}");
        assert_eq!(path(&plain.replacen(old, new, 1), Some(NOXFILE)), "", "{new}");
    }
}

#[test]
fn findings_of_the_baseline_are_not_fixed() {
    let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: x\n";
    let root = directory(&[(FILE, text)]);
    let known = root.path().join("known.json");
    let noxide = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_noxide"));
        let output = command.args(words).current_dir(root.path()).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    noxide(&["audit", "--baseline", "known.json", "--write-baseline"]);
    assert!(known.is_file());
    let said = noxide(&["audit", "--fix", "--unsafe-fixes", "--baseline", "known.json"]);
    assert!(said.contains("applied 0 fixes to 0 files: 0 findings before, 0 left"), "{said}");
    let more =
        text.replace("      - run: x\n", "      - run: x\n  b:\n    runs-on: docker\n    steps:\n      - run: x\n");
    fs_err::write(root.path().join(FILE), more).unwrap();
    noxide(&["audit", "--fix", "--unsafe-fixes", "--baseline", "known.json"]);
    let new = fs_err::read_to_string(root.path().join(FILE)).unwrap();
    let after_b = new.split("  b:\n").nth(1).unwrap();
    assert!(after_b.contains("timeout-minutes") && new.matches("timeout-minutes").count() == 1, "{new}");
}

#[test]
fn modes_and_links_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: x\n";
    let root = directory(&[(FILE, text), ("shared/other.yml", text)]);
    let outside = directory(&[("x.yml", text)]);
    let directory = root.path().join(".forgejo/workflows");
    let mode = |path: &std::path::Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    fs_err::set_permissions(root.path().join(FILE), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::os::unix::fs::symlink("ci.yml", directory.join("a.yml")).unwrap();
    fs_err::os::unix::fs::symlink("../../shared/other.yml", directory.join("linked.yml")).unwrap();
    let noxide = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_noxide"));
        command.args(["audit", "--fix", "--unsafe-fixes"]).current_dir(root.path()).output().unwrap()
    };
    assert!(noxide().status.success());
    let count = |path: &str| fs_err::read_to_string(root.path().join(path)).unwrap().matches("timeout-minutes").count();
    assert_eq!((count(FILE), count("shared/other.yml"), mode(&root.path().join(FILE))), (1, 1, 0o755));
    for link in ["a.yml", "linked.yml"] {
        assert!(fs_err::symlink_metadata(directory.join(link)).unwrap().is_symlink(), "{link}");
    }
    fs_err::os::unix::fs::symlink(outside.path().join("x.yml"), directory.join("outside.yml")).unwrap();
    let refused = noxide();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("outside.yml:1: no fix"), "{said}");
    assert_eq!(fs_err::read_to_string(outside.path().join("x.yml")).unwrap(), text);
}

#[test]
fn the_reported_cache_step_is_corrected_and_no_other() {
    let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    env: {UV_CACHE_DIR: /tmp/uv-cache}\n    steps:\n      - uses: actions/cache@v4\n        with:\n          path: tests/data\n          key: data-1\n      - uses: actions/cache@v4\n        with:\n          path: |\n            ~/.cache/pip\n            ~/.cache/uv\n          key: uv-${{ runner.os }}-py3-${{ hashFiles('uv.lock') }}\n      - run: uvx nox -s a\n";
    let root = directory(&[(FILE, text)]);
    apply_fixes(root.path(), FixLevel::Unsafe);
    let new = fs_err::read_to_string(root.path().join(FILE)).unwrap();
    assert!(new.contains("path: tests/data\n          key: data-1\n"), "{new}");
    assert!(new.contains("            ~/.cache/pip\n            /tmp/uv-cache\n"), "{new}");
}
