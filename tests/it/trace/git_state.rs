//! Git's index and refs: sessions that change them conflict with those that read them; commands that only refresh do not.

use serde_json::Value;

use crate::support::Project;

/// Each session runs these commands of Git in a repository with one commit.
fn conflicts(one: &str, two: &str) -> Vec<String> {
    let project = Project::with_sessions(&format!(
        "
def git(*arguments):
    settings = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'commit.gpgsign=false']
    subprocess.run(['git', *settings, *arguments], check=True)

if not os.path.exists('.git'):
    git('init', '--quiet')
    for name in ('a.txt', 'b.txt'):
        pathlib.Path(name).write_text(name)
    git('add', 'a.txt')
    git('commit', '--quiet', '-m', 'one')

@nox.session
def one(session):
    {one}

@nox.session
def two(session):
    {two}
"
    ));
    let ran = project.noxide(&["trace", "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(report["sessions"].as_array().unwrap().iter().all(|session| session["complete"] == true), "{report}");
    let shown =
        |conflict: &Value| format!("{} {}", conflict["kind"].as_str().unwrap(), conflict["path"].as_str().unwrap());
    report["conflicts"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn changes_of_the_index_and_of_refs_are_conflicts() {
    let found = conflicts("git('add', 'b.txt')", "git('ls-files')");
    assert_eq!(found, ["read-write .git/index"]);
    let found = conflicts("git('add', 'b.txt')", "git('rm', '--quiet', '--cached', 'a.txt')");
    assert_eq!(found, ["write-write .git/index"]);
    let found = conflicts("git('commit', '--quiet', '--allow-empty', '-m', 'two')", "git('rev-parse', 'HEAD')");
    assert!(found.iter().any(|conflict| conflict.starts_with("read-write .git/refs/heads/")), "{found:?}");
    let commit = "git('commit', '--quiet', '--allow-empty', '-m', session.name)";
    let found = conflicts(commit, commit);
    assert!(found.iter().any(|conflict| conflict.starts_with("write-write .git/refs/heads/")), "{found:?}");
    let found = conflicts("git('tag', 'v1')", "git('describe', '--tags', '--always')");
    assert!(found.iter().any(|conflict| conflict.ends_with(".git/refs/tags/v1")), "{found:?}");
}

/// `git status` writes the index only because it looked at files whose times had changed.
#[test]
fn a_refreshed_index_is_no_conflict() {
    let refresh = "os.utime('a.txt', (1, 1)); git('status', '--short'); git('ls-files'); git('write-tree')";
    let again = "os.utime('a.txt', (2, 2)); git('status', '--short'); git('diff', '--cached', '--quiet'); git('describe', '--always', '--dirty')";
    assert_eq!(conflicts(refresh, again), Vec::<String>::new());
}
