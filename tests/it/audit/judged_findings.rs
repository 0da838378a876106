//! Findings that reviewers of public workflows called wrong or useless: silent or pedantic now, while a near relative is
//! still reported.

use noxide::audit::finding::Persona;

use super::audit_project::{directory, find, lines};

const FILE: &str = ".github/workflows/ci.yml";

/// How the first finding of a rule is reported: its severity, `pedantic`, or `silent`.
fn level(id: &str, files: &[(&str, &str)]) -> &'static str {
    let root = directory(files);
    let all = find(root.path(), true);
    let found = all.iter().find(|finding| finding.rule.id == id);
    found.map_or("silent", |finding| match finding.persona {
        Persona::Pedantic => "pedantic",
        Persona::Regular => finding.severity.as_str(),
    })
}

#[track_caller]
fn check(id: &str, expected: &str, files: &[(&str, &str)]) {
    let found = find(directory(files).path(), true);
    assert_eq!(level(id, files), expected, "{id}\n{files:#?}\n{:?}", lines(&found));
}

fn job(on: &str, steps: &str) -> String {
    format!("on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v6\n{steps}")
}

#[test]
fn a_cache_is_missed_only_where_it_would_be_restored_and_hold_much() {
    let noxfile = "import nox\n@nox.session\ndef docs(session):\n    session.install('sphinx', 'furo')\n    session.run('sphinx-build', 'docs', 'out')\n@nox.session\ndef tidy(session):\n    session.install('mdformat', 'pylint')\n    session.run('pylint', 'src')\n@nox.session\ndef bundle(session):\n    session.install('sphinx', '--no-cache-dir')\n@nox.session\ndef group(session):\n    session.install('--group', 'tools')\n    session.run('isort', '.')\n@nox.session\ndef empty(session):\n    session.run('python', '-c', 'pass')\n";
    let project = "[dependency-groups]\ntools = ['isort', {include-group = 'more'}]\nmore = ['vulture']\n";
    let check_text = |expected: &str, text: &str| {
        check("NX101", expected, &[(FILE, text), ("noxfile.py", noxfile), ("pyproject.toml", project)]);
    };
    let run = |on: &str, steps: &str| job(on, &format!("      - run: pip install nox\n{steps}"));
    let docs = "      - run: nox -s docs\n";
    check_text("low", &run("push", docs));
    check_text("low", &run("{schedule: [{cron: '5 4 * * *'}]}", docs));
    // Caches of pull requests are not shared, and a placeholder of templates is no branch.
    check_text("pedantic", &run("[pull_request, merge_group, workflow_dispatch]", docs));
    check_text("pedantic", &run("{pull_request: , push: {branches: [$default-branch]}}", docs));
    check_text("pedantic", &run("[pull_request_target, issues]", docs));
    for session in ["tidy", "group", "empty"] {
        check_text("pedantic", &run("push", &format!("      - run: nox -s {session}\n")));
    }
    check_text("silent", &run("push", "      - run: nox -s bundle\n"));
    check_text("silent", &run("push", docs).replace("    steps", "    env: {PIP_NO_CACHE_DIR: '1'}\n    steps"));
    check_text("silent", &job("push", "      - run: nox --no-install -s docs\n"));
    // Another cache, another source, and places that a cache should not reach.
    let wheels = "      - uses: actions/cache@v5\n        with: {path: native/dist, key: k}\n";
    check_text("pedantic", &run("push", &format!("{wheels}{docs}")));
    check_text("low", &run("push", &format!("{}{docs}", wheels.replace("native/dist", "fonts"))));
    check_text("pedantic", &run("push", &format!("      - uses: msys2/setup-msys2@v2\n{docs}")));
    check_text("pedantic", &run("push", docs).replace("    steps", "    environment: bot\n    steps"));
    let deployed =
        format!("{}  publish-site:\n    needs: a\n    uses: ./.github/workflows/site.yml\n", run("push", docs));
    check_text("pedantic", &deployed);
    // A reusable workflow runs as often as those that call it.
    for (on, expected) in [("{schedule: [{cron: '0 0 * * 0'}]}", "pedantic"), ("push", "low")] {
        let caller = format!("on: {on}\njobs:\n  b:\n    uses: ./.github/workflows/ci.yml\n");
        let files = [(FILE, &*run("workflow_call", docs)), (".github/workflows/call.yml", &*caller)];
        check("NX101", expected, &[files[0], files[1], ("noxfile.py", noxfile)]);
    }
}

