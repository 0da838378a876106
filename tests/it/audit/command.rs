//! The command: formats, exit codes, settings on the command line, fixes written and shown.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::audit_project::{directory, parcelbook};
use crate::support::CommandDeadline as _;

const SMALL: &str = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install uv==0.8.0 nox . # why\n      - run: nox -s lint tests\n";

const NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'uv'\n@nox.session\ndef lint(session):\n    session.run('mypy')\n@nox.session\ndef tests(session):\n    session.run('pytest')\n";

fn noxide(root: &Path, words: &str) -> Output {
    let words = words.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_noxide")).args(words).current_dir(root).env("NO_COLOR", "1").finish()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn small() -> tempfile::TempDir {
    directory(&[(".forgejo/workflows/ci.yml", SMALL), ("noxfile.py", NOXFILE)])
}

#[test]
fn json_is_versioned_and_its_offsets_are_correct() {
    let root = parcelbook();
    let output = noxide(root.path(), "audit --format json --pedantic");
    let document: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        (document["version"].as_u64(), document["workflow_files"].as_u64(), output.status.code()),
        (Some(3), Some(3), Some(1))
    );
    let counts = document["rules"].as_array().unwrap();
    let total: u64 = counts.iter().map(|rule| rule["count"].as_u64().unwrap()).sum();
    assert_eq!(total, document["findings"].as_array().unwrap().len() as u64);
    assert!(counts[0]["severity"] == "high" && counts[0]["files"][0]["lines"][0].is_u64(), "{}", counts[0]);
    let findings = document["findings"].as_array().unwrap();
    assert!(findings.len() > 110);
    for finding in findings {
        let location = &finding["location"];
        let text = fs_err::read_to_string(root.path().join(location["path"].as_str().unwrap())).unwrap();
        let start = usize::try_from(location["start"].as_u64().unwrap()).unwrap();
        let line = usize::try_from(location["line"].as_u64().unwrap()).unwrap();
        assert_eq!(text[..start].matches('\n').count() + 1, line, "{finding}");
        if let Some(edits) = finding["fix"]["edits"].as_array() {
            for edit in edits {
                let end = usize::try_from(edit["end"].as_u64().unwrap()).unwrap();
                assert!(end <= text.len() || finding["fix"]["path"] != location["path"]);
            }
        }
    }
    let lint = findings.iter().find(|finding| finding["id"] == "NX205").unwrap();
    assert_eq!(lint["related"][0]["line"], 168);
}

#[test]
fn every_format_contains_the_location() {
    let root = small();
    for (format, expected) in [
        ("text", "ci.yml:8:21"),
        ("forgejo", ".forgejo/workflows/ci.yml:3:3: low[NX301]"),
        (
            "github",
            "::warning file=.forgejo/workflows/ci.yml,line=8,endLine=8,col=21,title=NX201 sequential-sessions (medium confidence)::2 sessions",
        ),
        ("markdown", "| medium (medium confidence) | NX201 `sequential-sessions` |"),
        ("sarif", "\"startLine\": 8"),
    ] {
        let output = noxide(root.path(), &format!("audit --format {format}"));
        assert!(out(&output).contains(expected), "{format}: {}", out(&output));
    }
    let sarif: Value = serde_json::from_str(&out(&noxide(root.path(), "audit --format sarif"))).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    }
    let many = out(&noxide(parcelbook().path(), "audit --format github"));
    assert_eq!(many.lines().filter(|line| line.starts_with("::")).count(), 10);
    assert!(many.starts_with("::error file="));
}

