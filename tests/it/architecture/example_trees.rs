//! Tests of the checks: small source trees with one violation each, and one without.

use std::path::Path;

use super::module_rules::MAX_LINES;
use super::violations;

const DOC_LINE: &str = "//! The first doc line.\n";

/// A tree with these files, each with a first doc line before its text.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        put(root.path(), name, &format!("{DOC_LINE}{text}"));
    }
    root
}

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

#[track_caller]
fn assert_violation(files: &[(&str, &str)], expected: &str) {
    let root = tree(files);
    assert_eq!(violations(root.path()), [expected], "in {files:?}");
}

#[test]
fn a_clean_tree_has_no_violations() {
    let root = tree(&[
        ("src/lib.rs", "pub mod run; pub mod record;"),
        ("src/main.rs", "fn main() { noxide::cli::main() }"),
        (
            "src/run/mod.rs",
            "mod plan;\n#[cfg(test)]\nmod fixture;\n#[doc(inline)]\npub use plan::{Plan, Step as Stage};\npub(crate) use fixture::x;",
        ),
        (
            "src/run/plan.rs",
            "use super::process::Child;\nuse crate::{fs, record::{self, Outcome}};\n/// See [`crate::cli::run`].\nfn a() { log(\"crate::cli\"); command.stdout(); }\n#[cfg(test)] mod tests { use super::super::fixture::x; use super::Plan; }",
        ),
        ("src/run/fixture.rs", "use super::plan::Plan;"),
        ("src/run/process/mod.rs", "mod child;\npub use child::Child;"),
        ("src/run/process/child.rs", "fn b() -> impl Fn() + use<'_> { c() }"),
        ("src/trace/kernel/tracer.rs", "fn d() { unsafe { e() } }"),
        ("src/run/options.rs", ""),
        ("src/config/fold.rs", "use crate::run::options::Options;"),
        ("src/output/board.rs", "use crate::project::SessionName; fn a() { println!(); }"),
        (
            "src/project/mod.rs",
            "mod session_name;\nmod manifest;\npub use session_name::SessionName;\npub use manifest::Manifest;",
        ),
        ("src/project/session_name.rs", ""),
        ("src/project/manifest.rs", ""),
        ("src/cli/run.rs", "use crate::output::Board; use crate::config; fn a() { std::io::stdout(); }"),
    ]);
    assert_eq!(violations(root.path()), [] as [String; 0]);
}

#[test]
fn forbidden_imports_and_modules_without_a_rule() {
    assert_violation(
        &[("src/fs/tree.rs", "\nuse crate::run::Plan;")],
        "src/fs/tree.rs:3: `fs` may not import `run::Plan`",
    );
    assert_violation(
        &[("src/run/a.rs", "use crate::{fs, output::B};")],
        "src/run/a.rs:2: `run` may not import `output::B`",
    );
    assert_violation(
        &[("src/cache/a.rs", "fn a() { crate::trace::b(); }")],
        "src/cache/a.rs:2: `cache` may not import `trace::b`",
    );
    assert_violation(
        &[("src/cache/a/b.rs", "use super::super::super::audit::C;")],
        "src/cache/a/b.rs:2: `cache` may not import `audit::C`",
    );
    assert_violation(
        &[("src/fs/a.rs", "#[cfg(test)]\nmod tests {\n  use super::super::super::cli;\n}")],
        "src/fs/a.rs:4: `fs` may not import `cli`",
    );
    assert_violation(&[("src/util2/a.rs", "")], "src/util2/a.rs:1: `util2` has no module rule");
    assert_violation(&[("src/main.rs", "use noxide::run::Plan;")], "src/main.rs:2: the binary may import only `cli`");
}

