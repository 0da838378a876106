//! Installs of a session, as far as the noxfile shows them.

use super::model::{Noxfile, NoxfileSession};

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

    /// Whether it may install more than its installs show: a value or a command is computed, Python runs a script, or a function that
    /// is not in the noxfile gets the session.
    pub(crate) fn may_install_more(&self) -> bool {
        let is_computed = |word: &String| word.starts_with(['<', '*']);
        self.calls.iter().any(|call| match call.method.as_str() {
            "unknown_call" => true,
            "run" | "run_always" => {
                let is_script = |word: &String| is_computed(word) || word.ends_with(".py");
                let runs_others =
                    |word: &String| matches!(word.as_str(), "nox" | "tox" | "make" | "bash" | "sh" | "docker" | "spin");
                let is_python = call.args.first().is_some_and(|program| program.starts_with("python"));
                call.args.first().is_none_or(|word| is_computed(word) || runs_others(word))
                    || (is_python && call.args.get(1).is_some_and(is_script))
            }
            method => method.contains("install") && (call.args.is_empty() || call.args.iter().any(is_computed)),
        })
    }
}

impl Noxfile {
    /// Whether a decorator that is not known may make further sessions.
    pub(crate) fn has_other_decorators(&self) -> bool {
        let is_decorator = |line: &&str| {
            let name = line.strip_prefix('@').map(|rest| rest.split(['(', ' ']).next().unwrap_or_default());
            name.is_some_and(|name| name.contains("session"))
        };
        self.source.text.lines().filter(is_decorator).count() > self.sessions().len()
    }
}
