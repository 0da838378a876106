//! What a `uses:` names: an action, a folder, an image or a whole URL.

/// A `uses:` taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRef {
    /// `owner/name`, without host, path inside the repository and version; a local path as it is.
    pub(crate) name: String,
    /// The path inside the repository (`restore` of `actions/cache/restore@v4`).
    pub(crate) subpath: String,
    /// What stands after `@`.
    pub(crate) version: String,
    /// The host of an absolute one.
    pub(crate) host: Option<String>,
    /// Whether it is a path in this repository.
    pub(crate) is_local: bool,
}

impl ActionRef {
    /// Takes a `uses:` apart.
    pub(crate) fn parse(text: &str) -> Self {
        let local = text.starts_with("./") || text.starts_with("../");
        if local || text.starts_with("docker://") {
            return Self {
                name: text.to_owned(),
                subpath: String::new(),
                version: String::new(),
                host: None,
                is_local: local,
            };
        }
        let (route, version) = text.split_once('@').unwrap_or((text, ""));
        let absolute = route.split_once("://").map(|(_, rest)| rest);
        let (host, route) = match absolute.and_then(|rest| rest.split_once('/')) {
            Some((host, route)) => (Some(host.to_owned()), route),
            None => (None, route),
        };
        let mut parts = route.splitn(3, '/');
        let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let path = parts.next().unwrap_or_default().to_owned();
        let name = if name.is_empty() { owner.to_owned() } else { format!("{owner}/{name}") };
        Self { name: name.to_lowercase(), subpath: path, version: version.to_owned(), host, is_local: false }
    }

    /// The major version of a tag such as `v4` or `4.1.2`; none of a commit or a branch.
    pub(crate) fn major_version(&self) -> Option<u32> {
        let digits = self.version.strip_prefix('v').unwrap_or(&self.version);
        let digits = digits.split('.').next().unwrap_or_default();
        if digits.len() > 3 { None } else { digits.parse().ok() }
    }

    /// Whether it is that action, from whatever host.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether it restores a cache from a key that the workflow writes.
    pub(crate) fn is_cache_restore(&self) -> bool {
        self.is_named("actions/cache") && self.subpath != "save"
    }

    /// Whether it uploads an artifact (the stock action or Forgejo's fork).
    pub(crate) fn is_artifact_upload(&self) -> bool {
        self.is_named("actions/upload-artifact") || self.is_named("forgejo/upload-artifact")
    }

    /// Whether it needs Node on the machine that runs it: all but composite ones we know and local ones.
    pub(crate) fn needs_node(&self) -> bool {
        !self.is_local && !self.name.starts_with("docker://")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_taken_apart() {
        let a = ActionRef::parse("https://data.forgejo.org/Actions/cache/restore@v4.2");
        assert_eq!(
            (a.name.as_str(), a.subpath.as_str(), a.host.as_deref()),
            ("actions/cache", "restore", Some("data.forgejo.org"))
        );
        assert_eq!(a.major_version(), Some(4));
        assert!(a.is_cache_restore() && a.needs_node() && !a.is_artifact_upload());
        assert_eq!(ActionRef::parse("a/b@0123456789abcdef0123456789abcdef01234567").major_version(), None);
        assert_eq!(ActionRef::parse("a/b@main").major_version(), None);
        assert_eq!(ActionRef::parse("a/b").version, "");
        assert!(ActionRef::parse("./x").is_local && !ActionRef::parse("./x").needs_node());
        assert!(!ActionRef::parse("docker://alpine:3").needs_node());
        assert!(ActionRef::parse("forgejo/upload-artifact@v4").is_artifact_upload());
        assert_eq!(ActionRef::parse("odd@v1").name, "odd");
        assert!(!ActionRef::parse("actions/cache/save@v4").is_cache_restore());
    }
}
