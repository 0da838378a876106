//! Workflows like public ones that look wrong and are right: none of these findings is reported.

use super::audit_project::{directory, find, lines};

const FILE: &str = ".github/workflows/ci.yml";

/// Numbers of the rules that report something, each once.
fn ids(files: &[(&str, &str)], pedantic: bool) -> Vec<&'static str> {
    let mut ids: Vec<_> = find(directory(files).path(), pedantic).iter().map(|finding| finding.rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn job(steps: &str) -> String {
    format!(
        "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v6\n{steps}"
    )
}

/// Checks that a rule reports the first workflow and none of the others.
fn check(id: &str, noxfile: &str, reported: &str, silent: &[&str]) {
    let has = |text: &str| ids(&[(FILE, text), ("noxfile.py", noxfile)], true).contains(&id);
    assert!(has(reported), "{id} is not reported:\n{reported}\n{noxfile}");
    for text in silent {
        assert!(!has(text), "{id} is reported:\n{text}\n{noxfile}");
    }
}

const NOXFILE: &str = "import nox\n@nox.session(tags=['q'])\ndef lint(session):\n    session.install('ruff')\n    session.run('ruff', 'check', *session.posargs)\n@nox.session(tags=['q'])\ndef types(session):\n    session.install('mypy')\n    session.run('mypy', 'src')\n@nox.session\ndef tests(session):\n    session.install('.[test]')\n    session.run('pytest')\n@nox.session\ndef more_tests(session):\n    session.install('.')\n    session.run('pytest', 'more')\n@nox.session\ndef tag(session):\n    session.run('git', 'tag', 'v1', external=True)\n@nox.session\ndef tidy(session):\n    session.install('pre-commit')\n    session.run('pre-commit', 'run', '-a')\n@nox.session\ndef generate(session):\n    session.run('python', 'generate.py', 'out.json')\n@nox.session\ndef pack(session):\n    session.install('build')\n    session.run('python', '-m', 'build')\n";

#[test]
fn sessions_that_may_depend_on_each_other_are_not_called_independent() {
    let matrix = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {matrix: {s: [lint, types]}}\n    steps:\n      - run: nox -e ${{ matrix.s }} ${{ matrix.undefined }}\n";
    let variable = matrix
        .replace("nox -e ${{ matrix.s }} ${{ matrix.undefined }}", "nox\n        env: {NOXSESSION: '${{ matrix.s }}'}");
    check(
        "NX201",
        NOXFILE,
        &job("      - run: nox -s lint types\n"),
        &[
            &job("      - run: nox -s tag pack\n"),
            &job("      - run: nox -s generate tests\n"),
            &job("      - run: nox -s tidy lint\n"),
            &job("      - run: nox -s tests more_tests\n"),
            &job("      - run: nox -s lint types -- --fix\n"),
            &job("      - run: nox --install-only -s lint\n      - run: nox --no-install -R -s lint\n"),
            &job("      - run: nox -s lint\n      - if: github.ref == 'x'\n        run: nox -s types\n"),
            &job("      - run: nox -s lint unknown\n"),
            matrix,
            &variable,
        ],
    );
    for names in ["lint types tests", "types pack", "lint tests"] {
        check("NX201", NOXFILE, &job(&format!("      - run: nox -s {names}\n")), &[]);
    }
    check("NX201", NOXFILE, &job("      - run: nox -t q\n"), &[]);
}

#[test]
fn containment_is_claimed_only_where_everything_is_equal() {
    let noxfile = |smaller: &str| {
        format!(
            "import nox\n@nox.session\ndef checks(session):\n    session.install('bandit', 'vulture')\n    session.run('bandit', 'src')\n    session.run('vulture')\n@nox.session\ndef dead(session):\n{smaller}"
        )
    };
    let plain = noxfile("    session.install('bandit', 'vulture')\n    session.run('vulture')\n");
    let include = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {matrix: {include: [{s: checks}, {s: dead}]}}\n    steps:\n      - run: nox -s ${{ matrix.s }}\n";
    check(
        "NX211",
        &plain,
        &job("      - run: nox -s checks dead\n"),
        &[
            include,
            &job("      - run: nox -s checks\n      - run: nox -s dead -- src\n"),
            &job("      - run: nox -s checks\n      - run: nox -s dead -p 3.9\n"),
            &job("      - run: nox -s checks\n      - run: A=1 nox -s dead\n"),
            &job("      - run: nox -s checks\n        if: github.ref == 'x'\n      - run: nox -s dead\n"),
            &job("      - run: nox -s 'dead(a=1)' 'dead(a=2)'\n"),
        ],
    );
    for smaller in [
        "    session.install('vulture')\n    session.run('vulture')\n",
        "    session.install('bandit', 'vulture')\n    words = ['vulture']\n    session.run(*words)\n",
        "    session.install('bandit', 'vulture')\n    session.run('vulture', env={'A': '1'})\n",
        "    session.install('bandit', 'vulture', '--resolution=lowest-direct')\n    session.run('vulture')\n",
        "    session.install('bandit', 'vulture')\n    session.env['A'] = '1'\n    session.run('vulture')\n",
    ] {
        let text = noxfile(smaller);
        let all = ids(&[(FILE, &job("      - run: nox -s checks dead\n")), ("noxfile.py", &text)], true);
        assert!(!all.contains(&"NX211"), "{text}");
    }
}

#[test]
fn a_second_test_run_is_claimed_only_for_the_same_tests() {
    let noxfile = |tests: &str, coverage: &str| {
        format!(
            "import nox\n@nox.session\ndef tests(session):\n{tests}@nox.session\ndef coverage(session):\n{coverage}"
        )
    };
    let tests = "    session.install('.[t]')\n    session.run('pytest', 'tests', *session.posargs)\n";
    let coverage = "    session.install('.[t]')\n    session.install('coverage')\n    session.run('coverage', 'run', '-m', 'pytest', 'tests')\n";
    let jobs = |first: &str, second: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s {first}\n  b:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s {second}\n"
        )
    };
    let conditional = jobs("tests", "coverage").replace("  b:\n", "  b:\n    if: github.ref == 'refs/heads/main'\n");
    check(
        "NX205",
        &noxfile(tests, coverage),
        &jobs("tests", "coverage"),
        &[&jobs("tests -- -k fast", "coverage"), &jobs("tests", "coverage -- -k x"), &conditional],
    );
    for (tests, coverage) in [
        (tests.replace("'tests'", "'tests/unit'"), coverage.to_owned()),
        (tests.to_owned(), coverage.replace("'.[t]'", "'.[t,slow]'")),
        (tests.to_owned(), coverage.replace("    session.run", "    session.env['SLOW'] = '1'\n    session.run")),
        (
            tests.replace("    session.run", "    args = ['x']\n    session.run").replace("'tests', ", "*args, "),
            coverage.to_owned(),
        ),
    ] {
        let text = noxfile(&tests, &coverage);
        let all = ids(&[(FILE, &jobs("tests", "coverage")), ("noxfile.py", &text)], true);
        assert!(!all.contains(&"NX205"), "{text}");
    }
}

