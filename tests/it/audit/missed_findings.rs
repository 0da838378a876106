//! Spellings of problems that rules once missed, each with workflows that look alike and are right.

use super::audit_project::{directory, find, lines};

pub(super) const FILE: &str = ".github/workflows/ci.yml";
pub(super) const FORGEJO: &str = ".forgejo/workflows/ci.yml";

/// Whether a rule reports something in these files, pedantic findings included.
pub(super) fn has(id: &str, files: &[(&str, &str)]) -> bool {
    find(directory(files).path(), true).iter().any(|finding| finding.rule.id == id)
}

/// Severity and persona of the first finding of a rule.
pub(super) fn severity(id: &str, files: &[(&str, &str)]) -> Option<&'static str> {
    let all = find(directory(files).path(), false);
    all.iter().find(|finding| finding.rule.id == id).map(|finding| finding.severity.as_str())
}

pub(super) fn job(steps: &str) -> String {
    format!(
        "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v6\n{steps}"
    )
}

#[track_caller]
pub(super) fn check(id: &str, noxfile: &str, reported: &[&str], silent: &[&str]) {
    for (texts, expected) in [(reported, true), (silent, false)] {
        for text in texts {
            let root = directory(&[(FILE, text), ("noxfile.py", noxfile)]);
            let all = find(root.path(), true);
            let is_found = all.iter().any(|finding| finding.rule.id == id);
            assert_eq!(is_found, expected, "{id}:\n{text}\n{noxfile}\n{:?}", lines(&all));
        }
    }
}

pub(super) const NOXFILE: &str = "import nox\n@nox.session\ndef lint(session):\n    session.install('ruff')\n    session.run('ruff', 'check')\n@nox.session\ndef types(session):\n    session.install('mypy')\n    session.run('mypy', 'src')\n@nox.session\ndef docs(session):\n    session.install('sphinx')\n    session.run('python', '-m', 'sphinx', 'docs', 'build')\n@nox.session\ndef tests(session):\n    session.install('.[test]')\n    session.run('pytest')\n";

#[test]
fn gates_that_reject_skipped_jobs_are_found_in_every_spelling() {
    let gate = |steps: &str| {
        format!(
            "on: push\njobs:\n  a:\n    if: github.event_name == 'push'\n    runs-on: ubuntu-latest\n    steps: [{{run: make}}]\n  b:\n    runs-on: ubuntu-latest\n    steps: [{{run: make}}]\n  gate:\n    runs-on: ubuntu-latest\n    needs: [a, b]\n    if: always()\n    steps:\n{steps}"
        )
    };
    let green = |more: &str| {
        gate(&format!(
            "      - uses: re-actors/alls-green@release/v1\n        with:\n          jobs: ${{{{ toJSON(needs) }}}}\n{more}"
        ))
    };
    let with_env =
        |value: &str, run: &str| gate(&format!("      - env: {{R: '${{{{ {value} }}}}'}}\n        run: {run}\n"));
    let with_if = |condition: &str| gate(&format!("      - if: {condition}\n        run: exit 1\n"));
    let unconditional = |text: String| text.replace("    if: github.event_name == 'push'\n    runs-on", "    runs-on");
    let guarded = green("").replace("if: always()", "if: always() && github.event_name == 'push'");
    let independent = green("")
        .replace("needs: [a, b]", "needs: [b]")
        .replace("  b:\n    runs-on", "  b:\n    needs: a\n    if: always()\n    runs-on");
    check(
        "NX213",
        NOXFILE,
        &[
            &green(""),
            &green("          allowed-skips: b\n"),
            &with_env("needs.a.result", "test \"$R\" = success"),
            &with_env("needs.a.result", "'[[ $R == \"success\" ]] || exit 1'"),
            &with_env("toJSON(needs)", "jq -e 'all(.[]; .result == \"success\")' <<< \"$R\""),
            &with_env(
                "toJson(needs)",
                "python -c \"import os, json; assert all(j['result'] == 'success' for j in json.loads(os.environ['R']).values())\"",
            ),
            &with_env("join(needs.*.result)", "for r in ${R//,/ }; do [ $r = success ] || exit 1; done"),
            &with_if("needs.a.result != 'success'"),
            &with_if("contains(needs.*.result, 'failure') || contains(needs.*.result, 'skipped')"),
            &with_if("${{ always() && needs.a.result != 'success' }}"),
        ],
        &[
            &green("          allowed-skips: a\n"),
            &green("          allowed-skips: \"a, b\"\n"),
            &green("          allowed-failures: '[\"a\"]'\n"),
            &green("          allowed-skips: ${{ github.event_name != 'push' && 'a' || '' }}\n"),
            &unconditional(green("")),
            &guarded,
            &independent,
            &green("").replace("github.event_name == 'push'", "github.repository == 'x/y'"),
            &green("").replace(
                "github.event_name == 'push'",
                "github.repository_owner == 'x' || github.event_name != 'push'",
            ),
            &with_env("needs.b.result", "test \"$R\" = success"),
            &with_env("needs.a.result", "test \"$R\" != failure"),
            &with_env("needs.a.result", "'case $R in success|skipped) ;; *) exit 1;; esac'"),
            &with_env("needs.a.result", "'if [ $R = success ]; then echo good; fi'"),
            &with_if("contains(needs.*.result, 'failure') || contains(needs.*.result, 'cancelled')"),
            &with_if("needs.a.result != 'success' && needs.a.result != 'skipped'"),
            &with_if("needs.b.result != 'success'"),
        ],
    );
}

