//! Redaction of secrets in logs and messages.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt as _;

use aho_corasick::{AhoCorasick, MatchKind};
use percent_encoding::percent_decode_str;

use super::credentials::{is_credential, passwords_in_urls, secret_parameters};
use super::projected_text::ProjectedText;
use super::secret_forms::{binary_forms, encoded_forms};
use super::secret_paths::{SecretPaths, trimmed_path};
use crate::project::hidden_credentials;
use crate::run::options::glob_matches;

/// Text that replaces a secret.
const REPLACEMENT: &[u8] = b"***";

/// What stands for the rest of a text that was shortened.
const OMISSION: &str = "…";
/// Most places of a text at which parts of secrets are looked for.
const MAX_OMISSIONS: usize = 64;

/// Shorter values are too common in ordinary output to be masked (`1`, `true`, `main`).
const MIN_SECRET_LEN: usize = 6;

/// Masks the secrets found in a run's environment.
#[derive(Clone, Debug, Default)]
pub struct SecretRedactor {
    matcher: Option<AhoCorasick>,
    secrets: Vec<Vec<u8>>,
    /// The encoded forms that programs break into lines.
    line_broken_matcher: Option<AhoCorasick>,
    line_broken: Vec<Vec<u8>>,
    paths: SecretPaths,
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
                    .chain(secret_parameters(&value))
                    .flat_map(|password| [password.as_bytes().to_vec(), percent_decode_str(password).collect()]),
            );
        }
        // A path is recorded without slashes at its ends.
        let trimmed: Vec<Vec<u8>> = secrets.iter().filter_map(|secret| trimmed_path(secret)).collect();
        secrets.extend(trimmed);
        secrets.retain(|secret| secret.len() >= MIN_SECRET_LEN);
        let mut line_broken: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| binary_forms(secret)).collect();
        line_broken.retain(|form| form.len() > MIN_LINE_BROKEN_FORM_LEN);
        let encoded: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| encoded_forms(secret)).collect();
        secrets.extend(encoded);
        secrets.sort_unstable();
        secrets.dedup();
        // Building fails only where the automaton would be too large: gigabytes of secrets.
        let build = |texts: &[Vec<u8>]| {
            let builder = (!texts.is_empty()).then(AhoCorasick::builder);
            builder.and_then(|mut builder| builder.match_kind(MatchKind::LeftmostLongest).build(texts).ok())
        };
        let paths = SecretPaths::new(secrets.iter().map(Vec::as_slice), MIN_SECRET_LEN);
        Self { matcher: build(&secrets), line_broken_matcher: build(&line_broken), secrets, line_broken, paths }
    }

    /// Appends `bytes` to `held` and returns the part that may be written; the possible start of a secret stays in
    /// `held`.
    ///
    /// With `last`, returns everything.
    pub(crate) fn redact_chunk(&self, held: &mut Vec<u8>, bytes: &[u8], last: bool) -> Vec<u8> {
        let Some(matcher) = &self.matcher else { return bytes.to_vec() };
        held.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(held.len());
        let mut keep_from = held.len() - partial_len(&self.secrets, held);
        let mut ranges: Vec<Range<usize>> = matcher.find_iter(held.as_slice()).map(|found| found.range()).collect();
        let visible = ProjectedText::without_control_sequences(held).map(|text| (text, matcher, &self.secrets));
        let line_broken_matcher = self.line_broken_matcher.as_ref();
        let joined = line_broken_matcher
            .and_then(|matcher| Some((ProjectedText::without_line_ends(held)?, matcher, &self.line_broken)));
        for (text, matcher, secrets) in visible.into_iter().chain(joined) {
            ranges.extend(matcher.find_iter(&text.bytes).map(|found| text.original_range(found.range())));
            let partial = partial_len(secrets, &text.bytes);
            let start = text.original_range(text.bytes.len() - partial..text.bytes.len()).start;
            // No more than this is held back: the end of the value may never come.
            if partial > 0 && held.len() - start <= MAX_HELD_BYTES {
                keep_from = keep_from.min(start);
            }
        }
        ranges.sort_unstable_by_key(|range| (range.start, Reverse(range.end)));
        if last {
            keep_from = held.len();
        }
        let mut done = 0;
        for found in ranges {
            // This match may become a longer secret with the next bytes.
            if found.start >= keep_from {
                break;
            }
            // The same secret, found in the text as it is and without its control sequences or line ends.
            if found.start < done {
                done = done.max(found.end);
                continue;
            }
            out.extend_from_slice(&held[done..found.start]);
            out.extend_from_slice(REPLACEMENT);
            done = found.end;
        }
        let end = keep_from.max(done);
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
        self.matcher.as_ref().is_some_and(|matcher| matcher.is_match(text))
    }

    /// Masks the secrets in a text, and what remains of one where the text was shortened before.
    pub(crate) fn redact_text(&self, text: &str) -> String {
        let masked = String::from_utf8_lossy(&self.redact_chunk(&mut Vec::new(), text.as_bytes(), true)).into_owned();
        if self.secrets.is_empty() || !masked.contains(OMISSION) { masked } else { self.redact_remains(&masked) }
    }

    /// Masks the secrets in a recorded path, also the beginning of one in the path of a directory above it; `None` if there
    /// is none.
    pub(crate) fn redact_path(&self, path: &str) -> Option<String> {
        match self.paths.redact(path) {
            Some(masked) => Some(self.redact_text(&masked)),
            None => self.has_secret(path).then(|| self.redact_text(path)),
        }
    }

    /// Masks the beginning of a secret before `…`, and the end of one after it.
    fn redact_remains(&self, text: &str) -> String {
        let parts: Vec<&str> = text.splitn(MAX_OMISSIONS + 1, OMISSION).collect();
        let mut shown: Vec<Vec<u8>> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let (start, end) = (part.len() - part.trim_start().len(), part.trim_end().len());
            let mut bytes = part.as_bytes().to_vec();
            if index + 1 < parts.len() {
                let length = self.remaining_len(|secret, length| bytes[..end].ends_with(&secret[..length]));
                bytes.splice(end - length..end, REPLACEMENT.iter().copied().filter(|_| length > 0));
            }
            if index > 0 {
                let length =
                    self.remaining_len(|secret, length| bytes[start..].starts_with(&secret[secret.len() - length..]));
                bytes.splice(start..start + length, REPLACEMENT.iter().copied().filter(|_| length > 0));
            }
            shown.push(bytes);
        }
        String::from_utf8_lossy(&shown.join(OMISSION.as_bytes())).into_owned()
    }

    /// Returns the largest length of a part of a secret for which `remains` holds, or 0.
    fn remaining_len(&self, remains: impl Fn(&[u8], usize) -> bool) -> usize {
        let longest = |secret: &Vec<u8>| (MIN_SECRET_LEN..secret.len()).rev().find(|length| remains(secret, *length));
        self.secrets.iter().filter_map(longest).max().unwrap_or(0)
    }
}