#[test]
fn partial_imports_between_modules() {
    let run = [
        ("src/run/mod.rs", "mod plan; mod options;\npub use plan::Plan; pub use options::Options;"),
        ("src/run/plan.rs", ""),
        ("src/run/options.rs", ""),
    ];
    let with = |name, text| [run.as_slice(), &[(name, text)]].concat();
    let root = tree(&with("src/config/fold.rs", "use crate::run::Options;"));
    assert_eq!(violations(root.path()), [] as [String; 0]);
    assert_violation(
        &with("src/config/fold.rs", "use crate::run::{Options, Plan};"),
        "src/config/fold.rs:2: `config` may import only options of `run`, not `Plan`",
    );
    assert_violation(
        &with("src/config/fold.rs", "use crate::run::plan::Step;"),
        "src/config/fold.rs:2: `config` may import only options of `run`, not `Step`",
    );
    assert_violation(
        &[("src/output/a.rs", "use crate::project::Manifest;")],
        "src/output/a.rs:2: `output` may import only session_name of `project`, not `Manifest`",
    );
}

#[test]
fn import_cycles_within_a_module() {
    let two = [("src/run/a.rs", "use super::b::B;"), ("src/run/b.rs", "use crate::run::a::A;")];
    assert_violation(&two, "src/run/a.rs: import cycle: src/run/a.rs → src/run/b.rs → src/run/a.rs");
    let through_mod_rs = [
        ("src/run/mod.rs", "mod a; mod b; mod c;\npub use a::A; pub use b::B; pub use c::C;"),
        ("src/run/a.rs", "use super::B;"),
        ("src/run/b.rs", "use crate::run::{C};"),
        ("src/run/c.rs", "fn c() { super::A::new(); }"),
    ];
    assert_violation(
        &through_mod_rs,
        "src/run/a.rs: import cycle: src/run/a.rs → src/run/b.rs → src/run/c.rs → src/run/a.rs",
    );
}

#[test]
fn mod_rs_files_contain_only_mod_and_use() {
    assert_violation(
        &[("src/run/mod.rs", "mod a;\npub fn b() { c(); }"), ("src/run/a.rs", "")],
        "src/run/mod.rs:3: `fn` in a mod.rs or lib.rs: only `mod` and `use` are allowed",
    );
    assert_violation(
        &[("src/lib.rs", "pub mod run;\n#[derive(Clone)]\npub(crate) struct A;")],
        "src/lib.rs:4: `struct` in a mod.rs or lib.rs: only `mod` and `use` are allowed",
    );
}

#[test]
fn kernel_calls_and_printing_stay_in_their_modules() {
    assert_violation(
        &[("src/trace/plan.rs", "fn a() { unsafe { b() } }")],
        "src/trace/plan.rs:2: `unsafe` outside trace/kernel/",
    );
    assert_violation(
        &[("src/run/a.rs", "fn a() {\n println!(\"\"); }")],
        "src/run/a.rs:3: `println` outside output/ and cli/",
    );
    assert_violation(
        &[("src/fs/a.rs", "fn a() { std::io::stderr(); }")],
        "src/fs/a.rs:2: `stderr` outside output/ and cli/",
    );
}

#[test]
fn doc_lines_sizes_and_names() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "src/fs/a.rs", "use std::path::Path;\n");
    put(root.path(), "src/fs/path_utils.rs", DOC_LINE);
    put(root.path(), "src/run/host.py", "import nox\n");
    put(root.path(), "src/run/good.py", "#!/usr/bin/env python3\n\"\"\"The first doc line.\"\"\"\n");
    put(root.path(), "tests/it/long.rs", &format!("{DOC_LINE}{}", "\n".repeat(MAX_LINES)));
    put(root.path(), "tests/it/just.rs", &format!("{DOC_LINE}{}", "\n".repeat(MAX_LINES - 1)));
    let tested = format!("{DOC_LINE}{}mod tests {{\n{}", "\n".repeat(MAX_LINES - 2), "\n".repeat(MAX_LINES));
    put(root.path(), "src/fs/tested.rs", &tested);
    put(root.path(), "benches/misc/bench.py", "\"\"\"The first doc line.\"\"\"\n");
    let expected = [
        "benches/misc/bench.py:1: `misc` is too vague for a name",
        "src/fs/a.rs:1: the first line must be a doc line: one sentence that says what the file is",
        "src/fs/path_utils.rs:1: `utils` is too vague for a name",
        "src/run/host.py:1: the first line must be a doc line: one sentence that says what the file is",
        "tests/it/long.rs:601: a file has at most 600 lines",
    ];
    assert_eq!(violations(root.path()), expected);
}