#[test]
fn uploads_that_a_failure_makes_useless_need_no_condition() {
    let upload = |more: &str| {
        format!(
            "      - uses: actions/upload-artifact@v6\n        with:\n          name: coverage-data\n          path: build/coverage.xml\n{more}"
        )
    };
    let run = "      - run: nox -s tests\n";
    let combined = "  combine:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/download-artifact@v7\n";
    check(
        "NX304",
        NOXFILE,
        &job(&format!("{run}{}", upload(""))),
        &[
            &job(&format!("{run}{}{combined}", upload(""))),
            &job(&format!("{run}        continue-on-error: true\n{}", upload(""))),
            &job(&format!("{run}{}", upload("          if-no-files-found: error\n"))),
            &job(&format!("{run}{}", upload("        if: matrix.python == '3.13'\n"))),
            &job(&format!("{run}{}", upload("        if: failure()\n"))),
        ],
    );
}

#[test]
fn brackets_in_the_column_of_their_key_are_read() {
    let text = "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n        py: [\n          '3.12', # the oldest\n          '3.13',\n        ]\n    steps:\n      - run: nox -s tests\n";
    let all = ids(&[(FILE, text), ("noxfile.py", NOXFILE)], true);
    assert!(!all.contains(&"NX001") && all.contains(&"NX207"), "{all:?}");
}

