//! Cache scopes: which manifests a run reads and writes, by repository, platform and branch.

use serde_json::Value;

use crate::cache::backend::sanitize_key_part;
use crate::cache::backends::BackendEnv;
use crate::fs::read_project_text;
use crate::project::runs_own_code;
use crate::text::is_hex;

/// The scopes that a run reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheScopes {
    /// Prefix of all keys, up to the name of the scope.
    key_prefix: String,
    /// The scope that is written.
    pub(crate) write_scope: String,
    /// The scopes that are read, in order of preference. A run that may execute code of others with the rights of a
    /// branch reads only those of branches.
    pub(crate) read_scopes: Vec<String>,
    /// Digest of the path of the project.
    pub(crate) checkout_id: String,
    /// Identifier of the run on the CI server; empty outside CI.
    pub(crate) ci_run_id: String,
    /// Whether the run is one in CI of which neither branch nor pull request is known, or not the repository.
    is_unknown_reference: bool,
}

/// Variables by which CI services are known; not all of them set `CI`.
const CI_VARIABLES: [&str; 19] = [
    "GITHUB_ACTIONS",
    "FORGEJO_ACTIONS",
    "GITEA_ACTIONS",
    "CI",
    "JENKINS_URL",
    "TF_BUILD",
    "TEAMCITY_VERSION",
    "CODEBUILD_BUILD_ID",
    "BUILDKITE",
    // GoCD, Bamboo, Concourse, Google Cloud Build, Zuul, Argo, AppVeyor, Buddy, OpenShift builds.
    "GO_PIPELINE_NAME",
    "bamboo_buildKey",
    "ATC_EXTERNAL_URL",
    "BUILD_PIPELINE_NAME",
    "BUILDER_OUTPUT",
    "ZUUL_PIPELINE",
    "ARGO_TEMPLATE",
    "APPVEYOR",
    "BUDDY_PIPELINE_ID",
    "OPENSHIFT_BUILD_NAME",
];

/// Variables of the runners of forges.
const FORGE_VARIABLES: [&str; 3] = ["GITHUB_ACTIONS", "FORGEJO_ACTIONS", "GITEA_ACTIONS"];