#[test]
fn a_cache_step_is_offered_only_with_a_complete_key() {
    let noxfile = "import nox\n@nox.session\ndef docs(session):\n    session.install('-r', 'docs/list.txt')\n@nox.session\ndef tests(session):\n    session.install('.[test]')\n";
    let key = |text: &str, files: &[(&str, &str)]| {
        let files: Vec<_> = [(FILE, text), ("noxfile.py", noxfile)].iter().chain(files).copied().collect();
        let root = directory(&files);
        let all = find(root.path(), true);
        let finding = all.iter().find(|finding| finding.rule.id == "NX101").unwrap();
        finding.fix.as_ref().map(|fix| fix.edits[0].text.clone())
    };
    let text = job("push", "      - run: pip install nox\n      - run: nox -s docs\n");
    let list = [("docs/list.txt", "sphinx\n")];
    assert!(key(&text, &list).unwrap().contains("'docs/list.txt'"));
    assert_eq!(key(&text, &[]), None, "the file is not there");
    let moved = text.replace("checkout@v6\n", "checkout@v6\n        with: {path: project}\n");
    assert_eq!(key(&moved, &list), None);
    let matrix = text
        .replace("    steps", "    strategy: {matrix: {s: [docs, tests]}}\n    steps")
        .replace("nox -s docs", "nox -s ${{ matrix.s }}");
    assert!(key(&matrix, &list).unwrap().contains("${{ matrix.s }}"));
    let python = matrix
        .replace("nox -s ${{ matrix.s }}", "nox -s docs-${{ matrix.s }}")
        .replace("docs, tests", "'3.12', '3.13'");
    assert!(key(&python, &list).is_some());
    let unclear = matrix.replace("nox -s ${{", "nox -s x ${{");
    assert_eq!(key(&unclear, &list), None);
}

#[test]
fn a_key_is_named_after_another_job_only_if_both_share_it() {
    let keys = |body: &str, first_job: &str| {
        let noxfile = format!("import nox\n@nox.session\ndef docs(session):\n{body}");
        let steps = "      - run: pip install nox\n      - run: nox -s docs\n";
        let second =
            format!("  b:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v6\n{steps}");
        let text = job("push", &format!("{first_job}{steps}{second}"));
        let root = directory(&[(FILE, &text), ("noxfile.py", &noxfile)]);
        let all = find(root.path(), true);
        let fixes = all.iter().filter(|finding| finding.rule.id == "NX101").filter_map(|finding| finding.fix.as_ref());
        let texts = fixes.map(|fix| fix.edits[0].text.split("key: pip-").nth(1).unwrap()[..1].to_owned());
        texts.collect::<Vec<_>>().join(" ")
    };
    let written = "    session.install('sphinx')\n";
    assert_eq!(keys(written, ""), "a a");
    assert_eq!(keys("    session.install('sphinx', *find_names())\n", ""), "a b");
    let setup = "      - uses: actions/setup-python@v6\n        with: {cache: pip}\n";
    assert_eq!(keys(written, setup), "b");
}

