//! Which backend: from a setting, or from what the forge puts into the environment.

use std::time::Duration;

use super::actions_v1::ActionsV1;
use super::actions_v2::ActionsV2;
use super::directory::Directory;
use super::mode::Mode;
use super::s3::{S3, S3Place};
use super::signature::Credentials;
use super::tiered::Tiered;
use crate::cache::backend::Backend;
use crate::cache::http::{Client, Patience};

/// All waiting on one service in one run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks up environment variables.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Why a setting names no backend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemoteError {
    /// It is no kind that is known.
    #[error("`{0}` is no cache: auto, off, s3://BUCKET/PREFIX, or the path of a folder")]
    Kind(String),
    /// S3 lacks something.
    #[error("s3: {0} is not set")]
    S3(&'static str),
    /// The forge gives none.
    #[error("`actions`: this forge gives no cache (ACTIONS_CACHE_URL is not set)")]
    Actions,
}

/// Opens what a setting names: `auto` (the forge's cache where it gives one), `off`, `actions`, `s3://bucket/prefix`, a
/// folder, or several of them parted by commas, the nearest first. None where there is nothing to open.
///
/// # Errors
/// When the setting names none, or what it names lacks something.
pub fn open(setting: &str, variables: &Variables<'_>) -> Result<Option<Box<dyn Backend>>, RemoteError> {
    let mut tiers: Vec<Box<dyn Backend>> = Vec::new();
    for part in setting.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part {
            "off" | "none" => {}
            "auto" => tiers.extend(actions(variables)),
            "actions" => tiers.push(actions(variables).ok_or(RemoteError::Actions)?),
            _ if part.starts_with("s3://") => tiers.push(Box::new(s3(part, variables)?)),
            _ => {
                let path = part.strip_prefix("file://").unwrap_or(part);
                if path.contains("://") {
                    return Err(RemoteError::Kind(part.to_owned()));
                }
                tiers.push(Box::new(Directory::new(path)));
            }
        }
    }
    let single = tiers.len() == 1;
    let first = if single { tiers.pop() } else { None };
    Ok(first.or_else(|| (!tiers.is_empty()).then(|| Box::new(Tiered::new(tiers)) as Box<dyn Backend>)))
}

fn client() -> Client {
    Client::new(Patience::new(PATIENCE))
}

/// The forge's cache: version 1 wherever the forge is not GitHub's, as the official client has it.
fn actions(variables: &Variables<'_>) -> Option<Box<dyn Backend>> {
    let get = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    let mode = Mode::parse(&get("ACTIONS_CACHE_MODE").unwrap_or_default());
    let token = get("ACTIONS_RUNTIME_TOKEN").unwrap_or_default();
    let server = get("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
    let host = server.split_once("://").map_or(server.as_str(), |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let githubs = host == "github.com" || host.ends_with(".ghe.com") || host.ends_with(".localhost");
    let results = get("ACTIONS_RESULTS_URL");
    if githubs && get("ACTIONS_CACHE_SERVICE_V2").is_some() {
        return Some(Box::new(ActionsV2::new(client(), &results?, &token, mode)));
    }
    let base = get("ACTIONS_CACHE_URL")?;
    Some(Box::new(ActionsV1::new(client(), &base, &token, mode)))
}

fn s3(text: &str, variables: &Variables<'_>) -> Result<S3, RemoteError> {
    let get = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    let rest = text.trim_start_matches("s3://");
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(RemoteError::Kind(text.to_owned()));
    }
    let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let credentials = Credentials {
        key: get("AWS_ACCESS_KEY_ID").ok_or(RemoteError::S3("AWS_ACCESS_KEY_ID"))?,
        secret: get("AWS_SECRET_ACCESS_KEY").ok_or(RemoteError::S3("AWS_SECRET_ACCESS_KEY"))?,
        token: get("AWS_SESSION_TOKEN"),
        region,
    };
    let prefix = prefix.trim_matches('/').to_owned();
    let place = S3Place { endpoint: endpoint.trim_end_matches('/').to_owned(), bucket: bucket.to_owned(), prefix };
    Ok(S3::new(client(), place, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(setting: &str, variables: &[(&str, &str)]) -> Result<Option<String>, RemoteError> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Ok(open(setting, &get)?.map(|backend| backend.title()))
    }

    #[test]
    fn settings_name_backends() {
        let forge = [("ACTIONS_CACHE_URL", "http://h/"), ("GITHUB_SERVER_URL", "https://forge.example.org")];
        let hub = [("ACTIONS_CACHE_SERVICE_V2", "1"), ("ACTIONS_RESULTS_URL", "https://r.example.org/x/")];
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        assert_eq!(title("auto", &[]), Ok(None));
        assert_eq!(title("off", &forge), Ok(None));
        assert_eq!(title("auto", &forge).unwrap().unwrap(), "the forge's cache (v1)");
        assert_eq!(title("actions", &hub).unwrap().unwrap(), "the forge's cache (v2)");
        assert_eq!(title("actions", &[]), Err(RemoteError::Actions));
        assert_eq!(title("/a/b, s3://bucket/some/", &keys).unwrap().unwrap(), "/a/b, then s3://bucket/some");
        assert_eq!(title("file:///a", &[]).unwrap().unwrap(), "/a");
        assert_eq!(title("s3://bucket", &[]), Err(RemoteError::S3("AWS_ACCESS_KEY_ID")));
        assert_eq!(title("s3://bucket", &keys[..1]), Err(RemoteError::S3("AWS_SECRET_ACCESS_KEY")));
        assert!(title("s3://", &keys).is_err() && title("ftp://x", &[]).is_err());
    }
}
