//! Which backend: from a setting, or from what the forge puts into the environment.

use std::time::Duration;

use super::actions::AccessMode;
use super::actions_v1::ActionsCacheV1;
use super::actions_v2::ActionsCacheV2;
use super::directory::DirectoryBackend;
use super::s3::{S3Backend, S3Location};
use super::sigv4::S3Credentials;
use super::tiered::TieredBackend;
use crate::cache::backend::CacheBackend;
use crate::cache::http::{HttpClient, RetryBudget};

/// All waiting on one service in one run.
const RETRY_BUDGET: Duration = Duration::from_secs(30);

/// Looks up environment variables.
pub type BackendEnv<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Why a setting names no backend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BackendConfigError {
    /// It is no kind that is known.
    #[error("`{0}` is no cache: auto, off, s3://BUCKET/PREFIX, or the path of a folder")]
    UnknownBackend(String),
    /// S3 lacks something.
    #[error("s3: {0} is not set")]
    MissingS3Variable(&'static str),
    /// The forge gives none.
    #[error("`actions`: this forge gives no cache (ACTIONS_CACHE_URL is not set)")]
    NoActionsCache,
}

/// Opens what a setting names: `auto` (the forge's cache where it gives one), `off`, `actions`, `s3://bucket/prefix`, a
/// folder, or several of them parted by commas, the nearest first. None where there is nothing to open.
///
/// # Errors
/// When the setting names none, or what it names lacks something.
pub fn open_backend(
    setting: &str,
    variables: &BackendEnv<'_>,
) -> Result<Option<Box<dyn CacheBackend>>, BackendConfigError> {
    let mut tiers: Vec<Box<dyn CacheBackend>> = Vec::new();
    for part in setting.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part {
            "off" | "none" => {}
            "auto" => tiers.extend(open_actions_cache(variables)),
            "actions" => tiers.push(open_actions_cache(variables).ok_or(BackendConfigError::NoActionsCache)?),
            _ if part.starts_with("s3://") => tiers.push(Box::new(open_s3_backend(part, variables)?)),
            _ => {
                let path = part.strip_prefix("file://").unwrap_or(part);
                if path.contains("://") {
                    return Err(BackendConfigError::UnknownBackend(part.to_owned()));
                }
                tiers.push(Box::new(DirectoryBackend::new(path)));
            }
        }
    }
    let single = tiers.len() == 1;
    let first = if single { tiers.pop() } else { None };
    Ok(first.or_else(|| (!tiers.is_empty()).then(|| Box::new(TieredBackend::new(tiers)) as Box<dyn CacheBackend>)))
}

fn new_http_client() -> HttpClient {
    HttpClient::new(RetryBudget::new(RETRY_BUDGET))
}

/// The forge's cache: version 1 wherever the forge is not GitHub's, as the official client has it.
fn open_actions_cache(variables: &BackendEnv<'_>) -> Option<Box<dyn CacheBackend>> {
    let get = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    let mode = AccessMode::parse(&get("ACTIONS_CACHE_MODE").unwrap_or_default());
    let token = get("ACTIONS_RUNTIME_TOKEN").unwrap_or_default();
    let server = get("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
    let host = server.split_once("://").map_or(server.as_str(), |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let githubs = host == "github.com" || host.ends_with(".ghe.com") || host.ends_with(".localhost");
    let results = get("ACTIONS_RESULTS_URL");
    if githubs && get("ACTIONS_CACHE_SERVICE_V2").is_some() {
        return Some(Box::new(ActionsCacheV2::new(new_http_client(), &results?, &token, mode)));
    }
    let base = get("ACTIONS_CACHE_URL")?;
    Some(Box::new(ActionsCacheV1::new(new_http_client(), &base, &token, mode)))
}

fn open_s3_backend(text: &str, variables: &BackendEnv<'_>) -> Result<S3Backend, BackendConfigError> {
    let get = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    let rest = text.trim_start_matches("s3://");
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(BackendConfigError::UnknownBackend(text.to_owned()));
    }
    let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let credentials = S3Credentials {
        access_key_id: get("AWS_ACCESS_KEY_ID").ok_or(BackendConfigError::MissingS3Variable("AWS_ACCESS_KEY_ID"))?,
        secret_access_key: get("AWS_SECRET_ACCESS_KEY")
            .ok_or(BackendConfigError::MissingS3Variable("AWS_SECRET_ACCESS_KEY"))?,
        session_token: get("AWS_SESSION_TOKEN"),
        region,
    };
    let prefix = prefix.trim_matches('/').to_owned();
    let place = S3Location { endpoint: endpoint.trim_end_matches('/').to_owned(), bucket: bucket.to_owned(), prefix };
    Ok(S3Backend::new(new_http_client(), place, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(setting: &str, variables: &[(&str, &str)]) -> Result<Option<String>, BackendConfigError> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Ok(open_backend(setting, &get)?.map(|backend| backend.display_name()))
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
        assert_eq!(title("actions", &[]), Err(BackendConfigError::NoActionsCache));
        assert_eq!(title("/a/b, s3://bucket/some/", &keys).unwrap().unwrap(), "/a/b, then s3://bucket/some");
        assert_eq!(title("file:///a", &[]).unwrap().unwrap(), "/a");
        assert_eq!(title("s3://bucket", &[]), Err(BackendConfigError::MissingS3Variable("AWS_ACCESS_KEY_ID")));
        assert_eq!(
            title("s3://bucket", &keys[..1]),
            Err(BackendConfigError::MissingS3Variable("AWS_SECRET_ACCESS_KEY"))
        );
        assert!(title("s3://", &keys).is_err() && title("ftp://x", &[]).is_err());
    }
}
