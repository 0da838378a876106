//! Fixes: what they change, what they leave, and what they refuse.

use noxide::audit::fix::Gate;
use noxide::audit::mend::Wanted;
use noxide::audit::options::AuditOptions;

use super::project::{find, folder, lines, mend, parcelbook, read};

const FILE: &str = ".forgejo/workflows/ci.yml";

fn mended(text: &str, more: &[(&str, &str)]) -> (String, noxide::audit::mend::FixPlan) {
    let files = [&[(FILE, text)], more].concat();
    let root = folder(&files);
    let plan = mend(root.path(), Wanted::All);
    (fs_err::read_to_string(root.path().join(FILE)).unwrap(), plan)
}

#[test]
fn the_example_is_mended_once_and_then_left_alone() {
    let root = parcelbook();
    let before = find(root.path(), false).len();
    let plan = mend(root.path(), Wanted::All);
    assert!(plan.dropped.is_empty(), "{:?}", plan.dropped);
    assert!(before == 119 && plan.applied.len() > 55, "{before} {}", plan.applied.len());
    let left = find(root.path(), false);
    let mut rules: Vec<&str> = left.iter().map(|finding| finding.rule.id).collect();
    rules.sort_unstable();
    rules.dedup();
    // What is left needs people: a stable workspace for environments, a filter for required checks, images, merged jobs,
    // and the noxfile itself.
    assert_eq!(rules, ["NX122", "NX201", "NX203", "NX205", "NX209", "NX210"], "{}", lines(&left).join("\n"));
    assert!(left.iter().all(|finding| finding.fix.is_none()));
    let again = mend(root.path(), Wanted::All);
    assert!(again.applied.is_empty() && again.files.is_empty());
}

#[test]
fn safe_fixes_alone_change_no_step() {
    let root = parcelbook();
    let plan = mend(root.path(), Wanted::Safe);
    for changed in &plan.files {
        let removed: Vec<&str> =
            changed.old.text.lines().filter(|line| !changed.new.text.contains(line.trim())).collect();
        assert!(removed.iter().all(|line| line.trim_start().starts_with("path:")), "{removed:?}");
    }
    assert!(plan.applied.iter().all(|applied| ["NX301", "NX302", "NX304", "NX306"].contains(&applied.rule)));
}

#[test]
fn bytes_that_are_not_meant_stay() {
    let text = "# top\r\non: push   # when\r\njobs:\r\n\r\n  # about a\r\n  a:\r\n    runs-on: 'docker'  # where\r\n\r\n    # the steps\r\n    steps:\r\n    - uses: actions/checkout@v4\r\n\r\n    # install\r\n    - run: pip install nox\t\r\n\r\n    # all\r\n    - run: |\r\n        set -o pipefail\r\n        nox -s a 2>&1 | tee x.log\r\n    - if: always()\r\n      uses: actions/upload-artifact@v3\r\n      with:\r\n        name: x\r\n        path: x.log";
    let (new, plan) = mended(text, &[]);
    assert!(!plan.applied.is_empty());
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    assert!(!new.ends_with('\n'));
    let mut kept = new.lines();
    for line in text.lines().filter(|line| !line.contains("pip install")) {
        assert!(kept.any(|other| other == line), "{line:?} is gone or moved in\n{new}");
    }
    assert!(
        new.contains("\r\n    # install\r\n    - run: pip install nox==") && new.contains("\r\n\r\n    # noxide: "),
        "{new}"
    );
}

#[test]
fn flow_style_is_kept() {
    let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    strategy: {matrix: {s: [a, b]}}\n    steps:\n      - {uses: 'https://github.com/astral-sh/setup-uv@v5', with: {version: '1'}}\n      - run: nox -s ${{ matrix.s }} 2>&1 | tee build/a.log\n      - {uses: actions/upload-artifact@v3, with: {name: x, path: build/a.log}}\n";
    let (new, _) = mended(text, &[]);
    assert!(new.contains("with: {version: '1', enable-cache: true"), "{new}");
    assert!(new.contains("upload-artifact@v3, if: always(), with: {name: x, path: build/a.log}}"), "{new}");
    assert!(new.contains("      - run: |\n          set -o pipefail\n          nox -s"), "{new}");
}

