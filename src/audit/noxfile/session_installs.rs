//! Installs of a session, as far as the noxfile shows them.

use super::super::shell::{FILE_RUNNERS, SHELLS};
use super::model::NoxfileSession;

impl NoxfileSession {
    /// Returns the requirements it installs, sorted; computed values such as temporary directories are left out.
    pub(crate) fn installed_packages(&self) -> Vec<String> {
        let installs = self.calls.iter().filter(|call| call.method.contains("install"));
        let words = installs.flat_map(|call| call.args.iter());
        let mut packages: Vec<String> = words.filter(|word| !word.starts_with('<') && *word != "-e").cloned().collect();
        packages.sort();
        packages.dedup();
        packages
    }

    /// Whether it may install more than its installs show: a value or a command is computed, a script or another tool's
    /// task runs, or a function that is not in the noxfile gets the session.
    pub(crate) fn may_install_more(&self) -> bool {
        self.calls.iter().any(|call| match call.method.as_str() {
            // The requirements of the script are in its file.
            "unknown_call" | "install_and_run_script" => true,
            "run" | "run_always" => command_may_install(&call.args),
            method => {
                method.contains("install") && (call.args.is_empty() || call.args.iter().any(|word| is_computed(word)))
            }
        })
    }
}

/// Programs that install, depending on their arguments.
const INSTALLERS: [&str; 6] = ["pip", "uv", "uvx", "pipx", "pre-commit", "prek"];

fn is_computed(word: &str) -> bool {
    word.starts_with(['<', '*'])
}

/// Whether a command that a session runs may install packages in a way that its words do not show.
fn command_may_install(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return true };
    let first = arguments.first();
    let is_script = |word: &str| is_computed(word) || word.ends_with(".py") || word.contains('/');
    let runs_file = |word: &str| word == "nox" || FILE_RUNNERS.contains(&word) || SHELLS.contains(&word);
    // `develop` of maturin installs the project with its dependencies.
    let develops = words.iter().any(|word| word == "develop") && words.iter().any(|word| word == "maturin");
    is_computed(program)
        || develops
        || words.iter().any(|word| runs_file(word))
        || (INSTALLERS.contains(&program.as_str()) && first.is_none_or(|word| is_computed(word)))
        || (program.starts_with("python") && first.is_some_and(|word| is_script(word)))
}
