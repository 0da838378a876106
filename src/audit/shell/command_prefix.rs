//! Prefix of a command: programs that start the program among their arguments, such as `sudo`, `env` and `timeout`.

/// A program that starts the program among its arguments.
struct PrefixProgram {
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

const fn prefix_program(
    name: &'static str,
    value_letters: &'static str,
    value_options: &'static [&'static str],
) -> PrefixProgram {
    PrefixProgram { name, value_letters, value_options, argument_count: 0, sets_variables: false }
}

const PREFIX_PROGRAMS: [PrefixProgram; 15] = [
    prefix_program("chronic", "", &[]),
    prefix_program("command", "", &[]),
    prefix_program("dbus-run-session", "", &["--config-file", "--dbus-daemon"]),
    PrefixProgram { sets_variables: true, ..prefix_program("env", "uC", &["--unset", "--chdir"]) },
    prefix_program("exec", "a", &[]),
    prefix_program("ionice", "cn", &["--class", "--classdata"]),
    prefix_program("nice", "n", &["--adjustment"]),
    prefix_program("nohup", "", &[]),
    prefix_program("setsid", "", &[]),
    prefix_program("stdbuf", "ioe", &["--input", "--output", "--error"]),
    PrefixProgram {
        sets_variables: true,
        ..prefix_program("sudo", "CDghpRTtrUu", &["--user", "--group", "--host", "--prompt", "--chdir", "--chroot"])
    },
    prefix_program("time", "of", &["--format", "--output"]),
    PrefixProgram { argument_count: 1, ..prefix_program("timeout", "ks", &["--kill-after", "--signal"]) },
    prefix_program("unbuffer", "", &[]),
    prefix_program(
        "xvfb-run",
        "efnpsw",
        &["--auth-file", "--error-file", "--server-args", "--server-num", "--wait", "--xauth-protocol"],
    ),
];
/// Options after which such a program does something else than to start the words after it.
const OTHER_USES: [&str; 6] = ["-S", "--split-string", "-v", "-V", "-l", "--list"];
/// Most such programs before a command.
const MAX_PREFIXES: usize = 16;

/// Returns the name of a program without its directory.
fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Returns the number of words of the prefix of a command; 0 if it has too many programs.
pub(crate) fn count_prefix_words(words: &[&str]) -> usize {
    let mut count = 0;
    for _ in 0..=MAX_PREFIXES {
        match count_first_program_words(words.get(count..).unwrap_or_default()) {
            0 => return count,
            more => count += more,
        }
    }
    0
}

/// Returns the number of words of the first program of a prefix; 0 if there is none, or if no other program follows.
fn count_first_program_words(words: &[&str]) -> usize {
    let mut words = words.iter().copied().enumerate().peekable();
    let Some((_, first)) = words.next() else { return 0 };
    let Some(program) = PREFIX_PROGRAMS.iter().find(|program| program.name == file_name(first)) else { return 0 };
    while let Some((_, option)) = words.next_if(|(_, word)| word.len() > 1 && word.starts_with('-')) {
        if option == "--" {
            break;
        }
        if OTHER_USES.contains(&option) && !program.has_value(option) {
            return 0;
        }
        if program.has_value(option) {
            words.next();
        }
    }
    if program.sets_variables {
        while words.next_if(|(_, word)| is_assignment(word)).is_some() {}
    }
    words.nth(program.argument_count).map_or(0, |(index, _)| index)
}

impl PrefixProgram {
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

/// Returns the command of Python that is behind a prefix and `coverage run`, or else the command behind the prefix.
pub(crate) fn plain_command<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let words = words.get(count_prefix_words(words)..).unwrap_or_default();
    match coverage_run_target(words).and_then(|start| words.get(start..)) {
        Some(target) => ["python"].into_iter().chain(target.iter().copied()).collect(),
        None => words.to_vec(),
    }
}

/// Returns the variables that the prefix of a command sets, in order.
pub(super) fn prefix_assignments(words: &[&str]) -> Vec<(String, String)> {
    let before = words.iter().take(count_prefix_words(words)).filter(|word| !word.starts_with('-'));
    let assignments = before.filter(|word| is_assignment(word)).filter_map(|word| word.split_once('='));
    assignments.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse_script;

    #[test]
    fn the_program_behind_a_prefix_is_found() {
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
            assert_eq!(command.words_after_prefix().first().map(|word| word.text.as_str()), Some(program), "{script}");
        }
    }

    #[test]
    fn variables_of_a_prefix_are_those_of_the_command() {
        let command = parse_script("A=1 sudo B=2 env -u C D=3 nox E=4").remove(0);
        let expected = [("A", "1"), ("B", "2"), ("D", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(command.assignments, expected);
        assert_eq!(command.command_line(), "sudo B=2 env -u C D=3 nox E=4");
    }
}