#[test]
fn caches_of_other_content_are_not_taken_for_packages() {
    let cache = |path: &str, key: &str| {
        job(&format!(
            "      - run: pip install nox .\n      - uses: actions/cache@v5\n        with:\n          path: {path}\n          key: {key}\n      - run: nox -s tests\n"
        ))
    };
    check(
        "NX109",
        NOXFILE,
        &cache(".nox", "nox-${{ hashFiles('noxfile.py') }}"),
        &[&cache(".nox/.cache", "data-${{ hashFiles('noxfile.py') }}"), &cache("~/.cache/project-data", "data-1")],
    );
    let on_several = |text: String| {
        text.replace(
            "runs-on: ubuntu-latest\n",
            "runs-on: ${{ matrix.os }}\n    strategy: {matrix: {os: [ubuntu-latest, windows-latest]}}\n",
        )
    };
    let pip = cache("~/.cache/pip", "pip-${{ hashFiles('pyproject.toml') }}");
    check("NX110", NOXFILE, &on_several(pip.clone()), &[&pip, &on_several(cache("tests/data", "data-1"))]);
    check("NX113", NOXFILE, &pip, &[&cache("tests/data", "data-1"), &cache("${{ steps.x.outputs.dir }}", "data-1")]);
    check(
        "NX108",
        NOXFILE,
        &pip,
        &[
            &cache("[~/.cache/pip, target]", "x-${{ hashFiles('**/Cargo.lock') }}"),
            &cache("~/.cache/pip", "x-${{ hashFiles('Cargo.lock') }}"),
        ],
    );
    let venv = "      - uses: actions/cache@v5\n        id: venv\n        with: {path: venv, key: \"${{ runner.os }}-${{ hashFiles('r.txt') }}\"}\n      - if: steps.venv.outputs.cache-hit != 'true'\n        run: pip install -r r.txt\n";
    let two =
        format!("{}  b:\n    runs-on: ubuntu-latest\n    steps:\n{venv}      - run: pip install other\n", job(venv));
    assert!(!ids(&[(FILE, &two)], true).contains(&"NX116"));
}

#[test]
fn arguments_of_a_started_program_are_not_installed() {
    check(
        "NX402",
        NOXFILE,
        &job("      - run: pip install nox==1 uv\n"),
        &[
            &job("      - run: uvx --from build pyproject-build --installer uv\n"),
            &job("      - run: pipx run build --installer uv\n"),
            &job("      - run: uv run --with build pytest uv\n"),
        ],
    );
}

#[test]
fn gates_are_judged_by_what_can_happen() {
    let gate = |condition: &str, needs: &str, script: &str| {
        format!(
            "on: push\njobs:\n  a:\n{condition}    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s lint\n  b:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s types\n  gate:\n    runs-on: ubuntu-latest\n    {needs}\n    if: always()\n    steps:\n      - run: {script}\n"
        )
    };
    let only_success = "test ${{ needs.a.result }} = success";
    check(
        "NX213",
        NOXFILE,
        &gate("    if: github.event_name == 'push'\n", "needs: [a, b]", only_success),
        &[&gate("", "needs: [a, b]", only_success)],
    );
    let any = "test ${{ needs.a.result }} != failure";
    check(
        "NX214",
        NOXFILE,
        &gate("", "needs: a", any),
        &[
            &gate("", "needs: a # b is not required", any),
            &gate("", "needs: a", any).replace("  b:\n", "  b:\n    if: github.ref == 'x'\n"),
            &gate("", "needs: a", any).replace("  b:\n", "  b:\n    continue-on-error: true\n"),
            &gate("", "needs: a", any).replace("  b:\n", "  publish:\n    environment: pypi\n"),
        ],
    );
    let other_case = gate("", "needs: [A, b]", any);
    assert!(!ids(&[(FILE, &other_case)], true).contains(&"NX414"));
    assert!(ids(&[(".forgejo/workflows/ci.yml", &other_case)], true).contains(&"NX414"));
}

