//! Credentials among environment variables: by the name of the variable, in URLs, and in parameters of addresses.

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

/// Endings of variable names that suggest a credential: personal access tokens, data source names and passwords.
const SECRET_NAME_ENDINGS: [&str; 4] = ["_PAT", "_DSN", "_PASS", "_PWD"];

/// Ending of variable names with a key, which may also be a short word.
const KEY_NAME_ENDING: &str = "_KEY";
/// Shorter values of such variables are words.
const MIN_KEY_LEN: usize = 16;

/// Parameters of addresses whose values grant access.
const SECRET_PARAMETERS: [&str; 12] = [
    "sig",
    "signature",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "password",
    "secret",
    "client_secret",
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-signature",
];

/// Endings of variable names that hold a path or address even if another part suggests a credential.
const ADDRESS_NAME_ENDINGS: [&str; 8] = ["_SOCK", "_FILE", "_PATH", "_DIR", "_HOST", "_URL", "_URI", "_ENDPOINT"];

/// Whether the name of a variable suggests a credential, and its value can be one.
pub(super) fn is_credential(name: &str, value: &str) -> bool {
    let upper = name.to_uppercase();
    let suggests = SECRET_NAME_PARTS.iter().any(|part| upper.contains(part))
        || SECRET_NAME_ENDINGS.iter().any(|ending| upper.ends_with(ending))
        || (upper.ends_with(KEY_NAME_ENDING) && is_key(value));
    // A webhook is a URL that grants access by itself.
    let is_address = ADDRESS_NAME_ENDINGS.iter().any(|ending| upper.ends_with(ending)) && !upper.contains("WEBHOOK");
    suggests && !(is_address && is_path_or_url(value))
}

/// Whether the value of a variable such as `DEPLOY_KEY` can be a key: the name of one is shorter, a path can be read anywhere.
fn is_key(value: &str) -> bool {
    let is_other = is_path_or_url(value) && !is_base64_key(value);
    value.len() >= MIN_KEY_LEN && !is_other && (!value.contains(' ') || value.contains("-----BEGIN"))
}

/// Whether a value that begins as a path is a key in Base64: it has characters of all kinds, and no such file exists.
fn is_base64_key(value: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let kinds = [char::is_uppercase, char::is_lowercase, char::is_numeric];
    value.len().is_multiple_of(4)
        && value.chars().all(is_base64)
        && (value.ends_with('=') || kinds.iter().all(|kind| value.contains(*kind)))
        && !std::path::Path::new(value).exists()
}

/// Returns the values of parameters such as `sig` in the addresses of a text.
pub(super) fn secret_parameters(text: &str) -> impl Iterator<Item = &str> {
    let is_address = text.contains("://");
    text.split(['?', '&', ' ', '\n', '"', '\'', '#']).filter(move |_| is_address).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        SECRET_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known)).then_some(value)
    })
}

/// Whether a value is a path or a URL without a password.
fn is_path_or_url(value: &str) -> bool {
    value.starts_with('/') || value.starts_with("./") || (value.contains("://") && !value.contains('@'))
}

/// Shorter user names without a password are names, such as `git`; longer ones are tokens.
const MIN_LONE_TOKEN_LEN: usize = 12;

/// Passwords that stand after a token in the place of the user.
const DUMMY_PASSWORDS: [&str; 4] = ["", "x", "oauth2", "x-oauth-basic"];
/// Beginnings of well-known tokens.
const TOKEN_PREFIXES: [&str; 9] =
    ["ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "pypi-", "sk_live_", "sk_test_"];

/// Returns the passwords of all URLs in a text: `PASSWORD` in `scheme://USER:PASSWORD@host`, or a token in the place of the
/// user.
pub(super) fn passwords_in_urls(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).flat_map(|rest| {
        let authority = rest.split(['/', '?', '#', ' ', '\n', '"', '\'']).next().unwrap_or_default();
        let user_info = authority.rsplit_once('@').map_or("", |(user_info, _)| user_info);
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let is_dummy = DUMMY_PASSWORDS.contains(&password);
        let is_token = TOKEN_PREFIXES.iter().any(|prefix| user.starts_with(prefix));
        let user = Some(user).filter(|user| is_token || (is_dummy && user.len() >= MIN_LONE_TOKEN_LEN));
        [user, Some(password).filter(|password| !password.is_empty())].into_iter().flatten()
    })
}