#[test]
fn the_version_of_a_commit_is_read_from_its_comment() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let step = |uses: &str, with: &str| job(&format!("      - uses: {uses}\n        with: {{{with}}}\n"));
    let pinned = |name: &str, comment: &str, with: &str| step(&format!("{name}@{commit} {comment}"), with);
    let cache = "path: x, key: y";
    check(
        "NX115",
        NOXFILE,
        &[
            &pinned("actions/cache", "# v4.1.0", cache),
            &pinned("actions/cache", "# v3.3.2", cache),
            &pinned("actions/cache/restore", "# tag=v2", cache),
            &step("actions/cache@v4.0.2", cache),
        ],
        &[
            &pinned("actions/cache", "", cache),
            &pinned("actions/cache", "# v4", cache),
            &pinned("actions/cache", "# v4.2.0", cache),
            &pinned("actions/cache", "# main", cache),
            &step("actions/cache@v4", cache),
        ],
    );
    check(
        "NX305",
        NOXFILE,
        &[&pinned("actions/upload-artifact", "# v3.1.0", "path: x")],
        &[&pinned("actions/upload-artifact", "# v4.6.2", "path: x"), &pinned("actions/upload-artifact", "", "path: x")],
    );
    check(
        "NX105",
        NOXFILE,
        &[&pinned("astral-sh/setup-uv", "# v4.1.0", "enable-cache: true")],
        &[
            &pinned("astral-sh/setup-uv", "# v6.0.0", "enable-cache: true"),
            &pinned("astral-sh/setup-uv", "", "enable-cache: true"),
        ],
    );
    let all = find(directory(&[(FILE, &pinned("actions/cache", "# v3.3.2", cache))]).path(), true);
    let found = all.iter().find(|finding| finding.rule.id == "NX115").unwrap();
    assert!(found.fix.is_none() && found.severity.as_str() == "high", "a commit is not replaced by a tag");
}

#[test]
fn keys_of_every_dependency_file_are_judged() {
    let cache = |files: &str, steps: &str| {
        job(&format!(
            "      - uses: actions/cache@v5\n        with:\n          path: ~/.cache/pip\n          key: pip-${{{{ runner.os }}}}-${{{{ hashFiles({files}) }}}}\n{steps}"
        ))
    };
    let run = "      - run: nox -s lint\n";
    check(
        "NX108",
        NOXFILE,
        &[
            &cache("'setup.py'", run),
            &cache("'setup.cfg'", run),
            &cache("'**/requirements*.txt'", run),
            &cache("'requirements/dev.txt', 'pyproject.toml'", run),
        ],
        &[
            &cache("'setup.py', 'noxfile.py'", run),
            &cache("'**/*.py'", run),
            &cache("'Cargo.lock', 'setup.py'", run),
            &cache("'requirements.txt'", "      - run: pip install -r other.txt\n"),
            &cache("'setup.py'", "      - run: nox -s own\n").replace("nox -s own", "pytest"),
        ],
    );
    let plain = "import nox\n@nox.session\ndef tests(session):\n    session.install('-r', 'dev.txt')\n    session.install('-e', '.')\n    session.run('pytest')\n";
    let with_list = |files: &str| {
        let text = cache(files, "      - run: nox -s tests\n");
        has("NX108", &[(FILE, &text), ("noxfile.py", plain), ("dev.txt", "pytest\n"), ("setup.py", "")])
    };
    assert!(with_list("'setup.py'") && !with_list("'setup.py', '*.txt'") && !with_list("'dev.txt', 'setup.py'"));
    let in_job = cache("'requirements.txt'", "      - run: pip install -r requirements.txt -r requirements-dev.txt\n");
    let lists = [("requirements.txt", ""), ("requirements-dev.txt", "")];
    assert!(has("NX108", &[(FILE, &in_job), lists[0], lists[1]]));
    let both = in_job.replace("hashFiles('requirements.txt')", "hashFiles('requirements*.txt')");
    assert!(!has("NX108", &[(FILE, &both), lists[0], lists[1]]));
}

