//! Credentials of noxide itself, kept out of its environment: every process of the same user, and so every session, can
//! read the environment that a process was started with.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::OFlags;

/// Variables with credentials, and the one with which noxide hands them to itself. Neither the noxfile nor a session gets
/// them: whoever has them can write into the remote cache of other branches. The runners of Forgejo and act check no token:
/// there, the address of the cache is the credential.
pub(crate) const CREDENTIAL_VARIABLES: [&str; 9] = [
    "NOXIDE_CACHE_SIGNING_KEY",
    "NOXIDE_FORGE_TOKEN",
    "NOXIDE_S3_ACCESS_KEY_ID",
    "NOXIDE_S3_SECRET_ACCESS_KEY",
    "NOXIDE_S3_SESSION_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_CACHE_URL",
    "ACTIONS_RESULTS_URL",
    PIPE_VARIABLE,
];

/// The variable with the number of the pipe through which noxide gets its credentials from itself.
const PIPE_VARIABLE: &str = "NOXIDE_CREDENTIALS_PIPE";
/// Maximum size of all credentials in bytes: what fits into a pipe that nobody reads yet.
const MAX_CREDENTIAL_BYTES: u64 = 32 * 1024;

/// Variables with an address that can be a credential by itself.
const ADDRESS_VARIABLES: [&str; 2] = ["ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL"];
/// Name under which the secret parts of addresses are masked.
const ADDRESS_TOKEN: &str = "ACTIONS_ADDRESS_TOKEN";
/// Shorter parts of the path of an address are names.
const MIN_ADDRESS_TOKEN_LEN: usize = 8;

static CREDENTIALS: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// Takes the credentials out of the environment: noxide starts itself again, in the same process, and hands them over
/// through a pipe. Does nothing if there are none, or if that fails.
pub(crate) fn hide_credentials() {
    if let Some(pipe) = std::env::var_os(PIPE_VARIABLE) {
        let mut credentials = read_credentials(&pipe.to_string_lossy());
        let addresses = credentials.iter().filter(|(name, _)| ADDRESS_VARIABLES.contains(&name.as_str()));
        let tokens: Vec<String> = addresses.flat_map(|(_, address)| address_tokens(address)).collect();
        credentials.extend(tokens.into_iter().map(|token| (ADDRESS_TOKEN.to_owned(), token)));
        let _ = CREDENTIALS.set(credentials);
        return;
    }
    let found: Vec<(&str, String)> =
        CREDENTIAL_VARIABLES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect();
    if found.is_empty() || find_invalid_credential().is_some() {
        return;
    }
    let (Ok(program), Ok(text)) = (std::env::current_exe(), serde_json::to_vec(&found)) else { return };
    let Some((reader, writer)) = rustix::pipe::pipe().ok().filter(|_| text.len() as u64 <= MAX_CREDENTIAL_BYTES) else {
        return;
    };
    if std::fs::File::from(writer).write_all(&text).is_err() {
        return;
    }
    let mut command = Command::new(program);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    for name in CREDENTIAL_VARIABLES {
        command.env_remove(name);
    }
    command.args(arguments).env(PIPE_VARIABLE, reader.as_raw_fd().to_string());
    // Returns only if it fails: the credentials then remain in the environment, and sessions still do not get them.
    let _ = command.exec();
}

/// Returns the name of a variable with a credential that is not UTF-8: it would be taken for one that is not set.
pub(crate) fn find_invalid_credential() -> Option<&'static str> {
    let is_invalid = |name: &&&str| std::env::var_os(name).is_some_and(|value| value.to_str().is_none());
    CREDENTIAL_VARIABLES.iter().find(is_invalid).copied()
}

/// Returns the value of an environment variable, or of a credential that was taken out of the environment.
pub(crate) fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| {
        let hidden = hidden_credentials().iter().find(|(known, _)| known == name);
        hidden.map(|(_, value)| value.clone())
    })
}

/// Returns the credentials that were taken out of the environment, and the secret parts of addresses.
pub(crate) fn hidden_credentials() -> &'static [(String, String)] {
    CREDENTIALS.get().map_or(&[], Vec::as_slice)
}

fn read_credentials(pipe: &str) -> Vec<(String, String)> {
    let Ok(number) = pipe.parse::<u32>() else { return Vec::new() };
    let mut bytes = Vec::new();
    // Does not wait for a writer: the one that existed wrote everything before.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(format!("/dev/fd/{number}"));
    let read = opened.and_then(|file| file.take(MAX_CREDENTIAL_BYTES).read_to_end(&mut bytes));
    read.ok().and_then(|_| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Returns the parts of the path of an address that are random, as `3f9a1c77d0aa42e1` in `http://host:8080/3f9a1c77d0aa42e1/`.
fn address_tokens(address: &str) -> Vec<String> {
    let path = address.split_once("://").map_or("", |(_, rest)| rest).split_once('/').map_or("", |(_, path)| path);
    let is_random = |part: &&str| part.len() >= MIN_ADDRESS_TOKEN_LEN && part.bytes().any(|byte| byte.is_ascii_digit());
    path.split(['/', '?', '&', '=', '#']).filter(is_random).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_parts_of_an_address_are_secrets_and_names_are_not() {
        let secret = "3f9a1c77d0aa42e1";
        assert_eq!(address_tokens(&format!("http://host-12345678:8080/{secret}/")), [secret]);
        assert_eq!(address_tokens(&format!("https://host/a/?sig={secret}&version=12")), [secret]);
        for address in ["https://forge.example.org/forgejo/", "https://host/_apis/artifactcache/v1/", "", "http://host"]
        {
            assert!(address_tokens(address).is_empty(), "{address}");
        }
    }
}