#[test]
fn workflows_that_need_changes_of_documentation_have_no_path_filter() {
    let with_docs = NOXFILE.to_owned() + "@nox.session\ndef site(session):\n    session.run('mkdocs', 'build')\n";
    let job = |steps: &str| job(steps).replace("on: pull_request", "on: push");
    check(
        "NX209",
        &with_docs,
        &job("      - run: nox -s tests\n"),
        &[
            &job("      - run: nox -s tests\n").replace("on: push", "on: [pull_request, workflow_dispatch]"),
            &job("      - run: nox -s notebooks\n"),
            &job("      - run: nox -s check-changelog\n"),
            &job("      - run: nox -s tests tidy\n"),
            &job("      - uses: pre-commit/action@v3.0.1\n      - run: nox -s tests\n"),
            &job("      - run: python check.py newsfragments\n      - run: nox -s tests\n"),
            &job("      - run: nox -s site\n"),
            &job("      - run: nox -s docs\n"),
            &job("      - run: nox\n"),
            &job("      - run: nox -s ${{ matrix.session }}\n"),
            &job("      - run: nox -s tests\n  docs:\n    runs-on: ubuntu-latest\n    steps: [{run: make html}]\n"),
            &job("      - uses: dorny/paths-filter@v3\n      - run: nox -s tests\n"),
            &job("      - run: git diff --name-only origin/main\n      - run: nox -s tests\n"),
        ],
    );
}

#[test]
fn sources_in_the_directory_of_the_documentation_are_only_checked() {
    let noxfile = "import nox\nFILES = ('docs/sphinx/conf.py', 'docs/tools/', 'src')\n@nox.session\ndef lint(session):\n    session.run('black', '--check', *FILES)\n";
    let text = "on: push\njobs:\n  lint:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s lint\n";
    let found = |noxfile: &str| {
        let files =
            [(".github/workflows/ci.yml", text), ("noxfile.py", noxfile), ("docs/a.md", ""), ("pyproject.toml", "")];
        ids(&files, true).contains(&"NX209")
    };
    assert!(found(noxfile) && found(&noxfile.replace("'black', '--check'", "'flake8'")));
    assert!(!found(&noxfile.replace("'black', '--check'", "'python', 'docs/build.py'")));
}

#[test]
fn a_project_of_documentation_needs_no_path_filter() {
    let text = job("      - run: nox -s tests\n").replace("on: pull_request", "on: push");
    let has = |more: (&str, &str)| ids(&[(FILE, &text), ("noxfile.py", NOXFILE), more], true).contains(&"NX209");
    assert!(!has(("doc/conf.py", "")) && !has(("mkdocs.yml", "")));
    let package = [(FILE, text.as_str()), ("noxfile.py", NOXFILE), ("doc/conf.py", ""), ("pyproject.toml", "")];
    assert!(ids(&package, true).contains(&"NX209"));
}

#[test]
fn retired_cache_actions_fail_and_do_not_hang() {
    for (version, message, severity) in [
        ("v1", "GitHub has retired this version: the job fails as soon as it starts", "high"),
        ("v2", "GitHub has retired this version: the job fails as soon as it starts", "high"),
        ("v3", "this version hangs for minutes after saving the cache", "medium"),
    ] {
        let text = job(&format!("      - uses: actions/cache@{version}\n        with: {{path: x, key: y}}\n"));
        let all = find(directory(&[(FILE, &text)]).path(), false);
        let found = all.iter().find(|finding| finding.rule.id == "NX115").unwrap();
        assert_eq!((found.message.as_str(), found.severity.as_str()), (message, severity), "{version}");
    }
}

#[test]
fn installs_that_need_no_cache_are_not_reported() {
    let install = |words: &str| job(&format!("      - run: {words}\n      - run: pytest\n"));
    let variable = |name: &str| format!("env: {{{name}: 1}}\n{}", install("pip install .[test]"));
    check(
        "NX101",
        NOXFILE,
        &install("pip install .[test]"),
        &[
            &install("python -m pip install --no-cache-dir .[test]"),
            &install("uv pip --no-cache install .[test]"),
            &install("uv sync --no-cache"),
            &install("pip install -e . --no-deps"),
            &variable("PIP_NO_CACHE_DIR"),
            &variable("UV_NO_CACHE"),
        ],
    );
    for text in [
        install("pip install --no-deps -r requirements.txt"),
        install("pip install --no-cache-dir nox\n      - run: nox -s tests"),
        variable("UV_NO_CACHE").replace(": 1}", ": 0}"),
    ] {
        check("NX101", NOXFILE, &text, &[]);
    }
}

