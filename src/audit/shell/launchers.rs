//! Programs that start another program, such as `sudo` and `timeout`, and programs that run what another file says.

/// A program that starts the program among its arguments.
struct Launcher {
    name: &'static str,
    /// Letters of the short options that have a value.
    value_letters: &'static str,
    /// Long options that have a value in the next word.
    value_options: &'static [&'static str],
    /// Arguments before the program, such as the duration of `timeout`.
    argument_count: usize,
    /// Whether `NAME=value` before the program sets a variable.
    sets_variables: bool,
}

const fn launcher(name: &'static str, value_letters: &'static str, value_options: &'static [&'static str]) -> Launcher {
    Launcher { name, value_letters, value_options, argument_count: 0, sets_variables: false }
}

const LAUNCHERS: [Launcher; 15] = [
    launcher("chronic", "", &[]),
    launcher("command", "", &[]),
    launcher("dbus-run-session", "", &["--config-file", "--dbus-daemon"]),
    Launcher { sets_variables: true, ..launcher("env", "uC", &["--unset", "--chdir"]) },
    launcher("exec", "a", &[]),
    launcher("ionice", "cn", &["--class", "--classdata"]),
    launcher("nice", "n", &["--adjustment"]),
    launcher("nohup", "", &[]),
    launcher("setsid", "", &[]),
    launcher("stdbuf", "ioe", &["--input", "--output", "--error"]),
    Launcher {
        sets_variables: true,
        ..launcher("sudo", "CDghpRTtrUu", &["--user", "--group", "--host", "--prompt", "--chdir", "--chroot"])
    },
    launcher("time", "of", &["--format", "--output"]),
    Launcher { argument_count: 1, ..launcher("timeout", "ks", &["--kill-after", "--signal"]) },
    launcher("unbuffer", "", &[]),
    launcher(
        "xvfb-run",
        "efnpsw",
        &["--auth-file", "--error-file", "--server-args", "--server-num", "--wait", "--xauth-protocol"],
    ),
];
/// Options after which a launcher does something else than to start the words after it.
const OTHER_USES: [&str; 6] = ["-S", "--split-string", "-v", "-V", "-l", "--list"];
/// Most launchers of one command.
const MAX_LAUNCHERS: usize = 16;

/// Programs that run what another file or another program's output says; `.` and `source` are not among them.
pub(crate) const FILE_RUNNERS: [&str; 27] = [
    "spin",
    "mise",
    "nix",
    "nix-shell",
    "bazel",
    "cmake",
    "ninja",
    "scons",
    "make",
    "gmake",
    "just",
    "task",
    "invoke",
    "inv",
    "tox",
    "poe",
    "doit",
    "duty",
    "npm",
    "pnpm",
    "yarn",
    "npx",
    "docker",
    "docker-compose",
    "podman",
    "eval",
    "xargs",
];
/// Shells that run a script.
pub(crate) const SHELLS: [&str; 5] = ["sh", "bash", "zsh", "dash", "ksh"];

/// Returns the name of a program without its directory.
fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Returns the number of words at the start of a command that only start its program; 0 if there are too many.
pub(crate) fn count_launcher_words(words: &[&str]) -> usize {
    let mut count = 0;
    for _ in 0..=MAX_LAUNCHERS {
        match count_first_launcher(words.get(count..).unwrap_or_default()) {
            0 => return count,
            more => count += more,
        }
    }
    0
}

/// Returns the number of words of the launcher that a command starts with; 0 if it starts with none, or if no program follows.
fn count_first_launcher(words: &[&str]) -> usize {
    let mut words = words.iter().copied().enumerate().peekable();
    let Some((_, first)) = words.next() else { return 0 };
    let Some(launcher) = LAUNCHERS.iter().find(|launcher| launcher.name == file_name(first)) else { return 0 };
    while let Some((_, option)) = words.next_if(|(_, word)| word.len() > 1 && word.starts_with('-')) {
        if option == "--" {
            break;
        }
        if OTHER_USES.contains(&option) && !launcher.has_value(option) {
            return 0;
        }
        if launcher.has_value(option) {
            words.next();
        }
    }
    if launcher.sets_variables {
        while words.next_if(|(_, word)| is_assignment(word)).is_some() {}
    }
    words.nth(launcher.argument_count).map_or(0, |(index, _)| index)
}

