//! Problems that rules once missed because a value is in another file or step, or in another form, each with workflows that look
//! alike and are right.

use noxide::audit::options::AuditOptions;
use noxide::audit::rule_runner::run_audit;

use super::audit_project::{directory, find, lines, read};
use super::missed_findings::{FILE, FORGEJO, NOXFILE, check, has, job};

/// The messages of a rule, pedantic findings included.
fn messages(id: &str, files: &[(&str, &str)]) -> Vec<String> {
    let all = find(directory(files).path(), true);
    let of_rule = all.iter().filter(|finding| finding.rule.id == id);
    of_rule.map(|finding| finding.message.clone()).collect()
}

/// A job that caches the output of a step.
fn printed(script: &str, inputs: &str, before: &str) -> String {
    job(&format!(
        "{before}      - id: dirs\n        run: {script}\n      - uses: actions/cache@v5\n        with:\n          path: ${{{{ steps.dirs.outputs.dir }}}}\n{inputs}      - run: pip install nox\n      - run: nox -s tests\n"
    ))
}

const SCRIPTS: [&str; 6] = [
    "echo \"dir=$(pip cache dir)\" >> \"$GITHUB_OUTPUT\"",
    "echo dir=$(pip3 cache dir) >> ${GITHUB_OUTPUT}",
    "echo \"dir=$(python -m pip cache dir)\" >> $FORGEJO_OUTPUT",
    "echo \"dir=$(uv cache dir)\" >> $GITHUB_OUTPUT",
    "echo \"::set-output name=dir::$(pip cache dir)\"",
    "'[ x ] && echo \"dir=$(pip cache dir)\" >> $GITHUB_OUTPUT || echo \"dir=$(pip cache dir)\" >> $GITHUB_OUTPUT'",
];
const OTHER_SCRIPTS: [&str; 5] = [
    "echo \"dir=$(pip cache dir)\"",
    "echo \"other=$(pip cache dir)\" >> $GITHUB_OUTPUT",
    "echo \"dir=$(go env GOCACHE)\" >> $GITHUB_OUTPUT",
    "'[ x ] && echo \"dir=$(pip cache dir)\" >> $GITHUB_OUTPUT || echo \"dir=vendor\" >> $GITHUB_OUTPUT'",
    "echo dir=vendor >> $GITHUB_OUTPUT",
];

#[test]
fn a_cache_directory_that_a_step_prints_is_known() {
    for script in SCRIPTS {
        let constant = printed(script, "          key: packages\n", "");
        let late = printed(script, "          key: x\n", "      - run: pip install requests\n");
        let hashed = printed(script, "          key: \"x-${{ hashFiles('noxfile.py') }}\"\n", "");
        for (id, text) in [("NX117", &constant), ("NX112", &hashed), ("NX107", &constant), ("NX113", &late)] {
            assert!(has(id, &[(FILE, text), ("noxfile.py", NOXFILE)]), "{id}: {text}");
        }
    }
    for script in OTHER_SCRIPTS {
        let text = printed(script, "          key: packages\n", "      - run: pip install requests\n");
        for id in ["NX107", "NX112", "NX113", "NX117", "NX114", "NX101"] {
            assert!(!has(id, &[(FILE, &text), ("noxfile.py", NOXFILE)]), "{id}: {text}");
        }
    }
    // The tool that prints the path is installed first.
    let upgrade = printed(SCRIPTS[0], "          key: x\n", "      - run: pip install -U pip\n");
    assert!(!has("NX113", &[(FILE, &upgrade), ("noxfile.py", NOXFILE)]));
    // The printed path must stay after the step that prints it.
    let late = printed(SCRIPTS[0], "          key: x\n", "      - run: pip install requests\n");
    let root = directory(&[(FILE, &late), ("noxfile.py", NOXFILE)]);
    let all = find(root.path(), true);
    assert!(all.iter().any(|finding| finding.rule.id == "NX113" && finding.fix.is_none()), "{:?}", lines(&all));
    let with_uv = printed(SCRIPTS[0], "          key: x\n", "").replace("pip install nox", "uv pip install -r r.txt");
    let noxfile = NOXFILE.replace("@nox.session\n", "@nox.session(venv_backend='uv')\n");
    assert!(has("NX114", &[(FILE, &with_uv), ("noxfile.py", &noxfile)]), "{with_uv}");
}