#[test]
fn a_local_action_is_read_in_every_spelling() {
    let action = |steps: &str| format!("runs:\n  using: composite\n  steps:\n{steps}");
    let has = |uses: &str, steps: &str| {
        let text = job(&format!("      - uses: {uses}\n      - run: nox -s tests\n"));
        let action = action(steps);
        ids(&[(FILE, &text), ("noxfile.py", NOXFILE), (".github/actions/tools/action.yml", &action)], true)
            .contains(&"NX101")
    };
    let uv = "    - uses: astral-sh/setup-uv@fac544c07dec837d0ccb6301d7b5580bf5edae39 # v8.2.0\n";
    let none = "    - run: pip install nox\n      shell: bash\n";
    for uses in ["./.github/actions/tools", "$/.github/actions/tools", "$/.github/actions/tools/"] {
        assert!(!has(uses, uv) && has(uses, none), "{uses}");
    }
    assert!(!has("$/.github/actions/missing", none));
}

#[test]
fn caches_that_gain_little_are_pedantic() {
    let tools = "import nox\n@nox.session\ndef lint(session):\n    session.install('ruff')\n    session.run('ruff', 'check')\n@nox.session\ndef tests(session):\n    session.install('.')\n    session.run('pytest')\n";
    let reported =
        |text: &str, pedantic: bool| ids(&[(FILE, text), ("noxfile.py", tools)], pedantic).contains(&"NX101");
    let run = |name: &str| {
        let text = job(&format!("      - run: pip install nox\n      - run: nox -s {name}\n"));
        text.replace("on: pull_request", "on: push")
    };
    assert!(reported(&run("tests"), false));
    for text in [
        run("lint"),
        run("tests").replace("runs-on: ubuntu-latest", "runs-on: [self-hosted, linux]"),
        run("tests").replace("on: push", "on: {schedule: [{cron: '0 0 * * 0'}], workflow_dispatch: }"),
    ] {
        assert!(!reported(&text, false) && reported(&text, true), "{text}");
    }
    let daily = run("tests").replace("on: push", "on: {schedule: [{cron: '0 0 * * *'}]}");
    assert!(reported(&daily, false));
}

#[test]
fn releases_that_restore_or_publish_nothing_have_no_poisoned_cache() {
    let release = |on: &str, version: &str, steps: &str| {
        format!(
            "on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: astral-sh/setup-uv@{version}\n{steps}"
        )
    };
    let on = "{release: {types: [published]}}";
    let publish = "      - run: uv publish\n";
    let upload = "      - uses: actions/upload-artifact@v6\n        with: {name: docs, path: docs}\n";
    let used = "  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps: [{run: uv publish}]\n";
    check(
        "NX118",
        NOXFILE,
        &release(on, "v9", publish),
        &[
            &release(on, "v10", publish),
            &release(on, "0123456789abcdef0123456789abcdef01234567 # v10.0.1", publish),
            &release("{push: {tags: ['v*']}}", "v10", publish),
            &release(on, "v9", upload),
            &release(on, "v9", "      - run: gh pr create --fill\n"),
        ],
    );
    check("NX118", NOXFILE, &release("{push: {branches: [main]}}", "v10", publish), &[]);
    check("NX118", NOXFILE, &release(on, "v9", &format!("{upload}{used}")), &[]);
    check("NX118", NOXFILE, &release(on, "v9", &format!("{upload}{publish}")), &[]);
}

#[test]
fn runs_for_a_label_are_not_cancelled() {
    let with = |types: &str, condition: &str| {
        job(&format!("      - run: nox -s tests\n        if: {condition}\n"))
            .replace("on: pull_request", &format!("on: {{pull_request: {{types: [{types}]}}}}"))
    };
    let label = "github.event.label.name == 'benchmark'";
    check("NX302", NOXFILE, &with("opened, synchronize", label), &[&with("labeled, opened, synchronize", label)]);
    // Each activity runs everything: the newest run has all results.
    check("NX302", NOXFILE, &with("labeled, opened, synchronize", "github.actor != 'x'"), &[]);
}

#[test]
fn the_setup_of_copilot_gets_a_timeout_that_github_accepts() {
    let text = job("      - run: nox -s tests\n").replace("  a:", "  copilot-setup-steps:");
    let all = find(directory(&[(FILE, &text), ("noxfile.py", NOXFILE)]).path(), true);
    let fix = all.iter().find(|finding| finding.rule.id == "NX301").and_then(|finding| finding.fix.as_ref()).unwrap();
    assert_eq!(fix.title, "set a timeout of 55 minutes");
    assert!(fix.edits.iter().any(|edit| edit.text.contains("timeout-minutes: 55")));
}