const UV_NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'uv|virtualenv'\n@nox.session\ndef tests(session):\n    session.install('.[test]')\n    session.run('pytest')\n";

#[test]
fn caches_of_another_tool_are_found() {
    let cached = |path: &str, steps: &str| {
        job(&format!(
            "      - uses: actions/cache@v5\n        with: {{path: {path}, key: \"x-${{{{ runner.os }}}}-${{{{ hashFiles('noxfile.py') }}}}\"}}\n{steps}"
        ))
    };
    let setup = |steps: &str| {
        job(&format!(
            "      - uses: actions/setup-python@v6\n        with: {{python-version: '3.13', cache: pip}}\n{steps}"
        ))
    };
    let uv = "      - run: pip install nox uv\n      - run: nox -s tests\n";
    let without_uv = "      - run: pip install nox\n      - run: nox -s tests\n";
    let files =
        |text: &str, noxfile: &str| has("NX114", &[(FILE, text), ("noxfile.py", noxfile), ("pyproject.toml", "")]);
    let reported = [
        cached("~/.cache/pip", uv),
        setup(uv),
        setup("      - run: uv sync\n"),
        setup("      - run: pip install pdm\n      - run: pdm install\n"),
    ];
    for text in reported {
        assert!(files(&text, UV_NOXFILE), "{text}");
    }
    let silent = [
        cached("~/.cache/uv", uv),
        cached("~/.cache/pip", without_uv),
        cached("~/.cache/pip", "      - run: pip install nox uv .[dev]\n      - run: nox -s tests\n"),
        cached("~/.cache/pip", "      - run: pip install nox uv\n      - run: make deps\n      - run: nox -s tests\n"),
        cached("[~/.cache/pip, ~/.cache/uv]", uv),
        setup("      - run: uv sync\n      - run: pip install -r requirements.txt\n"),
        setup("      - uses: some/action@v1\n      - run: uv sync\n"),
        setup("      - run: ./install.sh\n      - run: uv sync\n"),
    ];
    for text in silent {
        assert!(!files(&text, UV_NOXFILE), "{text}");
    }
    let pip =
        "import nox\n@nox.session\ndef tests(session):\n    session.install('.[test]')\n    session.run('pytest')\n";
    assert!(files(&cached("~/.cache/uv", without_uv), pip) && !files(&cached("~/.cache/pip", without_uv), pip));
    let mixed = format!("{pip}    session.run('uv', 'sync', external=True)\n");
    assert!(!files(&cached("~/.cache/uv", without_uv), &mixed));
}

#[test]
fn a_cache_of_setup_python_without_a_file_to_hash_is_found() {
    let text = |with: &str| {
        job(&format!(
            "      - uses: actions/setup-python@v6\n        with: {{cache: pip{with}}}\n      - run: pip install x\n"
        ))
    };
    let plain = text("");
    let listed = text(", cache-dependency-path: requirements/*.txt");
    assert!(has("NX114", &[(FILE, &plain), ("setup.py", "")]));
    assert!(has("NX114", &[(FILE, &listed), ("requirements.txt", "")]));
    for (text, file) in [(&plain, "a/requirements.txt"), (&plain, "pyproject.toml"), (&listed, "requirements/a.txt")] {
        assert!(!has("NX114", &[(FILE, text), (file, "")]), "{file}");
    }
    let written = plain.replace(
        "      - uses: actions/setup-python",
        "      - run: echo x > requirements.txt\n      - uses: actions/setup-python",
    );
    let other = plain.replace("actions/checkout@v6", "actions/checkout@v6\n        with: {repository: a/b}");
    for text in [&written, &other] {
        assert!(!has("NX114", &[(FILE, text)]), "{text}");
    }
    assert!(!has("NX114", &[(FILE, &plain), (".gitmodules", "")]));
}