#[test]
fn shared_nodes_are_left_alone() {
    for text in [
        "on: push\njobs:\n  a: &a\n    runs-on: docker\n    steps:\n      - run: nox -s a b\n  b: *a\n",
        "on: push\nx: &x {k: v}\njobs:\n  a:\n    <<: *x\n    runs-on: docker\n    steps:\n      - run: nox -s a\n",
    ] {
        let root = folder(&[(FILE, text)]);
        let plan = mend(root.path(), Wanted::All);
        let new = fs_err::read_to_string(root.path().join(FILE)).unwrap();
        let job = |text: &str| text[text.find("jobs:").unwrap()..].to_owned();
        assert_eq!(job(&new), job(text), "{:?}", plan.applied);
    }
}

#[test]
fn a_fix_that_fails_a_gate_is_dropped_and_named() {
    let text = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - run: |\n          nox -s a\n          cat <<X\n          nox -s b\n          X\n";
    let (new, plan) = mended(text, &[]);
    assert!(
        plan.dropped.iter().all(|dropped| matches!(dropped.gate, Gate::Shared | Gate::Finding(_) | Gate::Meaning(_)))
    );
    assert_eq!(new, text, "{:?}", plan.applied);
}

#[test]
fn each_rewrite_by_its_kind() {
    let head = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n";
    let noxfile = "import nox\nCOVERAGE_THRESHOLD = 97\n@nox.session\ndef a(s):\n    s.run('x')\n    s.run('y')\n@nox.session\ndef b(s):\n    s.run('y')\n";
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
        let (new, plan) = mended(&format!("{head}{steps}"), &[("noxfile.py", noxfile)]);
        assert!(
            new.contains(expected) && !new.contains(gone),
            "{steps}\n{new}\n{:?}\n{:?}",
            plan.applied,
            plan.dropped
        );
    }
}

#[test]
fn a_gate_waits_for_all_in_each_style() {
    let text = |needs: &str| {
        format!(
            "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 3\n    steps: [{{run: a}}]\n  b:\n    runs-on: x\n    timeout-minutes: 3\n    steps: [{{run: a}}]\n  gate:\n    runs-on: x\n    timeout-minutes: 3\n    {needs}\n    if: always()\n    steps:\n      - run: |\n          [ \"${{{{ needs.a.result }}}}\" = \"success\" ] || exit 1\n"
        )
    };
    for (needs, expected) in [
        ("needs: a", "needs: [a, b]"),
        ("needs: [a]", "needs: [a, b]"),
        ("needs:\n      - a", "needs:\n      - a\n      - b"),
        ("needs:\n    - a", "needs:\n    - a\n    - b"),
    ] {
        let (new, plan) = mended(&text(needs), &[]);
        assert!(new.contains(expected) && new.contains("success|skipped) ;;"), "{new}\n{:?}", plan.dropped);
    }
}

#[test]
fn pins_come_from_the_lock_and_pedantic_fixes_are_offered() {
    let text = "on: push\nconcurrency: x\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 3\n    steps:\n      - uses: actions/checkout@v4\n      - uses: https://github.com/astral-sh/setup-uv@v7\n        with:\n          enable-cache: auto\n      - run: uv sync\n      - run: uvx nox -s a\n      - uses: some/action@v1\n";
    let lock = "[[package]]\nname = \"uv\"\nversion = \"0.9.1\"\n";
    let root = folder(&[(FILE, text), ("uv.lock", lock)]);
    let options = AuditOptions { pedantic: true, ..AuditOptions::default() };
    let plan = noxide::audit::mend::plan(read(root.path(), options), Wanted::All);
    let new = &plan.files[0].new.text;
    for part in [
        "enable-cache: true\n          prune-cache: false\n          version: \"0.9.1\"",
        "uv sync --locked",
        "uses: https://github.com/some/action@v1",
    ] {
        assert!(new.contains(part), "{part}\n{new}\n{:?}", plan.dropped);
    }
}
