//! Expected findings of the example: every planted mistake at its file and line, and three more.

use std::collections::BTreeSet;

use super::audit_project::{find, fixtures, lines, parcelbook};

const CACHED: [usize; 9] = [25, 58, 90, 123, 158, 193, 225, 291, 324];
const TOOLS: [usize; 10] = [23, 56, 88, 121, 156, 191, 223, 264, 289, 322];

/// The table of the example's README: mistake, rule, file, lines.
fn intentional_findings() -> Vec<(&'static str, &'static str, &'static str, Vec<usize>)> {
    let after = |lines: [usize; 9], by: usize| lines.iter().map(|line| line + by).collect::<Vec<_>>();
    // The job at 291 installs packages without versions: there the finding is pedantic.
    let incomplete: Vec<usize> = after(CACHED, 3).into_iter().filter(|line| *line != 294).collect();
    let shared: Vec<usize> = after(CACHED, 3).into_iter().filter(|line| *line != 126).collect();
    vec![
        ("W1", "NX113", "ci.yml", CACHED.to_vec()),
        ("W2", "NX108", "ci.yml", incomplete),
        ("W3", "NX110", "ci.yml", after(CACHED, 3)),
        ("W4", "NX111", "ci.yml", after(CACHED, 4)),
        ("W5", "NX114", "ci.yml", after(CACHED, 2)),
        ("W6", "NX116", "ci.yml", shared),
        ("W7", "NX121", "ci.yml", vec![126]),
        ("W8", "NX101", "ci.yml", vec![264]),
        ("W8", "NX101", "nightly-quality.yml", vec![16]),
        // W9 is pedantic (NX122), and release builds better have no cache.
        ("W10", "NX210", "ci.yml", vec![19]),
        ("W11", "NX401", "ci.yml", TOOLS.to_vec()),
        ("W11", "NX402", "nightly-quality.yml", vec![16]),
        ("W11", "NX401", "release.yml", vec![14]),
        ("W12", "NX205", "ci.yml", vec![235]),
        ("W13", "NX202", "ci.yml", vec![216]),
        ("W14", "NX211", "ci.yml", vec![101]),
        ("W14", "NX211", "nightly-quality.yml", vec![19]),
        ("W15", "NX301", "ci.yml", vec![13, 46, 78, 111, 143, 178, 212, 254, 279, 345]),
        ("W15", "NX301", "nightly-quality.yml", vec![8]),
        ("W15", "NX301", "release.yml", vec![7]),
        ("W16", "NX302", "ci.yml", vec![2]),
        // Not W17: a job builds the documentation. Not W18: no job can be skipped on purpose.
        ("W19", "NX214", "ci.yml", vec![349]),
        ("W20", "NX304", "ci.yml", vec![206]),
        ("W20", "NX306", "ci.yml", vec![44, 109]),
        ("W20", "NX307", "nightly-quality.yml", vec![18]),
        ("W20", "NX307", "release.yml", vec![15]),
        ("W21", "NX411", "ci.yml", vec![249]),
        ("W23", "NX212", "noxfile.py", vec![27]),
        ("W24", "NX203", "ci.yml", vec![18]),
        ("W24", "NX203", "nightly-quality.yml", vec![13]),
        ("W24", "NX203", "release.yml", vec![12]),
        // Not planted, but correct: sequential sessions in lint and in nightly's loop.
        ("T18", "NX201", "ci.yml", vec![35]),
        ("T18", "NX201", "nightly-quality.yml", vec![19]),
        // The loop also runs the tests twice, as ci.yml does.
        ("W12", "NX205", "nightly-quality.yml", vec![19]),
    ]
}

#[test]
fn every_planted_mistake_is_reported_at_its_line_and_nothing_else() {
    let project = parcelbook();
    let found: BTreeSet<(String, String, usize)> = find(project.path(), false)
        .iter()
        .map(|finding| {
            let file = finding.location.source.path.rsplit('/').next().unwrap().to_owned();
            (file, finding.rule.id.to_owned(), finding.location.start_position().line)
        })
        .collect();
    let expected: BTreeSet<(String, String, usize)> = intentional_findings()
        .into_iter()
        .flat_map(|(_, rule, file, lines)| lines.into_iter().map(move |line| (file.to_owned(), rule.to_owned(), line)))
        .collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let unexpected: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && unexpected.is_empty(), "missing {missing:?}\nunexpected {unexpected:?}");
}

#[test]
fn locations_and_messages_match_the_fixture() {
    let project = parcelbook();
    let text = lines(&find(project.path(), false)).join("\n") + "\n";
    let path = fixtures().join("parcelbook.txt");
    if std::env::var_os("NOXIDE_KEEP").is_some() {
        fs_err::write(&path, &text).unwrap();
    }
    assert_eq!(text, fs_err::read_to_string(&path).unwrap(), "run with NOXIDE_KEEP=1 to update the fixture");
}

#[test]
fn the_rules_page_is_generated_from_the_rules() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let page = fs_err::read_to_string(path).unwrap();
    assert!(
        page == noxide::audit::rule_docs::render_rules_document(),
        "docs/rules.md is out of date: noxide audit --rules > docs/rules.md"
    );
}
