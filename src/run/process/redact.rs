//! Redaction of secrets in logs and messages.

use std::borrow::Cow;
use std::os::unix::ffi::OsStringExt as _;

use aho_corasick::{AhoCorasick, MatchKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};

use super::visible_bytes::VisibleBytes;
use crate::fs::encode_base64_url;
use crate::project::hidden_credentials;
use crate::run::options::glob_matches;

/// Text that replaces a secret.
const REPLACEMENT: &[u8] = b"***";

/// Character in place of what a text was shortened by.
const ELLIPSIS: char = '…';

/// Shorter values are too common in ordinary output to be masked (`1`, `true`, `main`).
const MIN_SECRET_LEN: usize = 6;

/// Parts of variable names that suggest a credential.
const SECRET_NAME_PARTS: [&str; 15] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
    "_AUTH",
    "COOKIE",
    "CACHE_KEY",
    "SIGNING_KEY",
    "WEBHOOK",
];

/// Endings of variable names that suggest a credential: personal access tokens and data source names.
const SECRET_NAME_ENDINGS: [&str; 4] = ["_PAT", "_DSN", "_PASS", "_PWD"];

/// Endings of variable names that hold a path or address even if another part suggests a credential.
const ADDRESS_NAME_ENDINGS: [&str; 8] = ["_SOCK", "_FILE", "_PATH", "_DIR", "_HOST", "_URL", "_URI", "_ENDPOINT"];

/// Masks the secrets found in a run's environment.
#[derive(Clone, Debug, Default)]
pub struct SecretRedactor {
    matcher: Option<AhoCorasick>,
    secrets: Vec<Vec<u8>>,
}

