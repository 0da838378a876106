//! Generated workflows of every shape: fixes pass their checks, keep the rest, and a second round changes nothing.

use std::sync::LazyLock;

use noxide::audit::baseline::Baseline;
use noxide::audit::fix::{FixLevel, plan_fixes};
use noxide::audit::noxfile::Noxfile;
use noxide::audit::options::AuditOptions;
use noxide::audit::project::AuditProject;
use noxide::audit::source::SourceFile;
use proptest::prelude::*;

use crate::support::rounds;

/// Style and content of a generated workflow.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    indent: usize,
    unindented: bool,
    windows: bool,
    flow: bool,
    comments: bool,
    open_end: bool,
    anchors: bool,
    blank: bool,
    jobs: Vec<Vec<usize>>,
}

impl Shape {
    /// Returns the shape for a number; each bit is a switch.
    pub(super) fn numbered(n: usize) -> Self {
        let bit = |index: u32| n >> index & 1 == 1;
        let jobs = (0..n % 4 + 1).map(|job| (0..n % 5 + 2).map(|step| n + 3 * job + 7 * step).collect()).collect();
        Self {
            indent: 2 + 2 * (n % 2),
            unindented: bit(1),
            windows: bit(2),
            flow: bit(3),
            comments: bit(4),
            open_end: bit(5),
            anchors: bit(6),
            blank: bit(7),
            jobs,
        }
    }
}

const STEPS: [&str; 18] = [
    "uses: actions/checkout@v4",
    "run: pip install nox",
    "run: pip install -q uv==0.8.0 nox  # tools",
    "run: nox -s lint tests",
    "name: Run\nrun: |\n  nox -s lint\n  nox -s tests 2>&1 | tee build/tests.log",
    "uses: astral-sh/setup-uv@v7",
    "uses: actions/cache@v3\nwith:\n  path: ~/.cache/uv\n  key: uv-${{ hashFiles('pyproject.toml') }}\n  restore-keys: |\n    uv-",
    "uses: actions/upload-artifact@v3\nwith:\n  name: log\n  path: build/tests.log",
    "run: |\n  for s in lint tests; do\n    nox -s $s\n  done",
    "run: |\n  printf 'a\tb'\n  uvx nox -t ci",
    "name: 'quoted: name'\nrun: \"nox -s lint\"",
    "run: >-\n  nox -s\n  lint",
    "run: |\n  cat <<EOF\n  nox -s x\n  EOF\n  nox -s docs",
    "if: always()\nuses: forgejo/upload-artifact@v4\nwith:\n  name: a\n  path: |\n    build/a.log\n    build/b.log",
    "run: pip install nox noxide .",
    "run: |\n  nox -s lint types\n  nox -s types docs -- -x",
    "run: nox -s lint lint types",
    "run: nox -s unused types tests",
];

