//! Single cases of rules: composite actions, cycles, absolute paths, release jobs, forge versions.

use noxide::audit::fix::FixLevel;
use noxide::audit::forge::Forge;
use noxide::audit::options::AuditOptions;
use noxide::audit::rule_runner::run_audit;

use super::audit_project::{apply_fixes, directory, find, lines, read};

const FILE: &str = ".forgejo/workflows/ci.yml";

fn found(text: &str) -> Vec<String> {
    lines(&find(directory(&[(FILE, text)]).path(), true))
}

fn ids(text: &str) -> Vec<String> {
    found(text).iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
}

fn job(more: &str) -> String {
    format!("on: workflow_call\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n{more}")
}

#[test]
fn cycles_of_needs_are_reported() {
    let text = "on: push\njobs:\n  a: {needs: b, runs-on: x, steps: []}\n  b: {needs: c, runs-on: x, steps: []}\n  c: {needs: [a, d], runs-on: x, steps: []}\n  d: {runs-on: x, steps: []}\n  e: {needs: a, runs-on: x, steps: []}\n";
    let cycles: Vec<String> = found(text).into_iter().filter(|line| line.contains("needs itself")).collect();
    assert_eq!(cycles.len(), 3, "{cycles:?}");
    assert!(found(&text.replace("needs: a,", "needs: aa,")).iter().any(|line| line.contains("did you mean `a`")));
}

#[test]
fn a_cache_in_a_composite_action_counts() {
    let action = "name: setup\ndescription: x\nruns:\n  using: composite\n  steps:\n    - uses: actions/cache@v4\n      with: {path: ~/.cache/uv, key: \"uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}\"}\n    - run: pip install uv==1 nox\n      shell: bash\n";
    let workflow = job(
        "    steps:\n      - uses: actions/checkout@v4\n      - uses: ./.forgejo/actions/setup\n      - run: nox -s a\n",
    );
    let lock = ("uv.lock", "[[package]]\nname = \"nox\"\nversion = \"2026.1\"\n");
    let root = directory(&[(FILE, &workflow), (".forgejo/actions/setup/action.yml", action), lock]);
    let all = find(root.path(), false);
    assert!(!all.iter().any(|finding| finding.rule.id == "NX101"), "{:?}", lines(&all));
    let pinned = apply_fixes(root.path(), FixLevel::Unsafe);
    assert!(
        pinned
            .changed_files
            .iter()
            .any(|changed| changed.new.text.contains("nox==") && changed.new.path.ends_with("action.yml"))
    );
    let bare = action.replace("actions/cache@v4", "actions/other@v4");
    let root = directory(&[(FILE, &workflow), (".forgejo/actions/setup/action.yml", &bare)]);
    assert!(find(root.path(), false).iter().any(|finding| finding.rule.id == "NX101"));
}

#[test]
fn paths_valid_on_one_runner_only_are_reported() {
    for path in ["/home/runner/.cache/uv", "${{ github.workspace }}/.nox"] {
        let text = job(&format!(
            "    steps:\n      - uses: actions/cache@v4\n        with:\n          path: {path}\n          key: x-${{{{ runner.os }}}}-python-${{{{ hashFiles('a') }}}}\n      - run: nox -s a\n"
        ));
        assert!(
            found(&text).iter().any(|line| line.contains("NX114") && line.contains("differs between runners")),
            "{path}"
        );
    }
}

#[test]
fn jobs_that_publish_get_no_cache() {
    for more in [
        "    environment: pypi\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install nox\n",
        "    environment: {name: release}\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          pip install nox\n",
        "    if: startsWith(github.ref, 'refs/tags/')\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install nox\n",
        "    steps:\n      - uses: actions/checkout@v4\n      - run: pip install nox twine\n      - run: twine upload dist/*\n",
        "    steps:\n      - uses: actions/checkout@v4\n      - run: pip install nox\n      - uses: pypa/gh-action-pypi-publish@v1\n",
    ] {
        let root = directory(&[(FILE, &job(more))]);
        assert!(!find(root.path(), true).iter().any(|finding| finding.rule.id == "NX101"), "{more}");
        apply_fixes(root.path(), FixLevel::Unsafe);
        let text = fs_err::read_to_string(root.path().join(FILE)).unwrap();
        assert!(!text.contains("actions/cache"), "{text}");
    }
    let builds = "on: push\njobs:\n  build:\n    runs-on: docker\n    steps:\n      - run: pip install nox .\n  upload:\n    needs: build\n    runs-on: docker\n    steps:\n      - run: gh release create v1\n";
    assert!(
        !ids(builds).contains(&"NX101".to_owned())
            && ids(&builds.replace("gh release create v1", "x")).contains(&"NX101".to_owned())
    );
}

