//! The inventory: what it lists, and that it calls unknown what the files do not show.

use serde_json::Value;

use super::audit_project::{directory, parcelbook, read};
use noxide::audit::inventory::{Inventory, build_inventory};
use noxide::audit::options::AuditOptions;

const FILE: &str = ".github/workflows/ci.yml";
const NOXFILE: &str = "import nox\n@nox.session\ndef lint(session):\n    session.run('ruff')\n@nox.session(tags=['t'], requires=['lint'])\ndef tests(session):\n    session.notify('docs')\n@nox.session(default=False)\ndef docs(session):\n    pass\n@nox.session(default=False)\ndef extra(session):\n    pass\n";

fn inventory(files: &[(&str, &str)]) -> Inventory {
    build_inventory(&read(directory(files).path(), AuditOptions::default()), &|_| None)
}

fn job(steps: &str) -> String {
    format!("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}")
}

/// The row of job `a` in the table of a workflow with these steps.
fn row(steps: &str) -> String {
    let text = inventory(&[(FILE, &job(steps)), ("noxfile.py", NOXFILE)]).render_text(None);
    let line = text.lines().find(|line| line.starts_with("  a ")).unwrap();
    line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn sessions_that_the_files_do_not_select_are_unknown() {
    for (steps, expected) in [
        ("      - run: nox -s lint\n", "– none lint :6"),
        ("      - run: env X=1 nox -s lint\n", "– none lint :6"),
        ("      - run: sudo env NOXSESSION=docs timeout 60 nox\n", "– none docs :6"),
        ("      - run: env -S 'nox -s lint'\n", "unknown none unknown"),
        ("      - run: nox -s $NOX_SESSION\n", "– none unknown"),
        ("      - run: nox -s $S\n        env: {S: lint}\n", "– none lint :6"),
        ("      - run: nox -s lint ${{ inputs.more }}\n", "– none unknown"),
        ("      - run: nox -k 'lint and not docs'\n", "– none unknown"),
        ("      - run: nox -t t\n", "– none tests :6"),
        ("      - run: nox\n", "– none lint, tests :6"),
        ("      - run: nox -f other.py\n", "– none unknown"),
        ("      - run: make test\n", "unknown none unknown"),
        ("      - run: ./ci.sh\n", "unknown none unknown"),
        ("      - run: python noxfile.py -s lint\n", "unknown none unknown"),
        ("      - uses: owner/run-nox@v1\n        with: {sessions: lint}\n", "unknown unknown unknown"),
        ("      - uses: owner/retry@v1\n        with: {command: nox -s lint}\n", "unknown unknown unknown"),
        ("      - if: github.ref == 'x'\n        run: nox -s lint\n", "– none lint :7 if"),
        ("      - run: if x; then nox -s lint; fi\n", "– none lint :6 if"),
        ("      - run: ruff check\n", "– – –"),
    ] {
        assert_eq!(row(steps), expected, "{steps}");
    }
    let matrix = "on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {s: [lint, docs], py: VERSIONS}}\n    steps:\n      - run: nox -s ${{ matrix.s }}-${{ matrix.py }}\n";
    let cell = |versions: &str| {
        let all = inventory(&[(FILE, &matrix.replace("VERSIONS", versions)), ("noxfile.py", NOXFILE)]);
        serde_json::to_value(&all).unwrap()["workflows"][0]["jobs"][0]["sessions"].clone()
    };
    let names = |value: Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["session"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(cell("['3.12', '3.13']")), "lint-3.12 lint-3.13 docs-3.12 docs-3.13");
    assert_eq!(names(cell("\"${{ fromJson(needs.x.outputs.y) }}\"")), "");
}

#[test]
fn sessions_that_the_noxfile_does_not_define_itself_are_unknown() {
    let cell = |noxfile: &str, files: &[(&str, &str)], call: &str| {
        let workflow = job(&format!("      - run: {call}\n"));
        let text =
            inventory(&[&[(FILE, workflow.as_str()), ("noxfile.py", noxfile)][..], files].concat()).render_text(None);
        let line = text.lines().find(|line| line.starts_with("  a ")).unwrap();
        (line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "), text.contains("may have more sessions"))
    };
    let own = "import nox\n@nox.session(tags=['t'])\ndef lint(session):\n    pass\n";
    let shared = [("ci/sessions.py", "import nox\n@nox.session\ndef more(session):\n    pass\n")];
    let helpers = [("ci/sessions.py", "def helper(session):\n    pass\n")];
    for more in [
        "import runpy\nrunpy.run_path('x.py')\n",
        "from helpers import *\n",
        "import os\nfor name in os.listdir('x'):\n    @nox.session(name=name)\n    def made(session):\n        pass\n",
        "nox.session(name='x')(print)\n",
        "import importlib\nimportlib.import_module('x')\n",
        "exec('x')\n",
        "import nox_other\n@nox_other.session\ndef other(session):\n    pass\n",
    ] {
        let noxfile = format!("{own}{more}");
        assert_eq!(cell(&noxfile, &[], "nox"), ("– none unknown".to_owned(), true), "{more}");
        assert_eq!(cell(&noxfile, &[], "nox -t t").0, "– none unknown", "{more}");
        assert_eq!(cell(&noxfile, &[], "nox -s lint").0, "– none lint :6", "{more}");
    }
    for import in ["import ci.sessions\n", "from ci import sessions\n", "from ci.sessions import more\n"] {
        let noxfile = format!("{own}{import}");
        assert_eq!(cell(&noxfile, &shared, "nox"), ("– none unknown".to_owned(), true), "{import}");
        assert_eq!(cell(&noxfile, &helpers, "nox"), ("– none lint :6".to_owned(), false), "{import}");
    }
    // More modules than are read.
    let many: Vec<String> = (0..60).map(|number| format!("m{number:02}.py")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "X = 1\n")).collect();
    let imports: String = (0..60).map(|number| format!("import m{number:02}\n")).collect();
    assert_eq!(cell(&format!("{own}{imports}"), &many, "nox"), ("– none unknown".to_owned(), true));
    assert_eq!(cell(&format!("{own}import m00\n"), &many, "nox"), ("– none lint :6".to_owned(), false));
    // A text of tests and a decorator of another library.
    let other = "import pytest\n@pytest.fixture(scope='session')\ndef x():\n    pass\n";
    assert_eq!(cell(&format!("{own}{other}"), &[], "nox"), ("– none lint :6".to_owned(), false));
}

#[test]
fn interpreters_of_the_command_line_select_sessions() {
    let noxfile = "import nox\nALL = ['3.12', '3.13']\n@nox.session(python=ALL)\ndef tests(session):\n    pass\n@nox.session\ndef lint(session):\n    pass\n";
    let matrix = "on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {include: [{s: tests, p: '3.12'}, {s: lint, p: '3.13'}]}}\n    env: {NOXSESSION: '${{ matrix.s }}'}\n    steps:\n      - run: CALL\n";
    for call in ["nox -p ${{ matrix.p }}", "nox --python=${{ matrix.p }} -s ${{ matrix.s }}"] {
        let text = inventory(&[(FILE, &matrix.replace("CALL", call)), ("noxfile.py", noxfile)]).render_text(None);
        assert!(text.contains("none   tests-3.12, lint :"), "{call}: {text}");
    }
    for (call, expected) in [
        ("nox -p 3.12 -s tests lint", "tests-3.12, lint"),
        ("nox --python=3.12 -s tests", "tests-3.12"),
        ("nox -s tests --python 3.12 3.13", "tests"),
        ("nox -s tests -p ${{ env.X }}", "tests"),
        ("nox -s tests -- -p 3.12", "tests"),
    ] {
        let workflow = job(&format!("      - run: {call}\n"));
        let text = inventory(&[(FILE, &workflow), ("noxfile.py", noxfile)]).render_text(None);
        assert!(text.contains(&format!("none   {expected} :6")), "{call}: {text}");
    }
}

#[test]
fn installs_in_every_form_are_listed() {
    for (steps, expected) in [
        ("      - run: python3.9 -m pip install x\n", "pip :6 none –"),
        ("      - run: python -m pip -q install x\n", "pip :6 none –"),
        ("      - run: sudo pip install x\n", "pip :6 none –"),
        ("      - run: conda install x\n", "conda :6 none –"),
        ("      - run: pdm install\n", "pdm :6 none –"),
        ("      - uses: wntrblm/nox@2026.04.10\n", "action :6 none –"),
        ("      - run: |\n          bash <<'E'\n          pip install x\n          E\n", "unknown none unknown"),
        ("      - run: |\n          cat <<'E' > x\n          pip install x\n          E\n", "– – –"),
        ("      - uses: ./.github/actions/none\n", "unknown unknown unknown"),
        ("      - if: x\n        run: pip install x\n", "pip :7 if none –"),
    ] {
        assert_eq!(row(steps), expected, "{steps}");
    }
}

#[test]
fn installs_of_other_tools_and_actions_are_listed() {
    for (steps, expected) in [
        ("      - run: pipx inject nox nox-uv\n", "pipx :6 none –"),
        ("      - run: pdm self add pdm-x\n", "pdm :6 none –"),
        ("      - run: poetry env info\n", "– – –"),
        ("      - run: pre-commit autoupdate\n", "– – –"),
        ("      - run: python -m build\n", "pip :6 none –"),
        ("      - run: pre-commit run -a\n", "pre-commit :6 none –"),
        ("      - run: nox -s lint --install-only\n", "nox :6 none –"),
        ("      - run: uv run --no-sync pytest\n", "– – –"),
        ("      - run: uv run --no-sync --with x pytest\n", "uv :6 none –"),
        ("      - run: uv run pytest\n        env: {UV_NO_SYNC: 1}\n", "– – –"),
        ("      - run: uvx --with tox-uv tox run -e lint\n", "uv :6, unknown none unknown"),
        ("      - run: python -m tox\n", "unknown none unknown"),
        ("      - uses: ansible-community/github-action-run-nox@v1\n", "unknown unknown unknown"),
        ("      - run: pipx run hatch run lint\n", "pipx :6, unknown none unknown"),
        ("      - run: python pipx.pyz install x\n", "unknown none unknown"),
        ("      - run: ./noxfile.py -s lint\n", "unknown none unknown"),
        ("      - run: V=$(uvx x --version)\n", "uv :6 none –"),
        ("      - run: echo \"x=$(./ci.sh)\"\n", "unknown none unknown"),
        ("      - run: echo \"x=$(nox -s lint)\"\n", "unknown none unknown"),
        ("      - run: echo \"x=$(date)\"\n", "– – –"),
        (
            "      - run: |\n          import x\n          pip install y\n        shell: python\n",
            "unknown none unknown",
        ),
        ("      - uses: pre-commit/action@v3\n", "action :6 A :6 –"),
        ("      - uses: j178/prek-action@v1\n", "action :6 A :6? –"),
        ("      - uses: prefix-dev/setup-pixi@v0\n        with: {cache: true}\n", "action :6 A :6 –"),
        ("      - uses: hynek/build-and-inspect-python-package@v2\n", "action :6 A :6? –"),
        ("      - uses: owner/something@v1\n", "unknown unknown –"),
        ("      - uses: codecov/codecov-action@v5\n", "– – –"),
        (
            "      - uses: pypa/cibuildwheel@v4\n        env: {CIBW_BEFORE_BUILD: nox -s x}\n",
            "action :6, unknown none unknown",
        ),
    ] {
        assert_eq!(row(steps), expected, "{steps}");
    }
}

#[test]
fn a_command_is_one_line_and_counts_each_job_once() {
    let script = "      - run: |\n          pip install \\\n            x\n          pip install \\\n            x\n";
    let text = inventory(&[(FILE, &job(script))]).render_text(None);
    assert!(text.contains("installs       pip install x (1 job)\n"), "{text}");
    let folded = "      - run: python -m pip install x &&\n          tox -m check\n";
    let text = inventory(&[(FILE, &job(folded))]).render_text(None);
    assert!(text.contains("installs       python -m pip install x (1 job)\n"), "{text}");
    assert_eq!(row(folded), "pip :6, unknown none unknown");
    let condition =
        "on: push\njobs:\n  a:\n    runs-on: x\n    if: |\n      always()\n      && github.ref == 'x'\n    steps: []\n";
    let text = inventory(&[(FILE, condition)]).render_text(None);
    assert!(text.contains("condition      a: always() && github.ref == 'x'\n"), "{text}");
}

#[test]
fn sessions_of_a_matrix_are_those_of_its_jobs() {
    let text = |matrix: &str, steps: &str| {
        let workflow =
            format!("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {{matrix: {matrix}}}\n    steps:\n{steps}");
        let text = inventory(&[(FILE, &workflow), ("noxfile.py", NOXFILE)]).render_text(None);
        let line = text.lines().find(|line| line.starts_with("  a ")).unwrap();
        line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ")
    };
    let listed = "      - run: nox\n        env: {NOXSESSION: \"${{ matrix.py.s }}\"}\n";
    assert_eq!(text("{py: [{s: 'lint,docs'}, {s: tests}]}", listed), "lint, docs, tests :8");
    assert_eq!(text("{py: [{s: 'lint,docs'}, {v: 3}]}", listed), "unknown");
    let named = "      - run: nox -s ${{ matrix.s }}-${{ matrix.v }}\n";
    assert_eq!(text("{s: [a, b], v: ['1', '2'], exclude: [{s: b, v: '2'}]}", named), "a-1, a-2, b-1 :7");
    assert_eq!(text("{s: [a, b], v: ['1', '2'], exclude: [{s: b, v: 2}]}", named), "unknown");
    let condition = "      - if: matrix.s != 'b' && github.ref == 'x'\n        run: nox -s ${{ matrix.s }}\n";
    assert_eq!(text("{s: [a, b]}", condition), "a :8 if");
    let number = "      - if: ${{ matrix.s == 3.10 }}\n        run: nox -s t-${{ matrix.s }}\n";
    assert_eq!(text("{s: ['3.10', '3.11']}", number), "t-3.10 :8 if");
    assert_eq!(text("{a: ['-s lint', '-s docs']}", "      - run: nox ${{ matrix.a }}\n"), "unknown");
}

#[test]
fn calls_with_computed_options_or_in_another_directory_are_unknown() {
    for steps in [
        "      - run: nox $ARGS\n",
        "      - run: nox ${{ inputs.args }}\n",
        "      - run: nox -s lint\n        working-directory: sub\n",
        "      - run: cd sub && nox -s lint\n",
        "      - run: nox -p 3.12\n",
    ] {
        assert_eq!(row(steps), "– none unknown", "{steps}");
    }
    assert_eq!(row("      - run: nox -s lint\n        working-directory: .\n"), "– none lint :6");
    assert_eq!(row("      - run: nox -p 3.12\n        env: {NOXSESSION: lint}\n"), "– none lint :6");
}

#[test]
fn sessions_show_what_they_may_install() {
    let noxfile = "import nox\n@nox.session\ndef a(session):\n    session.install(X + 'x')\n@nox.session\ndef b(session):\n    session.install('y')\n    session.run('uv', 'sync', '--frozen')\n@nox.session\ndef c(session):\n    helper(session)\n@custom_session(name='d')\ndef d(session):\n    pass\n";
    let all = inventory(&[(FILE, &job("      - run: nox -s a b c\n")), ("noxfile.py", noxfile)]);
    let text = all.render_text(None);
    let cell = |name: &str| {
        let line =
            text.lines().find(|line| line.starts_with(&format!("  {name} ")) && line.contains("ci.yml")).unwrap();
        line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ")
    };
    assert!(cell("a").contains("unknown "), "{text}");
    assert_eq!(cell("b"), "y uv sync ci.yml:a");
    assert!(cell("c").starts_with("unknown "), "{text}");
    assert!(all.may_have_more_sessions && text.contains("The noxfile may have more sessions"), "{text}");
    assert!(all.render_markdown().contains("The noxfile may have more sessions"));
}

#[test]
fn caches_are_on_off_or_unknown() {
    let pip = "      - run: pip install x\n";
    for (steps, expected) in [
        (
            "      - uses: astral-sh/setup-uv@v7\n        with: {enable-cache: \"${{ x }}\"}\n",
            "pip :8 A :6?, not pip –",
        ),
        ("      - uses: astral-sh/setup-uv@v7\n        with: {enable-cache: false}\n", "pip :8 none –"),
        ("      - uses: actions/setup-python@v6\n        with: {cache: pip}\n", "pip :8 A :6 –"),
        ("      - uses: actions/setup-python@v6\n        with: {cache: ''}\n", "pip :8 none –"),
        ("      - uses: owner/setup-things@v1\n        with: {x: y}\n", "pip :8, unknown unknown –"),
        ("      - uses: actions/cache@v5\n        with: {path: ~/.cache/pip, key: x}\n", "pip :8 A :6 –"),
    ] {
        let expected = if expected.contains("?, not pip") { "pip :8 A :6? –" } else { expected };
        assert_eq!(row(&format!("{steps}{pip}")), expected, "{steps}");
    }
    let setup = "      - uses: actions/setup-python@v6\n        with: {cache: pip}\n";
    assert_eq!(row(&format!("{setup}      - run: pdm install\n")), "pdm :8 A :6, not pdm –");
    assert_eq!(
        row("      - uses: astral-sh/setup-uv@57f9e10c4eef84277dcd692d0056420c947674f9\n      - run: uv sync\n"),
        "uv :7 A :6? –"
    );
    let save = "      - uses: actions/cache/restore@v5\n        with: {path: p, key: x}\n      - uses: actions/cache/save@v5\n        with: {path: p, key: KEY}\n";
    assert_eq!(row(&save.replace("KEY", "x")), "– A :6 –");
    assert_eq!(row(&save.replace("KEY", "y")), "– A :6 +1 –");
    let action = "runs:\n  using: composite\n  steps:\n    - uses: astral-sh/setup-uv@v7\n";
    let text = inventory(&[(".github/actions/x/action.yml", action)]).render_text(None);
    assert!(text.contains("A :4?"), "{text}");
    assert_eq!(row(&format!("      - uses: pre-commit/action@v3\n{pip}")), "action :6 +1 A :6, not pip –");
    let hooks = "      - uses: actions/cache@v5\n        with: {path: ~/.cache/pre-commit, key: x}\n";
    assert_eq!(row(&format!("{hooks}{pip}")), "pip :8 A :6, not pip –");
    let conditional = "      - uses: actions/setup-python@v6\n        if: x\n        with: {cache: pip}\n";
    assert_eq!(row(&format!("{conditional}{pip}")), "pip :9 A :6 if –");
}

#[test]
fn sessions_are_called_unused_only_if_every_job_is_known() {
    let unused = |workflow: &str| inventory(&[(FILE, workflow), ("noxfile.py", NOXFILE)]).unused_sessions;
    // `tests` requires `lint` and notifies `docs`.
    assert_eq!(unused(&job("      - run: nox -s tests\n")), Some(vec!["extra".to_owned()]));
    for steps in ["      - run: nox -s $X\n", "      - run: make\n", "      - uses: owner/nox-runner@v1\n"] {
        let workflow = job(&format!("      - run: nox -s tests\n{steps}"));
        assert_eq!(unused(&workflow), None, "{steps}");
        let text = inventory(&[(FILE, &workflow), ("noxfile.py", NOXFILE)]).render_text(None);
        assert!(
            !text.contains("sessions that no workflow runs")
                && text.contains("runs nowhere") | text.contains("run nowhere"),
            "{text}"
        );
        let extra = text.lines().find(|line| line.starts_with("  extra")).unwrap();
        assert!(extra.ends_with("unknown"), "{text}");
        let docs = text.lines().find(|line| line.starts_with("  docs")).unwrap();
        assert!(docs.ends_with("require or notify it"), "{text}");
    }
    let remote = "on: push\njobs:\n  a:\n    uses: owner/x/.github/workflows/y.yml@v1\n";
    assert_eq!(unused(remote), None);
    let text = inventory(&[(FILE, remote), ("noxfile.py", NOXFILE)]).render_text(None);
    assert!(text.contains("calls          a: owner/x/.github/workflows/y.yml@v1"), "{text}");
}

#[test]
fn local_actions_are_followed_and_workflows_named_action_are_read() {
    let action = "runs:\n  using: composite\n  steps:\n    - run: pip install nox\n      shell: bash\n    - run: nox -s lint ${{ inputs.more }}\n      shell: bash\n    - run: nox -s docs\n      shell: bash\n";
    let workflow = job("      - uses: ./.github/actions/x\n");
    let files = [(FILE, workflow.as_str()), (".github/actions/x/action.yml", action), ("noxfile.py", NOXFILE)];
    let text = inventory(&files).render_text(None);
    let line = text.lines().find(|line| line.starts_with("  a ")).unwrap();
    assert_eq!(line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "), "action :6 none docs :6, unknown");
    let action = "inputs:\n  on: {default: 'true'}\nruns:\n  using: composite\n  steps:\n    - uses: actions/cache@v4\n      if: inputs.on != 'false'\n      with: {key: a, path: b}\n    - run: pip install nox\n      if: inputs.on == 'true'\n      shell: bash\n    - run: nox -s docs\n      if: inputs.on == 'maybe'\n      shell: bash\n";
    for (inputs, expected) in [
        ("{}", "action :6 A :6 –"),
        ("{on: 'false'}", "– – –"),
        ("{on: maybe}", "– A :6 docs :6"),
        ("{on: '${{ env.X }}'}", "action :6 if A :6 if docs :6 if"),
    ] {
        let workflow = job(&format!("      - uses: ./.github/actions/x\n        with: {inputs}\n"));
        let files = [(FILE, workflow.as_str()), (".github/actions/x/action.yml", action), ("noxfile.py", NOXFILE)];
        let text = inventory(&files).render_text(None);
        let line = text.lines().find(|line| line.starts_with("  a ")).unwrap();
        assert_eq!(line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "), expected, "{inputs}");
    }
    let named = inventory(&[(".github/workflows/action.yml", &job("      - run: nox -s lint\n"))]);
    assert_eq!(named.workflows[0].jobs.len(), 1);
}

#[test]
fn an_unmeasured_path_is_not_called_critical() {
    let text = |jobs: &str| inventory(&[(FILE, &format!("on: push\njobs:\n{jobs}"))]).render_text(None);
    let job = |name: &str, needs: &str| {
        format!("  {name}: {{needs: [{needs}], runs-on: x, steps: [{{run: nox -s {name}}}]}}\n")
    };
    let one = text(&job("a", ""));
    assert!(one.contains("critical path  a (no durations recorded)"), "{one}");
    let chain = text(&(job("a", "") + &job("b", "a") + &job("c", "")));
    assert!(
        chain.contains("critical path  unknown: not all jobs have recorded durations; longest chain of needs: a → b"),
        "{chain}"
    );
    for jobs in [job("a", "") + &job("b", ""), job("a", "") + &job("b", "") + &job("c", "a, b")] {
        let text = text(&jobs);
        assert!(text.contains("critical path  unknown: not all jobs have recorded durations\n"), "{text}");
    }
}

#[test]
fn the_example_is_listed() {
    let root = parcelbook();
    let project = read(root.path(), AuditOptions::default());
    let all = build_inventory(&project, &|name| Some(if name == "integration_tests" { 34_000 } else { 1_000 }));
    let text = all.render_text(None);
    for part in [
        "installs       pip install -q uv==${{ env.UV_VERSION }} nox (10 jobs)\n",
        "needs          coverage needs lint, typecheck, security, quality\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