#[test]
fn keys_with_the_name_of_a_job_or_workflow_are_found() {
    let workflow = |name: &str, id: &str, key: &str, path: &str| {
        format!(
            "name: {name}\non: push\njobs:\n  {id}:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/cache@v5\n        with: {{path: {path}, key: \"{key}\"}}\n      - run: nox -s lint\n"
        )
    };
    let shared = workflow("CI", "lint", "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}", "~/.cache/uv");
    let found = |key: &str, path: &str| {
        has("NX121", &[(FILE, &shared), (".github/workflows/nightly.yml", &workflow("Night", "check", key, path))])
    };
    let rest = "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}";
    for key in [
        format!("check-{rest}"),
        format!("nightly-{rest}"),
        format!("{rest}-Night"),
        format!("${{{{ github.workflow }}}}-{rest}"),
        rest.replace("uv-$", "uv-check-$"),
    ] {
        assert!(found(&key, "~/.cache/uv"), "{key}");
        assert!(!found(&key, "~/.cache/pip"), "{key}");
    }
    for key in [rest.to_owned(), format!("docs-{rest}"), format!("check-{rest}-2"), format!("precheck-{rest}")] {
        assert!(!found(&key, "~/.cache/uv"), "{key}");
    }
}

#[test]
fn commands_that_the_matrix_provides_are_read() {
    let matrix = |matrix: &str, run: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {{matrix: {matrix}}}\n    steps:\n      - run: {run}\n"
        )
    };
    let task = |run: &str| format!("{{task: [{{name: x, run: '{run}'}}, {{name: y, run: 'nox -s tests'}}]}}");
    check(
        "NX201",
        NOXFILE,
        &[
            &job("      - run: nox -s docs lint\n"),
            &matrix(&task("nox -s lint types"), "${{ matrix.task.run }}"),
            &matrix(&task("nox -s lint && nox -s docs"), "${{ matrix.task.run }}"),
            &matrix("{include: [{cmd: nox -s lint types}]}", "${{ matrix.cmd }}"),
            &matrix("{sessions: [lint types, tests]}", "nox -s ${{ matrix.sessions }}"),
            &matrix("{args: ['-s lint types']}", "nox ${{ matrix.args }}"),
        ],
        &[
            &matrix(&task("nox -s lint"), "${{ matrix.task.run }}"),
            &matrix("{cmd: [nox -s lint, nox -s types]}", "${{ matrix.cmd }}"),
            &matrix("{sessions: [lint, types]}", "nox -s ${{ matrix.sessions }}"),
            &matrix("{sessions: '${{ fromJSON(x) }}'}", "nox -s ${{ matrix.sessions }}"),
            &matrix("{sessions: [lint types]}", "nox -s lint -- ${{ matrix.sessions }}"),
            &matrix("{sessions: [lint types]}", "nox -s \"${{ matrix.sessions }}\""),
        ],
    );
}

#[test]
fn inputs_of_local_workflows_and_actions_are_followed() {
    let nox = "name: x\nruns:\n  using: composite\n  steps:\n    - run: nox -s ${{ inputs.session }}\n      shell: bash\ninputs: {session: {required: true}}\n";
    let uses = |reference: &str, session: &str| {
        job(&format!("      - uses: {reference}\n        with: {{session: {session}}}\n"))
    };
    let sessions = |text: &str| {
        let root = directory(&[(FILE, text), ("noxfile.py", NOXFILE), (".github/actions/nox/action.yml", nox)]);
        let project = super::audit_project::read(root.path(), noxide::audit::options::AuditOptions::default());
        noxide::audit::inventory::build_inventory(&project, &|_| None).unused_sessions
    };
    for reference in ["./.github/actions/nox", "./.github/actions/nox@main", "$/.github/actions/nox"] {
        let unused = sessions(&uses(reference, "lint")).expect("the action is known");
        assert!(!unused.contains(&"lint".to_owned()), "{reference}: {unused:?}");
    }
    assert_eq!(sessions(&uses("./.github/actions/other", "lint")), None, "an action that is not there is unknown");
}