#[test]
fn uv_is_not_advised_where_it_cannot_install() {
    let noxfile = |head: &str, arguments: &str| {
        format!(
            "import nox\n{head}@nox.session\ndef lint(session):\n    session.install('ruff'{arguments})\n    session.run('ruff')\n"
        )
    };
    let text = job("      - run: pip install nox\n      - run: nox -s lint\n");
    let has = |text: &str, noxfile: &str| ids(&[(FILE, text), ("noxfile.py", noxfile)], true).contains(&"NX404");
    assert!(has(&text, &noxfile("", "")));
    for (head, arguments) in [
        ("", ", '--progress-bar=off'"),
        ("nox.options.default_venv_backend = 'venv'\n", ""),
        ("from nox_poetry import session\n", ""),
    ] {
        assert!(!has(&text, &noxfile(head, arguments)), "{head}{arguments}");
    }
    let plain = noxfile("", "");
    assert!(!has(&text.replace("install nox", "install nox==2022.11.21"), &plain));
    assert!(has(&text.replace("install nox", "install nox==2024.3.2"), &plain));
    assert!(!has(&format!("{text}        working-directory: other\n"), &plain));
    assert!(has(&format!("{text}        working-directory: .\n"), &plain));
    let own = text.replace("actions/checkout@v6\n", "actions/checkout@v6\n        with: {path: other}\n");
    assert!(has(&format!("{own}        working-directory: other\n"), &plain));
    let mixed = format!("{plain}@nox.session\ndef check(session):\n    session.run('pip', 'check')\n");
    for (noxfile, whole_project) in [(plain, true), (mixed, false)] {
        let all = find(directory(&[(FILE, &text), ("noxfile.py", &noxfile)]).path(), true);
        let found = all.iter().find(|finding| finding.rule.id == "NX404").unwrap();
        assert_eq!(found.advice.contains("NOX_DEFAULT_VENV_BACKEND"), whole_project);
    }
}

#[test]
fn deliberate_gates_are_pedantic() {
    let regular = |id: &str, text: &str| ids(&[(FILE, text), ("noxfile.py", NOXFILE)], false).contains(&id);
    let pedantic = |id: &str, text: &str| ids(&[(FILE, text), ("noxfile.py", NOXFILE)], true).contains(&id);
    let waiting = format!(
        "{}  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s tests\n",
        job("      - run: nox -s lint\n")
    );
    let matrix =
        waiting.replace("    needs: a\n", "    needs: a\n    strategy: {matrix: {python: ['3.12', '3.13']}}\n");
    assert!(regular("NX202", &waiting) && !regular("NX202", &matrix) && pedantic("NX202", &matrix));
    let gate = "  gate:\n    runs-on: ubuntu-latest\n    needs: a\n    if: always()\n    steps:\n      - run: test ${{ needs.a.result }} = success\n";
    let other =
        |id: &str, runner: &str| format!("  {id}:\n    runs-on: {runner}\n    steps:\n      - run: nox -s types\n");
    let jobs = |before: &str, after: &str| format!("{}{before}{gate}{after}", job("      - run: nox -s lint\n"));
    assert!(regular("NX214", &jobs(&other("b", "ubuntu-latest"), "")));
    for text in [
        jobs("", &other("b", "ubuntu-latest")),
        jobs(&other("b", "self-hosted"), ""),
        jobs(&other("coverage", "ubuntu-latest"), ""),
    ] {
        assert!(!regular("NX214", &text) && pedantic("NX214", &text), "{text}");
    }
}

