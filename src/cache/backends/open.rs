//! Opening of backends, according to the setting and the environment variables of the CI server.

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

/// Maximum total time that a run waits for one service.
const RETRY_BUDGET: Duration = Duration::from_secs(30);

/// Function that returns the value of an environment variable.
pub type BackendEnv<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Why a backend cannot be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BackendConfigError {
    /// The setting is not a known backend.
    #[error("`{0}` is not a remote cache; use auto, actions, off, s3://BUCKET/PREFIX or a directory")]
    UnknownBackend(String),
    /// A variable for S3 is not set.
    #[error("s3: {0} is not set")]
    MissingS3Variable(String),
    /// The CI server has no Actions cache service.
    #[error(
        "`actions`: this step has no access to the forge's cache; on GitHub, first pass on ACTIONS_RESULTS_URL, ACTIONS_RUNTIME_TOKEN and ACTIONS_CACHE_SERVICE_V2"
    )]
    NoActionsCache,
}

/// Opens the backends in a setting: `auto` (the Actions cache, if there is one), `off`, `actions`, `s3://bucket/prefix`,
/// a directory, or several of them separated by commas, the nearest first. Returns `None` if there is no backend.
///
/// # Errors
/// If the setting is not valid, or a required variable is missing.
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
    let is_single = tiers.len() == 1;
    let first = if is_single { tiers.pop() } else { None };
    Ok(first.or_else(|| (!tiers.is_empty()).then(|| Box::new(TieredBackend::new(tiers)) as Box<dyn CacheBackend>)))
}

fn new_http_client() -> HttpClient {
    HttpClient::new(RetryBudget::new(RETRY_BUDGET))
}

/// Opens the Actions cache; as in the official client, version 2 is used on GitHub only.
fn open_actions_cache(variables: &BackendEnv<'_>) -> Option<Box<dyn CacheBackend>> {
    let variable = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    let access = AccessMode::parse(&variable("ACTIONS_CACHE_MODE").unwrap_or_default());
    let token = variable("ACTIONS_RUNTIME_TOKEN").unwrap_or_default();
    let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
    let host = server.split_once("://").map_or(server.as_str(), |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let is_github = host == "github.com" || host.ends_with(".ghe.com") || host.ends_with(".localhost");
    let results = variable("ACTIONS_RESULTS_URL");
    if is_github && variable("ACTIONS_CACHE_SERVICE_V2").is_some() {
        return Some(Box::new(ActionsCacheV2::new(new_http_client(), &results?, &token, access)));
    }
    let base = variable("ACTIONS_CACHE_URL")?;
    Some(Box::new(ActionsCacheV1::new(new_http_client(), &base, &token, access)))
}

fn open_s3_backend(text: &str, variables: &BackendEnv<'_>) -> Result<S3Backend, BackendConfigError> {
    let variable = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    let rest = text.trim_start_matches("s3://");
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(BackendConfigError::UnknownBackend(text.to_owned()));
    }
    let region =
        variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    // Credentials for the cache alone, which sessions do not get; all three come from one set.
    let prefix_of_set = if variable("NOXIDE_S3_ACCESS_KEY_ID").is_some() { "NOXIDE_S3" } else { "AWS" };
    let credential = |name: &str| variable(&format!("{prefix_of_set}_{name}"));
    let required = |name: &str| {
        credential(name).ok_or_else(|| BackendConfigError::MissingS3Variable(format!("{prefix_of_set}_{name}")))
    };
    let credentials = S3Credentials {
        access_key_id: required("ACCESS_KEY_ID")?,
        secret_access_key: required("SECRET_ACCESS_KEY")?,
        session_token: credential("SESSION_TOKEN"),
        region,
    };
    let prefix = prefix.trim_matches('/').to_owned();
    let location =
        S3Location { endpoint: endpoint.trim_end_matches('/').to_owned(), bucket: bucket.to_owned(), prefix };
    Ok(S3Backend::new(new_http_client(), location, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened_name(setting: &str, variables: &[(&str, &str)]) -> Result<Option<String>, BackendConfigError> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Ok(open_backend(setting, &variable)?.map(|backend| backend.display_name()))
    }

    #[test]
    fn backends_are_opened_from_settings() {
        let forgejo = [("ACTIONS_CACHE_URL", "http://h/"), ("GITHUB_SERVER_URL", "https://forge.example.org")];
        let github = [("ACTIONS_CACHE_SERVICE_V2", "1"), ("ACTIONS_RESULTS_URL", "https://r.example.org/x/")];
        let credentials = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        assert_eq!(opened_name("auto", &[]), Ok(None));
        assert_eq!(opened_name("off", &forgejo), Ok(None));
        assert_eq!(opened_name("auto", &forgejo).unwrap().unwrap(), "the Actions cache (v1)");
        assert_eq!(opened_name("actions", &github).unwrap().unwrap(), "the Actions cache (v2)");
        assert_eq!(opened_name("actions", &[]), Err(BackendConfigError::NoActionsCache));
        assert_eq!(
            opened_name("/a/b, s3://bucket/some/", &credentials).unwrap().unwrap(),
            "/a/b, then s3://bucket/some"
        );
        assert_eq!(opened_name("file:///a", &[]).unwrap().unwrap(), "/a");
        let missing = |name: &str| Err(BackendConfigError::MissingS3Variable(name.to_owned()));
        assert_eq!(opened_name("s3://bucket", &[]), missing("AWS_ACCESS_KEY_ID"));
        assert_eq!(opened_name("s3://bucket", &credentials[..1]), missing("AWS_SECRET_ACCESS_KEY"));
        let own = [credentials[0], credentials[1], ("NOXIDE_S3_ACCESS_KEY_ID", "c")];
        assert_eq!(opened_name("s3://bucket", &own), missing("NOXIDE_S3_SECRET_ACCESS_KEY"));
        assert!(opened_name("s3://", &credentials).is_err() && opened_name("ftp://x", &[]).is_err());
    }
}