#[test]
fn workers_of_the_machine_are_found_in_every_spelling() {
    let noxfile = |body: &str| {
        format!(
            "import os, multiprocessing\nimport nox\nCOUNT = os.cpu_count()\n@nox.session\ndef tests(session):\n{body}"
        )
    };
    let text = job("      - run: nox -s tests\n").replace("ubuntu-latest", "docker");
    let found = |body: &str| has("NX212", &[(FORGEJO, &text), ("noxfile.py", &noxfile(body))]);
    for body in [
        "    session.run('pytest', '-n', 'auto')\n",
        "    session.run('pytest', '-nauto')\n",
        "    session.run('pytest', '--numprocesses=logical')\n",
        "    session.run('pytest', f'-n{os.cpu_count()}')\n",
        "    session.run('pytest', '-n', str(multiprocessing.cpu_count()))\n",
        "    session.run('pytest', '-n', str(COUNT))\n",
        "    args = ['-n', 'auto']\n    session.run('pytest', *args)\n",
        "    session.run('pytest', '-n', os.environ.get('W', 'auto'))\n",
    ] {
        assert!(found(body), "{body}");
    }
    for body in [
        "    session.run('pytest', '-n', '4')\n",
        "    session.run('make', '-n', 'auto')\n",
        "    session.run('pytest', '--color=auto', '-m', 'not auto')\n",
        "    session.run('pytest', '-n', os.environ.get('W', '2'))\n",
    ] {
        assert!(!found(body), "{body}");
    }
    let auto = noxfile("    session.run('pytest', '-n', 'auto')\n");
    let limited = text.replace("    steps:", "    env: {PYTEST_XDIST_AUTO_NUM_WORKERS: 2}\n    steps:");
    let given = text.replace("nox -s tests", "nox -s tests -- -n 2");
    for text in [&limited, &given] {
        assert!(!has("NX212", &[(FORGEJO, text), ("noxfile.py", &auto)]), "{text}");
    }
    // Each job on a GitHub-hosted runner has all CPUs of its machine.
    let hosted = job("      - run: nox -s tests\n");
    assert!(has("NX212", &[(FILE, &hosted), ("noxfile.py", &auto)]));
    assert_eq!(severity("NX212", &[(FILE, &hosted), ("noxfile.py", &auto)]), None);
    assert_eq!(severity("NX212", &[(FORGEJO, &text), ("noxfile.py", &auto)]), Some("low"));
}

#[test]
fn coverage_without_tests_is_found_in_a_matrix() {
    let noxfile = "import nox\n@nox.session\ndef tests(session):\n    session.run('coverage', 'run', '-m', 'pytest')\n@nox.session\ndef coverage(session):\n    session.run('coverage', 'report')\n";
    let matrix = |matrix: &str, steps: &str| {
        job(steps).replace("    steps:", &format!("    strategy: {{matrix: {matrix}}}\n    steps:"))
    };
    let run = "      - run: nox -s ${{ matrix.session }}\n";
    check(
        "NX215",
        noxfile,
        &[
            &matrix("{session: [tests, coverage]}", run),
            &matrix("{os: [a, b]}", "      - run: nox -s coverage tests\n"),
        ],
        &[
            &matrix("{session: [tests, lint]}", run),
            &matrix("{os: [a, b]}", "      - run: nox -s tests coverage\n"),
            &matrix("{session: [tests, coverage]}", &format!("      - uses: actions/download-artifact@v7\n{run}")),
            &matrix("{session: [tests, coverage]}", &format!("      - run: coverage run -m pytest\n{run}")),
            &matrix("{py: ['3.12']}", "      - run: nox -s tests-${{ matrix.py }}\n      - run: nox -s coverage\n"),
        ],
    );
}