#[test]
fn keys_of_download_caches_and_caches_beside_setup_uv_matter_little() {
    let noxfile = "import nox\n@nox.session\ndef lint(session):\n    session.install('flake8')\n@nox.session\ndef types(session):\n    session.install('mypy==1.18.2')\n";
    let cache = |path: &str, more: &str, session: &str| {
        job(
            "push",
            &format!(
                "      - uses: actions/cache@v5\n        with:\n          path: {path}\n          key: k-${{{{ runner.os }}}}-py3.13-${{{{ hashFiles('pyproject.toml') }}}}\n{more}      - run: nox -s {session}\n"
            ),
        )
    };
    let restore = "          restore-keys: k-\n";
    for (path, more, session, expected) in [
        ("~/.cache/pip", "", "types", "medium"),
        ("~/.cache/pip", restore, "types", "low"),
        ("~/.cache/pip", "", "lint", "pedantic"),
        (".nox", "", "lint", "medium"),
    ] {
        check("NX108", expected, &[(FILE, &cache(path, more, session)), ("noxfile.py", noxfile)]);
    }
    // setup-uv already holds what uv downloads.
    let pip = |setup: &str| {
        job(
            "push",
            &format!(
                "      - uses: actions/setup-python@v6\n        with: {{python-version: '3.13', cache: pip}}\n{setup}      - run: uvx nox -db uv -s lint\n"
            ),
        )
    };
    let project = ("pyproject.toml", "[project]\nname = 'x'\n");
    let setup = "      - uses: astral-sh/setup-uv@v7\n";
    let without = format!("{setup}        with: {{enable-cache: false}}\n");
    for (setup, expected) in [(setup, "pedantic"), (&*without, "medium")] {
        check("NX114", expected, &[(FILE, &pip(setup)), ("noxfile.py", noxfile), project]);
    }
    // Before the checkout, a tool that no file of the project determines loses little.
    for (command, expected) in [("uv tool install tox", "low"), ("uv sync", "high")] {
        let text = job("push", &format!("      - run: {command}\n"));
        check(
            "NX104",
            expected,
            &[(FILE, &text.replace("    steps:\n", "    steps:\n      - uses: astral-sh/setup-uv@v7\n"))],
        );
    }
}

#[test]
fn environments_of_conda_and_of_unknown_noxfiles_bring_their_own_python() {
    let text = |key: &str| {
        job(
            "push",
            &format!(
                "      - uses: actions/cache@v5\n        with: {{path: .nox, key: \"n-${{{{ hashFiles({key}) }}}}\"}}\n      - run: nox -s tests\n"
            ),
        )
    };
    let noxfile = |backend: &str| {
        format!("import nox\n@nox.session(venv_backend='{backend}')\ndef tests(session):\n    session.run('pytest')\n")
    };
    let plain = text("'noxfile.py'");
    check("NX109", "low", &[(FILE, &plain), ("noxfile.py", &noxfile("virtualenv"))]);
    check("NX109", "silent", &[(FILE, &plain), ("noxfile.py", &noxfile("mamba"))]);
    check("NX109", "silent", &[(FILE, &plain)]);
    check("NX109", "silent", &[(FILE, &text("'locks/py312-linux.lock'")), ("noxfile.py", &noxfile("virtualenv"))]);
    check("NX109", "low", &[(FILE, &text("'pyproject.toml'")), ("noxfile.py", &noxfile("virtualenv"))]);
}

#[test]
fn pull_requests_and_documentation_are_no_releases() {
    let release = |more: &str, last: &str| {
        job(
            "workflow_dispatch",
            &format!("      - uses: actions/setup-python@v6\n        with: {{cache: pip}}\n      - run: pip install build\n      - run: git push origin bump\n{last}"),
        )
        .replace("    steps", &format!("{more}    steps"))
    };
    let environment = "    environment: release\n";
    check("NX118", "low", &[(FILE, &release(environment, "      - run: twine upload dist/*\n"))]);
    check("NX118", "low", &[(FILE, &release(environment, ""))]);
    check("NX118", "silent", &[(FILE, &release(environment, "      - run: gh pr create --fill\n"))]);
    let pages = job(
        "{push: {branches: [main]}}",
        "      - uses: actions/setup-python@v6\n        with: {cache: pip}\n      - run: pip install sphinx\n      - uses: actions/deploy-pages@v4\n",
    );
    check("NX118", "pedantic", &[(FILE, &pages)]);
}

#[test]
fn hooks_of_a_generated_project_are_not_those_of_this_one() {
    let hooks = (
        ".pre-commit-config.yaml",
        "repos:\n  - repo: https://forge.example/ruff\n    rev: v1\n    hooks: [{id: ruff}]\n",
    );
    let noxfile = |more: &str| {
        format!(
            "import nox\n@nox.session\ndef lint(session):\n    session.install('pre-commit')\n{more}    session.run('pre-commit', 'run', '-a')\n"
        )
    };
    let text = job("push", "      - run: nox -s lint\n");
    check("NX124", "low", &[(FILE, &text), ("noxfile.py", &noxfile("")), hooks]);
    check("NX124", "silent", &[(FILE, &text), ("noxfile.py", &noxfile("    session.chdir('out')\n")), hooks]);
}

