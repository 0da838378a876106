//! Fixes: what they change, what they leave, and what they refuse.

use noxide::audit::baseline::Baseline;
use noxide::audit::fix::FixError;
use noxide::audit::fix::FixLevel;
use noxide::audit::options::AuditOptions;

use super::audit_project::{apply_fixes, directory, find, lines, parcelbook, read};

const FILE: &str = ".forgejo/workflows/ci.yml";

/// Applies fixes and patches to review.
fn fixed(text: &str, more: &[(&str, &str)]) -> (String, noxide::audit::fix::FixPlan) {
    let files = [&[(FILE, text)], more].concat();
    let root = directory(&files);
    let plan = apply_fixes(root.path(), FixLevel::Patches);
    (fs_err::read_to_string(root.path().join(FILE)).unwrap(), plan)
}

#[test]
fn fixes_of_the_example_keep_every_session_and_apply_no_patch() {
    let root = parcelbook();
    let before = find(root.path(), false);
    let plan = apply_fixes(root.path(), FixLevel::Unsafe);
    assert!(plan.rejected.is_empty(), "{:?}", plan.rejected);
    let applied: std::collections::BTreeSet<&str> = plan.applied.iter().map(|applied| applied.rule_id).collect();
    assert_eq!(
        applied.into_iter().collect::<Vec<_>>().join(" "),
        "NX101 NX108 NX110 NX113 NX114 NX202 NX301 NX302 NX304 NX306 NX307 NX402"
    );
    let ci = fs_err::read_to_string(root.path().join(FILE)).unwrap();
    for part in [
        "          path: /tmp/uv-cache\n",
        "key: uv-lint-${{ runner.os }}-${{ runner.arch }}-py3.13-uv${{ env.UV_VERSION }}-${{ hashFiles('pyproject.toml', 'noxfile.py') }}\n",
        "cancel-in-progress: true\n",
    ] {
        assert!(ci.contains(part), "{part}\n{ci}");
    }
    assert!(
        !ci.contains("noxide")
            || ci.lines().filter(|line| line.contains("noxide")).all(|line| line.contains("# noxide:"))
    );
    // What is left has no fix, or a patch to review.
    let left = find(root.path(), false);
    let fixable: Vec<_> = left.iter().filter(|finding| finding.fix.is_some()).map(|finding| finding.rule.id).collect();
    assert!(
        fixable.iter().all(|id| ["NX201", "NX203", "NX205", "NX211", "NX213", "NX214", "NX411"].contains(id)),
        "{fixable:?}"
    );
    assert!(left.len() * 2 < before.len(), "{}", lines(&left).join("\n"));
    let again = apply_fixes(root.path(), FixLevel::Unsafe);
    assert!(again.applied.is_empty() && again.changed_files.is_empty());
}

#[test]
fn patches_of_the_example_apply_to_a_copy() {
    let root = parcelbook();
    let plan = apply_fixes(root.path(), FixLevel::Patches);
    assert!(plan.rejected.is_empty(), "{:?}", plan.rejected);
    let ci = fs_err::read_to_string(root.path().join(FILE)).unwrap();
    assert!(ci.contains("noxide run -s lint format --logs build"), "{ci}");
    let noxfile = fs_err::read_to_string(root.path().join("noxfile.py")).unwrap();
    assert!(noxfile.contains("requires=[\"unit_tests\"]") && noxfile.matches("\"slipcover\"").count() == 1);
}

#[test]
fn safe_fixes_alone_change_no_step() {
    let root = parcelbook();
    let plan = apply_fixes(root.path(), FixLevel::Safe);
    for changed in &plan.changed_files {
        let removed: Vec<&str> =
            changed.old.text.lines().filter(|line| !changed.new.text.contains(line.trim())).collect();
        assert!(removed.iter().all(|line| line.trim_start().starts_with("path:")), "{removed:?}");
        assert!(changed.new.path != "noxfile.py");
    }
    assert!(plan.applied.iter().all(|applied| ["NX302", "NX304", "NX306"].contains(&applied.rule_id)));
}

