//! Spellings of expressions, variables, uploads and hosts that rules once missed, each with workflows that look alike and are
//! right.

use super::missed_findings::{FORGEJO, NOXFILE, check, has, job};

#[test]
fn expressions_are_read_in_every_spelling() {
    let secret =
        |value: &str| job(&format!("      - env: {{TOKEN: \"${{{{ {value} }}}}\"}}\n        run: nox -s tests\n"));
    check(
        "NX412",
        NOXFILE,
        &[&secret("Secrets.Key"), &secret("secrets['KEY']")],
        &[&secret("SECRETS.github_token"), &secret("secrets['Codecov_Token']")],
    );
    let needs = |value: &str| {
        format!(
            "on: push\njobs:\n  One:\n    runs-on: x\n    steps: [{{run: make}}]\n  b:\n    runs-on: x\n    needs: []\n    steps: [{{run: make, if: \"{value} == 'success'\"}}]\n"
        )
    };
    check(
        "NX415",
        NOXFILE,
        &[&needs("Needs['one'].result"), &needs("needs.ONE.RESULT")],
        &[&needs("'needs.one.result'"), &needs("needs['one'].result").replace("needs: []", "needs: [ONE]")],
    );
    let matrix = |key: &str, session: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {{matrix: {{SESSION: [lint, types, docs, tests]}}}}\n    steps:\n      - uses: actions/cache@v5\n        with: {{path: ~/.cache/uv, key: \"uv-{key}-${{{{ hashFiles('noxfile.py') }}}}-${{{{ runner.os }}}}\"}}\n      - run: nox -s ${{{{ {session} }}}}\n"
        )
    };
    check(
        "NX116",
        NOXFILE,
        &[&matrix("all", "matrix.SESSION"), &matrix("all", "matrix.session"), &matrix("all", "matrix['session']")],
        &[&matrix("${{ matrix.session }}", "matrix.session"), &matrix("${{ Matrix['session'] }}", "matrix.SESSION")],
    );
}

#[test]
fn a_call_with_variables_repeats_its_own_sessions_only() {
    let noxfile = "import nox\n@nox.session\ndef all(session):\n    session.install('ruff', 'mypy')\n    session.run('ruff', 'check')\n    session.run('mypy', 'src')\n@nox.session\ndef types(session):\n    session.install('ruff', 'mypy')\n    session.run('mypy', 'src')\n";
    let call = |run: &str| job(&format!("      - run: {run}\n"));
    check(
        "NX211",
        noxfile,
        &[&call("nox -s all types"), &call("CI=1 nox -s all types"), &call("nox -s all && nox -s types")],
        &[&call("CI=1 nox -s all && nox -s types"), &call("nox -s all && CI=1 nox -s types")],
    );
}

#[test]
fn a_cache_directory_that_an_earlier_step_sets_is_known() {
    let text = |script: &str, path: &str| {
        job(&format!(
            "      - run: {script}\n      - uses: actions/cache@v5\n        with: {{path: {path}, key: \"pip-${{{{ hashFiles('pyproject.toml') }}}}-${{{{ runner.os }}}}\"}}\n      - run: pip install nox && nox -s tests\n"
        ))
    };
    let set = "echo PIP_CACHE_DIR=/tmp/pip >> $GITHUB_ENV";
    check(
        "NX114",
        NOXFILE,
        &[
            &text(set, "~/.cache/pip"),
            &text("echo \"PIP_CACHE_DIR=/tmp/pip\" | tee -a \"$GITHUB_ENV\"", "~/.cache/pip"),
        ],
        &[
            &text(set, "/tmp/pip"),
            &text("echo PIP_CACHE_DIR=$HOME/pip >> $GITHUB_ENV", "~/.cache/pip"),
            &text("echo PIP_CACHE_DIR=/tmp/pip", "~/.cache/pip"),
        ],
    );
}

#[test]
fn uploads_are_compared_with_the_names_of_downloads() {
    let text = |name: &str, download: &str| {
        job(&format!(
            "      - run: nox -s tests\n      - uses: actions/upload-artifact@v6\n        with: {{{name}path: htmlcov}}\n  publish:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n      - {download}\n"
        ))
    };
    let of = |with: &str| format!("uses: actions/download-artifact@v7\n        with: {{{with}}}");
    check(
        "NX304",
        NOXFILE,
        &[
            &text("name: htmlcov, ", &of("name: dist")),
            &text("name: 'htmlcov-${{ matrix.py }}', ", &of("name: dist")),
            &text("", &of("name: dist")),
        ],
        &[
            &text("name: htmlcov, ", &of("name: htmlcov")),
            &text("name: 'htmlcov-${{ matrix.py }}', ", &of("name: htmlcov-3.13")),
            &text("name: htmlcov, ", &of("pattern: 'd*'")),
            &text("name: htmlcov, ", &of("name: '${{ inputs.x }}'")),
            &text("name: htmlcov, ", "run: gh run download"),
            &text("", &of("name: artifact")),
        ],
    );
}

#[test]
fn unsupported_artifact_actions_are_found_on_every_host() {
    let found = |uses: &str| {
        let text = format!("on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - uses: {uses}@v4\n");
        has("NX305", &[(FORGEJO, &text)])
    };
    for host in ["", "https://github.com/", "https://data.forgejo.org/", "https://code.forgejo.org/"] {
        assert!(found(&format!("{host}actions/upload-artifact")), "{host}");
    }
    assert!(!found("https://forge.example/actions/upload-artifact"));
    assert!(!found("https://code.forgejo.org/forgejo/upload-artifact"));
}