#[test]
fn a_quick_linter_is_little_to_wait_for() {
    let noxfile = "import nox\n@nox.session\ndef types(session):\n    session.run('mypy')\n@nox.session\ndef more_types(session):\n    session.run('pyright')\n@nox.session\ndef unused(session):\n    session.run('deptry', 'src')\n";
    for (sessions, expected) in [("types more_types", "medium"), ("types unused", "low")] {
        let text = job("push", &format!("      - run: nox -s {sessions}\n"));
        check("NX201", expected, &[(FILE, &text), ("noxfile.py", noxfile)]);
    }
}

#[test]
fn a_gate_that_most_jobs_wait_for_is_deliberate() {
    let one = |id: &str, more: &str| {
        format!("  {id}:\n    runs-on: ubuntu-latest\n{more}    steps:\n      - run: nox -s {id}\n")
    };
    let needs = "    needs: hooks\n";
    let head = format!("on: push\njobs:\n{}", one("hooks", ""));
    let common = format!("{head}{}{}{}", one("docs", needs), one("types", needs), one("tests", needs));
    check("NX202", "pedantic", &[(FILE, &common)]);
    let single = format!("{head}{}{}{}", one("docs", needs), one("types", ""), one("tests", ""));
    check("NX202", "low", &[(FILE, &single)]);
    let matrix = "    needs: docs\n    strategy: {matrix: {p: [1, 2]}}\n";
    let staged = format!("{head}{}{}{}", one("docs", needs), one("types", ""), one("tests", matrix));
    check("NX202", "pedantic", &[(FILE, &staged)]);
}

#[test]
fn a_readme_alone_and_workflows_that_read_it_need_no_path_filter() {
    let noxfile = "import nox\n@nox.session\ndef tests(session):\n    session.run('pytest')\n@nox.session\ndef manifest(session):\n    session.run('check-manifest')\n@nox.session\ndef metadata(session):\n    session.run('python', 'setup.py', 'check', '-m', '-r', '-s')\n";
    let text = |sessions: &str| job("push", &format!("      - run: nox -s {sessions}\n"));
    let guide = ("docs/guide.md", "# Guide\n");
    let readme = ("README.md", "# Readme\n");
    check("NX209", "info", &[(FILE, &text("tests")), ("noxfile.py", noxfile), guide, readme]);
    check("NX209", "silent", &[(FILE, &text("tests")), ("noxfile.py", noxfile), readme, ("AGENTS.md", "Be kind.\n")]);
    for session in ["manifest", "metadata"] {
        check("NX209", "silent", &[(FILE, &text(session)), ("noxfile.py", noxfile), guide]);
    }
    let publish = "  upload:\n    runs-on: ubuntu-latest\n    needs: a\n    steps:\n      - uses: pypa/gh-action-pypi-publish@v1\n";
    check("NX209", "silent", &[(FILE, &format!("{}{publish}", text("tests"))), ("noxfile.py", noxfile), guide]);
    let tagged = publish.replace("    needs: a\n", "    needs: a\n    if: startsWith(github.ref, 'refs/tags/')\n");
    check("NX209", "info", &[(FILE, &format!("{}{tagged}", text("tests"))), ("noxfile.py", noxfile), guide]);
    // The patch filters pushes alone, and keeps what the build reads.
    let both = text("tests").replace("on: push", "on:\n  push:\n    branches: [main]\n  pull_request:");
    let setup = ("setup.py", "text = open('README.md').read() + open('HISTORY.md').read()\n");
    let root = directory(&[(FILE, &both), ("noxfile.py", noxfile), guide, readme, ("HISTORY.md", "# 1\n"), setup]);
    let all = find(root.path(), true);
    let fix = all.iter().find(|finding| finding.rule.id == "NX209").unwrap().fix.as_ref().unwrap();
    let edit: Vec<&str> = fix.edits.iter().map(|edit| edit.text.as_str()).collect();
    assert!(
        matches!(edit.as_slice(), [text] if text.contains("\"HISTORY.md\"") && text.contains("\"README*\"")),
        "{edit:?}"
    );
}