#[test]
fn printed_paths_differ_between_systems() {
    let on = |systems: &str| {
        let key = "          key: pip-${{ hashFiles('noxfile.py') }}\n          restore-keys: pip-\n";
        printed(SCRIPTS[0], key, "").replace(
            "runs-on: ubuntu-latest",
            &format!("runs-on: ${{{{ matrix.os }}}}\n    strategy: {{matrix: {{os: [{systems}]}}}}"),
        )
    };
    for id in ["NX110", "NX111"] {
        let literal = on("ubuntu-latest, macos-latest").replace("${{ steps.dirs.outputs.dir }}", "~/.cache/pip");
        check(
            id,
            NOXFILE,
            &[&on("ubuntu-22.04, ubuntu-24.04-arm"), &literal],
            &[&on("ubuntu-latest, macos-latest, windows-latest")],
        );
    }
}

#[test]
fn the_cache_directory_of_pip_is_read_from_its_variable() {
    let text = |path: &str, value: &str| {
        job(&format!(
            "      - uses: actions/cache@v5\n        with: {{path: {path}, key: \"pip-${{{{ runner.os }}}}-${{{{ hashFiles('noxfile.py') }}}}\"}}\n      - run: pip install nox\n      - run: nox -s tests\n        env: {{PIP_CACHE_DIR: {value}}}\n"
        ))
    };
    let of_step = text("~/.cache/pip", "/tmp/pip");
    let without = of_step.replace("        env: {PIP_CACHE_DIR: /tmp/pip}\n", "");
    let of_job = without.replace("    steps:", "    env: {PIP_CACHE_DIR: /tmp/pip}\n    steps:");
    let of_workflow = without.replace("jobs:", "env: {PIP_CACHE_DIR: /tmp/pip}\njobs:");
    let noxfile = format!("import os\nos.environ['PIP_CACHE_DIR'] = '/tmp/pip'\n{NOXFILE}");
    check("NX114", &noxfile, &[&without], &[&text("/tmp/pip", "/tmp/pip")]);
    check(
        "NX114",
        NOXFILE,
        &[&of_step, &of_job, &of_workflow],
        &[
            &without,
            &text("/tmp/pip", "/tmp/pip/"),
            &text("~/.cache/pip", "/home/runner/.cache/pip"),
            &text("~/.cache/pip", "\"${{ runner.temp }}/pip\""),
            &text("\"${{ env.PIP_CACHE_DIR }}\"", "/tmp/pip"),
            &text(".cache/pip", "\"${{ github.workspace }}/.cache/pip\""),
            &text(".cache/pip", "/srv/build/.cache/pip"),
        ],
    );
    check("NX114", NOXFILE, &[&text("~/.cache/pip", "\"${{ github.workspace }}/.pip-cache\"")], &[]);
    // A cache of the directory that the variable names is one of packages.
    let cached = of_job.replace("~/.cache/pip", "/tmp/pip");
    let large = NOXFILE.replace("'.[test]'", "'-r', 'requirements.txt'");
    for (text, expected) in [(&cached, false), (&cached.replace("path: /tmp/pip", "path: /tmp/other"), true)] {
        assert_eq!(has("NX101", &[(FILE, text), ("noxfile.py", &large)]), expected, "{text}");
    }
    let root = directory(&[(FILE, &of_job), ("noxfile.py", NOXFILE)]);
    let all = find(root.path(), true);
    let fix = all.iter().find(|finding| finding.rule.id == "NX114").and_then(|finding| finding.fix.as_ref()).unwrap();
    assert!(fix.edits.iter().any(|edit| edit.text == "/tmp/pip"), "{fix:?}");
}