impl SecretRedactor {
    /// Collects the secrets of noxide's own environment and of other `variables`, as [`SecretRedactor::new`] does.
    pub(crate) fn from_environment(variables: impl IntoIterator<Item = (String, String)>, patterns: &[String]) -> Self {
        // A value need not be UTF-8.
        let environment =
            std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.into_vec()));
        let others = hidden_credentials().iter().cloned().chain(variables);
        Self::from_bytes(environment.chain(others.map(|(name, value)| (name, value.into_bytes()))), patterns)
    }

    /// Collects the values of variables whose names suggest a credential or match one of `patterns` (names or globs).
    ///
    /// A value of several lines is masked line by line too, since tools print keys line by line.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, patterns: &[String]) -> Self {
        Self::from_bytes(variables.into_iter().map(|(name, value)| (name, value.into_bytes())), patterns)
    }

    fn from_bytes(variables: impl Iterator<Item = (String, Vec<u8>)>, patterns: &[String]) -> Self {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for (name, bytes) in variables {
            let value = String::from_utf8_lossy(&bytes);
            if is_credential(&name, &value) || patterns.iter().any(|glob| glob_matches(glob, &name)) {
                let lines = value.lines().map(str::trim);
                secrets.extend(lines.chain([value.trim()]).map(|line| line.as_bytes().to_vec()));
                if matches!(value, Cow::Owned(_)) {
                    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                    secrets.extend(lines.chain([bytes.trim_ascii()]).map(<[u8]>::to_vec));
                }
            }
            // A password in a URL or DSN is a secret under any name.
            secrets.extend(
                passwords_in_urls(&value)
                    .flat_map(|password| [password.as_bytes().to_vec(), percent_decode_str(password).collect()]),
            );
        }
        // Outputs are searched without control sequences.
        secrets.extend(secrets.clone().iter().map(|secret| VisibleBytes::new(secret).bytes));
        secrets.retain(|secret| secret.len() >= MIN_SECRET_LEN);
        let encoded: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| encoded_forms(secret)).collect();
        secrets.extend(encoded);
        secrets.sort_unstable();
        secrets.dedup();
        // Building fails only where the automaton would be too large: gigabytes of secrets.
        let matcher = (!secrets.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&secrets).ok())
            .flatten();
        Self { matcher, secrets }
    }

    /// Appends `bytes` to `held` and returns the part that may be written; the possible start of a secret stays in
    /// `held`.
    ///
    /// With `last`, returns everything.
    pub(crate) fn redact_chunk(&self, held: &mut Vec<u8>, bytes: &[u8], last: bool) -> Vec<u8> {
        let Some(matcher) = &self.matcher else { return bytes.to_vec() };
        held.extend_from_slice(bytes);
        let visible = VisibleBytes::new(held);
        let mut out = Vec::with_capacity(held.len());
        let kept = if last { 0 } else { self.partial_secret_len(&visible.bytes) };
        let keep_from = visible.bytes.len() - kept;
        let mut done = 0;
        for found in matcher.find_iter(visible.bytes.as_slice()) {
            // This match may become a longer secret with the next bytes.
            if found.start() >= keep_from {
                break;
            }
            out.extend_from_slice(&held[done..visible.position(found.start(), held)]);
            out.extend_from_slice(REPLACEMENT);
            done = visible.end_position(found.end(), held);
        }
        let end = visible.position(keep_from, held).max(done);
        out.extend_from_slice(&held[done..end]);
        held.drain(..end);
        out
    }

    /// Returns whether there is anything to mask.
    pub(crate) fn has_secrets(&self) -> bool {
        self.matcher.is_some()
    }

    /// Returns whether a text contains a secret.
    pub(crate) fn has_secret(&self, text: &str) -> bool {
        self.matcher.as_ref().is_some_and(|matcher| matcher.is_match(&VisibleBytes::new(text.as_bytes()).bytes))
    }

    /// Masks the secrets in a text, also those of which an ellipsis has cut off a part.
    pub(crate) fn redact_text(&self, text: &str) -> String {
        let text = String::from_utf8_lossy(&self.redact_chunk(&mut Vec::new(), text.as_bytes(), true)).into_owned();
        if self.has_secrets() && text.contains(ELLIPSIS) { self.redact_cut_secrets(&text) } else { text }
    }

    /// Masks the start of a secret before an ellipsis and the end of one after it.
    fn redact_cut_secrets(&self, text: &str) -> String {
        let parts: Vec<&str> = text.split(ELLIPSIS).collect();
        let last = parts.len() - 1;
        let redact_part = |(index, part): (usize, &&str)| {
            let (mut part, replacement) = (part.as_bytes().to_vec(), REPLACEMENT);
            let blanks = |bytes: &[u8]| bytes.iter().take_while(|byte| **byte == b' ').count();
            if index < last {
                let end = part.trim_ascii_end().len();
                let length = self.partial_secret_len(&part[..end]);
                if length >= MIN_SECRET_LEN {
                    part.splice(end - length..end, replacement.iter().copied());
                }
            }
            if index > 0 {
                let start = blanks(&part);
                let length = self.secret_end_len(&part[start..]);
                if length >= MIN_SECRET_LEN {
                    part.splice(start..start + length, replacement.iter().copied());
                }
            }
            String::from_utf8_lossy(&part).into_owned()
        };
        parts.iter().enumerate().map(redact_part).collect::<Vec<_>>().join(&ELLIPSIS.to_string())
    }

    /// Returns the length of the longest prefix of `bytes` that is a proper suffix of a secret.
    fn secret_end_len(&self, bytes: &[u8]) -> usize {
        let longest = |secret: &Vec<u8>| {
            let max_len = (secret.len() - 1).min(bytes.len());
            (1..=max_len).rev().find(|&length| bytes.starts_with(&secret[secret.len() - length..])).unwrap_or(0)
        };
        self.secrets.iter().map(longest).max().unwrap_or(0)
    }

    /// Returns the length of the longest suffix of `bytes` that is a proper prefix of a secret.
    fn partial_secret_len(&self, bytes: &[u8]) -> usize {
        let longest = |secret: &Vec<u8>| {
            let max_len = (secret.len() - 1).min(bytes.len());
            (1..=max_len).rev().find(|&length| bytes.ends_with(&secret[..length])).unwrap_or(0)
        };
        self.secrets.iter().map(longest).max().unwrap_or(0)
    }
}

/// Shorter values have encoded forms that are too short to be told from other text.
const MIN_ENCODED_SECRET_LEN: usize = 8;

/// Characters that URLs contain as they are; programs differ in which others they keep.
const URL_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same with `/`, which many programs keep.
const URL_PATH: &AsciiSet = &URL_UNRESERVED.remove(b'/');