#[test]
fn concurrency_that_cancels_nothing_is_found() {
    let with = |concurrency: &str| format!("{}concurrency: {concurrency}\n", job("      - run: nox -s tests\n"));
    let group = |group: &str| with(&format!("{{group: '{group}', cancel-in-progress: true}}"));
    check(
        "NX302",
        NOXFILE,
        &[
            &with("{group: '${{ github.ref }}', cancel-in-progress: false}"),
            &with("ci-${{ github.ref }}"),
            &group("${{ github.workflow }}-${{ github.sha }}"),
            &group("${{ github.run_id }}"),
        ],
        &[
            &group("${{ github.ref }}"),
            &group("${{ github.head_ref || github.run_id }}"),
            &group("${{ github.event.pull_request.number || github.sha }}"),
            &with("{group: x, cancel-in-progress: false}"),
            &with("{group: x, cancel-in-progress: \"${{ github.ref != 'x' }}\"}"),
        ],
    );
    let text = with("{group: '${{ github.ref }}', cancel-in-progress: false}");
    let publishes = text.replace("  a:", "  publish:");
    assert_eq!(severity("NX302", &[(FILE, &text), ("noxfile.py", NOXFILE)]), Some("low"));
    assert_eq!(severity("NX302", &[(FILE, &publishes), ("noxfile.py", NOXFILE)]), None);
}

#[test]
fn uploads_and_logs_without_nox_are_judged() {
    let upload = |run: &str| {
        job(&format!(
            "      - run: {run}\n      - uses: actions/upload-artifact@v6\n        with: {{name: r, path: junit.xml}}\n"
        ))
    };
    check(
        "NX304",
        NOXFILE,
        &[&upload("pytest --junitxml junit.xml"), &upload("uv run -- python -m pytest"), &upload("tox -e py")],
        &[
            &upload("make report"),
            &upload("pip install pytest"),
            &upload("tox").replace("junit.xml", "structlog.tgz"),
            &upload("pytest").replace("      - uses: actions/up", "      - if: always()\n        uses: actions/up"),
        ],
    );
    let log = |steps: &str| job(&format!("      - run: nox -s tests 2>&1 | tee build/tests.log\n{steps}"));
    check(
        "NX306",
        NOXFILE,
        &[&log(""), &job("      - run: nox -s tests > tests.log\n")],
        &[
            &log("      - run: grep warning build/tests.log\n"),
            &job("      - run: nox -s tests > $GITHUB_STEP_SUMMARY\n"),
            &job("      - run: nox -s tests\n"),
        ],
    );
    assert_eq!(severity("NX306", &[(FILE, &log(""))]), None);
    assert_eq!(severity("NX306", &[(FORGEJO, &log(""))]), Some("medium"));
}

#[test]
fn unpinned_uv_is_found_beside_a_pinned_one() {
    let setup = |with: &str| format!("      - uses: astral-sh/setup-uv@v9\n{with}      - run: uvx nox -s tests\n");
    let pinned = "  b:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: astral-sh/setup-uv@v9\n        with: {version: 0.9.1}\n";
    let beside = format!("{}{pinned}", job(&setup("")));
    let latest = format!("{}{pinned}", job(&setup("        with: {version: latest}\n")));
    let script = format!("{}{pinned}", job("      - run: curl -LsSf https://astral.sh/uv/install.sh | sh\n"));
    for text in [&beside, &latest, &script] {
        assert_eq!(severity("NX402", &[(FILE, text)]), Some("low"), "{text}");
    }
    let required = ("pyproject.toml", "[tool.uv]\nrequired-version = '==0.9.1'\n");
    assert!(!has("NX402", &[(FILE, &beside), required]));
    let of_ruff = ("pyproject.toml", "[tool.uv]\n[tool.ruff]\nrequired-version = '>=0.5'\n");
    assert!(has("NX402", &[(FILE, &beside), of_ruff]));
    let exact = script.replace("uv/install.sh", "uv/0.9.1/install.sh");
    let range = format!("{}{pinned}", job(&setup("        with: {version: 0.9.x}\n")));
    for text in [&exact, &range] {
        assert!(!has("NX402", &[(FILE, text)]), "{text}");
    }
    assert_eq!(severity("NX402", &[(FILE, &job(&setup("")))]), None);
}