/// Renders the workflow of a shape.
pub(super) fn workflow(shape: &Shape) -> String {
    let mut lines: Vec<String> = Vec::new();
    let pad = |depth: usize| " ".repeat(shape.indent * depth);
    let comment = |lines: &mut Vec<String>, depth: usize, text: &str| {
        if shape.comments {
            lines.push(format!("{}# {text}", pad(depth)));
        }
    };
    comment(&mut lines, 0, "top");
    lines.extend(["name: Generated".to_owned(), "on:".to_owned(), format!("{}push:", pad(1))]);
    if shape.anchors {
        lines.extend(["env: &env".to_owned(), format!("{}A: '1'", pad(1))]);
    }
    lines.push("jobs:".to_owned());
    for (number, steps) in shape.jobs.iter().enumerate() {
        if shape.blank {
            lines.push(String::new());
        }
        comment(&mut lines, 1, &format!("about job {number}"));
        lines.push(format!("{}job{number}:", pad(1)));
        lines.push(format!("{}runs-on: docker{}", pad(2), if shape.comments { "  # where" } else { "" }));
        if number > 0 {
            lines.push(format!("{}needs: [job{}]", pad(2), number - 1));
        }
        if shape.anchors {
            lines.push(format!("{}env: *env", pad(2)));
        }
        lines.push(format!("{}steps:", pad(2)));
        let dash = if shape.unindented { pad(2) } else { pad(3) };
        for (index, step) in steps.iter().enumerate() {
            if shape.blank && index > 0 {
                lines.push(String::new());
            }
            if shape.comments {
                lines.push(format!("{dash}# step {index} of job {number}"));
            }
            let text = STEPS[step % STEPS.len()];
            if shape.flow && !text.contains(['\n', '#']) {
                let (key, value) = text.split_once(": ").unwrap();
                lines.push(format!("{dash}- {{{key}: '{value}'}}"));
                continue;
            }
            for (line, text) in text.lines().enumerate() {
                lines.push(format!("{dash}{}{text}", if line == 0 { "- " } else { "  " }));
            }
        }
    }
    let ending = if shape.windows { "\r\n" } else { "\n" };
    let text = lines.join(ending);
    if shape.open_end { text } else { text + ending }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let switches =
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let jobs = prop::collection::vec(prop::collection::vec(0..STEPS.len(), 1..6), 1..4);
    (prop_oneof![Just(2usize), Just(4)], switches, jobs).prop_map(|(indent, switches, jobs)| {
        let (unindented, windows, flow, comments, open_end, anchors, blank) = switches;
        Shape { indent, unindented, windows, flow, comments, open_end, anchors, blank, jobs }
    })
}

const NOXFILE: &str = "import nox\n@nox.session\ndef lint(s):\n    s.run('ruff', 'check')\n@nox.session\ndef types(s):\n    s.run('mypy')\n    s.run('vulture')\n@nox.session\ndef unused(s):\n    s.run('vulture')\n@nox.session\ndef tests(s):\n    s.run('pytest', 'tests')\n@nox.session\ndef docs(s):\n    s.run('mkdocs', 'build')\n";

fn noxfile() -> Option<Noxfile> {
    static READ: LazyLock<Option<Noxfile>> = LazyLock::new(|| {
        let root = super::audit_project::directory(&[("noxfile.py", NOXFILE)]);
        Noxfile::read(root.path(), "noxfile.py")
    });
    READ.clone()
}

fn project(path: &str, text: &str, runner_capacity: Option<usize>) -> AuditProject {
    let options = AuditOptions { pedantic: true, runner_capacity, ..AuditOptions::default() };
    AuditProject::from_sources(
        ".".as_ref(),
        vec![SourceFile::new(path, text)],
        noxfile(),
        noxide::audit::project_files::ProjectFiles { has_pyproject: true, ..Default::default() },
        options,
    )
}

/// The sessions and the other commands of each job, read line by line: independent of the program's own parsers.
fn work(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut job, mut sessions, mut commands) = (String::new(), Vec::new(), Vec::new());
    let mut values: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(':').filter(|name| name.starts_with("job") && *name != "jobs") {
            job = name.to_owned();
        }
        let line = line.trim_start_matches("- ").trim_start_matches('{').trim_start_matches("run: ");
        let line = line.trim_end_matches('}').trim_matches(['\'', '"']).split("  #").next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["for", _, "in", rest @ ..] => {
                values =
                    rest.iter().map(|word| word.trim_end_matches(';').to_owned()).filter(|word| word != "do").collect();
            }
            ["nox", ..] | ["noxide", "run", ..] if words.contains(&"-s") => {
                let names = words.iter().skip_while(|word| **word != "-s").skip(1);
                let posargs: Vec<&str> = words.iter().skip_while(|word| **word != "--").copied().collect();
                for name in names.take_while(|word| !word.starts_with(['-', '2', '|'])) {
                    let names = if *name == "$s" { values.clone() } else { vec![(*name).to_owned()] };
                    sessions.extend(names.iter().map(|name| format!("{job} {name} {}", posargs.join(" "))));
                }
            }
            ["pip", "install", packages @ ..] => {
                let packages = packages.iter().map(|word| word.split("==").next().unwrap_or_default());
                commands.push(format!("{job} pip {}", packages.collect::<Vec<_>>().join(" ")));
            }
            ["uvx" | "printf" | "cat", ..] => {
                commands.push(format!("{job} {}", line.split(" 2>&1 | tee").next().unwrap_or_default()));
            }
            ["uses:", action] => commands.push(format!(
                "{job} {}",
                action.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default()
            )),
            _ => {}
        }
    }
    sessions.sort();
    commands.sort();
    (sessions, commands)
}