#[test]
fn bytes_outside_the_fixes_stay() {
    let text = "# top\r\non: push   # when\r\njobs:\r\n\r\n  # about a\r\n  a:\r\n    runs-on: 'docker'  # where\r\n\r\n    # the steps\r\n    steps:\r\n    - uses: actions/checkout@v4\r\n\r\n    # install\r\n    - run: pip install uv==1 nox\t\r\n\r\n    # all\r\n    - run: |\r\n        set -o pipefail\r\n        nox -s a 2>&1 | tee x.log\r\n    - if: always()\r\n      uses: actions/upload-artifact@v3\r\n      with:\r\n        name: x\r\n        path: x.log";
    let lock = "[[package]]\nname = \"nox\"\nversion = \"2026.1\"\n";
    let (new, plan) = fixed(text, &[("noxfile.py", NOXFILE), ("uv.lock", lock)]);
    assert!(!plan.applied.is_empty());
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    assert!(!new.ends_with('\n'));
    let mut remaining = new.lines();
    for line in text.lines().filter(|line| !line.contains("pip install")) {
        assert!(remaining.any(|other| other == line), "{line:?} is gone or moved in\n{new}");
    }
    assert!(
        new.contains("\r\n    # install\r\n    - run: pip install uv==1 nox==2026.1\t\r\n")
            && new.contains("\r\n\r\n    # One cache "),
        "{new}"
    );
}

#[test]
fn flow_style_is_kept() {
    let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    strategy: {matrix: {s: [a, b]}}\n    steps:\n      - {uses: 'https://github.com/astral-sh/setup-uv@v5', with: {version: '1'}}\n      - run: nox -s ${{ matrix.s }} 2>&1 | tee build/a.log\n      - {uses: actions/upload-artifact@v3, with: {name: x, path: build/a.log}}\n";
    let (new, _) = fixed(text, &[]);
    assert!(new.contains("with: {version: '1', enable-cache: true"), "{new}");
    assert!(new.contains("upload-artifact@v3, if: always(), with: {name: x, path: build/a.log}}"), "{new}");
    assert!(new.contains("      - run: |\n          set -o pipefail\n          nox -s"), "{new}");
}

#[test]
fn anchors_and_aliases_are_not_edited() {
    for text in [
        "on: push\njobs:\n  a: &a\n    runs-on: docker\n    steps:\n      - run: nox -s a b\n  b: *a\n",
        "on: push\nx: &x {k: v}\njobs:\n  a:\n    <<: *x\n    runs-on: docker\n    steps:\n      - run: nox -s a\n",
    ] {
        let root = directory(&[(FILE, text)]);
        let plan = apply_fixes(root.path(), FixLevel::Unsafe);
        let new = fs_err::read_to_string(root.path().join(FILE)).unwrap();
        let job = |text: &str| text[text.find("jobs:").unwrap()..].to_owned();
        assert_eq!(job(&new), job(text), "{:?}", plan.applied);
    }
}

#[test]
fn a_fix_that_fails_a_check_is_rejected_with_the_reason() {
    let text = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: |\n          nox -s a\n          cat <<X\n          nox -s b\n          X\n";
    let (new, plan) = fixed(text, &[]);
    assert!(plan.rejected.iter().all(|dropped| matches!(
        dropped.error,
        FixError::AliasedNode | FixError::FindingRemains(_) | FixError::UnintendedChange(_)
    )));
    assert_eq!(new, text, "{:?}", plan.applied);
}

#[test]
fn each_kind_of_fix_rewrites_its_text() {
    let head = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n";
    let noxfile = "import nox\nCOVERAGE_THRESHOLD = 97\n@nox.session\ndef a(s):\n    s.run('mypy')\n    s.run('vulture')\n@nox.session\ndef b(s):\n    s.run('vulture')\n@nox.session\ndef c(s):\n    s.run('pyright')\n";
    for (steps, expected, gone) in [
        ("      - run: nox -s a b\n", "nox -s a 2>&1", "nox -s a b"),
        ("      - run: nox -s a c\n", "noxide run -s a c", "- run: nox"),
        ("      - run: |\n          nox -s a\n          nox -s b\n", "nox -s a", "nox -s b"),
        (
            "      - run: |\n          for s in a b c; do\n            nox -s $s\n          done\n          echo end\n",
            "noxide run -s a c",
            "done",
        ),
        ("      - run: nox -s a | tee x.log\n", "set -o pipefail\n", "- run: nox"),
        ("      - run: |\n          nox -s a\n          coverage report --fail-under=50\n", "--fail-under=97", "50"),
        (
            "      - uses: astral-sh/setup-uv@v7\n      - uses: actions/checkout@v4\n      - run: nox -s a\n",
            "checkout@v4\n      - uses: astral-sh/setup-uv@v7\n        with:\n          enable-cache: true",
            "nothing",
        ),
        (
            "      - uses: actions/upload-artifact@v4\n        with: {name: x, path: x}\n",
            "https://code.forgejo.org/forgejo/upload-artifact@v4",
            "actions/upload",
        ),
    ] {
        let (new, plan) = fixed(&format!("{head}{steps}"), &[("noxfile.py", noxfile)]);
        assert!(
            new.contains(expected) && !new.contains(gone),
            "{steps}\n{new}\n{:?}\n{:?}",
            plan.applied,
            plan.rejected
        );
    }
}

