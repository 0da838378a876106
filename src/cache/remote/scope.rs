//! Whose manifests a run reads and writes: by repository, platform and branch.

use serde_json::Value;

use crate::cache::backend::sanitize_key_part;
use crate::cache::backends::BackendEnv;

/// Whose manifests a run reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheScope {
    /// What all keys begin with, up to the branch.
    key_prefix: String,
    /// The scope that is written.
    pub(crate) write_scope: String,
    /// The scopes that are read, nearest first; the own one is first.
    pub(crate) read_scopes: Vec<String>,
    /// What the project's own place on this machine is known by.
    pub(crate) checkout_id: String,
    /// The forge's name for this run; empty where there is no forge.
    pub(crate) run_id: String,
}

impl CacheScope {
    /// Reads what the forge says of this run. A pull request has a scope of its own, and reads that of its base too; a
    /// branch reads that of the default branch too. On a desk there is one scope.
    ///
    /// `platform` is what wheels depend on, such as `linux-x86_64-glibc`; `root` stands for the repository where no forge
    /// names it.
    pub fn from_environment(platform: &str, root: &str, variables: &BackendEnv<'_>) -> Self {
        let get = |name: &str| variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let repository = get("GITHUB_REPOSITORY_ID").or_else(|| get("GITHUB_REPOSITORY"));
        let place = blake3::hash(root.as_bytes()).to_hex()[..16].to_owned();
        let repository = repository.unwrap_or_else(|| format!("at-{place}"));
        let event = get("GITHUB_EVENT_PATH").and_then(|path| fs_err::read(path).ok());
        let event: Value = event.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let branch = |name: &str| format!("b-{}", sanitize_key_part(name));
        let reference = get("GITHUB_REF").unwrap_or_default();
        let pull = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next()).map(str::to_owned);
        let base = get("GITHUB_BASE_REF").map(|name| branch(&name));
        let own = match (&pull, get("GITHUB_HEAD_REF")) {
            (Some(number), _) => format!("pr-{}", sanitize_key_part(number)),
            (None, Some(head)) => format!("pr-{}", sanitize_key_part(&head)),
            (None, None) => match reference.strip_prefix("refs/heads/") {
                Some(name) => branch(name),
                None if reference.is_empty() => "local".to_owned(),
                None => format!("r-{}", sanitize_key_part(&reference)),
            },
        };
        let default = event.pointer("/repository/default_branch").and_then(Value::as_str).map(branch);
        let attempt = get("GITHUB_RUN_ATTEMPT").unwrap_or_default();
        let run = get("GITHUB_RUN_ID").map(|run| format!("{run}.{attempt}")).unwrap_or_default();
        let mut read = vec![own.clone()];
        for more in [base, default].into_iter().flatten() {
            if !read.contains(&more) {
                read.push(more);
            }
        }
        Self {
            key_prefix: format!("nx2/{}/{}", sanitize_key_part(&repository), sanitize_key_part(platform)),
            write_scope: own,
            read_scopes: read,
            checkout_id: place,
            run_id: run,
        }
    }

    /// What the keys of a scope's manifests begin with.
    pub(crate) fn manifest_prefix(&self, scope: &str) -> String {
        format!("{}/{scope}/m-", self.key_prefix)
    }

    /// The key of a new manifest: keys sort by time.
    pub(crate) fn manifest_key(&self, seconds: i64, digest: &str) -> String {
        format!("{}{seconds:011}-{}", self.manifest_prefix(&self.write_scope), digest.get(..12).unwrap_or(digest))
    }

    /// The key of a pack.
    pub(crate) fn pack_key(&self, digest: &str) -> String {
        format!("{}/{}/p-{}", self.key_prefix, self.write_scope, digest.get(..32).unwrap_or(digest))
    }

    /// Whether a key is one of this repository and platform.
    pub(crate) fn is_own_key(&self, key: &str) -> bool {
        key.strip_prefix(&self.key_prefix).is_some_and(|rest| rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(variables: &[(&str, &str)]) -> CacheScope {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        CacheScope::from_environment("linux-x86_64", "/some/where", &get)
    }

    #[test]
    fn branches_read_the_default_one_and_pulls_their_base() {
        let event = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(event.path(), r#"{"repository": {"default_branch": "main"}}"#).unwrap();
        let event = event.path().to_str().unwrap();
        let forge = |more: &[(&'static str, &'static str)]| {
            let mut all = vec![("GITHUB_REPOSITORY", "Org/Repo"), ("GITHUB_EVENT_PATH", event)];
            all.extend_from_slice(more);
            scope(&all)
        };
        let main = forge(&[("GITHUB_REF", "refs/heads/main")]);
        assert_eq!((main.write_scope.as_str(), main.read_scopes.len()), ("b-main", 1));
        assert_eq!(main.manifest_prefix(&main.write_scope), "nx2/org-repo/linux-x86_64/b-main/m-");
        let branch = forge(&[("GITHUB_REF", "refs/heads/Feature/X")]);
        assert_eq!(branch.read_scopes, ["b-feature-x", "b-main"]);
        let pull = forge(&[("GITHUB_REF", "refs/pull/7/merge"), ("GITHUB_BASE_REF", "dev"), ("GITHUB_HEAD_REF", "x")]);
        assert_eq!(
            (pull.write_scope.as_str(), pull.read_scopes),
            ("pr-7", vec!["pr-7".into(), "b-dev".into(), "b-main".into()])
        );
        assert_eq!(forge(&[("GITHUB_REF", "refs/tags/v1")]).write_scope, "r-refs-tags-v1");
        assert!(main.is_own_key(&main.pack_key("abc")) && !main.is_own_key("nx2/org-repo/linux-x86_64x/p"));
    }

    #[test]
    fn a_desk_has_one_scope() {
        let desk = scope(&[]);
        assert_eq!((desk.write_scope.as_str(), desk.read_scopes.len()), ("local", 1));
        assert!(desk.manifest_key(5, "abcdef0123456789").ends_with("/local/m-00000000005-abcdef012345"));
        assert_ne!(
            desk.manifest_prefix("x"),
            CacheScope::from_environment("linux-x86_64", "/else", &|_| None).manifest_prefix("x")
        );
    }
}