/// The comment lines of a workflow, without those of noxide.
fn comments(text: &str) -> Vec<String> {
    const GENERATED: [&str; 3] =
        ["# One cache for all jobs", "# and the files that decide what", "# Environments of the sessions, restored"];
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with('#') && !GENERATED.iter().any(|start| line.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(40, 200), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fixes_keep_everything_else(shape in shapes(), github in any::<bool>(), runners in prop::option::of(1usize..9)) {
        let path = if github { ".github/workflows/a.yml" } else { ".forgejo/workflows/a.yml" };
        let text = workflow(&shape);
        let first = project(path, &text, runners);
        prop_assert!(first.parse_failures.is_empty(), "{:?}\n{}", first.parse_failures, text);
        let plan_one = plan_fixes(first, FixLevel::Unsafe, &Baseline::default());
        let new = plan_one.changed_files.first().map_or(text.clone(), |changed| changed.new.text.clone());
        // Endings and the end of the file.
        prop_assert_eq!(text.ends_with('\n'), new.ends_with('\n'));
        prop_assert_eq!(shape.windows, new.contains("\r\n"));
        prop_assert!(!shape.windows || new.matches('\n').count() == new.matches("\r\n").count());
        // Every comment is there as often as before.
        let (mut old, mut now) = (comments(&text), comments(&new));
        old.sort();
        now.sort();
        prop_assert_eq!(old, now, "{}\n----\n{}", text, new);
        // Every job runs the same sessions, and every other command as often as before.
        let ((sessions, commands), (new_sessions, new_commands)) = (work(&text), work(&new));
        prop_assert_eq!(sessions, new_sessions, "{}\n----\n{}", text, new);
        let count = |all: &[String], one: &String| all.iter().filter(|other| *other == one).count();
        let lost = commands.iter().find(|command| count(&commands, command) > count(&new_commands, command));
        prop_assert!(lost.is_none(), "{:?}\n{}\n----\n{}", lost, text, new);
        // A second round changes nothing.
        let again = plan_fixes(project(path, &new, runners), FixLevel::Unsafe, &Baseline::default());
        prop_assert!(again.changed_files.is_empty(), "{:?}\n{}", again.applied, new);
    }

    #[test]
    fn any_text_is_audited_without_a_panic(text in "[ -~\n\t#:&*|>{}\\[\\]'\"é-]{0,200}") {
        let project = project(".forgejo/workflows/a.yml", &text, None);
        plan_fixes(project, FixLevel::Unsafe, &Baseline::default());
    }

    #[test]
    fn any_script_is_parsed_without_a_panic(script in "(nox|pip install|-s|--|for s in a b; do|done|<<EOF|EOF|\\||&&|;|\\$\\{\\{|\\}\\}|\\$\\(|'|\"|\\\\|\n| |x|=|>|é){0,40}") {
        for command in noxide::audit::shell::parse_script(&script) {
            noxide::audit::shell::parse_nox_call(&command);
            noxide::audit::shell::parse_install(&command);
            noxide::audit::shell::find_network_fetches(&command);
            prop_assert!(command.span.end <= script.len());
        }
    }
}
