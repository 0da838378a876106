//! Environment markers (PEP 508): parser and evaluation.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier};
use serde::{Deserialize, Serialize};

use super::package_name::normalize_name;

/// Values of the variables of markers for one interpreter.
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

/// A marker that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the marker `{marker}` is invalid: {problem}")]
pub struct MarkerError {
    marker: String,
    problem: MarkerProblem,
}

/// What is wrong with a marker.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
enum MarkerProblem {
    #[error("unexpected `{0}`")]
    Unexpected(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("expected an operator, found `{0}`")]
    NotAnOperator(String),
    #[error("more than {MAX_DEPTH} nested parentheses")]
    TooDeep,
    #[error("`{0}` is not a marker variable")]
    UnknownVariable(String),
}

/// A parsed marker.
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
/// All known variables.
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
        let fail = |problem| MarkerError { marker: text.to_owned(), problem };
        let tokens = tokenize(text).map_err(fail)?;
        let mut parser = MarkerParser { tokens: &tokens, position: 0, depth: 0 };
        let expression = parser.parse_or().map_err(fail)?;
        if let Some(token) = parser.tokens.get(parser.position) {
            return Err(fail(MarkerProblem::Unexpected(token.as_str().to_owned())));
        }
        Ok(Self { text: text.trim().to_owned(), expression })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Marker {
    /// Whether it holds in an environment in which `extras` are requested.
    ///
    /// `extras` also contains the requested extras and groups of conflicting packages in the form in which uv writes them:
    /// `extra-4-name-extra`, `group-4-name-dev` (4 is the length of `name`).
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
        // `==` holds if any requested extra matches, `!=` if none does.
        let extra = match (left, right) {
            (MarkerOperand::Literal(text), _) | (_, MarkerOperand::Literal(text)) => normalize_name(text),
            _ => return false,
        };
        return match operator {
            "==" | "===" => extras.contains(&extra),
            "!=" => !extras.contains(&extra),
            _ => false,
        };
    }
    if matches!(variable, "extras" | "dependency_groups") {
        let MarkerOperand::Literal(name) = left else { return false };
        return extras.contains(&normalize_name(name)) == (operator == "in");
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

/// Compares by the rules of version specifiers; `None` if one side is not a version.
fn compare_versions(left: &str, operator: &str, right: &str) -> Option<bool> {
    if let "in" | "not in" = operator {
        // A list such as `python_version in "3.11 3.12"`.
        let found = right.split([' ', ',', '|']).any(|word| !word.is_empty() && word == left);
        return Some(found == (operator == "in"));
    }
    // `"3.8" <= python_version` is read as `3.8` against the specifier `<=PYTHON_VERSION`, as `packaging` does.
    let specifier = VersionSpecifier::from_str(&format!("{operator}{right}")).ok()?;
    let version = Version::from_str(left).ok()?;
    Some(specifier.contains(&version))
}

impl MarkerOperand {
    fn resolve_value<'a>(&'a self, environment: &'a MarkerEnvironment) -> &'a str {
        let name = match self {
            Self::Variable(name) => name,
            Self::Literal(text) => return text,
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

fn tokenize(text: &str) -> Result<Vec<MarkerToken>, MarkerProblem> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '(' | ')' => {
                tokens.push(if c == '(' { MarkerToken::OpenParen } else { MarkerToken::CloseParen });
                1
            }
            '"' | '\'' => {
                let end = rest[1..].find(c).ok_or(MarkerProblem::Missing("the end of a string"))?;
                tokens.push(MarkerToken::Quoted(rest[1..=end].to_owned()));
                end + 2
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = rest.find(|c| !"<>=!~".contains(c)).unwrap_or(rest.len());
                tokens.push(MarkerToken::Bare(rest[..end].to_owned()));
                end
            }
            _ => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || "._".contains(c)));
                let end = end.unwrap_or(rest.len());
                if end == 0 {
                    return Err(MarkerProblem::Unexpected(c.to_string()));
                }
                tokens.push(MarkerToken::Bare(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct MarkerParser<'a> {
    tokens: &'a [MarkerToken],
    position: usize,
    /// Number of open parentheses.
    depth: usize,
}

/// Maximum number of nested parentheses.
const MAX_DEPTH: usize = 100;

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

    fn parse_or(&mut self) -> Result<MarkerExpr, MarkerProblem> {
        let mut parts = vec![self.parse_and()?];
        while self.consume_word("or") {
            parts.push(self.parse_and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { MarkerExpr::Or(parts) })
    }

    fn parse_and(&mut self) -> Result<MarkerExpr, MarkerProblem> {
        let mut parts = vec![self.parse_term()?];
        while self.consume_word("and") {
            parts.push(self.parse_term()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { MarkerExpr::And(parts) })
    }

    fn parse_term(&mut self) -> Result<MarkerExpr, MarkerProblem> {
        if self.tokens.get(self.position) == Some(&MarkerToken::OpenParen) {
            self.position += 1;
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(MarkerProblem::TooDeep);
            }
            let expression = self.parse_or()?;
            self.depth -= 1;
            return if self.next_token() == Some(&MarkerToken::CloseParen) {
                Ok(expression)
            } else {
                Err(MarkerProblem::Missing("`)`"))
            };
        }
        let left = self.parse_operand()?;
        let operator = if self.consume_word("not") {
            if !self.consume_word("in") {
                return Err(MarkerProblem::Missing("`in` after `not`"));
            }
            "not in".to_owned()
        } else {
            match self.next_token() {
                Some(MarkerToken::Bare(word)) if OPERATORS.contains(&word.as_str()) => word.clone(),
                Some(token) => return Err(MarkerProblem::NotAnOperator(token.as_str().to_owned())),
                None => return Err(MarkerProblem::Missing("an operator")),
            }
        };
        Ok(MarkerExpr::Compare(left, operator, self.parse_operand()?))
    }

    fn parse_operand(&mut self) -> Result<MarkerOperand, MarkerProblem> {
        match self.next_token() {
            Some(MarkerToken::Quoted(text)) => Ok(MarkerOperand::Literal(text.clone())),
            // `os.name` and `sys.platform` are legacy names (PEP 345).
            Some(MarkerToken::Bare(word)) if KNOWN_VARIABLES.contains(&word.replace('.', "_").as_str()) => {
                Ok(MarkerOperand::Variable(word.replace('.', "_")))
            }
            Some(token) => Err(MarkerProblem::UnknownVariable(token.as_str().to_owned())),
            None => Err(MarkerProblem::Missing("an operand")),
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
    fn conflicting_extras_of_uv_are_distinguished() {
        assert!(holds("extra == 'extra-7-project-one'", &["extra-7-project-one"]));
        assert!(!holds("extra == 'extra-7-project-one'", &["extra-7-project-two"]));
        assert!(holds("extra != 'Test_All' or os_name == 'nt'", &["test"]));
        assert!(holds("'dev' in dependency_groups and 'x' not in extras", &["dev"]));
        assert!(!holds("extra > 'a'", &["b"]) && !holds("extra == extra", &["b"]) && !holds("extras in 'a'", &["a"]));
    }

    #[test]
    fn invalid_markers_are_reported() {
        for (marker, problem) in [
            ("python_version", "an operator is missing"),
            ("python_version >", "an operand is missing"),
            ("(os_name == 'nt'", "`)` is missing"),
            ("os_name == 'nt", "the end of a string is missing"),
            ("os_name not 'nt'", "`in` after `not` is missing"),
            ("os_name 'nt'", "expected an operator, found `nt`"),
            ("color == 'red'", "`color` is not a marker variable"),
            ("os_name == 'nt' )", "unexpected `)`"),
            ("os_name == 'nt' ( x", "unexpected `(`"),
            ("os_name & 'nt'", "unexpected `&`"),
        ] {
            let error = marker.parse::<Marker>().unwrap_err();
            assert_eq!(error.to_string(), format!("the marker `{marker}` is invalid: {problem}"));
        }
    }

    #[test]
    fn a_marker_displays_as_it_was_written() {
        assert_eq!(" os_name=='nt' ".parse::<Marker>().unwrap().to_string(), "os_name=='nt'");
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}os_name == 'posix'{}", "(".repeat(depth), ")".repeat(depth));
        assert!(nested(100).parse::<Marker>().is_ok());
        let error = nested(100_000).parse::<Marker>().unwrap_err().to_string();
        assert!(error.contains("more than 100 nested parentheses"), "{}", &error[error.len() - 80..]);
    }
}
