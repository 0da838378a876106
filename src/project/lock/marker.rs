//! Environment markers (PEP 508): read into a tree and answered for one environment.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier};
use serde::{Deserialize, Serialize};

use super::package_name::normalize_name;

/// What an interpreter answers to each variable of a marker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct MarkerEnvironment {
    /// `cpython`, `pypy`.
    pub implementation_name: String,
    /// Version of the implementation.
    pub implementation_version: String,
    /// `posix`, `nt`.
    pub os_name: String,
    /// `x86_64`, `aarch64`, `arm64`.
    pub platform_machine: String,
    /// `CPython`, `PyPy`.
    pub platform_python_implementation: String,
    /// The kernel's release.
    pub platform_release: String,
    /// `Linux`, `Darwin`, `Windows`.
    pub platform_system: String,
    /// The kernel's version.
    pub platform_version: String,
    /// Python's version to the patch.
    pub python_full_version: String,
    /// Python's version to the minor.
    pub python_version: String,
    /// `linux`, `darwin`, `win32`.
    pub sys_platform: String,
}

/// A marker that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the marker `{marker}` cannot be read: {problem}")]
pub struct MarkerError {
    marker: String,
    problem: String,
}

/// A marker as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    text: String,
    expression: MarkerExpr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MarkerExpr {
    And(Vec<MarkerExpr>),
    Or(Vec<MarkerExpr>),
    Compare(MarkerOperand, String, MarkerOperand),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MarkerOperand {
    Variable(String),
    Literal(String),
}

/// Variables whose values are versions.
const VERSION_VARIABLES: [&str; 3] = ["python_version", "python_full_version", "implementation_version"];
/// All variables there are.
const KNOWN_VARIABLES: [&str; 15] = [
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
    "extra",
    "extras",
    "dependency_groups",
    "python_implementation",
];
const OPERATORS: [&str; 9] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">", "in"];

impl FromStr for Marker {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        let fail = |wrong: String| MarkerError { marker: text.to_owned(), problem: wrong };
        let words = tokenize(text).map_err(fail)?;
        let mut reader = MarkerParser { tokens: &words, position: 0 };
        let tree = reader.parse_or().map_err(fail)?;
        if let Some(word) = reader.tokens.get(reader.position) {
            return Err(fail(format!("`{}` was not expected", word.as_str())));
        }
        Ok(Self { text: text.trim().to_owned(), expression: tree })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Marker {
    /// Whether it holds where `extras` are wanted.
    ///
    /// `extras` also holds what uv writes for conflicting extras and groups: `extra-4-name-extra`, `group-4-name-dev`.
    pub fn evaluate(&self, environment: &MarkerEnvironment, extras: &BTreeSet<String>) -> bool {
        self.expression.evaluate(environment, extras)
    }
}

impl MarkerExpr {
    fn evaluate(&self, environment: &MarkerEnvironment, extras: &BTreeSet<String>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.evaluate(environment, extras)),
            Self::Or(parts) => parts.iter().any(|part| part.evaluate(environment, extras)),
            Self::Compare(left, operator, right) => evaluate_comparison(left, operator, right, environment, extras),
        }
    }
}

fn evaluate_comparison(
    left: &MarkerOperand,
    operator: &str,
    right: &MarkerOperand,
    environment: &MarkerEnvironment,
    extras: &BTreeSet<String>,
) -> bool {
    let variable = match (left, right) {
        (MarkerOperand::Variable(name), _) | (_, MarkerOperand::Variable(name)) => name.as_str(),
        _ => "",
    };
    if variable == "extra" {
        // Of the wanted extras any may answer; «is not» asks all of them.
        let wanted = match (left, right) {
            (MarkerOperand::Literal(text), _) | (_, MarkerOperand::Literal(text)) => normalize_name(text),
            _ => return false,
        };
        return match operator {
            "==" | "===" => extras.contains(&wanted),
            "!=" => !extras.contains(&wanted),
            _ => false,
        };
    }
    if matches!(variable, "extras" | "dependency_groups") {
        let MarkerOperand::Literal(wanted) = left else { return false };
        return extras.contains(&normalize_name(wanted)) == (operator == "in");
    }
    let (left, right) = (left.resolve_value(environment), right.resolve_value(environment));
    if VERSION_VARIABLES.contains(&variable)
        && let Some(answer) = compare_versions(left, operator, right)
    {
        return answer;
    }
    match operator {
        "==" | "===" => left == right,
        "!=" => left != right,
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => false,
    }
}