#[test]
fn a_condition_on_the_status_of_the_job_is_no_order() {
    let text = |condition: &str| {
        job(&format!(
            "      - run: pip install nox\n      - run: nox -s lint\n      - run: nox -s types\n        if: {condition}\n"
        ))
    };
    let any = [
        "always()",
        "${{ !cancelled() }}",
        "success() || failure()",
        "${{ always() && !cancelled() }}",
        "'! cancelled()'",
    ];
    let own = ["failure()", "always() && github.ref == 'x'", "github.event_name == 'push' || always()"];
    let (any, own) = (any.map(text), own.map(text));
    let (any, own): (Vec<&str>, Vec<&str>) =
        (any.iter().map(String::as_str).collect(), own.iter().map(String::as_str).collect());
    check("NX201", NOXFILE, &any, &own);
    check("NX206", NOXFILE, &own, &any);
    for text in any {
        let all = find(directory(&[(FILE, text), ("noxfile.py", NOXFILE)]).path(), true);
        assert!(all.iter().filter(|finding| finding.rule.id == "NX201").all(|finding| finding.fix.is_none()));
    }
}

#[test]
fn packages_and_words_of_constants_are_compared() {
    let workflow = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s tests\n  b:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s coverage\n";
    let noxfile = |head: &str, install: &str, local: &str| {
        format!(
            "import nox\n{head}\n@nox.session\ndef tests(session):\n    session.install('.', {install})\n    session.run('pytest', 'tests')\n@nox.session\ndef coverage(session):\n    session.install('.', {install})\n{local}\n"
        )
    };
    let literal = "    session.run('pytest', '--cov=src', 'tests')";
    let listed = "    command = ['pytest', '--cov=src', 'tests']\n    session.run(*command)";
    for (head, install, local) in [
        ("DEPS = ('pytest', 'pytest-cov')", "*DEPS", literal),
        ("DEPS = ['pytest', 'pytest-cov']", "*DEPS", literal),
        ("DEPS: list[str] = ['pytest']\nMORE = [*DEPS, 'pytest-cov']", "*MORE", literal),
        ("", "*['pytest', 'pytest-cov']", literal),
        ("", "'pytest', 'pytest-cov'", listed),
    ] {
        let text = noxfile(head, install, local);
        assert!(has("NX205", &[(FILE, workflow), ("noxfile.py", &text)]), "{text}");
        let all = find(directory(&[(FILE, workflow), ("noxfile.py", &text)]).path(), true);
        assert!(all.iter().filter(|finding| finding.rule.id == "NX205").all(|finding| finding.fix.is_none()));
    }
    for (head, install, local) in [
        ("DEPS = ['pytest']\nDEPS.append('x')", "*DEPS", literal),
        ("DEPS = ['pytest']\nDEPS[0] = 'x'", "*DEPS", literal),
        ("DEPS = ['pytest']\nDEPS += ['x']", "*DEPS", literal),
        ("DEPS = ['pytest']\nOTHER = DEPS\nOTHER.append('x')", "*DEPS", literal),
        ("DEPS = ['pytest']\nextend(DEPS)", "*DEPS", literal),
        ("DEPS = find_packages()", "*DEPS", literal),
        ("", "*[f'pytest{X}']", literal),
        ("", "*nox.project.dependency_groups(PY, 'test')", literal),
        (
            "",
            "'pytest'",
            "    command = ['pytest', '--cov=src', 'tests']\n    command.append('x')\n    session.run(*command)",
        ),
        (
            "",
            "'pytest'",
            "    command = ['pytest', '--cov=src', 'tests']\n    change(command)\n    session.run(*command)",
        ),
        (
            "",
            "'pytest'",
            "    command = ['pytest', '--cov=src', 'tests']\n    if x:\n        command = ['x']\n    session.run(*command)",
        ),
        ("", "'pytest'", "    command = ['pytest', '--cov=src', 'tests/unit']\n    session.run(*command)"),
    ] {
        let text = noxfile(head, install, local);
        assert!(!has("NX205", &[(FILE, workflow), ("noxfile.py", &text)]), "{text}");
    }
    let sessions = |first: &str, second: &str| {
        format!(
            "import nox\nTOOLS = ['bandit', 'vulture']\n@nox.session\ndef lint(session):\n    session.install(*TOOLS)\n    session.run('bandit', 'src')\n{first}\n@nox.session\ndef types(session):\n    session.install(*TOOLS)\n{second}\n"
        )
    };
    let call = |path: &str| format!("    paths = ['{path}']\n    session.run('vulture', *paths)");
    let text = job("      - run: nox -s lint types\n");
    let literal = "    session.run('vulture', 'src')";
    check("NX211", &sessions(&call("src"), literal), &[&text], &[]);
    check("NX211", &sessions(&call("tests"), literal), &[], &[&text]);
}