#[test]
fn a_gate_gets_missing_needs_in_each_style() {
    let text = |needs: &str| {
        format!(
            "on: push\nconcurrency: x\njobs:\n  a:\n    if: github.ref == 'x'\n    runs-on: x\n    timeout-minutes: 3\n    steps: [{{run: a}}]\n  b:\n    runs-on: x\n    timeout-minutes: 3\n    steps: [{{run: a}}]\n  gate:\n    runs-on: x\n    timeout-minutes: 3\n    {needs}\n    if: always()\n    steps:\n      - run: |\n          [ \"${{{{ needs.a.result }}}}\" = \"success\" ] || exit 1\n"
        )
    };
    for (needs, expected) in [
        ("needs: a", "needs: [a, b]"),
        ("needs: [a]", "needs: [a, b]"),
        ("needs:\n      - a", "needs:\n      - a\n      - b"),
        ("needs:\n    - a", "needs:\n    - a\n    - b"),
    ] {
        let (new, plan) = fixed(&text(needs), &[]);
        assert!(new.contains(expected) && new.contains("success|skipped) ;;"), "{new}\n{:?}", plan.rejected);
    }
}

#[test]
fn pins_come_from_the_lock_and_pedantic_fixes_are_offered() {
    let text = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - uses: actions/checkout@v4\n      - uses: https://github.com/astral-sh/setup-uv@v7\n        with:\n          enable-cache: auto\n      - run: uv sync\n      - run: uvx nox -s a\n      - uses: some/action@v1\n";
    let lock = "[[package]]\nname = \"uv\"\nversion = \"0.9.1\"\n";
    let root = directory(&[(FILE, text), ("uv.lock", lock)]);
    let options = AuditOptions { pedantic: true, ..AuditOptions::default() };
    let plan = noxide::audit::fix::plan_fixes(read(root.path(), options), FixLevel::Unsafe, &Baseline::default());
    let new = &plan.changed_files[0].new.text;
    for part in [
        "enable-cache: true\n          prune-cache: false\n          version: \"0.9.1\"",
        "uv sync --locked",
        "uses: https://github.com/some/action@v1",
    ] {
        assert!(new.contains(part), "{part}\n{new}\n{:?}", plan.rejected);
    }
}

const NOXFILE: &str = "import nox\n@nox.session\ndef a(s):\n    s.run('vulture')\n@nox.session\ndef b(s):\n    s.run('mypy', *s.posargs)\n@nox.session\ndef c(s):\n    s.run('pyright')\n";

