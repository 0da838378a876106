//! Inputs of `action.yml` as arguments of `noxide ci`. noxide splits them into words itself, because a shell would also
//! evaluate them: a branch name in an input must not become a command.

use std::ffi::OsString;

use crate::text::to_single_line;

/// Appends the arguments in the variables that the action sets, if the subcommand is `ci`.
///
/// # Errors
/// A message, if an input has an unclosed quote, or a session name begins with `-`.
pub(crate) fn append_action_inputs(
    argv: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<OsString>, String> {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    if argv.get(1).is_none_or(|command| command != "ci") {
        return Ok(argv);
    }
    let words = |name: &str, input: &str| -> Result<Vec<String>, String> {
        let text = variable(name).unwrap_or_default();
        // A `#` begins no comment here.
        let text = text.replace('#', "\\#");
        shlex::split(&text).ok_or_else(|| format!("input `{input}` has an unclosed quote: {}", to_single_line(&text)))
    };
    let sessions = words("NOXIDE_ACTION_SESSIONS", "sessions")?;
    if let Some(flag) = sessions.iter().find(|name| name.starts_with('-')) {
        return Err(format!("input `sessions`: {flag:?} is not a session; pass flags as input `args`"));
    }
    if !sessions.is_empty() {
        argv.extend(std::iter::once("-s".to_owned()).chain(sessions).map(OsString::from));
    }
    argv.extend(words("NOXIDE_ACTION_ARGS", "args")?.into_iter().map(OsString::from));
    Ok(argv)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(argv: &[&str], sessions: &str, args: &str) -> Result<Vec<String>, String> {
        let variable = |name: &str| match name {
            "NOXIDE_ACTION_SESSIONS" => Some(sessions.to_owned()),
            "NOXIDE_ACTION_ARGS" => Some(args.to_owned()),
            _ => None,
        };
        let argv = append_action_inputs(argv.iter().map(OsString::from), &variable)?;
        Ok(argv.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn inputs_are_split_into_words_and_never_evaluated() {
        let argv =
            append(&["noxide", "ci", "--dir", "out"], "one 'two words' $(id) `id` *", "-j 2 # -- \"a b\"").unwrap();
        let expected = "noxide|ci|--dir|out|-s|one|two words|$(id)|`id`|*|-j|2|#|--|a b";
        assert_eq!(argv.join("|"), expected);
        assert_eq!(append(&["noxide", "ci"], "", "").unwrap(), ["noxide", "ci"]);
        assert_eq!(append(&["noxide", "run"], "one", "").unwrap(), ["noxide", "run"]);
    }

    #[test]
    fn unusable_inputs_are_named() {
        assert!(append(&["noxide", "ci"], "one 'two", "").unwrap_err().contains("`sessions` has an unclosed quote"));
        assert!(append(&["noxide", "ci"], "", "\"a").unwrap_err().contains("`args`"));
        assert!(append(&["noxide", "ci"], "one --remote=s3://b", "").unwrap_err().contains("is not a session"));
    }
}