/// The characters that JavaScript's `encodeURIComponent` keeps.
const URL_COMPONENT: &AsciiSet = &URL_UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// The characters that Java's `URLEncoder` keeps.
const URL_FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// Returns the forms in which programs print a value: in JSON, in a URL, quoted for a shell, in Base64 wherever it begins.
fn encoded_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms: Vec<String> = Vec::new();
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend(json_forms(text));
        forms.extend(shell_forms(text));
        forms.extend(python_forms(text));
        forms.extend(xml_forms(text));
        for set in [URL_UNRESERVED, URL_PATH, URL_COMPONENT, URL_FORM] {
            let encoded = utf8_percent_encode(text, set).to_string();
            for form in [lower_case_escapes(&encoded), encoded] {
                forms.push(form.replace("%20", "+"));
                forms.push(form);
            }
        }
    }
    if std::str::from_utf8(secret).is_err() {
        forms.push(surrogate_form(secret));
        forms.push(percent_encode(secret, URL_UNRESERVED).to_string());
    }
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.extend([hex.to_uppercase(), hex]);
    for skipped in 0..3 {
        // Three bytes become four characters; what is next to the value changes only the groups at its ends.
        let groups = &secret[skipped..];
        let url_safe = encode_base64_url(&groups[..groups.len() / 3 * 3]);
        if url_safe.len() >= MIN_ENCODED_SECRET_LEN {
            forms.push(url_safe.replace('-', "+").replace('_', "/"));
            forms.push(url_safe);
        }
    }
    forms.into_iter().map(String::into_bytes).filter(|form| form != secret).collect()
}

/// Returns a value as JSON libraries print it, and each form once more in a JSON string.
fn json_forms(text: &str) -> Vec<String> {
    let is_markup = |c: char| matches!(c, '<' | '>' | '&');
    let is_net = |c: char| is_markup(c) || matches!(c, '\'' | '"' | '+' | '`');
    let mut forms = vec![
        json_form(text, &|_| false),
        // Python and PHP, Jackson.
        json_form(text, &|c| !c.is_ascii()),
        json_form(text, &|c| !c.is_ascii()).replace('/', r"\/"),
        // Go, Gson, .NET.
        json_form(text, &is_markup),
        json_form(text, &|c| !c.is_ascii() || is_markup(c)),
        json_form(text, &|c| is_markup(c) || matches!(c, '\'' | '=')),
        json_form(text, &|c| !c.is_ascii() || is_net(c)),
    ];
    let upper: Vec<String> = forms.iter().map(|form| upper_case_unicode(form)).collect();
    forms.extend(upper);
    let nested: Vec<String> = forms.iter().map(|form| form.replace('\\', r"\\").replace('"', "\\\"")).collect();
    forms.extend(nested);
    forms
}

/// Returns a value as JSON, with escapes in UTF-16 for some characters.
fn json_form(text: &str, is_escaped: &dyn Fn(char) -> bool) -> String {
    let json = |c: char| {
        let quoted = serde_json::to_string(&c).unwrap_or_default();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
    };
    text.chars().map(|c| if is_escaped(c) { unicode_escape(c) } else { json(c) }).collect()
}

/// Returns a JSON form with upper-case digits in its escapes.
fn upper_case_unicode(form: &str) -> String {
    let mut parts = form.split("\\u");
    let first = parts.next().unwrap_or_default().to_owned();
    let upper = |part: &str| {
        let digits = part.floor_char_boundary(4);
        format!("\\u{}{}", part[..digits].to_uppercase(), &part[digits..])
    };
    parts.fold(first, |text, part| text + &upper(part))
}

/// Returns the escapes of a character in UTF-16, such as `\u00e4`.
fn unicode_escape(character: char) -> String {
    character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Returns a value as shells quote it: `'"'"'` (Python's shlex), `'\''` (`set -x`), backslashes (`printf %q`), in double quotes
/// (`declare -p`), and with octal escapes (`$'…'`).
fn shell_forms(text: &str) -> Vec<String> {
    let quote = |plain: &str| -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || plain.contains(c) || !c.is_ascii();
        text.chars().map(|c| if is_plain(c) { c.to_string() } else { format!("\\{c}") }).collect()
    };
    let is_special = |c: char| matches!(c, '"' | '$' | '`' | '\\');
    let declared = text.chars().map(|c| if is_special(c) { format!("\\{c}") } else { c.to_string() }).collect();
    let octal = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        0x80.. => format!("\\{byte:03o}"),
        _ => char::from(byte).to_string(),
    };
    vec![
        text.replace('\'', r#"'"'"'"#),
        text.replace('\'', r"'\''"),
        quote("_-./:@%+="),
        quote("_-./:@%+=~"),
        declared,
        text.bytes().map(octal).collect(),
    ]
}

/// Returns a value as Python's `repr` and `ascii` print it, and as `repr` prints its bytes.
fn python_forms(text: &str) -> Vec<String> {
    let quoted = text.replace('\\', r"\\").replace('\'', r"\'");
    let ascii = |text: &str| -> String {
        let escape = |c: char| match u32::from(c) {
            code @ 0x80..0x100 => format!("\\x{code:02x}"),
            code @ 0x100..0x1_0000 => format!("\\u{code:04x}"),
            code @ 0x1_0000.. => format!("\\U{code:08x}"),
            _ => c.to_string(),
        };
        text.chars().map(escape).collect()
    };
    let bytes = |text: &str| -> String {
        let escape = |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") };
        text.bytes().map(escape).collect()
    };
    // `repr` escapes a single quote only if there is a double quote too; otherwise only backslashes.
    let backslashes = text.replace('\\', r"\\");
    let texts = [&quoted, &backslashes];
    let mut forms: Vec<String> = texts.iter().flat_map(|text| [ascii(text), bytes(text)]).collect();
    forms.extend([quoted.clone(), backslashes]);
    forms
}

/// Returns a value that is not UTF-8 as Python's `repr` and JSON print it: with a surrogate for each other byte.
fn surrogate_form(secret: &[u8]) -> String {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\udc{byte:02x}")).collect();
        format!("{}{invalid}", chunk.valid())
    };
    secret.utf8_chunks().map(chunk).collect()
}