impl CacheScopes {
    /// Determines the scopes from the variables of the CI server. A pull request has its own scope and also reads the scope of
    /// its base; a branch also reads the scope of the default branch. Outside CI, and in a CI
    /// service that does not set `GITHUB_REF`, the scope is `local`; in the latter case it may not be shared (`may_be_shared`).
    ///
    /// `platform` identifies the platform of the wheels, such as `linux-x86_64`; `root` identifies the repository outside CI.
    pub fn from_environment(platform: &str, root: &str, variables: &BackendEnv<'_>) -> Self {
        let variable =
            |name: &str| variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let checkout_id = blake3::hash(root.as_bytes()).to_hex()[..16].to_owned();
        // Forges that share a bucket may have repositories with equal numbers or names.
        let forge = variable("GITHUB_SERVER_URL").unwrap_or_default();
        let known_repository = ["GITHUB_REPOSITORY_ID", "GITHUB_REPOSITORY"]
            .into_iter()
            .find_map(|name| Some(repository_name(&forge, name, &variable(name)?)));
        let has_repository = known_repository.is_some();
        let repository = known_repository.unwrap_or_else(|| format!("at-{checkout_id}"));
        let event = variable("GITHUB_EVENT_PATH").and_then(|path| read_project_text(path.as_ref()).ok());
        let event: Value = event.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        // Kinds of scopes: `b` a branch, `pr` a pull request by number, `h` a pull request by its head, if the forge
        // does not tell the number, `t` a run that may execute foreign code (below), `r` another reference such as a tag.
        let branch = |name: &str| scope_name("b", name);
        let reference = variable("GITHUB_REF").unwrap_or_default();
        let pull_request = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next());
        let base = variable("GITHUB_BASE_REF").map(|name| branch(&name));
        let head = variable("GITHUB_HEAD_REF");
        // Such a run has the rights of a branch, but may execute code of a pull request: `pull_request_target`, a comment,
        // the end of another workflow, and whatever else is not known to run the code of the branch itself.
        let may_run_foreign_code = variable("GITHUB_EVENT_NAME").is_some_and(|event| !runs_own_code(&event));
        let write_scope = match (pull_request, head) {
            (_, head) if may_run_foreign_code => scope_name("t", head.as_deref().unwrap_or(&reference)),
            (Some(number), _) => scope_name("pr", number),
            // A merged pull request: the reference is its base.
            (None, Some(head)) => match event_pull_request(&event) {
                Some(number) => scope_name("pr", &number),
                None => scope_name("h", &head_name(&event, &head)),
            },
            (None, None) => match reference.strip_prefix("refs/heads/") {
                Some(name) => branch(name),
                None if reference.is_empty() => "local".to_owned(),
                None => scope_name("r", &reference),
            },
        };
        // Without the event, it is unknown whether a run on a forge executes code of a pull request.
        let is_forge = FORGE_VARIABLES.into_iter().any(|name| variable(name).is_some());
        let is_unknown_event = is_forge && variable("GITHUB_EVENT_NAME").is_none();
        let is_ci = CI_VARIABLES.into_iter().any(|name| variable(name).is_some());
        let default_branch = event.pointer("/repository/default_branch").and_then(Value::as_str).map(branch);
        let attempt = variable("GITHUB_RUN_ATTEMPT").unwrap_or_default();
        let ci_run_id = variable("GITHUB_RUN_ID").map(|ci_run_id| format!("{ci_run_id}.{attempt}")).unwrap_or_default();
        let mut read_scopes = if may_run_foreign_code { Vec::new() } else { vec![write_scope.clone()] };
        let own_branch = reference.strip_prefix("refs/heads/").filter(|_| may_run_foreign_code).map(branch);
        for scope in [base, own_branch, default_branch].into_iter().flatten() {
            if !read_scopes.contains(&scope) {
                read_scopes.push(scope);
            }
        }
        Self {
            key_prefix: format!("nx2/{repository}/{}", sanitize_key_part(platform)),
            write_scope,
            read_scopes,
            checkout_id,
            ci_run_id,
            is_unknown_reference: is_ci && (reference.is_empty() || !has_repository || is_unknown_event),
        }
    }

    /// Returns whether the run may share a remote cache: in CI only if its branch or pull request is known. Otherwise a
    /// branch would use what any pull request stored, and a repository what another one stored that is checked out at the
    /// same path.
    pub(crate) fn may_be_shared(&self) -> bool {
        !self.is_unknown_reference
    }

    /// Returns the key prefix of the manifests of a scope.
    pub(crate) fn manifest_prefix(&self, scope: &str) -> String {
        format!("{}/{scope}/m-", self.key_prefix)
    }

    /// Returns the key of a new manifest; keys sort by time. With a signing key it ends with a mark that only owners of
    /// the key can make, so that other manifests cannot displace it among the newest.
    pub(crate) fn manifest_key(&self, seconds: i64, digest: &str, signing_key: Option<&str>) -> String {
        let key = format!("{}-{}", self.manifest_name(seconds), digest.get(..12).unwrap_or(digest));
        match signing_key {
            Some(signing_key) => format!("{key}-{}", name_mark(&key, signing_key)),
            None => key,
        }
    }

    /// Returns the start of the key of a manifest written at a time: its scope and time, which are signed with it.
    pub(crate) fn manifest_name(&self, seconds: i64) -> String {
        format!("{}{seconds:011}", self.manifest_prefix(&self.write_scope))
    }

    /// Returns the part of a manifest's key that is signed with it.
    pub(super) fn signed_part(key: &str) -> &str {
        let digest = key.rsplit_once("/m-").and_then(|(_, name)| name.split_once('-')).map_or("", |(_, digest)| digest);
        key.strip_suffix(digest).and_then(|rest| rest.strip_suffix('-')).unwrap_or(key)
    }

    /// Returns whether the key of a manifest has the mark of the owners of the signing key; false without one.
    pub(super) fn has_signed_name(&self, key: &str, signing_key: Option<&str>) -> bool {
        let parts = signing_key.zip(key.rsplit_once('-'));
        parts.is_some_and(|(signing_key, (name, mark))| name_mark(name, signing_key) == mark)
    }

    /// Returns whether a key is that of a pack of a scope.
    pub(super) fn is_pack_of(&self, scope: &str, key: &str) -> bool {
        let name = key.strip_prefix(&self.key_prefix).and_then(|rest| rest.strip_prefix('/'));
        let name = name.and_then(|rest| rest.strip_prefix(scope)).and_then(|rest| rest.strip_prefix("/p-"));
        name.is_some_and(|name| is_hex(name, 32))
    }

    /// Returns the key of a pack.
    pub(crate) fn pack_key(&self, digest: &str) -> String {
        format!("{}/{}/p-{}", self.key_prefix, self.write_scope, digest.get(..32).unwrap_or(digest))
    }

    /// Outside CI a repository is identified by the path of its checkout. Returns the key prefix that all such checkouts
    /// share; `None` in CI.
    pub(crate) fn local_checkouts_prefix(&self) -> Option<&'static str> {
        self.key_prefix.starts_with(&format!("nx2/at-{}/", self.checkout_id)).then_some("nx2/at-")
    }

    /// Returns whether a key belongs to this repository and platform.
    pub(crate) fn has_key_prefix(&self, key: &str) -> bool {
        key.strip_prefix(&self.key_prefix).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Returns the number of the pull request that an event is about.
fn event_pull_request(event: &Value) -> Option<String> {
    let number = event.pointer("/pull_request/number").or_else(|| event.pointer("/number"));
    number.and_then(Value::as_u64).map(|number| number.to_string())
}

/// Returns the name of the head of a pull request: its branch, after the repository if the event tells it, because forks have
/// branches of the same name.
fn head_name(event: &Value, branch: &str) -> String {
    let repository = event.pointer("/pull_request/head/repo/full_name").and_then(Value::as_str);
    repository.map_or_else(|| branch.to_owned(), |repository| format!("{repository}:{branch}"))
}

/// Returns the mark of the key of a manifest.
fn name_mark(key: &str, signing_key: &str) -> String {
    let signing_key = blake3::derive_key("noxide 2026 names of signed cache manifests", signing_key.as_bytes());
    blake3::keyed_hash(&signing_key, key.as_bytes()).to_hex()[..16].to_owned()
}

/// Returns the name of a repository in keys: a readable part, and a digest of the exact name, so that no two share it.
/// `variable` is the variable with its number or name.
fn repository_name(forge: &str, variable: &str, name: &str) -> String {
    let readable: String = sanitize_key_part(name).chars().take(60).collect();
    let digest = blake3::hash(format!("{forge}\n{variable}\n{name}").as_bytes());
    format!("{readable}-{}", &digest.to_hex()[..16])
}

/// Returns the name of a scope: its kind, a readable part, and a digest of the exact name, so that no two names share it.
fn scope_name(kind: &str, name: &str) -> String {
    let readable: String = sanitize_key_part(name).chars().take(40).collect();
    format!("{kind}-{readable}-{}", &blake3::hash(name.as_bytes()).to_hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(variables: &[(&str, &str)]) -> CacheScopes {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        CacheScopes::from_environment("linux-x86_64", "/some/where", &variable)
    }

    #[test]
    fn branches_read_the_default_branch_and_pull_requests_their_base() {
        let event = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(event.path(), r#"{"repository": {"default_branch": "main"}}"#).unwrap();
        let event = event.path().to_str().unwrap();
        let on_ci = |more: &[(&'static str, &'static str)]| {
            let mut all = vec![("GITHUB_REPOSITORY", "Org/Repo"), ("GITHUB_EVENT_PATH", event)];
            all.extend_from_slice(more);
            scope(&all)
        };
        let names = |names: &[(&str, &str)]| -> Vec<String> {
            names.iter().map(|(kind, name)| scope_name(kind, name)).collect()
        };
        let main = on_ci(&[("GITHUB_REF", "refs/heads/main")]);
        assert_eq!(main.read_scopes, names(&[("b", "main")]));
        let prefix = main.manifest_prefix(&main.write_scope);
        let repository = repository_name("", "GITHUB_REPOSITORY", "Org/Repo");
        let expected = format!("nx2/{repository}/linux-x86_64/b-main-");
        assert!(prefix.starts_with(&expected) && prefix.ends_with("/m-"), "{prefix}");
        let branch = on_ci(&[("GITHUB_REF", "refs/heads/Feature/X")]);
        assert_eq!(branch.read_scopes, names(&[("b", "Feature/X"), ("b", "main")]));
        let pull_request =
            on_ci(&[("GITHUB_REF", "refs/pull/7/merge"), ("GITHUB_BASE_REF", "dev"), ("GITHUB_HEAD_REF", "x")]);
        assert_eq!(pull_request.read_scopes, names(&[("pr", "7"), ("b", "dev"), ("b", "main")]));
        assert_eq!(pull_request.write_scope, pull_request.read_scopes[0]);
        assert_eq!(on_ci(&[("GITHUB_REF", "refs/tags/v1")]).write_scope, scope_name("r", "refs/tags/v1"));
        let (pack, other) = (main.pack_key(&"a".repeat(64)), branch.pack_key(&"a".repeat(64)));
        assert!(main.is_pack_of(&main.write_scope, &pack) && !main.is_pack_of(&main.write_scope, &other), "{pack}");
        for key in [pack.replace("/p-", "/m-"), pack.replace("linux", "macos"), format!("{pack}/x")] {
            assert!(!main.is_pack_of(&main.write_scope, &key), "{key}");
        }
    }

    #[test]
    fn a_merged_pull_request_has_the_scope_of_its_number() {
        let write_scope = |event: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs_err::write(file.path(), event).unwrap();
            let path = file.path().to_str().unwrap();
            let merged = [("GITHUB_EVENT_NAME", "pull_request"), ("GITHUB_REF", "refs/heads/main")];
            let head = [("GITHUB_BASE_REF", "main"), ("GITHUB_HEAD_REF", "patch-1"), ("GITHUB_EVENT_PATH", path)];
            scope(&[&merged[..], &head].concat()).write_scope
        };
        let event = r#"{"action": "closed", "number": 7, "pull_request": {"number": 7, "merged": true}}"#;
        assert_eq!(write_scope(event), scope_name("pr", "7"));
        assert_eq!(write_scope(r#"{"number": 8}"#), scope_name("pr", "8"));
        let fork = |name: &str| {
            write_scope(&format!(r#"{{"pull_request": {{"head": {{"repo": {{"full_name": "{name}/repo"}}}}}}}}"#))
        };
        assert_ne!(fork("one"), fork("two"), "forks with a branch of the same name");
        assert_eq!(write_scope("{}"), scope_name("h", "patch-1"));
    }

    #[test]
    fn repositories_that_differ_never_share_a_prefix() {
        let prefix = |variables: &[(&str, &str)]| scope(variables).manifest_prefix("x");
        let all = [
            prefix(&[("GITHUB_REPOSITORY", "acme/tools-core")]),
            prefix(&[("GITHUB_REPOSITORY", "acme-tools/core")]),
            prefix(&[("GITHUB_REPOSITORY", "ACME/tools-core")]),
            prefix(&[("GITHUB_REPOSITORY", "7")]),
            prefix(&[("GITHUB_REPOSITORY_ID", "7")]),
            prefix(&[("GITHUB_REPOSITORY_ID", "7"), ("GITHUB_SERVER_URL", "https://forge.example")]),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }

    #[test]
    fn names_that_differ_never_share_a_scope() {
        let write_scope = |more: &[(&str, &str)]| scope(more).write_scope;
        let branch = |name: &str| write_scope(&[("GITHUB_REF", &format!("refs/heads/{name}"))]);
        let long = "a".repeat(150);
        let mut all = vec![
            branch("main"),
            branch("MAIN"),
            branch("-main."),
            branch("pr/7"),
            branch(&long),
            branch(&format!("{long}b")),
            write_scope(&[("GITHUB_REF", "refs/pull/7/merge")]),
            write_scope(&[("GITHUB_HEAD_REF", "7"), ("GITHUB_REF", "refs/heads/main")]),
            write_scope(&[("GITHUB_REF", "refs/tags/main")]),
            write_scope(&[("GITHUB_EVENT_NAME", "pull_request_target"), ("GITHUB_HEAD_REF", "7")]),
            write_scope(&[("GITHUB_EVENT_NAME", "pull_request_target"), ("GITHUB_HEAD_REF", "main")]),
        ];
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
    }

    #[test]
    fn privileged_runs_read_no_scope_that_a_pull_request_writes() {
        let privileged = scope(&[
            ("GITHUB_EVENT_NAME", "pull_request_target"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_BASE_REF", "main"),
            ("GITHUB_HEAD_REF", "7"),
        ]);
        assert_eq!(privileged.read_scopes, [scope_name("b", "main")]);
        for event in ["issue_comment", "workflow_run", "repository_dispatch", "something_new"] {
            let run = scope(&[("GITHUB_EVENT_NAME", event), ("GITHUB_REF", "refs/heads/main")]);
            assert_eq!(run.read_scopes, [scope_name("b", "main")], "{event}");
            assert_eq!(run.write_scope, scope_name("t", "refs/heads/main"), "{event}");
        }
        let pushed = scope(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/heads/main")]);
        assert_eq!((pushed.write_scope, pushed.read_scopes.len()), (scope_name("b", "main"), 1));
        // What it writes may come from the code of the pull request, so that no other run reads it.
        assert!(!privileged.read_scopes.contains(&privileged.write_scope));
    }

    #[test]
    fn a_run_in_ci_shares_a_remote_cache_only_if_its_branch_or_pull_request_is_known() {
        let gitlab = [("CI", "true"), ("GITLAB_CI", "true"), ("CI_COMMIT_BRANCH", "main")];
        let named = [("GITHUB_REPOSITORY", "org/app"), ("GITHUB_REF", "refs/heads/main")];
        assert!(!scope(&gitlab).may_be_shared() && !scope(&[&gitlab[..], &named[..1]].concat()).may_be_shared());
        assert!(!scope(&[("JENKINS_URL", "https://ci.example.org/")]).may_be_shared(), "it does not set CI");
        assert!(!scope(&[&gitlab[..], &named[1..]].concat()).may_be_shared(), "repositories at one path");
        for variable in CI_VARIABLES {
            assert!(!scope(&[(variable, "x")]).may_be_shared(), "{variable}");
        }
        let known = scope(&[&gitlab[..], &named].concat());
        assert!(known.may_be_shared() && known.write_scope == scope_name("b", "main"));
        assert!(scope(&[]).may_be_shared() && scope(&[("CI", "")]).may_be_shared(), "outside CI");
        // A step that runs noxide in a container may pass only some of the variables.
        let forge = [("CI", "true"), ("GITHUB_ACTIONS", "true")];
        assert!(!scope(&forge).may_be_shared() && !scope(&[&forge[..], &named].concat()).may_be_shared());
        assert!(scope(&[&forge[..], &named, &[("GITHUB_EVENT_NAME", "push")]].concat()).may_be_shared());
    }

    #[test]
    fn there_is_one_scope_outside_ci() {
        let local = scope(&[]);
        assert_eq!((local.write_scope.as_str(), local.read_scopes.len()), ("local", 1));
        let key = local.manifest_key(5, "abcdef0123456789", None);
        assert!(key.ends_with("/local/m-00000000005-abcdef012345"));
        let signed = local.manifest_key(5, "abcdef0123456789", Some("secret"));
        assert_eq!([&key, &signed].map(|key| CacheScopes::signed_part(key)), [local.manifest_name(5).as_str(); 2]);
        assert!(signed.starts_with(&key) && local.has_signed_name(&signed, Some("secret")), "{signed}");
        assert!(!local.has_signed_name(&signed, Some("other")) && !local.has_signed_name(&signed, None));
        assert!(!local.has_signed_name(&key, Some("secret")));
        let moved = signed.replace("00000000005", "00000000006");
        assert!(!local.has_signed_name(&moved, Some("secret")), "the mark is of the whole key");
        assert_ne!(
            local.manifest_prefix("x"),
            CacheScopes::from_environment("linux-x86_64", "/else", &|_| None).manifest_prefix("x")
        );
    }
}
