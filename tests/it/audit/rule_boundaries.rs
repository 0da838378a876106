//! What the newest rules report, and workflows like it that are right.

use super::audit_project::{directory, find};

const FILE: &str = ".github/workflows/ci.yml";
const HOOKS: &str = "repos:\n  - repo: https://example.org/hooks\n    rev: v1\n    hooks: [{id: x}]\n";
const NOXFILE: &str = "import nox\n@nox.session\ndef lint(session):\n    session.install('pre-commit')\n    session.run('pre-commit', 'run', '--all-files')\n@nox.session\ndef docs(session):\n    session.run('sphinx-build')\n@nox.session\ndef maybe(session):\n    if session.posargs:\n        session.run('pre-commit', 'run')\n";

const CHECKS: &str = "import nox\n@nox.session\ndef lint(session):\n    session.run('ruff', 'check')\n@nox.session\ndef docs(session):\n    session.run('sphinx-build')\n@nox.session\ndef types(session):\n    session.run('mypy')\n@nox.session\ndef generate(session):\n    session.run('python', 'generate.py')\n";

fn has(id: &str, files: &[(&str, &str)]) -> bool {
    find(directory(files).path(), true).iter().any(|finding| finding.rule.id == id)
}

/// Checks that a rule reports the first workflows and none of the others.
fn check(id: &str, others: &[(&str, &str)], reported: &[String], silent: &[String]) {
    let with = |text: &str| {
        let mut files = vec![(FILE, text)];
        files.extend(others);
        has(id, &files)
    };
    for text in reported {
        assert!(with(text), "{id} is not reported:\n{text}");
    }
    for text in silent {
        assert!(!with(text), "{id} is reported:\n{text}");
    }
}

fn job(steps: &str) -> String {
    format!(
        "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v6\n{steps}"
    )
}

#[test]
fn hooks_are_cached_by_a_path_or_by_an_action() {
    let hooks = [(".pre-commit-config.yaml", HOOKS), ("noxfile.py", NOXFILE)];
    let run = "      - run: nox -s lint\n";
    let cache = |path: &str| {
        format!(
            "      - uses: actions/cache@v5\n        with:\n          path: {path}\n          key: x-${{{{ runner.os }}}}-py3-${{{{ hashFiles('.pre-commit-config.yaml') }}}}\n"
        )
    };
    let silent = [
        job("      - run: nox -s docs\n"),
        job("      - run: nox -s maybe\n"),
        job("      - run: nox -s lint\n        if: github.ref == 'x'\n"),
        job("      - run: pre-commit run mypy\n"),
        job("      - run: pre-commit autoupdate && pre-commit run -a\n"),
        job("      - run: nox -s lint -- mypy\n"),
        job("      - run: pre-commit autoupdate\n"),
        job("      - uses: pre-commit/action@v3.0.1\n"),
        job("      - uses: j178/prek-action@v1\n"),
        job(&(cache("~/.cache/pre-commit") + run)),
        job(&(cache("~/.cache") + run)),
        job(&(cache("${{ env.HOOKS }}") + run)),
        job(&format!("      - uses: ./.github/actions/setup\n{run}")),
        job(&format!("{run}        env: {{PRE_COMMIT_HOME: .hooks}}\n")),
        job(run).replace("ubuntu-latest", "self-hosted"),
        job(run).replace("on: pull_request", "on: {schedule: [{cron: '0 0 * * 1'}]}"),
    ];
    let reported = [
        job(run),
        job(&(cache("~/.cache/pip") + run)),
        job("      - run: uvx pre-commit run -a\n"),
        job("      - run: prek run\n"),
    ];
    check("NX124", &hooks, &reported, &silent);
    let local = "repos:\n  - repo: local\n    hooks: [{id: x, language: system, entry: x, name: x}]\n";
    check("NX124", &[(".pre-commit-config.yaml", local), ("noxfile.py", NOXFILE)], &[], &[job(run)]);
}

#[test]
fn globs_that_a_file_may_match_are_not_reported() {
    let setup = |glob: &str| {
        format!(
            "      - uses: astral-sh/setup-uv@v7\n        with:\n          enable-cache: true\n          cache-dependency-glob: {glob}\n"
        )
    };
    let silent = [
        job(&setup("pyproject.toml")),
        job(&setup("\"**/requirements*.txt\"")),
        job(&setup("requirements")),
        job(&setup("\"none.txt\\npyproject.toml\"")),
        job(&setup("${{ inputs.glob }}")),
        job(&setup("\"!none.txt\"")),
        job(&setup("/tmp/none.txt")),
        job(&format!("      - run: uv export > none.txt\n{}", setup("none.txt"))),
        job(&setup("none.txt")).replace("checkout@v6\n", "checkout@v6\n        with: {path: x}\n"),
        job(&format!("{}          working-directory: x\n", setup("none.txt"))),
    ];
    let files = [("pyproject.toml", ""), ("requirements/requirements-dev.txt", "")];
    check("NX125", &files, &[job(&setup("uv.lock")), job(&setup("\"*.txt\""))], &silent);
}