#[test]
fn text_shows_source_and_fix() {
    let text = out(&noxide(small().path(), "audit"));
    for part in [
        "medium[NX201]: 2 sessions run one after another: lint, tests",
        "- run: nox -s lint tests",
        "`tests` waits for the sessions before it",
        "run the sessions in parallel (requires noxide on the runner) (a patch to review: noxide does not apply it)",
        "noxide run -s lint tests",
        "in 1 workflow file:",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let whole = out(&noxide(parcelbook().path(), "audit --pedantic"));
    for part in ["noxfile.py:18", "see also", "high[NX114]", "info[NX122]", "fixable with --fix"] {
        assert!(whole.contains(part), "{part}:\n{whole}");
    }
    let none = directory(&[(".github/workflows/ci.yml", "on: [pull_request]\njobs: {}\n")]);
    assert_eq!(out(&noxide(none.path(), "audit")), "no findings in 1 workflow file\n");
    assert!(out(&noxide(none.path(), "audit --format markdown")).contains("no findings"));
}

#[test]
fn findings_fail_at_the_requested_severity() {
    let root = small();
    for (words, code) in [
        ("audit", 0),
        ("audit --fail-on info", 1),
        ("audit --fail-on medium", 1),
        ("audit --fail-on high", 0),
        ("audit --fail-on never", 0),
        ("audit --disable NX101 --disable NX201 --fail-on medium", 0),
        ("audit --statistics --fail-on medium", 1),
        ("audit --diff --fail-on low", 1),
        ("audit --inventory --fail-on info", 0),
        ("audit --fail-on none", 2),
        ("audit --check", 2),
        ("audit --statistics --fix", 2),
        ("audit --statistics --format sarif", 2),
        ("audit --disable NX9999", 2),
        ("audit --disable no-timeoutt", 2),
        ("audit --explain NX301", 0),
        ("audit --explain none", 2),
        ("audit --forge gitlab", 2),
        ("audit none.yml", 3),
        ("audit .forgejo/workflows/ci.yml", 0),
        ("audit --runner-capacity 1 --forge-version 14 --forge github", 0),
        ("audit --forge-version new", 2),
    ] {
        assert_eq!(noxide(root.path(), words).status.code(), Some(code), "{words}");
    }
    assert!(err(&noxide(root.path(), "audit --disable no-timeoutt")).contains("did you mean `no-timeout`"));
    assert!(err(&noxide(root.path(), "audit --fail-on none")).contains("info, low, medium, high or never"));
    assert_eq!(noxide(directory(&[]).path(), "audit").status.code(), Some(4));
    assert!(out(&noxide(root.path(), "audit --rules")).starts_with("# Rules of `noxide audit`"));
    let example = parcelbook();
    assert_eq!(noxide(example.path(), "audit").status.code(), Some(1));
    // What the files contain at the end counts: `--diff` fixes nothing.
    fs_err::write(root.path().join(".forgejo/workflows/ci.yml"), SMALL.replace("on: push", "on: pull_request"))
        .unwrap();
    let only =
        "--disable NX101 --disable NX201 --disable NX301 --disable NX307 --disable NX401 --disable NX209 --fail-on low";
    for (words, code) in [("audit --diff", 1), ("audit --fix", 0), ("audit --diff", 0)] {
        let output = noxide(root.path(), &format!("{words} {only}"));
        assert_eq!(output.status.code(), Some(code), "{words}: {}", err(&output));
    }
}

#[test]
fn statistics_count_the_findings_of_each_rule() {
    let root = small();
    let text = out(&noxide(root.path(), "audit --statistics"));
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].trim().starts_with("1  medium  NX101  no-dependency-cache  --fix"), "{text}");
    assert!(rows.iter().any(|row| row.ends_with("no-timeout           --fix --unsafe-fixes")), "{text}");
    assert!(rows.last().unwrap().contains(" findings in 1 workflow file: ") && !text.contains("-->"), "{text}");
    // Every report ends with the same table.
    for format in ["text", "forgejo", "github"] {
        let report = out(&noxide(root.path(), &format!("audit --format {format}")));
        assert!(report.ends_with(&text), "{format}: {report}");
    }
    let json: Value = serde_json::from_str(&out(&noxide(root.path(), "audit --statistics --format json"))).unwrap();
    assert!(json["findings"].is_null() && json["rules"][0]["id"] == "NX101", "{json}");
    let markdown = out(&noxide(root.path(), "audit --statistics --format markdown"));
    assert!(markdown.contains("| 1 | medium | NX201 `sequential-sessions` | patch to review |"), "{markdown}");
    let wrong = noxide(root.path(), "audit --statistics --format github");
    assert!(err(&wrong).contains("--statistics has no annotations"), "{}", err(&wrong));
}