#[test]
fn choices_of_maintainers_are_pedantic() {
    let install = |words: &str| job(&format!("      - run: pip install {words}\n      - run: nox -s tests\n"));
    let regular = |id: &str, text: &str| ids(&[(FILE, text), ("noxfile.py", NOXFILE)], false).contains(&id);
    let pedantic = |id: &str, text: &str| ids(&[(FILE, text), ("noxfile.py", NOXFILE)], true).contains(&id);
    assert!(!regular("NX401", &install("nox")) && pedantic("NX401", &install("nox")));
    assert!(regular("NX401", &install("uv==0.8.0 nox")));
    let tools = job("      - run: pip install build twine\n      - run: python -m build\n");
    assert!(
        !regular("NX101", &tools)
            && pedantic("NX101", &tools)
            && regular("NX101", &install("nox").replace("on: pull_request", "on: push"))
    );
    let release = "on: {release: {types: [published]}}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: pip install -r r.txt\n";
    assert!(!pedantic("NX101", release) && !pedantic("NX302", release));
    for on in
        ["workflow_dispatch", "{schedule: [{cron: '0 0 * * *'}]}", "{push: {branches: [main]}}", "{push: {tags: [v1]}}"]
    {
        let text = install("nox").replace("on: pull_request", &format!("on: {on}"));
        assert!(!pedantic("NX302", &text), "{on}");
    }
    assert!(regular("NX302", &install("nox")));
    let apt = |image: &str, job: &str| {
        format!(
            "  {job}:\n    runs-on: ubuntu-latest\n    container: {image}\n    steps:\n      - run: apt-get install -y git cmake\n      - run: nox -s tests\n"
        )
    };
    let images = format!("on: pull_request\njobs:\n{}{}", apt("debian:12", "a"), apt("debian:13", "b"));
    assert!(!pedantic("NX210", &images));
    let same =
        format!("on: pull_request\njobs:\n{}{}{}", apt("debian:12", "a"), apt("debian:12", "b"), apt("debian:12", "c"));
    let all = find(directory(&[(FILE, &same), ("noxfile.py", NOXFILE)]).path(), true);
    assert_eq!(all.iter().filter(|finding| finding.rule.id == "NX210").count(), 1, "{:?}", lines(&all));
    assert!(!regular("NX210", &same) && !regular("NX203", &same));
}

#[test]
fn uv_is_advised_once_and_only_where_sessions_can_use_it() {
    let text = format!(
        "{}  b:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s types\n",
        job("      - run: nox -s lint\n")
    );
    let all = find(directory(&[(FILE, &text), ("noxfile.py", NOXFILE)]).path(), false);
    let found: Vec<_> = all.iter().filter(|finding| finding.rule.id == "NX404").collect();
    assert!(found.len() == 1 && found[0].related.len() == 1, "{:?}", lines(&all));
    for body in [
        "    session.install('x')\n    session.run('python', '-m', 'pip', 'check')\n",
        "    session.conda_install('x')\n    session.run('x')\n",
        "    session.run('make', 'all')\n",
    ] {
        let noxfile = format!("import nox\n@nox.session\ndef lint(session):\n{body}");
        let text = job("      - run: nox -s lint\n");
        assert!(!ids(&[(FILE, &text), ("noxfile.py", &noxfile)], true).contains(&"NX404"), "{body}");
    }
}

#[test]
fn no_missing_cache_is_reported_for_runners_of_unknown_hosts() {
    let action = "runs:\n  using: composite\n  steps:\n    - uses: astral-sh/setup-uv@v9\n";
    let workflow = job("      - uses: ./.github/actions/setup\n      - run: nox -s lint\n");
    assert!(!ids(&[(FILE, &workflow), (".github/actions/setup/action.yml", action)], true).contains(&"NX102"));
    let uv = "      - uses: astral-sh/setup-uv@v9\n      - run: uvx nox -s lint\n";
    for (runner, severity) in [("self-hosted", Some("high")), ("large-runner", Some("low")), ("ubuntu-latest", None)] {
        let text = job(uv).replace("ubuntu-latest", runner);
        let all = find(directory(&[(FILE, &text), ("noxfile.py", NOXFILE)]).path(), true);
        let found = all.iter().find(|finding| finding.rule.id == "NX102").map(|finding| finding.severity.as_str());
        assert_eq!(found, severity, "{runner}");
    }
}

#[test]
fn other_directories_have_other_lock_files() {
    let with_lock = |steps: &str| ids(&[(FILE, &job(steps)), ("uv.lock", "version = 1\n")], true).contains(&"NX405");
    assert!(with_lock("      - run: uv sync\n"));
    for steps in [
        "      - run: uv sync\n        working-directory: docs\n",
        "      - run: cd docs && uv sync\n",
        "      - run: uv sync --project docs\n",
    ] {
        assert!(!with_lock(steps), "{steps}");
    }
}

#[test]
fn pipes_of_other_shells_hide_nothing() {
    let piped = "      - run: nox -s lint | tee x.log\n";
    check(
        "NX308",
        NOXFILE,
        &job(piped),
        &[&job(&format!("{piped}        shell: pwsh\n")), &job(piped).replace("ubuntu-latest", "windows-latest")],
    );
}