/// A workflow of jobs with equal setup steps that run one session each.
fn alike(jobs: &[(&str, &str, &str)]) -> String {
    let mut text = "on: push\nconcurrency: x\njobs:\n".to_owned();
    for (name, keys, script) in jobs {
        text.push_str(&format!(
            "  {name}:\n    runs-on: docker\n    timeout-minutes: 9\n{keys}    steps:\n      - uses: actions/checkout@v4\n      - run: pip install nox==1\n      - run: {script}\n      - if: always()\n        uses: actions/upload-artifact@v3\n        with: {{name: {name}, path: x}}\n\n"
        ));
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn uploads_of_merged_jobs_are_combined_unless_an_artifact_could_be_missed() {
    let mut text = alike(&[("a", "", "nox -s a"), ("b", "", "nox -s b"), ("c", "", "nox -s c")]);
    for (job, file) in [("a", "x"), ("b", "y"), ("c", "z")] {
        text = text.replace(&format!("name: {job}, path: x"), &format!("name: logs-{job}, path: {file}"));
    }
    let uploads = |text: &str| fixed(text, &[("noxfile.py", NOXFILE)]).0;
    let new = uploads(&text);
    assert!(
        new.contains("          name: logs\n          path: |\n            x\n            y\n            z\n"),
        "{new}"
    );
    for (old, changed, left) in [
        ("path: z}", "path: z, if-no-files-found: error}", 2), // the step has more options than `path`
        ("path: z}", "path: '!z'}", 2),                        // what it leaves out would be left out of all
        ("path: z}", "path: /tmp/z}", 2),
        ("logs-c, path: z", "'logs-${{ runner.os }}', path: z", 2),
        ("logs-c, path: z", "c, path: z", 1), // no word in common: named by the job
        (
            "        uses: actions/upload-artifact@v3\n        with: {name: logs-c",
            "        # why\n        uses: actions/upload-artifact@v3\n        with: {name: logs-c",
            2,
        ),
        (
            "      - if: always()\n        uses: actions/upload-artifact@v3\n        with: {name: logs-c",
            "      - if: failure()\n        uses: actions/upload-artifact@v3\n        with: {name: logs-c",
            2,
        ),
        (
            "path: z}\n",
            "path: z}\n\n  last:\n    runs-on: docker\n    timeout-minutes: 3\n    needs: [a, b, c]\n    steps:\n      - uses: actions/download-artifact@v3\n",
            3,
        ),
        (
            "path: z}\n",
            "path: z}\n\n  last:\n    runs-on: other\n    timeout-minutes: 3\n    steps:\n      - uses: actions/upload-artifact@v3\n        if: always()\n        with: {name: logs, path: q}\n",
            4,
        ),
    ] {
        let text = text.replacen(old, changed, 1);
        assert!(text.contains(changed), "{old}");
        let new = uploads(&text);
        assert_eq!(new.matches("upload-artifact").count(), left, "{changed}\n{new}");
        assert!(new.contains("noxide run -s a b c"), "{changed}\n{new}");
    }
    // Different step names are replaced by one name.
    let mut named = text.replacen("- if: always()\n", "- name: Keep a\n        if: always()\n", 1);
    named = named.replacen("- if: always()\n", "- name: Keep b\n        if: always()\n", 1);
    let new = uploads(&named);
    assert!(new.contains("- name: \"Upload session artifacts\"\n        if: always()\n"), "{new}");
}

#[test]
fn jobs_with_the_same_setup_are_merged() {
    let text = alike(&[("a", "", "nox -s a"), ("b", "", "nox -s b"), ("c", "    needs: [a]\n", "nox -s c")]);
    let merged = |text: &str| fixed(text, &[("noxfile.py", NOXFILE)]).0;
    for text in [text.clone(), text.replace('\n', "\r\n")] {
        let new = merged(&text);
        assert!(new.contains("noxide run -s a b c") && new.matches("pip install").count() == 1, "{new}");
        // The same file under three names is uploaded once.
        let ending = if text.contains('\r') { "\r\n" } else { "\n" };
        let upload = "        with:\n          name: sessions\n          path: |\n            x".replace('\n', ending);
        assert!(!new.contains("needs:") && new.contains(&upload), "{new}");
        assert_eq!(new.matches("upload-artifact").count(), 1, "{new}");
        assert_eq!(text.contains('\r'), new.contains('\r'));
    }
    // Each of these prevents one job for all.
    for (old, new) in [
        ("  b:\n", "  # people's words\n  b:\n"),
        ("nox -s b", "A=1 nox -s b"),
        ("nox -s b", "nox -r -s b"),
        ("nox -s b", "nox -s b || true"),
        ("  b:\n    runs-on: docker\n", "  b:\n    runs-on: docker\n    if: github.ref == 'x'\n"),
        ("  b:\n    runs-on: docker\n", "  b:\n    runs-on: other\n"),
        ("name: b, path: x}", "name: b, path: '${{ needs.a.outputs.x }}'}"),
        ("      - run: nox -s b\n", "      - run: nox -s b\n        env: {A: '1'}\n"),
    ] {
        assert!(text.contains(old), "{old}");
        let new = merged(&text.replacen(old, new, 1));
        assert!(!new.contains("  sessions:\n") || new.contains("  b:\n"), "{old}\n{new}");
    }
}

#[test]
fn jobs_are_not_merged_with_a_free_runner_for_each() {
    let text = alike(&[("a", "", "nox -s a"), ("b", "", "nox -s b"), ("c", "", "nox -s c")]);
    let root = directory(&[(FILE, &text), ("noxfile.py", NOXFILE)]);
    for (capacity, merged) in [(None, true), (Some(2), true), (Some(3), false)] {
        let options = AuditOptions { runner_capacity: capacity, ..AuditOptions::default() };
        let plan = noxide::audit::fix::plan_fixes(read(root.path(), options), FixLevel::Patches, &Baseline::default());
        assert_eq!(plan.applied.iter().any(|applied| applied.rule_id == "NX203"), merged, "{capacity:?}");
    }
}

#[test]
fn arguments_reach_only_the_sessions_of_their_call() {
    let text = alike(&[("a", "", "nox -s a -- --check"), ("b", "", "nox -s b"), ("c", "", "nox -s c")]);
    let (new, _) = fixed(&text, &[("noxfile.py", NOXFILE)]);
    assert!(new.contains("noxide run -s a -- --check || status=$?\n          noxide run -s b c || status=$?"), "{new}");
    // A session that reads no arguments may be run together with one that does.
    let text = alike(&[("a", "", "nox -s a"), ("b", "", "nox -s b -- -k x"), ("c", "", "nox -s c")]);
    let (new, _) = fixed(&text, &[("noxfile.py", NOXFILE)]);
    assert!(new.contains("noxide run -s a c b -- -k x\n"), "{new}");
}

#[test]
fn calls_of_one_step_are_joined_with_a_log_per_session() {
    let head = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: pip install nox==1\n      - run: |\n          set -o pipefail\n";
    let calls =
        "          nox -s a 2>&1 | tee build/a.log\n          nox -s c 2>&1 | tee build/c.log\n          echo end\n";
    let upload = "      - if: always()\n        uses: actions/upload-artifact@v3\n        with:\n          name: x\n          path: |\n            build/a.log\n            build/c.log\n            more\n";
    let (new, _) = fixed(&format!("{head}{calls}{upload}"), &[("noxfile.py", NOXFILE)]);
    let expected =
        "          noxide run -s a c --logs build --log-name 'nox-{session}-output.log'\n          echo end\n";
    assert!(new.contains(expected) && new.contains("pip install nox==1\n"), "{new}");
    assert!(new.contains("build/nox-a-output.log\n            build/nox-c-output.log\n            more\n"), "{new}");
    for (old, other) in
        [("tee build/c.log", "tee other/c.log"), ("tee build/a.log", "tee -a build/a.log"), ("nox -s c", "nox -t c")]
    {
        let (new, _) = fixed(&format!("{head}{}{upload}", calls.replace(old, other)), &[("noxfile.py", NOXFILE)]);
        assert!(!new.contains("noxide run -s a c"), "{new}");
    }
}

#[test]
fn repeated_tests_are_measured_in_the_first_run() {
    let head = "on: push\nconcurrency: x\njobs:\n";
    let job = |name: &str| {
        format!(
            "  {name}:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: |\n          set -o pipefail\n          nox -s {name} 2>&1 | tee x.log\n      - if: always()\n        uses: actions/upload-artifact@v3\n        with: {{name: {name}, path: x.log}}\n"
        )
    };
    let text = format!("{head}{}{}", job("tests"), job("coverage"));
    let file = "import nox\n\n@nox.session\ndef tests(session):\n    \"\"\"Tests.\"\"\"\n    session.install(\"pytest\")\n    session.run(\"pytest\", \"tests\", external=True)\n\n@nox.session\ndef coverage(session):\n    \"\"\"Judges.\"\"\"\n    session.install(\"pytest\")\n    session.install(\"coverage\")\n    session.run(\"coverage\", \"run\", \"-m\", \"pytest\", \"tests\", success_codes=[0, 1])\n    session.run(\"coverage\", \"report\")\n";
    let after = |file: &str| {
        let root = directory(&[(FILE, &text), ("noxfile.py", file)]);
        let plan = apply_fixes(root.path(), FixLevel::Patches);
        (fs_err::read_to_string(root.path().join("noxfile.py")).unwrap(), plan)
    };
    let (new, _) = after(file);
    let expected = "    session.install(\"coverage\")\n    session.run(\"coverage\", \"run\",\n                \"-m\", \"pytest\", \"tests\", external=True)\n\n@nox.session(requires=[\"tests\"])\ndef coverage(session):\n    \"\"\"Judges.\"\"\"\n    session.install(\"pytest\")\n    session.install(\"coverage\")\n    session.run(\"coverage\", \"report\")\n";
    assert!(new.contains(expected), "{new}");
    for (old, other) in [
        ("@nox.session\ndef tests", "@nox.session(python=[\"3.11\", \"3.12\"])\ndef tests"),
        ("@nox.session\ndef coverage", "@nox.session(requires=[\"x\"])\ndef coverage"),
        ("def coverage(session)", "def coverage(s, session=None)"),
        ("\"pytest\", \"tests\", success", "\"pytest\", \"others\", success"),
        (
            "    session.run(\"coverage\", \"run\"",
            "    # people's words\n    session.install(\"x\")\n    session.run(\"coverage\", \"run\"",
        ),
        ("\n    session.run(\"coverage\", \"report\")", ""),
    ] {
        let changed = file.replacen(old, other, 1);
        assert!(changed != file, "{old}");
        let (new, plan) = after(&changed);
        // A comment above an unchanged line stays; nothing else changes.
        let rewritten = plan.applied.iter().any(|applied| applied.rule_id == "NX205");
        assert!(!rewritten || new.contains("people's words"), "{old}: {new}");
    }
}

#[test]
fn path_filters_are_added_to_each_form_of_a_trigger() {
    let jobs = "concurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: |\n          set -o pipefail\n          nox -s a 2>&1 | tee x.log\n      - if: always()\n        uses: actions/upload-artifact@v3\n        with: {name: a, path: x.log}\n";
    let list = "paths: [\"**\", \"!**.md\", \"!**.rst\", \"!LICENSE*\"]";
    for (on, expected) in [
        ("on:\n  push:\n    branches: [main]\n", format!("    branches: [main]\n    {list}\n")),
        ("on:\n  push: {branches: [main]}\n", format!("{{branches: [main], {list}}}")),
        ("on:\n  push:\n  pull_request:\n", format!("  push:\n    {list}\n  pull_request:\nconcurrency")),
        ("on: [push]\n", "on: [push]\n".to_owned()),
        ("on:\n  push:\n    branches: [main]\n    tags: [v*]\n", "tags: [v*]\nconcurrency".to_owned()),
    ] {
        let (new, _) = fixed(&format!("{on}{jobs}"), &[("noxfile.py", NOXFILE)]);
        assert!(new.contains(&expected), "{expected}\n{new}");
    }
}

#[test]
fn noxide_replaces_nox_where_the_setting_says_what_to_install() {
    let text = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: pip install uv==1 nox==2026.1\n      - run: nox -s a b\n";
    let noxfile =
        "import nox\n@nox.session\ndef a(s):\n    s.run('mypy')\n@nox.session\ndef b(s):\n    s.run('pyright')\n";
    let plan = |text: &str, install: Option<&str>| {
        let root = directory(&[(FILE, text), ("noxfile.py", noxfile)]);
        let options = AuditOptions { install: install.map(|text| text.parse().unwrap()), ..AuditOptions::default() };
        let plan = noxide::audit::fix::plan_fixes(read(root.path(), options), FixLevel::Unsafe, &Baseline::default());
        plan.changed_files.first().map_or(text.to_owned(), |changed| changed.new.text.clone())
    };
    let fixed = plan(text, Some("noxide==0.2.0"));
    assert!(fixed.contains("- run: pip install uv==1 nox==2026.1 && pip install noxide==0.2.0\n"), "{fixed}");
    assert!(fixed.contains("noxide run -s a b"), "{fixed}");
    assert!(plan(text, Some("noxide>=0.2")).contains("nox==2026.1 && pip install \"noxide>=0.2\"\n"));
    // An action and an image are no packages; quoted words and other installers are not edited.
    for install in [None, Some("uses: noxide/noxide@v1"), Some("image: noxide")] {
        assert!(!plan(text, install).contains("noxide run"));
    }
    for other in ["pip install 'nox'", "uv tool install nox", "pipx install nox"] {
        let fixed = plan(&text.replace("pip install uv==1 nox==2026.1", other), Some("noxide==0.2.0"));
        assert!(!fixed.contains("noxide run"), "{fixed}");
    }
    let one_step = text.replace(
        "      - run: pip install uv==1 nox==2026.1\n      - run: nox -s a b\n",
        "      - run: |\n          pip install nox\n          nox -s a b\n",
    );
    assert!(!plan(&one_step, Some("noxide==0.2.0")).contains("noxide run"));
}