/// As version specifiers compare; none where one side is no version.
fn compare_versions(left: &str, operator: &str, right: &str) -> Option<bool> {
    if let "in" | "not in" = operator {
        // A list such as `python_version in "3.11 3.12"`.
        let found = right.split([' ', ',', '|']).any(|word| !word.is_empty() && word == left);
        return Some(found == (operator == "in"));
    }
    // `"3.8" <= python_version` has the specifier on its right all the same, as packaging reads it.
    let specifier = VersionSpecifier::from_str(&format!("{operator}{right}")).ok()?;
    let version = Version::from_str(left).ok()?;
    Some(specifier.contains(&version))
}

impl MarkerOperand {
    fn resolve_value<'a>(&'a self, environment: &'a MarkerEnvironment) -> &'a str {
        let Self::Variable(name) = self else {
            let Self::Literal(text) = self else { return "" };
            return text;
        };
        match name.as_str() {
            "implementation_name" => &environment.implementation_name,
            "implementation_version" => &environment.implementation_version,
            "os_name" => &environment.os_name,
            "platform_machine" => &environment.platform_machine,
            "platform_python_implementation" | "python_implementation" => &environment.platform_python_implementation,
            "platform_release" => &environment.platform_release,
            "platform_system" => &environment.platform_system,
            "platform_version" => &environment.platform_version,
            "python_full_version" => &environment.python_full_version,
            "python_version" => &environment.python_version,
            "sys_platform" => &environment.sys_platform,
            _ => "",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MarkerToken {
    OpenParen,
    CloseParen,
    Quoted(String),
    Bare(String),
}

impl MarkerToken {
    fn as_str(&self) -> &str {
        match self {
            Self::OpenParen => "(",
            Self::CloseParen => ")",
            Self::Quoted(text) | Self::Bare(text) => text,
        }
    }
}

fn tokenize(text: &str) -> Result<Vec<MarkerToken>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(sign) = rest.chars().next() {
        let used = match sign {
            '(' | ')' => {
                words.push(if sign == '(' { MarkerToken::OpenParen } else { MarkerToken::CloseParen });
                1
            }
            '"' | '\'' => {
                let end = rest[1..].find(sign).ok_or_else(|| "a quoted text has no end".to_owned())?;
                words.push(MarkerToken::Quoted(rest[1..=end].to_owned()));
                end + 2
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = rest.find(|sign| !"<>=!~".contains(sign)).unwrap_or(rest.len());
                words.push(MarkerToken::Bare(rest[..end].to_owned()));
                end
            }
            _ => {
                let end = rest.find(|sign: char| !(sign.is_alphanumeric() || "._".contains(sign)));
                let end = end.unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("`{sign}` was not expected"));
                }
                words.push(MarkerToken::Bare(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[used..].trim_start();
    }
    Ok(words)
}

struct MarkerParser<'a> {
    tokens: &'a [MarkerToken],
    position: usize,
}

impl MarkerParser<'_> {
    fn next_token(&mut self) -> Option<&MarkerToken> {
        self.position += 1;
        self.tokens.get(self.position - 1)
    }

    fn consume_word(&mut self, bare: &str) -> bool {
        let found = matches!(self.tokens.get(self.position), Some(MarkerToken::Bare(word)) if word == bare);
        self.position += usize::from(found);
        found
    }

    fn parse_or(&mut self) -> Result<MarkerExpr, String> {
        let mut parts = vec![self.parse_and()?];
        while self.consume_word("or") {
            parts.push(self.parse_and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { MarkerExpr::Or(parts) })
    }

    fn parse_and(&mut self) -> Result<MarkerExpr, String> {
        let mut parts = vec![self.parse_term()?];
        while self.consume_word("and") {
            parts.push(self.parse_term()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { MarkerExpr::And(parts) })
    }

    fn parse_term(&mut self) -> Result<MarkerExpr, String> {
        if self.tokens.get(self.position) == Some(&MarkerToken::OpenParen) {
            self.position += 1;
            let tree = self.parse_or()?;
            return if self.next_token() == Some(&MarkerToken::CloseParen) {
                Ok(tree)
            } else {
                Err("a `)` is missing".to_owned())
            };
        }
        let left = self.parse_operand()?;
        let operator = if self.consume_word("not") {
            if !self.consume_word("in") {
                return Err("`not` is not followed by `in`".to_owned());
            }
            "not in".to_owned()
        } else {
            match self.next_token() {
                Some(MarkerToken::Bare(word)) if OPERATORS.contains(&word.as_str()) => word.clone(),
                Some(word) => return Err(format!("`{}` is no comparison", word.as_str())),
                None => return Err("it ends where a comparison should follow".to_owned()),
            }
        };
        Ok(MarkerExpr::Compare(left, operator, self.parse_operand()?))
    }

    fn parse_operand(&mut self) -> Result<MarkerOperand, String> {
        match self.next_token() {
            Some(MarkerToken::Quoted(text)) => Ok(MarkerOperand::Literal(text.clone())),
            // `os.name` and `sys.platform` are names of old (PEP 345).
            Some(MarkerToken::Bare(word)) if KNOWN_VARIABLES.contains(&word.replace('.', "_").as_str()) => {
                Ok(MarkerOperand::Variable(word.replace('.', "_")))
            }
            Some(word) => Err(format!("`{}` is no variable", word.as_str())),
            None => Err("it ends too early".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> MarkerEnvironment {
        MarkerEnvironment {
            implementation_name: "cpython".to_owned(),
            implementation_version: "3.11.7".to_owned(),
            os_name: "posix".to_owned(),
            platform_machine: "x86_64".to_owned(),
            platform_python_implementation: "CPython".to_owned(),
            platform_release: "6.18.0".to_owned(),
            platform_system: "Linux".to_owned(),
            platform_version: "#1 SMP".to_owned(),
            python_full_version: "3.11.7".to_owned(),
            python_version: "3.11".to_owned(),
            sys_platform: "linux".to_owned(),
        }
    }

    fn holds(text: &str, extras: &[&str]) -> bool {
        let extras = extras.iter().map(|extra| (*extra).to_owned()).collect();
        text.parse::<Marker>().unwrap().evaluate(&environment(), &extras)
    }

    #[test]
    fn conflicting_extras_of_uv_are_told_apart() {
        assert!(holds("extra == 'extra-7-project-one'", &["extra-7-project-one"]));
        assert!(!holds("extra == 'extra-7-project-one'", &["extra-7-project-two"]));
        assert!(holds("extra != 'Test_All' or os_name == 'nt'", &["test"]));
        assert!(holds("'dev' in dependency_groups and 'x' not in extras", &["dev"]));
        assert!(!holds("extra > 'a'", &["b"]) && !holds("extra == extra", &["b"]) && !holds("extras in 'a'", &["a"]));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (marker, wrong) in [
            ("python_version", "it ends where a comparison should follow"),
            ("python_version >", "it ends too early"),
            ("(os_name == 'nt'", "a `)` is missing"),
            ("os_name == 'nt", "a quoted text has no end"),
            ("os_name not 'nt'", "`not` is not followed by `in`"),
            ("os_name 'nt'", "`nt` is no comparison"),
            ("color == 'red'", "`color` is no variable"),
            ("os_name == 'nt' )", "`)` was not expected"),
            ("os_name == 'nt' ( x", "`(` was not expected"),
            ("os_name & 'nt'", "`&` was not expected"),
        ] {
            let error = marker.parse::<Marker>().unwrap_err();
            assert_eq!(error.to_string(), format!("the marker `{marker}` cannot be read: {wrong}"));
        }
    }

    #[test]
    fn a_marker_shows_as_it_was_written() {
        assert_eq!(" os_name=='nt' ".parse::<Marker>().unwrap().to_string(), "os_name=='nt'");
    }
}
