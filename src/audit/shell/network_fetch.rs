//! Commands that fetch system packages or binaries over the network.

use super::super::source::Span;
use super::command::ShellCommand;

/// A thing fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFetch {
    /// What is fetched, so that two jobs can be compared: `apt nodejs`, a URL, a script with its arguments.
    pub resource: String,
    /// The command's range in the script.
    pub span: Span,
}

/// What a command fetches: each package of apt and its like, each URL, each call of a fetching script.
pub fn find_network_fetches(command: &ShellCommand) -> Vec<NetworkFetch> {
    let make = |what: String| NetworkFetch { resource: what, span: command.span };
    let words = command.words.iter().map(|word| word.text.as_str()).skip_while(|word| *word == "sudo");
    let words: Vec<&str> = words.collect();
    let program = words.first().copied().unwrap_or_default();
    let plain = |word: &&&str| !word.starts_with('-') && !word.contains('=');
    match program {
        "apt" | "apt-get" | "dnf" | "yum" | "apk" if words.iter().any(|word| matches!(*word, "install" | "add")) => {
            let after = words.iter().skip_while(|word| !matches!(**word, "install" | "add")).skip(1);
            after.filter(plain).map(|package| make(format!("{program} {package}"))).collect()
        }
        "curl" | "wget" => {
            words.iter().filter(|word| word.contains("://")).map(|url| make((*url).to_owned())).collect()
        }
        _ => {
            let script = words.iter().take(2).find(|word| {
                let name = word.rsplit('/').next().unwrap_or_default();
                name.contains('.')
                    && ["fetch", "download", "install-", "install_"].iter().any(|part| name.contains(part))
            });
            script.map(|_| vec![make(words.join(" "))]).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse_script;
    use super::*;

    #[test]
    fn what_is_fetched() {
        let of = |script: &str| {
            parse_script(script).iter().flat_map(find_network_fetches).map(|fetch| fetch.resource).collect::<Vec<_>>()
        };
        assert_eq!(
            of("apt-get update && sudo apt-get install -y -qq nodejs git && rm -rf x"),
            ["apt-get nodejs", "apt-get git"]
        );
        assert_eq!(of("apk add git"), ["apk git"]);
        assert_eq!(of("curl -LsSf https://x/y.sh | sh"), ["https://x/y.sh"]);
        assert_eq!(of("python scripts/fetch_tool.py helm 3.16.4"), ["python scripts/fetch_tool.py helm 3.16.4"]);
        assert!(of("git fetch\npip install x\nmake download").is_empty());
    }
}