#[test]
fn sessions_of_a_matrix_value_are_those_between_its_commas() {
    let noxfile = "import nox\n@nox.session\ndef pep8(session):\n    session.run('ruff', 'check', '.')\n    session.run('ruff', 'format', '--check', '.')\n@nox.session\ndef style(session):\n    session.run('ruff', 'format', '--check', '.')\n@nox.session\ndef types(session):\n    session.run('mypy')\n@nox.session\ndef packaging(session):\n    session.run('python', '-m', 'readme_renderer', 'README.rst')\n";
    let text = |value: &str| {
        job("push", "      - run: nox\n        env: {NOXSESSION: \"${{ matrix.s }}\"}\n")
            .replace("    steps", &format!("    strategy: {{matrix: {{s: {value}}}}}\n    steps"))
    };
    let files =
        |value: &str| [(FILE, text(value)), ("noxfile.py", noxfile.to_owned()), ("docs/a.md", "# A\n".to_owned())];
    let check_value = |id: &str, expected: &str, value: &str| {
        let files = files(value);
        check(id, expected, &files.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>());
    };
    check_value("NX201", "low", "['pep8,types']");
    check_value("NX201", "low", "['pep8, types', packaging]");
    check_value("NX201", "silent", "[pep8, types]");
    check_value("NX211", "medium", "['pep8,style']");
    check_value("NX211", "silent", "['pep8,types', style]");
    for (option, expected) in [("-v", "medium"), ("-R", "silent")] {
        let text = text("['pep8,style']").replace("run: nox\n", &format!("run: nox {option}\n"));
        check("NX211", expected, &[(FILE, &text), ("noxfile.py", noxfile)]);
    }
    check_value("NX209", "silent", "['pep8,packaging']");
    check_value("NX209", "info", "['pep8,types']");
    let words = job("push", "      - run: nox -s ${{ matrix.s }}\n")
        .replace("    steps", "    strategy: {matrix: {s: ['pep8 style', types]}}\n    steps");
    check("NX211", "medium", &[(FILE, &words), ("noxfile.py", noxfile)]);
}

#[test]
fn coverage_is_compared_across_a_matrix_and_files_with_the_same_events() {
    let noxfile = "import nox\n@nox.session\ndef tests(session):\n    session.run('pytest', 'tests')\n@nox.session\ndef coverage(session):\n    session.run('coverage', 'run', '-m', 'pytest', 'tests')\n";
    let matrix = |strategy: &str, name: &str| {
        job("push", &format!("      - run: nox -s ${{{{ {name} }}}}\n"))
            .replace("    steps", &format!("    strategy: {{matrix: {strategy}}}\n    steps"))
    };
    for text in [
        matrix("{s: [tests, coverage]}", "matrix.s"),
        matrix("{s: [tests, coverage], os: [a, b]}", "matrix.s"),
        matrix("{include: [{s: tests}, {s: coverage}]}", "matrix.s"),
        matrix("{p: [{v: '3.9', s: tests}, {v: '3.13', s: tests}, {v: '3.13', s: coverage}]}", "matrix.p.s"),
    ] {
        check("NX205", "medium", &[(FILE, &text), ("noxfile.py", noxfile)]);
    }
    for text in [
        matrix("{include: [{s: tests, python: '3.9'}, {s: coverage, python: '3.13'}]}", "matrix.s"),
        matrix("{s: '${{ fromJSON(needs.x.outputs.y) }}'}", "matrix.s"),
        matrix("{s: [tests, coverage]}", "matrix.s").replace("      - run", "      - if: matrix.s == 'x'\n        run"),
        matrix("{s: [tests, coverage]}", "matrix.s").replace("}}\n", "}} -- -k fast\n"),
    ] {
        check("NX205", "silent", &[(FILE, &text), ("noxfile.py", noxfile)]);
    }
    let one = |on: &str, name: &str| job(on, &format!("      - run: nox -s {name}\n"));
    for (on, expected) in [("push", "medium"), ("{schedule: [{cron: '0 0 * * *'}]}", "silent")] {
        let files = [(FILE, &*one("push", "tests")), (".github/workflows/cov.yml", &*one(on, "coverage"))];
        check("NX205", expected, &[files[0], files[1], ("noxfile.py", noxfile)]);
    }
}

