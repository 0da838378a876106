//! Action reference: the parsed value of `uses:`.

/// A parsed `uses:`: an action, a local directory, an image or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRef {
    /// `owner/name`, without host, subpath and version; a local path unchanged.
    pub(crate) name: String,
    /// Path inside the repository (`restore` of `actions/cache/restore@v4`).
    pub(crate) subpath: String,
    /// Version after `@`.
    pub(crate) version: String,
    /// Host of a full URL.
    pub(crate) host: Option<String>,
    /// Whether it is a path in the same repository.
    pub(crate) is_local: bool,
}

impl ActionRef {
    pub(crate) fn parse(text: &str) -> Self {
        // `$/` is the root of the repository that contains the file.
        let local = ["./", "../", "$/"].iter().any(|start| text.starts_with(start));
        if local || text.starts_with("docker://") {
            return Self {
                name: text.to_owned(),
                subpath: String::new(),
                version: String::new(),
                host: None,
                is_local: local,
            };
        }
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        let absolute = path.split_once("://").map(|(_, rest)| rest);
        let (host, path) = match absolute.and_then(|rest| rest.split_once('/')) {
            Some((host, path)) => (Some(host.to_owned()), path),
            None => (None, path),
        };
        let mut parts = path.splitn(3, '/');
        let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let path = parts.next().unwrap_or_default().to_owned();
        let name = if name.is_empty() { owner.to_owned() } else { format!("{owner}/{name}") };
        Self { name: name.to_lowercase(), subpath: path, version: version.to_owned(), host, is_local: false }
    }

    /// Returns the directory of a local action, relative to the root of the repository.
    pub(crate) fn local_directory(&self) -> Option<&str> {
        let path = self.name.strip_prefix("$/").unwrap_or(&self.name);
        self.is_local.then(|| path.trim_start_matches("./").trim_end_matches('/'))
    }

    /// Returns the major version of a tag such as `v4` or `4.1.2`; `None` for a commit or a branch.
    pub(crate) fn major_version(&self) -> Option<u32> {
        let digits = self.version.strip_prefix('v').unwrap_or(&self.version);
        let digits = digits.split('.').next().unwrap_or_default();
        if digits.len() > 3 { None } else { digits.parse().ok() }
    }

    /// Whether it is the action `name`, from any host.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether it is `actions/cache` or `actions/cache/restore`.
    pub(crate) fn is_cache_restore(&self) -> bool {
        self.is_named("actions/cache") && self.subpath != "save"
    }

    /// Whether it uploads an artifact (the original action or Forgejo's fork).
    pub(crate) fn is_artifact_upload(&self) -> bool {
        self.is_named("actions/upload-artifact") || self.is_named("forgejo/upload-artifact")
    }

    /// Whether it is assumed to need Node: every action except local ones and images.
    pub(crate) fn needs_node(&self) -> bool {
        !self.is_local && !self.name.starts_with("docker://")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_parsed() {
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
        assert_eq!(ActionRef::parse("$/.github/actions/x/").local_directory(), Some(".github/actions/x"));
        assert_eq!(ActionRef::parse("./.github/actions/x").local_directory(), Some(".github/actions/x"));
        assert_eq!(ActionRef::parse("a/b@v1").local_directory(), None);
        assert!(!ActionRef::parse("docker://alpine:3").needs_node());
        assert!(ActionRef::parse("forgejo/upload-artifact@v4").is_artifact_upload());
        assert_eq!(ActionRef::parse("odd@v1").name, "odd");
        assert!(!ActionRef::parse("actions/cache/save@v4").is_cache_restore());
    }
}