#[test]
fn findings_of_one_rule_and_file_are_one_line() {
    let root = parcelbook();
    let lines = |format: &str, part: &str| {
        let text = out(&noxide(root.path(), &format!("audit --format {format}")));
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect::<Vec<_>>()
    };
    let timeouts = lines("forgejo", "[NX301]");
    assert_eq!(timeouts.len(), 3, "{timeouts:?}");
    assert!(timeouts[0].ends_with("(also lines 46, 78, 111, 143, 178, 212, 254, 279 and 345)"), "{timeouts:?}");
    let caches = lines("github", "title=NX114 ");
    assert!(caches.len() == 1 && caches[0].contains("(9 findings)") && caches[0].contains("lines 60, "), "{caches:?}");
    let text = out(&noxide(root.path(), "audit"));
    assert!(text.contains("also at .forgejo/workflows/ci.yml:46, 78, 111, 143, 178, 212, 254, 279, 345; "), "{text}");
    let sarif: Value = serde_json::from_str(&out(&noxide(root.path(), "audit --format sarif"))).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.iter().filter(|result| result["ruleId"] == "NX301").count(), 12);
    assert!(results.iter().all(|result| result["properties"]["confidence"].is_string()));
}

#[test]
fn a_baseline_ignores_known_findings() {
    let root = small();
    let path = root.path().join(".forgejo/workflows/ci.yml");
    assert!(out(&noxide(root.path(), "audit --baseline known.json --write-baseline")).contains("findings to"));
    let output = noxide(root.path(), "audit --fail-on info --baseline known.json");
    assert_eq!((output.status.code(), out(&output).contains("in the baseline")), (Some(0), true));
    fs_err::write(&path, SMALL.replace("steps:", "needs: b\n    steps:")).unwrap();
    let output = noxide(root.path(), "audit --baseline known.json");
    assert!(output.status.code() == Some(1) && out(&output).contains("NX414"), "{}", out(&output));
    assert_eq!(noxide(root.path(), "audit --baseline none.json").status.code(), Some(3));
    assert_eq!(noxide(root.path(), "audit --baseline no/where.json --write-baseline").status.code(), Some(3));
}

#[test]
fn fixes_are_shown_or_written() {
    let root = small();
    let path = root.path().join(".forgejo/workflows/ci.yml");
    // As in ruff, --unsafe-fixes only widens what --fix and --diff do.
    let shown = noxide(root.path(), "audit --unsafe-fixes");
    assert!(
        out(&shown).contains("(--fix --unsafe-fixes)") && out(&shown).contains("fixable with --fix"),
        "{}",
        out(&shown)
    );
    assert_eq!(fs_err::read_to_string(&path).unwrap(), SMALL);
    let shown = noxide(root.path(), "audit --diff --unsafe-fixes");
    assert!(
        out(&shown).contains("+++ b/.forgejo/workflows/ci.yml") && out(&shown).contains("+    timeout-minutes: 60")
    );
    assert!(err(&shown).contains("would apply"));
    assert_eq!(fs_err::read_to_string(&path).unwrap(), SMALL);
    fs_err::write(&path, SMALL.replace("on: push", "on: pull_request")).unwrap();
    let safe = noxide(root.path(), "audit --fix");
    let applied = ".forgejo/workflows/ci.yml\n  NX302  fixed: cancel older runs of a pull request\n";
    assert!(err(&safe).contains(applied), "{}", err(&safe));
    for part in [
        "  NX301  low  no-timeout at .forgejo/workflows/ci.yml:6: the fix is unsafe; pass --unsafe-fixes",
        "  NX201  medium  sequential-sessions at .forgejo/workflows/ci.yml:11: a patch to review; `noxide audit` shows it",
    ] {
        assert!(err(&safe).contains(part), "{part}\n{}", err(&safe));
    }
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains("cancel-in-progress") && !text.contains("timeout-minutes"));
    noxide(root.path(), "audit --fix --unsafe-fixes");
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains("timeout-minutes") && text.contains("nox -s lint tests"), "{text}");
    assert!(text.contains("pip install uv==0.8.0 nox . # why") && !text.contains("noxide run"), "{text}");
    let again = noxide(root.path(), "audit --fix --unsafe-fixes");
    assert!(err(&again).contains("\napplied 0 fixes to 0 files: "), "{}", err(&again));
}