#[test]
fn pipes_of_both_streams_hide_failures() {
    let text = |script: &str| job(&format!("      - run: {script}\n"));
    check("NX308", NOXFILE, &[&text("nox -s lint |& tee t.log")], &[&text("nox -s lint || tee t.log")]);
    check("NX306", NOXFILE, &[&text("nox -s lint |& tee t.log")], &[&text("nox -s lint")]);
}

#[test]
fn a_commit_with_a_fallback_to_another_is_one_per_push() {
    let text = |group: &str| {
        format!(
            "on: [push, pull_request]\nconcurrency:\n  group: ${{{{ github.workflow }}}}-{group}\n  cancel-in-progress: true\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: nox -s lint\n"
        )
    };
    for id in ["NX309", "NX302"] {
        check(
            id,
            NOXFILE,
            &[
                &text("${{ github.event.pull_request.head.sha || github.sha }}"),
                &text("${{ github.event.pull_request.head.sha || github.run_id }}"),
            ],
            &[
                &text("${{ github.event.pull_request.number || github.sha }}"),
                &text("${{ github.head_ref || github.run_id }}"),
                &text("${{ github.event.pull_request.head.sha || github.ref }}"),
                &text("${{ github.event_name == 'x' && github.sha || github.sha }}"),
            ],
        );
    }
}

#[test]
fn labels_of_self_hosted_runners_are_read_from_the_matrix() {
    let text = |labels: &str| {
        job("      - uses: astral-sh/setup-uv@v7\n      - run: uvx nox -s tests\n").replace(
            "runs-on: ubuntu-latest",
            &format!("runs-on: ${{{{ matrix.os }}}}\n    strategy: {{matrix: {{os: {labels}}}}}"),
        )
    };
    let silent = [text("[self-hosted, ubuntu-latest]"), text("\"${{ fromJSON(x) }}\""), text("[[self-hosted, linux]]")];
    let silent: Vec<&str> = silent.iter().map(String::as_str).collect();
    check("NX102", NOXFILE, &[&text("[self-hosted]")], &silent);
    let shown = |text: &str| {
        let all = find(directory(&[(FILE, text), ("noxfile.py", NOXFILE)]).path(), false);
        all.iter().any(|finding| finding.rule.id == "NX301")
    };
    assert!(shown(&text("[self-hosted]")) && silent.iter().all(|text| !shown(text)));
}