/// Returns a value as XML and HTML have it in text and in attributes.
fn xml_forms(text: &str) -> Vec<String> {
    let markup = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let attributes = ["&quot;", "&#34;"].map(|quote| markup.replace('"', quote));
    let quote = |text: &String| ["&#x27;", "&#39;", "&apos;"].map(|quote| text.replace('\'', quote));
    let quoted: Vec<String> = attributes.iter().flat_map(quote).collect();
    let forms: Vec<String> = [markup].into_iter().chain(attributes).chain(quoted).collect();
    // In attributes, XML libraries write tabs and line ends as references.
    let references = [["&#9;", "&#10;", "&#13;"], ["&#x9;", "&#xA;", "&#xD;"], ["&#x09;", "&#x0A;", "&#x0D;"]];
    let spaces = forms.iter().flat_map(|form| {
        references.map(|[tab, feed, ret]| form.replace('\t', tab).replace('\n', feed).replace('\r', ret))
    });
    let spaces: Vec<String> = if text.contains(['\t', '\n', '\r']) { spaces.collect() } else { Vec::new() };
    forms.into_iter().chain(spaces).collect()
}

/// Returns percent escapes with hexadecimal digits in lower case.
fn lower_case_escapes(text: &str) -> String {
    let mut rest = 0;
    let lower = |c: char| match (c, rest) {
        ('%', _) => {
            rest = 2;
            c
        }
        (c, 1..) => {
            rest -= 1;
            c.to_ascii_lowercase()
        }
        _ => c,
    };
    text.chars().map(lower).collect()
}

/// Whether the name of a variable suggests a credential, and its value can be one.
fn is_credential(name: &str, value: &str) -> bool {
    let upper = name.to_uppercase();
    let suggests = SECRET_NAME_PARTS.iter().any(|part| upper.contains(part))
        || SECRET_NAME_ENDINGS.iter().any(|ending| upper.ends_with(ending));
    // A webhook is a URL that grants access by itself.
    let is_address = ADDRESS_NAME_ENDINGS.iter().any(|ending| upper.ends_with(ending)) && !upper.contains("WEBHOOK");
    suggests && !(is_address && is_path_or_url(value))
}

/// Whether a value is a path or a URL without a password.
fn is_path_or_url(value: &str) -> bool {
    value.starts_with('/') || value.starts_with("./") || (value.contains("://") && !value.contains('@'))
}

/// Shorter user names without a password are names, such as `git`; longer ones are tokens.
const MIN_LONE_TOKEN_LEN: usize = 12;