#[test]
fn the_inventory_lists_installs_caches_and_sessions() {
    let root = parcelbook();
    let text = out(&noxide(root.path(), "audit --inventory"));
    for part in [
        "  job                line  installs           cache            sessions\n",
        "  lint                 13  pip :23            A :25, not pip   lint :35, format :36\n",
        "  docs                254  pip :264           none             docs :269\n",
        "  status-check        345  –                  –                –\n",
        "  installs       pip install -q uv==${{ env.UV_VERSION }} nox (10 jobs)\n",
        "  cache A        ~/.cache/uv, actions/cache, key `uv-${{ hashFiles('pyproject.toml') }}` (8 jobs)\n",
        "  needs          coverage needs lint, typecheck, security, quality\n",
        "  sequential     lint: lint, format (one after another)\n",
        "  critical path  unknown: not all jobs have recorded durations\n",
        "  unknown        unit_tests: python scripts/fetch_tool.py helm 3.16.4 :153\n",
        "  security_scan        73  .[security]              ci.yml:security, nightly-quality.yml:nightly\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let project = super::audit_project::read(root.path(), noxide::audit::options::AuditOptions::default());
    let narrow = noxide::audit::inventory::build_inventory(&project, &|_| Some(90_000)).render_text(Some(80));
    let long = |line: &&str| line.chars().count() > 80 && line.split(' ').all(|word| word.chars().count() < 40);
    assert_eq!(narrow.lines().find(long), None, "{narrow}");
    let table: Value = serde_json::from_str(&out(&noxide(root.path(), "audit --inventory --format json"))).unwrap();
    assert_eq!((table["version"].as_u64(), table["workflows"].as_array().map(Vec::len)), (Some(3), Some(3)));
    let unused = directory(&[
        (
            ".forgejo/workflows/a.yml",
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: astral-sh/setup-uv@v7\n        with: {enable-cache: true}\n      - uses: actions/setup-python@v5\n        with: {cache: pip}\n      - uses: hynek/setup-cached-uv@v2\n      - run: nox -s lint\n",
        ),
        ("noxfile.py", "import nox\n@nox.session\ndef lint(session): pass\n@nox.session\ndef docs(session): pass\n"),
    ]);
    let text = out(&noxide(unused.path(), "audit --inventory"));
    assert!(text.contains("sessions that no workflow runs: docs"), "{text}");
    for action in ["setup-uv", "setup-python", "hynek/setup-cached-uv"] {
        assert!(text.contains(&format!(", {action}, key ")), "{action}\n{text}");
    }
}

#[test]
fn init_creates_a_workflow_once() {
    let settings = ("noxide.toml", "install = 'noxide==0.2.0'\n");
    let root = directory(&[("noxfile.py", "import nox\n"), (".gitea/x", ""), settings]);
    assert!(out(&noxide(root.path(), "init --dry-run --forge forgejo")).contains("runs-on: docker"));
    assert_eq!(out(&noxide(root.path(), "init --branch trunk")), ".gitea/workflows/noxide.yml\n");
    assert!(
        fs_err::read_to_string(root.path().join(".gitea/workflows/noxide.yml")).unwrap().contains("branches: [trunk]")
    );
    let again = noxide(root.path(), "init --new");
    assert!(again.status.code() == Some(2) && err(&again).contains("already exists"));
    let github = directory(&[(".github/x", ""), settings]);
    assert_eq!(out(&noxide(github.path(), "init")), ".github/workflows/noxide.yml\n");
    let blocked = directory(&[(".forgejo", "a file"), settings]);
    assert_eq!(noxide(blocked.path(), "init").status.code(), Some(3));
}

#[test]
fn init_writes_nothing_that_cannot_be_installed() {
    let root = directory(&[("noxfile.py", NOXFILE), ("pyproject.toml", "")]);
    let unknown = noxide(root.path(), "init");
    assert_eq!(unknown.status.code(), Some(2), "{}", err(&unknown));
    assert!(err(&unknown).contains("is not a release") && err(&unknown).contains("--install"), "{}", err(&unknown));
    assert!(!root.path().join(".forgejo").exists());
    let moving = noxide(root.path(), "init --install git+https://forge.example/noxide@main");
    assert!(moving.status.code() == Some(2) && err(&moving).contains("must name a commit"), "{}", err(&moving));
    for forge in ["forgejo", "gitea", "github"] {
        let text = out(&noxide(root.path(), &format!("init --dry-run --forge {forge} --install noxide==0.2.0")));
        assert!(text.contains("run: pip install -q noxide==0.2.0\n") && text.contains("run: noxide ci\n"), "{text}");
        assert!(!text.contains("cache@"), "{text}");
    }
}

#[test]
fn init_fixes_existing_workflows() {
    let root = parcelbook();
    let shown = noxide(root.path(), "init --dry-run");
    assert!(err(&shown).contains("set a timeout of 60 minutes (10 times)\n"), "{}", err(&shown));
    assert!(!out(&shown).lines().any(|line| line.starts_with('+') && line.contains("noxide run")));
    assert!(noxide(root.path(), "init").status.success());
    let text = fs_err::read_to_string(root.path().join(".forgejo/workflows/ci.yml")).unwrap();
    assert!(text.contains("path: /tmp/uv-cache"), "{text}");
    let new = noxide(root.path(), "init --new --install noxide==0.2.0");
    assert_eq!(out(&new), ".forgejo/workflows/noxide.yml\n");
}

#[test]
fn audit_settings_come_from_flags_variables_and_files() {
    let root = small();
    let say = |toml: &str| fs_err::write(root.path().join("noxide.toml"), toml).unwrap();
    say(
        "[audit]\npedantic = true\nforge-version = '14'\n[audit.rules.no-dependency-cache]\ndisable = true\n[audit.rules.NX301]\nseverity = 'high'\nignore = ['other.yml']\n",
    );
    let text = out(&noxide(root.path(), "audit --format forgejo"));
    assert!(!text.contains("NX101") && text.contains("high[NX301]") && text.contains("NX4"), "{text}");
    say("[audit]\nforge = 'github'\nrunner-capacity = 3\nbaseline = 'known.json'\n");
    let written = noxide(root.path(), "audit --write-baseline");
    assert!(written.status.success() && root.path().join("known.json").is_file(), "{}", err(&written));
    assert!(out(&noxide(root.path(), "audit")).contains("no findings"));
    say("");
    assert_eq!(noxide(root.path(), "audit --write-baseline").status.code(), Some(2));
    for (toml, expected) in [
        ("[audit.rules.NX999]\ndisable = true\n", "unknown rule `NX999`"),
        ("[audit.rules.no-timeot]\n", "no-timeout"),
        ("[audit]\nforge-version = 'new'\n", "must be a version such as 14 or 1.26"),
        ("[audit]\nrunner-capacty = 1\n", "runner-capacity"),
        ("[audit.rules.NX301]\nseverty = 'low'\n", "severity"),
        ("audit = 1\n", "must be a table"),
    ] {
        say(toml);
        let wrong = noxide(root.path(), "audit");
        assert!(wrong.status.code() == Some(2) && err(&wrong).contains(expected), "{expected}: {}", err(&wrong));
    }
    say("[audit]\nforge = 'github'\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_noxide"));
    command.args(["audit", "--format", "json"]).current_dir(root.path()).env("NOXIDE_AUDIT_FORGE", "hub");
    let wrong = command.finish();
    assert!(wrong.status.code() == Some(2) && err(&wrong).contains("NOXIDE_AUDIT_FORGE"), "{}", err(&wrong));
}

