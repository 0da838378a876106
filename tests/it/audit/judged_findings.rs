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