#[test]
fn calls_that_differ_in_more_than_names_are_not_repeated() {
    let run = |lines: &[&str]| job(&format!("      - run: |\n          {}\n", lines.join("\n          ")));
    let silent = [
        run(&["nox -s generate", "nox -s docs"]),
        run(&["nox -s lint", "nox -s docs -- x"]),
        run(&["nox -s lint", "nox -r -s docs"]),
        run(&["nox -s lint", "A=1 nox -s docs"]),
        run(&["nox -s lint", "echo x", "nox -s docs"]),
        run(&["nox -s lint | tee log", "nox -s docs"]),
        run(&["nox -s lint || nox -s docs"]),
        run(&["nox -s lint &", "nox -s docs"]),
        run(&["nox -s lint", "nox -s lint"]),
        run(&["nox -s lint", "nox"]),
        run(&["nox -s lint", "nox -t docs"]),
        run(&["nox -s lint", "nox -s $X"]),
        run(&["nox -s lint", "if x; then nox -s docs; fi"]),
        run(&["for s in lint docs; do nox -s $s; done"]),
        job("      - run: nox -s lint\n      - run: nox -s docs\n"),
    ];
    let reported = [
        run(&["nox -s lint", "nox -s docs"]),
        run(&["nox -s lint && nox -s docs"]),
        run(&["python -m nox -R -s lint", "python -m nox -R -s docs types"]),
    ];
    check("NX216", &[("noxfile.py", CHECKS)], &reported, &silent);
}

#[test]
fn interpreters_that_a_session_needs_are_not_too_many() {
    let matrix = |steps: &str| {
        format!(
            "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n        python: ['3.12', '3.13']\n        s: [lint, tests]\n    steps:\n{steps}"
        )
    };
    let setup = "      - uses: actions/setup-python@v6\n        with:\n          python-version: |\n            3.11\n            3.12\n            3.13\n";
    let nox = "      - uses: wntrblm/nox@2026.04.10\n";
    let run = "      - run: nox -s tests-${{ matrix.python }}\n";
    let silent = [
        matrix(&format!("{nox}      - run: nox -s ${{{{ matrix.s }}}}\n")),
        matrix(&format!("{setup}{run}")),
        matrix(&format!("{nox}      - run: nox -s tests\n")),
        matrix(&format!("{nox}{run}      - run: nox -s docs\n")),
        matrix(&format!("{nox}        with: {{python-versions: '3.13'}}\n{run}")),
        matrix(&format!("{nox}        with: {{python-versions: '${{{{ matrix.python }}}}'}}\n{run}")),
        matrix(&format!("{nox}        if: matrix.s == 'tests'\n{run}")),
        matrix(&format!(
            "      - uses: actions/setup-python@v6\n        with: {{python-version: '>= 3.12 < 3.14'}}\n{run}"
        )),
        job(&format!("{nox}{run}")),
    ];
    let reported = [
        matrix(&format!("{nox}{run}")),
        matrix(&format!("{nox}      - run: nox -s tests -p ${{{{ matrix.python }}}}\n")),
        matrix(&format!("{nox}        with: {{python-versions: '3.12, 3.13, 3.14'}}\n{run}")),
    ];
    check("NX217", &[], &reported, &silent);
}

#[test]
fn a_commit_as_fallback_is_a_choice() {
    let group = |group: &str, cancel: &str| {
        format!(
            "on: [push, pull_request]\nconcurrency:\n  group: {group}\n  cancel-in-progress: {cancel}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox\n"
        )
    };
    let sha = "${{ github.workflow }}-${{ github.sha }}";
    let silent = [
        group("${{ github.workflow }}-${{ github.event.pull_request.number || github.sha }}", "true"),
        group("${{ github.head_ref || github.run_id }}", "true"),
        group("${{ github.ref }}", "true"),
        group(sha, "false"),
        group(sha, "${{ github.ref != 'x' }}"),
        group(sha, "true").replace("[push, pull_request]", "{push: {tags: ['v*']}}"),
        group(sha, "true").replace("[push, pull_request]", "merge_group"),
    ];
    check("NX309", &[], &[group(sha, "true"), group("x-${{github.run_id}}", "true")], &silent);
}

#[test]
fn using_results_or_outputs_of_other_jobs_requires_needs() {
    let with = |needs: &str, more: &str| {
        format!(
            "on: push\njobs:\n  a: {{runs-on: x, steps: [{{run: x}}]}}\n  B: {{runs-on: x, steps: [{{run: x}}]}}\n  c:\n    needs: {needs}\n{more}    runs-on: x\n    steps:\n      - run: x\n"
        )
    };
    let silent = [
        with("a", "    if: needs.a.result == 'success'\n"),
        with("[a, B]", "    if: always() && needs.b.result == 'success'\n"),
        with("a", "    if: contains(needs.*.result, 'failure')\n"),
        with("a", "    name: needs.b.result\n"),
        with("a", "    # if: needs.b.result\n"),
        with("a", "    if: contains('needs.b.result', needs.a.outputs.x)\n"),
        with("a", "    env: {X: \"${{ toJSON(needs) }} needs.b.result\"}\n"),
    ];
    let reported = [
        with("a", "    if: needs.b.result == 'success'\n"),
        with("a", "    env: {X: \"${{ needs.B.outputs.x }}\"}\n"),
        with("a", "    if: ${{ needs.none.outputs.x }}\n"),
    ];
    check("NX415", &[], &reported, &silent);
}

#[test]
fn releases_of_the_nox_action_are_pinned() {
    let uses = |version: &str| job(&format!("      - uses: wntrblm/nox@{version}\n"));
    let silent = ["2026.04.10", "v1", "57f9e10c4eef84277dcd692d0056420c947674f9", "${{ x }}"].map(uses);
    check("NX416", &[], &[uses("main"), uses("master")], &silent);
}