#[test]
fn a_forge_that_cancels_superseded_runs_needs_no_concurrency() {
    let text = "on: push\njobs:\n  a: {runs-on: docker, timeout-minutes: 3, steps: [{run: nox -s x}]}\n";
    for (forge, version, expected) in [
        (Forge::Forgejo, Some("14"), false),
        (Forge::Forgejo, Some("11"), true),
        (Forge::Gitea, Some("1.25"), false),
        (Forge::Gitea, Some("1.26"), true),
        (Forge::Gitea, None, true),
        (Forge::Github, None, true),
    ] {
        let root = directory(&[(FILE, text)]);
        let options = AuditOptions {
            forge: Some(forge),
            forge_version: version.map(|version| version.parse().unwrap()),
            ..AuditOptions::default()
        };
        let all = run_audit(&read(root.path(), options)).findings;
        assert_eq!(all.iter().any(|finding| finding.rule.id == "NX302"), expected, "{forge} {version:?}");
    }
}

#[test]
fn sessions_are_found_however_they_are_selected() {
    let noxfile = "import nox\nnox.options.sessions = ['a', 'b']\n@nox.session(tags=['ci'])\ndef a(s): s.run('mypy')\n@nox.session(tags=['ci'])\ndef b(s): s.run('vulture')\n@nox.session\ndef c(s): s.run('pyright')\n";
    for (step, expected) in [
        ("run: nox -t ci", "a, b"),
        ("run: nox", "a, b"),
        ("run: nox -k c -s", ""),
        ("run: NOXSESSION=a,c nox", "a, c"),
        ("run: nox -s a-3.12 'b(x=1)' c", "a-3.12, b(x=1), c"),
        ("{run: nox, env: {NOXSESSION: 'b,c'}}", "b, c"),
    ] {
        let text = job(&format!("    steps:\n      - {step}\n"));
        let root = directory(&[(FILE, &text), ("noxfile.py", noxfile)]);
        let lines = lines(&find(root.path(), false));
        let sequential = lines.iter().find(|line| line.contains("NX201"));
        let names = sequential.and_then(|line| line.rsplit(": ").next()).unwrap_or_default();
        assert_eq!(names, expected, "{step}: {lines:?}");
    }
    let chain =
        "import nox\n@nox.session\ndef a(s): s.run('mypy')\n@nox.session(requires=['a'])\ndef b(s): s.run('vulture')\n";
    let root = directory(&[(FILE, &job("    steps:\n      - run: nox -s a b\n")), ("noxfile.py", chain)]);
    assert!(!find(root.path(), false).iter().any(|finding| finding.rule.id == "NX201"));
}

#[test]
fn order_dependent_sessions_are_not_reported_as_sequential() {
    let git = "import nox\n@nox.session\ndef a(s): s.run('git', 'commit')\n@nox.session\ndef b(s): s.run('y')\n";
    let root = directory(&[(FILE, &job("    steps:\n      - run: nox -s a b\n")), ("noxfile.py", git)]);
    assert!(find(root.path(), true).iter().any(|finding| finding.message.contains("writes to the repository")));
    for steps in [
        "      - run: nox -s a\n      - run: echo A=1 >> \"$GITHUB_ENV\"\n      - run: nox -s b\n",
        "      - run: nox -s a\n      - if: github.ref == 'x'\n        run: nox -s b\n",
    ] {
        let all = ids(&job(&format!("    steps:\n{steps}")));
        assert!(all.contains(&"NX206".to_owned()) && !all.contains(&"NX201".to_owned()), "{all:?}");
    }
}

#[test]
fn variables_and_flags_that_keep_the_lock_file_are_recognized() {
    for (text, expected) in [
        ("    env: {UV_LOCKED: '1'}\n    steps:\n      - run: uv sync\n", false),
        ("    steps:\n      - run: uv run --no-project x\n", false),
        ("    steps:\n      - run: uv pip install x\n", false),
        ("    steps:\n      - run: uv run x\n", true),
    ] {
        let root = directory(&[(FILE, &job(text)), ("uv.lock", "")]);
        assert_eq!(find(root.path(), true).iter().any(|finding| finding.rule.id == "NX405"), expected, "{text}");
    }
    let scm = job("    steps:\n      - uses: actions/checkout@v4\n        with: {fetch-depth: 0}\n");
    let root = directory(&[(FILE, &scm), ("pyproject.toml", "[build-system]\nrequires = ['setuptools-scm']\n")]);
    assert!(find(root.path(), true).iter().all(|finding| finding.rule.id != "NX406"));
    let off = job("    steps:\n      - uses: astral-sh/setup-uv@v7\n        with: {enable-cache: false}\n");
    assert!(ids(&off).contains(&"NX106".to_owned()));
}