/// Returns the length of the longest suffix of `bytes` that is a proper prefix of a secret.
fn partial_len(secrets: &[Vec<u8>], bytes: &[u8]) -> usize {
    let longest = |secret: &Vec<u8>| {
        let max_len = (secret.len() - 1).min(bytes.len());
        (1..=max_len).rev().find(|&length| bytes.ends_with(&secret[..length])).unwrap_or(0)
    };
    secrets.iter().map(longest).max().unwrap_or(0)
}

/// Shorter encoded forms are not broken into lines: `xxd` breaks lines after 60 digits.
const MIN_LINE_BROKEN_FORM_LEN: usize = 32;
/// Most bytes that are held back because they may be part of a secret with control sequences or line ends in it.
const MAX_HELD_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::encode_base64_url;

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
    fn tokens_before_the_host_and_keys_with_a_slash_are_masked() {
        for (name, value, secret) in [
            ("INDEX", "https://0a1b2c3d4e5f6a7b:@pkgs.example/simple", "0a1b2c3d4e5f6a7b"),
            ("REPO", "https://abcdefabcdef0123:x-oauth-basic@git.example/a", "abcdefabcdef0123"),
            ("REPO", "https://ghp_abcdefgh:real-password@git.example/a", "ghp_abcdefgh"),
            ("API", "https://h.example/x?api_key=abcdefgh", "abcdefgh"),
            ("STORAGE_KEY", "/Yb3lX0kqvAAbb+cGg==", "/Yb3lX0kqvAAbb+cGg=="),
            ("STORE_SECRET", "qwertyuiop/", "qwertyuiop"),
            ("STORE_SECRET", ".//qwertyuiop", "qwertyuiop"),
        ] {
            let masked = redactor(&[(name, value)], &[]).redact_text(&format!("a {secret} b"));
            assert_eq!(masked, "a *** b", "{value}");
        }
        for (name, value, text) in [
            ("INDEX", "https://oauth2accesstoken:abcdefgh@pkgs.example/simple", "oauth2accesstoken"),
            ("REPO", "https://git:x@git.example/a", "git"),
            ("SIGNING_FILE_KEY", "/etc/keys/signing/one.pem", "/etc/keys/signing/one.pem"),
        ] {
            assert_eq!(redactor(&[(name, value)], &[]).redact_text(text), text, "{value}");
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
    fn keys_and_signatures_of_addresses_are_masked() {
        let redactor = redactor(
            &[
                ("DEPLOY_KEY", "0123456789abcdef0"),
                ("SORT_KEY", "name"),
                ("HOST_KEY", "/etc/ssh/ssh_host_ed25519_key"),
                ("UPLOAD", "https://blob.example.org/c?sv=2025-01-01&sig=a%2Bbcdefgh#x"),
            ],
            &[],
        );
        let masked = |text: &str| redactor.redact_text(text);
        assert_eq!(
            masked("0123456789abcdef0 name /etc/ssh/ssh_host_ed25519_key"),
            "*** name /etc/ssh/ssh_host_ed25519_key"
        );
        assert_eq!(masked("sv=2025-01-01&sig=a%2Bbcdefgh or a+bcdefgh"), "sv=2025-01-01&sig=*** or ***");
    }

    #[test]
    fn a_secret_with_control_sequences_in_it_is_masked() {
        let redactor = redactor(&[("A_TOKEN", "ghp_abcdef123456é")], &[]);
        let texts = [
            "x \x1b[31mghp_abc\x1b[01;31m\x1b[Kdef123\x1b[m456é\x1b[0m y\n",
            "x ghp_abc\x07def\x08123456é y\n",
            "x ghp_\u{202e}abcdef123456é y\n",
            "x ghp_\x1b]0;title\x07abcdef123456é y\n",
        ];
        for text in texts {
            for size in 1..text.len() {
                let (mut held, mut out) = (Vec::new(), Vec::new());
                for chunk in text.as_bytes().chunks(size) {
                    out.extend(redactor.redact_chunk(&mut held, chunk, false));
                }
                out.extend(redactor.redact_chunk(&mut held, b"", true));
                let out = String::from_utf8(out).unwrap();
                assert!(out.contains("***") && out.ends_with(" y\n"), "{text:?} in chunks of {size}: {out:?}");
                assert!(!crate::text::strip_control_sequences(&out).contains("abc"), "{text:?}: {out:?}");
            }
        }
        assert_eq!(redactor.redact_text("\x1b[31mred\x1b[0m ghp_\x1b[0mx"), "\x1b[31mred\x1b[0m ghp_\x1b[0mx");
    }

    #[test]
    fn encoded_forms_in_several_lines_are_masked() {
        let secret: String = (0..120u8).map(|index| char::from(b'a' + index % 26)).collect();
        let redactor = redactor(&[("A_TOKEN", &secret)], &[]);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let wrap = |text: &str, width: usize, end: &str| {
            let lines: Vec<&str> =
                text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            lines.join(end)
        };
        let base64 = encode_base64_url(format!("us:{secret}").as_bytes());
        for text in [wrap(&hex, 60, "\n"), wrap(&base64, 76, "\n"), wrap(&base64, 64, "\r\n")] {
            for size in [1, 7, 64, 1000] {
                let (mut held, mut out) = (Vec::new(), Vec::new());
                for chunk in format!("a\n{text}\nb\n").as_bytes().chunks(size) {
                    out.extend(redactor.redact_chunk(&mut held, chunk, false));
                }
                out.extend(redactor.redact_chunk(&mut held, b"", true));
                let out = String::from_utf8(out).unwrap();
                assert!(out.starts_with("a\n") && out.ends_with("\nb\n") && out.len() < 24, "{text}: {out}");
            }
        }
        let spaced: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(redactor.redact_text(&spaced.join(" ")), "***");
    }

    #[test]
    fn parts_of_a_secret_where_a_text_was_shortened_are_masked() {
        let redactor = redactor(&[("A_TOKEN", "ghp_0123456789abcdef")], &[]);
        let masked = |text: &str| redactor.redact_text(text);
        assert_eq!(masked("--token ghp_0123456…"), "--token ***…");
        assert_eq!(masked("--token ghp_0123456 … 6789abcdef x"), "--token *** … *** x");
        assert_eq!(masked("…789abcdef y ghp_0123456789abcdef"), "…*** y ***");
        assert_eq!(masked("twine ghp_0… wait… abcdef?"), "twine ghp_0… wait… ***?");
        assert_eq!(masked("ghp_012345"), "ghp_012345", "it was not shortened");
        assert_eq!(masked(" … "), " … ");
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