#[test]
fn the_inventory_states_only_measured_durations() {
    use noxide::audit::inventory::build_inventory;
    let job = |name: &str, needs: &str| {
        format!(
            "  {name}:\n    needs: [{needs}]\n    runs-on: x\n    steps:\n      - run: pip install nox\n      - run: nox -s {name}\n"
        )
    };
    let workflow =
        format!("on: push\njobs:\n{}{}{}{}", job("a", ""), job("b", "a"), job("long", ""), job("end", "b, long"));
    let root = directory(&[(".forgejo/workflows/ci.yml", &workflow)]);
    let project = super::audit_project::read(root.path(), noxide::audit::options::AuditOptions::default());
    let all = build_inventory(&project, &|name| Some(if name == "long" { 34_000 } else { 1_000 }));
    let ci = &all.workflows[0];
    assert_eq!((ci.critical_path.join(" "), ci.critical_path_ms), ("long end".to_owned(), Some(35_000)));
    let text = all.render_text(None);
    assert!(text.contains("long → end: 35.0 s of sessions in earlier runs"), "{text}");
    let some = build_inventory(&project, &|name| (name != "long").then_some(1_000));
    assert!(
        some.render_text(None)
            .contains("unknown: not all jobs have recorded durations; longest chain of needs: a → b → end")
    );
    let page = all.render_markdown();
    for part in [
        "| job | installs | cache | sessions | needs |",
        "| long (15) | `pip install nox` (19) | **none** | long (20, 34.0 s) |",
        "Critical path: long → end: 35.0 s",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let root = parcelbook();
    assert!(out(&noxide(root.path(), "audit --inventory --format markdown")).contains("| lint (13) |"));
    let circle = "on: push\njobs:\n  a:\n    needs: b\n    steps: []\n  b:\n    needs: a\n    steps: []\n";
    let circle = directory(&[(".github/workflows/x.yml", circle)]);
    assert!(noxide(circle.path(), "audit --inventory").status.success());
}

#[test]
fn a_path_selects_its_project() {
    let project = small();
    fs_err::write(project.path().join(".pre-commit-config.yaml"), "repos: []\n").unwrap();
    let outside = directory(&[("x", "")]);
    let expected = out(&noxide(project.path(), "audit --pedantic"));
    assert!(expected.contains("NX201"), "{expected}");
    let path = project.path().display();
    for words in [
        format!("audit --pedantic {path}"),
        format!("audit --pedantic {path}/.forgejo/workflows"),
        format!("audit --pedantic {path}/.forgejo/workflows/ci.yml"),
    ] {
        assert_eq!(out(&noxide(outside.path(), &words)), expected, "{words}");
    }
    assert_eq!(out(&noxide(project.path(), "audit --pedantic .")), expected);
    let baseline = noxide(outside.path(), &format!("audit --pedantic --baseline known --write-baseline {path}"));
    assert!(baseline.status.success(), "{}", err(&baseline));
    assert!(outside.path().join("known").is_file());
    let other = small();
    let both = noxide(outside.path(), &format!("audit {path} {}", other.path().display()));
    assert_eq!(both.status.code(), Some(2));
    assert!(err(&both).contains("are in different projects; audit one project at a time"), "{}", err(&both));
}
