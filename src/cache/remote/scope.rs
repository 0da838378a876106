//! Whose manifests a run reads and writes: by repository, platform and branch.

use serde_json::Value;

use crate::cache::backend::key_part;
use crate::cache::backends::Variables;

/// Whose manifests a run reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// What all keys begin with, up to the branch.
    root: String,
    /// The scope that is written.
    pub own: String,
    /// The scopes that are read, nearest first; the own one is first.
    pub read: Vec<String>,
    /// What the project's own place on this machine is known by.
    pub place: String,
    /// The forge's name for this run; empty where there is no forge.
    pub run: String,
}

impl Scope {
    /// Reads what the forge says of this run. A pull request has a scope of its own, and reads that of its base too; a
    /// branch reads that of the default branch too. On a desk there is one scope.
    ///
    /// `platform` is what wheels depend on, such as `linux-x86_64-glibc`; `root` stands for the repository where no forge
    /// names it.
    pub fn new(platform: &str, root: &str, variables: &Variables<'_>) -> Self {
        let get = |name: &str| variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let repository = get("GITHUB_REPOSITORY_ID").or_else(|| get("GITHUB_REPOSITORY"));
        let place = blake3::hash(root.as_bytes()).to_hex()[..16].to_owned();
        let repository = repository.unwrap_or_else(|| format!("at-{place}"));
        let event = get("GITHUB_EVENT_PATH").and_then(|path| fs_err::read(path).ok());
        let event: Value = event.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let branch = |name: &str| format!("b-{}", key_part(name));
        let reference = get("GITHUB_REF").unwrap_or_default();
        let pull = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next()).map(str::to_owned);
        let base = get("GITHUB_BASE_REF").map(|name| branch(&name));
        let own = match (&pull, get("GITHUB_HEAD_REF")) {
            (Some(number), _) => format!("pr-{}", key_part(number)),
            (None, Some(head)) => format!("pr-{}", key_part(&head)),
            (None, None) => match reference.strip_prefix("refs/heads/") {
                Some(name) => branch(name),
                None if reference.is_empty() => "desk".to_owned(),
                None => format!("r-{}", key_part(&reference)),
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
        Self { root: format!("nx1/{}/{}", key_part(&repository), key_part(platform)), own, read, place, run }
    }

    /// What the keys of a scope's manifests begin with.
    pub fn manifests(&self, scope: &str) -> String {
        format!("{}/{scope}/m-", self.root)
    }

    /// The key of a new manifest: keys sort by time.
    pub fn manifest(&self, seconds: i64, digest: &str) -> String {
        format!("{}{seconds:011}-{}", self.manifests(&self.own), digest.get(..12).unwrap_or(digest))
    }

    /// The key of a pack.
    pub fn pack(&self, digest: &str) -> String {
        format!("{}/{}/p-{}", self.root, self.own, digest.get(..32).unwrap_or(digest))
    }

    /// Whether a key is one of this repository and platform.
    pub fn is_ours(&self, key: &str) -> bool {
        key.strip_prefix(&self.root).is_some_and(|rest| rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(variables: &[(&str, &str)]) -> Scope {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Scope::new("linux-x86_64", "/some/where", &get)
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
        assert_eq!((main.own.as_str(), main.read.len()), ("b-main", 1));
        assert_eq!(main.manifests(&main.own), "nx1/org-repo/linux-x86_64/b-main/m-");
        let branch = forge(&[("GITHUB_REF", "refs/heads/Feature/X")]);
        assert_eq!(branch.read, ["b-feature-x", "b-main"]);
        let pull = forge(&[("GITHUB_REF", "refs/pull/7/merge"), ("GITHUB_BASE_REF", "dev"), ("GITHUB_HEAD_REF", "x")]);
        assert_eq!((pull.own.as_str(), pull.read), ("pr-7", vec!["pr-7".into(), "b-dev".into(), "b-main".into()]));
        assert_eq!(forge(&[("GITHUB_REF", "refs/tags/v1")]).own, "r-refs-tags-v1");
        assert!(main.is_ours(&main.pack("abc")) && !main.is_ours("nx1/org-repo/linux-x86_64x/p"));
    }

    #[test]
    fn a_desk_has_one_scope() {
        let desk = scope(&[]);
        assert_eq!((desk.own.as_str(), desk.read.len()), ("desk", 1));
        assert!(desk.manifest(5, "abcdef0123456789").ends_with("/desk/m-00000000005-abcdef012345"));
        assert_ne!(desk.manifests("x"), Scope::new("linux-x86_64", "/else", &|_| None).manifests("x"));
    }
}