#[test]
fn a_gate_accepts_what_only_a_failure_skips() {
    let text = |condition: &str| {
        format!(
            "on: push\njobs:\n  format:\n    runs-on: ubuntu-latest\n    steps: [{{run: make}}]\n  tests:\n    needs: format\n    if: {condition}\n    runs-on: ubuntu-latest\n    steps: [{{run: make}}]\n  gate:\n    needs: [format, tests]\n    if: always()\n    runs-on: ubuntu-latest\n    steps:\n      - uses: re-actors/alls-green@release/v1\n        with:\n          jobs: ${{{{ toJSON(needs) }}}}\n"
        )
    };
    check("NX213", "silent", &[(FILE, &text("needs.format.result == 'success'"))]);
    check("NX213", "silent", &[(FILE, &text("${{ always() && needs.format.result == 'success' }}"))]);
    check("NX213", "high", &[(FILE, &text("needs.format.outputs.changed == 'success'"))]);
    check("NX213", "high", &[(FILE, &text("needs.format.result == 'success' && github.event_name == 'push'"))]);
}

#[test]
fn jobs_named_after_unfinished_software_may_fail() {
    let text = |id: &str, comment: &str| {
        format!(
            "on: push\njobs:\n  lint:\n    runs-on: ubuntu-latest\n    steps: [{{run: make}}]\n{comment}  {id}:\n    runs-on: ubuntu-latest\n    steps: [{{run: make}}]\n  gate:\n    needs: [lint]\n    if: always()\n    runs-on: ubuntu-latest\n    steps:\n      - uses: re-actors/alls-green@release/v1\n        with:\n          jobs: ${{{{ toJSON(needs) }}}}\n"
        )
    };
    check("NX214", "low", &[(FILE, &text("types", ""))]);
    check("NX214", "pedantic", &[(FILE, &text("free-threading", ""))]);
    check("NX214", "pedantic", &[(FILE, &text("types", "  # Experimental: may fail.\n"))]);
}

#[test]
fn a_job_that_pushes_commits_is_not_to_be_cancelled() {
    let text = |command: &str| job("pull_request", &format!("      - run: nox -s generate\n      - run: {command}\n"));
    check("NX302", "low", &[(FILE, &text("git status"))]);
    check("NX302", "silent", &[(FILE, &text("git push"))]);
}

#[test]
fn a_report_of_combined_data_is_not_missing_after_a_failure() {
    let text = |download: &str, run: &str| {
        job(
            "push",
            &format!(
                "{download}      - run: {run}\n      - uses: actions/upload-artifact@v6\n        with: {{name: html, path: htmlcov}}\n"
            ),
        )
    };
    let download = "      - uses: actions/download-artifact@v7\n";
    check("NX304", "medium", &[(FILE, &text("", "tox -e py313"))]);
    check("NX304", "medium", &[(FILE, &text(download, "tox -e py313"))]);
    check("NX304", "silent", &[(FILE, &text(download, "tox -e coverage"))]);
}