#[test]
fn literal_thresholds_and_secrets_of_a_whole_job_are_found() {
    let noxfile = |flag: &str| {
        format!(
            "import nox\n@nox.session\ndef tests(session):\n    session.run('pytest', '{flag}')\n    session.run('coverage', 'report', '--fail-under', '70')\n"
        )
    };
    let text = job("      - run: nox -s tests\n      - run: coverage report --fail-under=80\n");
    let found = |flag: &str| has("NX411", &[(FILE, &text), ("noxfile.py", &noxfile(flag))]);
    assert!(found("--cov-fail-under=90") && !found("--cov-fail-under=80"));
    let with_env = |at: &str, value: &str| {
        job("      - run: nox -s tests\n").replace(
            at,
            &format!("env: {{TOKEN: '${{{{ {value} }}}}'}}\n{}{at}", if at == "jobs:" { "" } else { "    " }),
        )
    };
    let conditional = with_env("runs-on:", "secrets.KEY").replace("runs-on:", "if: github.ref == 'x'\n    runs-on:");
    check(
        "NX412",
        NOXFILE,
        &[&with_env("runs-on:", "secrets.KEY"), &with_env("jobs:", "secrets.KEY")],
        &[
            &with_env("runs-on:", "secrets.GITHUB_TOKEN"),
            &with_env("runs-on:", "secrets.KEY || ''x''"),
            &conditional,
            &with_env("runs-on:", "secrets.KEY").replace("nox -s tests", "make"),
            &with_env("runs-on:", "secrets.KEY").replace("on: pull_request", "on: push"),
        ],
    );
}

#[test]
fn setups_are_compared_in_any_order() {
    let jobs = |third: &str| {
        let one = |id: &str, steps: &str| {
            format!("  {id}:\n    runs-on: docker\n    steps:\n{steps}      - run: nox -s lint\n")
        };
        let usual = "      - uses: actions/checkout@v6\n      - run: pip install nox coverage\n";
        format!("on: push\njobs:\n{}{}{}", one("a", usual), one("b", usual), one("c", third))
    };
    let found = |third: &str| has("NX203", &[(FORGEJO, &jobs(third)), ("noxfile.py", NOXFILE)]);
    assert!(found("      - run: pip install coverage nox\n      - uses: actions/checkout@v6\n"));
    let same_step = jobs("      - uses: actions/checkout@v6\n");
    let joined = format!("{same_step}      - run: |\n          true\n").replace(
        "  c:\n    runs-on: docker\n    steps:\n      - uses: actions/checkout@v6\n      - run: nox -s lint\n",
        "  c:\n    runs-on: docker\n    steps:\n      - uses: actions/checkout@v6\n      - run: pip install nox coverage && nox -s lint\n",
    );
    assert!(has("NX203", &[(FORGEJO, &joined), ("noxfile.py", NOXFILE)]), "{joined}");
    assert!(!found("      - uses: actions/checkout@v6\n      - run: pip install nox\n"));
}

#[test]
fn environments_of_several_pythons_have_high_severity() {
    let text = |key: &str, version: &str| {
        job(&format!(
            "      - uses: actions/setup-python@v6\n        with: {{python-version: '{version}'}}\n      - uses: actions/cache@v5\n        with: {{path: .nox, key: \"{key}-${{{{ hashFiles('noxfile.py') }}}}\"}}\n      - run: nox -s tests\n"
        ))
    };
    assert_eq!(severity("NX109", &[(FILE, &text("python-venv", "3.13")), ("noxfile.py", NOXFILE)]), Some("low"));
    assert_eq!(severity("NX109", &[(FILE, &text("venv-${{ matrix.python }}", "3.13"))]), None);
    let matrix = text("venv", "${{ matrix.v }}")
        .replace("    steps:", "    strategy: {matrix: {v: ['3.12', '3.13']}}\n    steps:");
    assert_eq!(severity("NX109", &[(FILE, &matrix)]), Some("high"));
    let option =
        matrix.replace("'${{ matrix.v }}'", "'3.13'").replace("nox -s tests", "nox -s tests -p ${{ matrix.v }}");
    assert_eq!(severity("NX109", &[(FILE, &option)]), Some("high"));
    let other = text("venv", "3.12");
    let two = [(FILE, text("venv", "3.13")), (".github/workflows/other.yml", other)];
    assert_eq!(severity("NX109", &[(two[0].0, &two[0].1), (two[1].0, &two[1].1)]), Some("high"));
}