impl Launcher {
    /// Whether the value of an option is the next word.
    fn has_value(&self, option: &str) -> bool {
        if option.starts_with("--") {
            return self.value_options.contains(&option);
        }
        // Letters without a value may stand before one whose value is the rest of the word, or else the next word.
        let letters = option.strip_prefix('-').unwrap_or_default();
        let first_with_value = letters.find(|letter| self.value_letters.contains(letter));
        first_with_value.is_some_and(|index| index + 1 == letters.len())
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.contains(['$', '/', ' ']))
}

/// Options of `coverage run` that have a value in the next word.
const COVERAGE_VALUE_OPTIONS: [&str; 7] =
    ["--concurrency", "--context", "--data-file", "--include", "--omit", "--rcfile", "--source"];

/// Returns the index of what `coverage run` runs as Python would: `-m` before a module, or a script.
pub(crate) fn coverage_run_target(words: &[&str]) -> Option<usize> {
    if file_name(words.first()?) != "coverage" || *words.get(1)? != "run" {
        return None;
    }
    let mut words = words.iter().enumerate().skip(2);
    loop {
        match words.next()? {
            (index, &"-m") => return Some(index),
            (_, option) if COVERAGE_VALUE_OPTIONS.contains(option) => drop(words.next()),
            (index, word) if !word.starts_with('-') => return Some(index),
            _ => {}
        }
    }
}

/// Returns the command of Python that is behind launchers and `coverage run`, or else the command behind launchers.
pub(crate) fn plain_command<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let words = words.get(count_launcher_words(words)..).unwrap_or_default();
    match coverage_run_target(words).and_then(|start| words.get(start..)) {
        Some(target) => ["python"].into_iter().chain(target.iter().copied()).collect(),
        None => words.to_vec(),
    }
}

/// Returns the variables that the launchers of a command set, in order.
pub(super) fn launcher_assignments(words: &[&str]) -> Vec<(String, String)> {
    let before = words.iter().take(count_launcher_words(words)).filter(|word| !word.starts_with('-'));
    let assignments = before.filter(|word| is_assignment(word)).filter_map(|word| word.split_once('='));
    assignments.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse_script;

    #[test]
    fn the_program_behind_launchers_is_found() {
        for (script, program) in [
            ("nox -s a", "nox"),
            ("env A=1 B= nox", "nox"),
            ("env -i -u X --unset=Y --unset Z A=1 nox", "nox"),
            ("env -uX -C dir nox", "nox"),
            ("/usr/bin/env nox", "nox"),
            ("sudo -E env X=1 nox", "nox"),
            ("sudo -Eu root -- nox", "nox"),
            ("sudo -uroot X=1 nox", "nox"),
            ("timeout 60 nox", "nox"),
            ("timeout -k 5s --signal=INT 60m nox", "nox"),
            ("timeout --foreground -s INT 60m nox", "nox"),
            ("nice -n 10 ionice -c2 -n7 nohup nox", "nox"),
            ("nice -10 nox", "nox"),
            ("xvfb-run -a -s '-screen 0 1x1x24' nox", "nox"),
            ("xvfb-run --auto-servernum --server-args '-x' nox", "nox"),
            ("stdbuf -oL nox", "nox"),
            ("stdbuf -o L command nox", "nox"),
            ("dbus-run-session -- nox", "nox"),
            ("env -S 'nox -s a'", "env"),
            ("command -v nox", "command"),
            ("sudo -l nox", "sudo"),
            ("env", "env"),
            ("env A=1", "env"),
            ("timeout 60", "timeout"),
            ("sudo -s", "sudo"),
            ("make env", "make"),
        ] {
            let command = parse_script(script).remove(0);
            assert_eq!(command.launched_words().first().map(|word| word.text.as_str()), Some(program), "{script}");
        }
    }

    #[test]
    fn variables_of_launchers_are_those_of_the_command() {
        let command = parse_script("A=1 sudo B=2 env -u C D=3 nox E=4").remove(0);
        let expected = [("A", "1"), ("B", "2"), ("D", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(command.assignments, expected);
        assert_eq!(command.command_line(), "sudo B=2 env -u C D=3 nox E=4");
    }
}