/// Returns the passwords of all URLs in a text: `PASSWORD` in `scheme://USER:PASSWORD@host`, or a token in the place of the
/// user.
fn passwords_in_urls(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).filter_map(|rest| {
        let authority = rest.split(['/', '?', '#', ' ', '\n', '"', '\'']).next()?;
        let (user_info, _) = authority.rsplit_once('@')?;
        match user_info.split_once(':') {
            Some((_, password)) => Some(password),
            None => Some(user_info).filter(|token| token.len() >= MIN_LONE_TOKEN_LEN),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(pairs: &[(&str, &str)], patterns: &[&str]) -> SecretRedactor {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        SecretRedactor::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())), &patterns)
    }

    fn redactor_of_tab() -> SecretRedactor {
        redactor(&[("A_TOKEN", "ab\tc<secret>")], &[])
    }

    #[test]
    fn a_value_that_is_not_utf8_is_masked() {
        let value = b"byte\xff-secret".to_vec();
        let redactor = SecretRedactor::from_bytes([("A_TOKEN".to_owned(), value.clone())].into_iter(), &[]);
        let masked = |bytes: &[u8]| redactor.redact_chunk(&mut Vec::new(), bytes, true);
        for text in [value.as_slice(), "byte\u{fffd}-secret".as_bytes(), b"byte\\udcff-secret", b"byte%FF-secret"] {
            assert_eq!(masked(text), b"***", "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(masked(b"byte-secret"), b"byte-secret");
    }

    #[test]
    fn a_secret_with_control_sequences_inside_is_masked() {
        let redactor = redactor(&[("A_TOKEN", "ghp_abcdef123456")], &[]);
        let text = b"a ghp_abcdef\x1b[01;31m\x1b[K123456\x1b[m b\x1b[0m";
        assert_eq!(redactor.redact_chunk(&mut Vec::new(), text, true), b"a ***\x1b[m b\x1b[0m");
        // Whatever the chunks in which it comes.
        for split in 0..text.len() {
            let mut held = Vec::new();
            let mut out = redactor.redact_chunk(&mut held, &text[..split], false);
            out.extend(redactor.redact_chunk(&mut held, &text[split..], true));
            assert_eq!(out, b"a ***\x1b[m b\x1b[0m", "{split}");
        }
        assert!(redactor.has_secret("ghp_\x08abcdef123456") && !redactor.has_secret("\x1b[mghp_"));
    }

    #[test]
    fn parts_of_a_secret_beside_an_ellipsis_are_masked() {
        let redactor = redactor(&[("A_TOKEN", "ghp_abcdef123456")], &[]);
        for (text, expected) in [
            ("x ghp_abcdef12 … 23456 y", "x *** … 23456 y"),
            ("x ghp_abcdef…, z", "x ***…, z"),
            ("x …def123456 y", "x …*** y"),
            ("x … def123456", "x … ***"),
            ("ghp_ab…, ghp_abcdef12…", "***…, ***…"),
            ("ghp_a…", "ghp_a…"),
            ("ghp_abcdef", "ghp_abcdef"),
        ] {
            assert_eq!(redactor.redact_text(text), expected);
        }
    }

    #[test]
    fn credentials_by_name_and_by_settings() {
        let redactor = redactor(
            &[
                ("GITHUB_TOKEN", "ghs_abcdef"),
                ("SSH_AUTH_SOCK", "/tmp/agent"),
                ("MY_SETTING", "harbour"),
                ("SHORT_SECRET", "abc"),
                ("DEPLOY_PRIVATE_KEY", "-- key --\nline-one\nline-two\n"),
            ],
            &["MY_*"],
        );
        assert_eq!(redactor.redact_text("a ghs_abcdef b /tmp/agent harbour abc"), "a *** b /tmp/agent *** abc");
        assert_eq!(redactor.redact_text("x line-two y"), "x *** y");
        assert_eq!(SecretRedactor::default().redact_text("ghs_abcdef"), "ghs_abcdef");
    }

    #[test]
    fn values_that_look_like_paths_or_addresses_can_be_secrets() {
        let redactor = redactor(
            &[
                ("AWS_SECRET_ACCESS_KEY", "/abcDEF123+xyz"),
                ("CHAT_WEBHOOK_URL", "https://hooks.example.org/services/T0/B0/xyz"),
                ("DEPLOY_PAT", "ghp_abcdef"),
                ("NOXIDE_CACHE_SIGNING_KEY", "sign-with-this"),
                ("DATABASE_URL", "postgres://app:hunter%402two@db.example.org/app"),
                ("UV_INDEX_URL", "https://__token__:pypi-abc123@index.example.org/simple"),
                ("PIP_INDEX_URL", "https://only-a-token@index.example.org/simple"),
                ("SSH_AUTH_SOCK", "/tmp/agent"),
                ("TOKEN_URL", "https://login.example.org/token"),
                ("GITHUB_TOKEN_FILE", "/run/secrets/token"),
                ("HOME", "/home/user"),
            ],
            &[],
        );
        let masked = |text: &str| redactor.redact_text(text);
        assert_eq!(masked("key /abcDEF123+xyz"), "key ***");
        assert_eq!(masked("https://hooks.example.org/services/T0/B0/xyz"), "***");
        assert_eq!(masked("ghp_abcdef sign-with-this"), "*** ***");
        assert_eq!(masked("postgres://app:hunter%402two@db hunter@2two"), "postgres://app:***@db ***");
        assert_eq!(masked("pypi-abc123 only-a-token __token__"), "*** *** __token__");
        let harmless = "/tmp/agent https://login.example.org/token /run/secrets/token /home/user db.example.org";
        assert_eq!(masked(harmless), harmless);
    }

    #[test]
    fn encoded_forms_of_a_secret_are_masked() {
        let redactor = redactor(&[("DEPLOY_TOKEN", "s3cr/t 'va\"lue-é")], &[]);
        let masked = |text: &str| redactor.redact_text(text);
        assert_eq!(masked(r#"{"a": "s3cr/t 'va\"lue-é"}"#), r#"{"a": "***"}"#);
        assert_eq!(masked("x=s3cr%2Ft%20%27va%22lue-%C3%A9&y s3cr/t+%27va%22lue-%C3%A9"), "x=***&y ***");
        assert_eq!(masked(r#"'s3cr/t '"'"'va"lue-é'"#), "'***'");
        assert_eq!(masked(r#"'s3cr/t \'va"lue-é'"#), "'***'");
        let tabs = redactor_of_tab();
        for text in ["ab\tc<secret>", "ab&#9;c&lt;secret&gt;", "ab&#x9;c&lt;secret&gt;"] {
            assert_eq!(tabs.redact_text(text), "***", "{text}");
        }
        // As Python, Go and PHP write JSON; `set -x` and `%q`; lower-case URLs; bytes; XML; hexadecimal.
        let odd = SecretRedactor::new([("A_TOKEN".to_owned(), "pä<&>\\ss'w/\"örd".to_owned())], &[]);
        for text in [
            r#"p\u00e4<&>\\ss'w/\"\u00f6rd"#,
            r#"pä\u003c\u0026\u003e\\ss'w/\"örd"#,
            r#"p\u00e4<&>\\ss'w\/\"\u00f6rd"#,
            r#"pä<&>\\\\ss'w/\\\"örd"#,
            r#"pä<&>\ss'\''w/"örd"#,
            r#"pä\<\&\>\\ss\'w/\"örd"#,
            "p%c3%a4%3c%26%3e%5css%27w%2f%22%c3%b6rd",
            r#"p\xc3\xa4<&>\\ss\'w/"\xc3\xb6rd"#,
            r#"p\xe4<&>\\ss\'w/"\xf6rd"#,
            "pä&lt;&amp;&gt;\\ss'w/\"örd",
            "pä&lt;&amp;&gt;\\ss&#x27;w/&quot;örd",
            "70c3a43c263e5c737327772f22c3b67264",
            r#"p\u00E4\u003C\u0026\u003E\\ss\u0027w/\u0022\u00F6rd"#,
            "p%C3%A4%3C%26%3E%5Css'w%2F%22%C3%B6rd",
            r#"p\303\244<&>\\ss\'w/"\303\266rd"#,
            r#"pä<&>\\ss'w/\"örd"#,
            "pä&lt;&amp;&gt;\\ss&#39;w/&#34;örd",
        ] {
            assert_eq!(odd.redact_text(text), "***", "{text}");
        }
        // Base64 of `user:`, `use:` and `us:` before the value: a few characters at its ends remain.
        for before in ["user:", "use:", "us:", ""] {
            let text = encode_base64_url(format!("{before}s3cr/t 'va\"lue-é\n").as_bytes());
            let printed = masked(&text);
            assert!(printed.contains("***") && printed.len() == text.len() - 17, "{text}: {printed}");
            assert_ne!(masked(&text.replace('-', "+").replace('_', "/")), text, "{before}");
        }
    }

    #[test]
    fn a_secret_in_chunks_is_masked_and_nothing_is_lost() {
        let redactor = redactor(&[("A_TOKEN", "secret-1"), ("B_TOKEN", "secret-1-long")], &[]);
        let text = b"xx secret-1-long yy secret-1 zz secret secret-1";
        for size in 1..text.len() {
            let (mut held, mut out) = (Vec::new(), Vec::new());
            for chunk in text.chunks(size) {
                out.extend(redactor.redact_chunk(&mut held, chunk, false));
            }
            out.extend(redactor.redact_chunk(&mut held, b"", true));
            assert_eq!(String::from_utf8(out).unwrap(), "xx *** yy *** zz secret ***", "in chunks of {size}");
        }
    }
}