#[test]
fn artifacts_of_a_matrix_are_not_downloaded_by_a_newer_version_alone() {
    let text = |matrix: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n{matrix}    steps:\n      - uses: actions/upload-artifact@v3\n        with: {{name: data, path: out}}\n  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/download-artifact@v3\n        with: {{name: data}}\n"
        )
    };
    let fixes = |text: &str| {
        let root = directory(&[(FILE, text)]);
        let all = find(root.path(), true);
        let found = all.iter().filter(|finding| finding.rule.id == "NX305");
        found.map(|finding| finding.fix.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(fixes(&text("")), [true, true]);
    assert_eq!(fixes(&text("    strategy: {matrix: {p: [1, 2]}}\n")), [false, false]);
}

#[test]
fn groups_made_by_format_are_unique_too() {
    let text = |group: &str| {
        format!(
            "on: [push, pull_request]\nconcurrency:\n  group: \"{group}\"\n  cancel-in-progress: true\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s a\n"
        )
    };
    for group in [
        "${{ format('{0}-{1}', github.workflow, github.sha) }}",
        "x-${{ format('{0}', github.run_id) }}",
        "${{ github.event.pull_request.head.sha }}",
    ] {
        check("NX309", "medium", &[(FILE, &text(group))]);
    }
    for group in
        ["${{ format('{0}-{1}', github.workflow, github.ref) }}", "${{ format('{0}', github.head_ref || github.sha) }}"]
    {
        check("NX309", "silent", &[(FILE, &text(group))]);
    }
}

#[test]
fn a_uv_that_floats_on_purpose_is_not_unpinned() {
    let text = |comment: &str, version: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{comment}      - uses: astral-sh/setup-uv@v7\n      - run: uvx nox\n  b:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: astral-sh/setup-uv@v7\n        with: {{version: \"{version}\"}}\n"
        )
    };
    check("NX402", "low", &[(FILE, &text("", "0.9.1"))]);
    check("NX402", "low", &[(FILE, &text("      # Restores packages.\n", "0.9.1"))]);
    check("NX402", "silent", &[(FILE, &text("      # Always the latest uv, on purpose.\n", "0.9.1"))]);
    check("NX402", "pedantic", &[(FILE, &text("", "${{ env.UV_RELEASE }}"))]);
    let defined = text("", "${{ env.UV_RELEASE }}").replace("jobs:", "env: {UV_RELEASE: '0.9.1'}\njobs:");
    check("NX402", "low", &[(FILE, &defined)]);
    let scheduled = text("", "0.9.1").replace("on: push", "on: {schedule: [{cron: '0 0 * * *'}]}");
    check("NX402", "pedantic", &[(FILE, &scheduled)]);
}

#[test]
fn sessions_that_need_pip_or_setuptools_keep_virtualenv() {
    let noxfile = |body: &str| {
        format!(
            "import nox\n@nox.session\ndef tests(session):\n    session.install('pytest')\n    session.run('pytest')\n@nox.session\ndef other(session):\n{body}"
        )
    };
    let text = job("push", "      - run: pip install nox\n      - run: nox -s tests\n");
    let run = |text: &str, body: &str, expected: &str| {
        let lists = [("limits.txt", "nox==2022.11.21\n"), ("new.txt", "nox==2026.10.20\n")];
        check("NX404", expected, &[(FILE, text), ("noxfile.py", &noxfile(body)), lists[0], lists[1]]);
    };
    let plain = "    session.install('ruff')\n";
    run(&text, plain, "low");
    run(&text, "    session.install('x', '--implementation', 'py')\n", "silent");
    run(&text, "    session.install('--platform=any', 'x')\n", "silent");
    run(&text, "    session.run('python', 'setup.py', 'check')\n", "silent");
    run(&text, "    session.install('setuptools')\n    session.run('python', 'setup.py', 'check')\n", "low");
    let python = |version: &str| {
        text.replace("    steps", &format!("    strategy: {{matrix: {{python: ['{version}', '3.13']}}}}\n    steps"))
    };
    run(&python("3.7"), plain, "silent");
    run(&python("3.8"), plain, "low");
    for option in ["-c limits.txt", "--constraint=limits.txt"] {
        run(&text.replace("install nox", &format!("install {option} nox")), plain, "silent");
    }
    run(&text.replace("install nox", "install -c new.txt nox"), plain, "low");
}

#[test]
fn an_empty_context_that_only_keeps_a_cache_from_being_saved_is_medium() {
    let text = |step: &str| {
        format!(
            "on: push\njobs:\n  plan:\n    runs-on: ubuntu-latest\n    outputs: {{x: y}}\n    steps: [{{run: make}}]\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{step}"
        )
    };
    let cache =
        "      - uses: astral-sh/setup-uv@v7\n        with:\n          save-cache: ${{ needs.plan.outputs.x }}\n";
    check("NX415", "medium", &[(FILE, &text(cache))]);
    check("NX415", "high", &[(FILE, &text("      - run: make ${{ needs.plan.outputs.x }}\n"))]);
}

#[test]
fn packages_in_variables_of_a_session_are_known() {
    let text = job(
        "push",
        "      - uses: actions/cache@v5\n        with:\n          path: .nox\n          key: k-py3.13-${{ hashFiles('setup.py') }}\n      - run: nox -s lint\n",
    );
    for (body, expected) in [
        ("    names = ['ruff']\n    session.install(*names)\n", "medium"),
        ("    names = ('ruff', 'isort')\n    session.install(*names)\n", "medium"),
        ("    name = 'ruff'\n    session.install(name)\n", "medium"),
        ("    names = find()\n    session.install(*names)\n", "silent"),
        ("    names = ['ruff']\n    names.append(find())\n    session.install(*names)\n", "silent"),
        ("    name = 'ruff'\n    if x:\n        name = find()\n    session.install(name)\n", "silent"),
    ] {
        let noxfile = format!("import nox\n@nox.session\ndef lint(session):\n{body}");
        check("NX108", expected, &[(FILE, &text), ("noxfile.py", &noxfile)]);
    }
}

#[test]
fn a_key_in_two_workflows_is_one_key() {
    let noxfile = "import nox\n@nox.session\ndef lint(session):\n    session.install('ruff')\n@nox.session\ndef docs(session):\n    session.install('mkdocs')\n";
    let text = |path: &str, key: &str, session: &str| {
        job(
            "push",
            &format!(
                "      - uses: actions/cache@v5\n        with:\n          path: {path}\n          key: {key}\n      - run: nox -s {session}\n"
            ),
        )
    };
    let pip = "~/.cache/pip";
    for (path, key, session, expected) in [
        (pip, "pip-${{ runner.os }}", "docs", "medium"),
        (pip, "pip-${{ runner.os }}", "lint", "silent"),
        ("~/.cache/uv", "pip-${{ runner.os }}", "docs", "silent"),
        (pip, "other-${{ runner.os }}", "docs", "silent"),
    ] {
        let first = text(pip, "pip-${{ runner.os }}", "lint");
        let second = text(path, key, session);
        check("NX116", expected, &[(FILE, &first), (".github/workflows/docs.yml", &second), ("noxfile.py", noxfile)]);
    }
    for key in ["${{ github.workflow }}-pip", "${{ env.NAME }}-pip"] {
        let (first, second) = (text(pip, key, "lint"), text(pip, key, "docs"));
        check("NX116", "silent", &[(FILE, &first), (".github/workflows/docs.yml", &second), ("noxfile.py", noxfile)]);
    }
}

#[test]
fn labels_in_a_mapping_and_options_before_a_subcommand_are_read() {
    let text = |runner: &str| {
        job("push", "      - uses: astral-sh/setup-uv@v7\n      - run: uvx nox -s a\n").replace("ubuntu-latest", runner)
    };
    for (runner, expected) in [
        ("{labels: [self-hosted, linux]}", "high"),
        ("{group: big, labels: self-hosted}", "high"),
        ("{labels: ubuntu-latest}", "silent"),
        ("{group: big}", "low"),
    ] {
        check("NX102", expected, &[(FILE, &text(runner))]);
    }
    let prune = |command: &str| {
        job(
            "push",
            &format!(
                "      - uses: actions/cache@v5\n        with: {{path: ~/.cache/uv, key: k}}\n      - run: {command}\n"
            ),
        )
    };
    for command in ["uv -q cache prune --ci", "uv --cache-dir /tmp/x --no-progress cache prune --ci"] {
        check("NX123", "low", &[(FILE, &prune(command))]);
    }
    for command in ["uv -q cache prune", "uv cache clean --ci", "uv run cache prune --ci"] {
        check("NX123", "silent", &[(FILE, &prune(command))]);
    }
}

/// A fix must not give away secrets, nor let a pull request write what the default branch restores.
#[test]
fn fixes_of_jobs_with_secrets_or_untrusted_events_are_not_offered() {
    let has_fix = |id: &str, path: &str, text: &str| {
        let noxfile = "import nox\n@nox.session\ndef docs(session):\n    session.install('sphinx', 'furo', 'numpy')\n    session.run('sphinx-build', 'docs', 'out')\n";
        let root = directory(&[(path, text), ("noxfile.py", noxfile)]);
        find(root.path(), true).iter().any(|finding| finding.rule.id == id && finding.fix.is_some())
    };
    let forgejo = ".forgejo/workflows/ci.yml";
    let log = |more: &str| {
        format!("on: push\njobs:\n  a:\n    runs-on: docker\n{more}    steps:\n      - run: nox -s docs\n")
    };
    assert!(has_fix("NX307", forgejo, &log("")));
    assert!(!has_fix("NX307", forgejo, &log("    env: {TOKEN: \"${{ secrets.API_TOKEN }}\"}\n")));
    let cache = |on: &str| job(on, "      - run: pip install nox\n      - run: nox -s docs\n");
    assert!(has_fix("NX101", FILE, &cache("[push, pull_request]")));
    for on in ["[push, pull_request_target]", "[push, workflow_run]", "[push, issue_comment]"] {
        assert!(!has_fix("NX101", FILE, &cache(on)), "{on}");
    }
}