#[test]
fn all_packages_of_a_repeated_download_are_named() {
    let jobs = |names: &[&str]| {
        let one = |name: &&str| {
            format!(
                "  {name}:\n    runs-on: docker\n    steps:\n      - run: apt-get install -y git nodejs\n      - run: nox -s lint\n"
            )
        };
        format!("on: push\njobs:\n{}", names.iter().map(one).collect::<String>())
    };
    let found = messages("NX210", &[(FORGEJO, &jobs(&["a", "b", "c"])), ("noxfile.py", NOXFILE)]);
    assert_eq!(found, ["`apt-get git`, `apt-get nodejs` are downloaded in 3 jobs"]);
    let root = directory(&[(FORGEJO, &jobs(&["a"]).replace("git nodejs", "git"))]);
    assert!(!lines(&find(root.path(), true)).iter().any(|line| line.contains("NX210")));
}

#[test]
fn the_default_of_forgejo_needs_its_version() {
    let text = "on: push\nconcurrency:\n  group: ${{ github.workflow }}-${{ github.ref }}\n  cancel-in-progress: true\njobs: {}\n";
    let root = directory(&[(FORGEJO, text)]);
    let found = |version: Option<&str>| {
        let forge_version = version.map(|version| version.parse().unwrap());
        let options = AuditOptions { pedantic: true, forge_version, ..AuditOptions::default() };
        run_audit(&read(root.path(), options)).findings.iter().any(|finding| finding.rule.id == "NX303")
    };
    assert!(found(Some("13")) && !found(Some("11")) && !found(None));
    assert!(noxide::audit::rule_docs::render_rules_document().contains("Reported only with `--forge-version 13`"));
}

#[test]
fn sessions_that_a_script_selects_are_known() {
    let text = |script: &str| job(&format!("      - run: |\n          {}\n", script.replace('\n', "\n          ")));
    let steps = |command: &str| job(&format!("      - run: {command}\n      - run: nox\n"));
    check(
        "NX201",
        NOXFILE,
        &[
            &text("nox"),
            &text("export NOXSESSION=lint,types\nnox"),
            &text("nox\nexport NOXSESSION=lint"),
            &text("export OTHER=lint\nnox"),
        ],
        &[
            &text("export NOXSESSION=lint\nnox"),
            &text("export NOXSESSION=\"unit-${{ matrix.python }}\"\nnox"),
            &text("export NOXSESSION=$SESSION\nnox"),
            &text("export NOXSESSION\nnox"),
            &text("if x; then\n  export NOXSESSION=lint\nfi\nnox"),
            &steps("echo NOXSESSION=lint >> $GITHUB_ENV"),
            &steps("echo \"NOXSESSION=lint\" >> \"$GITHUB_ENV\""),
            &steps("printf 'NOXSESSION=%s' lint >> $GITHUB_ENV"),
        ],
    );
    let listed = job("      - run: echo NOXSESSION=lint,types >> $GITHUB_ENV\n      - run: nox\n");
    check("NX201", NOXFILE, &[&listed], &[]);
}

#[test]
fn noxfiles_and_project_managers_run_sessions() {
    let text = |program: &str| job(&format!("      - run: {program} -s lint types\n"));
    let with_main = format!("{NOXFILE}if __name__ == '__main__':\n    nox.main()\n");
    let scripts = ["uv run noxfile.py", "uv run --script noxfile.py", "python noxfile.py", "./noxfile.py"].map(text);
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    check("NX201", &with_main, &scripts, &[&text("ruff check noxfile.py"), &text("uv run ruff check noxfile.py")]);
    check("NX201", NOXFILE, &[], &scripts);
    let managers = ["poetry run nox", "pdm run nox", "hatch run nox"].map(text);
    let managers: Vec<&str> = managers.iter().map(String::as_str).collect();
    check("NX201", NOXFILE, &managers, &[&text("poetry run pytest nox"), &text("echo poetry run nox")]);
    for text in scripts.iter().chain(&managers) {
        let all = find(directory(&[(FILE, text), ("noxfile.py", &with_main)]).path(), true);
        assert!(all.iter().filter(|finding| finding.rule.id == "NX201").all(|finding| finding.fix.is_none()));
    }
}
