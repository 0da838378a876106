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
    /// Version in the comment beside a commit (`# v4.1.0`).
    pub(crate) commented_version: Option<String>,
    /// Host of a full URL.
    pub(crate) host: Option<String>,
    /// Whether it is a path in the same repository.
    pub(crate) is_local: bool,
}

impl ActionRef {
    pub(crate) fn parse(text: &str) -> Self {
        // `$/` is the root of the repository that contains the file.
        let local = ["./", "../", "$/"].iter().any(|start| text.starts_with(start));
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        if local || text.starts_with("docker://") {
            return Self {
                name: if local { path } else { text }.to_owned(),
                subpath: String::new(),
                version: if local { version } else { "" }.to_owned(),
                commented_version: None,
                host: None,
                is_local: local,
            };
        }
        let absolute = path.split_once("://").map(|(_, rest)| rest);
        let (host, path) = match absolute.and_then(|rest| rest.split_once('/')) {
            Some((host, path)) => (Some(host.to_owned()), path),
            None => (None, path),
        };
        let mut parts = path.splitn(3, '/');
        let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let path = parts.next().unwrap_or_default().to_owned();
        let name = if name.is_empty() { owner.to_owned() } else { format!("{owner}/{name}") };
        Self {
            name: name.to_lowercase(),
            subpath: path,
            version: version.to_owned(),
            commented_version: None,
            host,
            is_local: false,
        }
    }

    /// Adds the version that the comment beside a commit names: `v4.1.0`, `tag=v4`, `ratchet:actions/cache@v4`.
    #[must_use]
    pub(super) fn with_comment(mut self, comment: &str) -> Self {
        let word = comment.trim_start_matches(['#', ' ']).split([' ', ',', ';']).next().unwrap_or_default();
        let version = word.rsplit(['=', '@']).next().unwrap_or_default();
        self.commented_version =
            self.is_commit().then(|| version.to_owned()).filter(|text| parse_major(text).is_some());
        self
    }

    /// Whether the version is a commit.
    pub(crate) fn is_commit(&self) -> bool {
        self.version.len() >= 7 && self.version.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Returns the directory of a local action, relative to the root of the repository.
    pub(crate) fn local_directory(&self) -> Option<&str> {
        let path = self.name.strip_prefix("$/").unwrap_or(&self.name);
        self.is_local.then(|| path.trim_start_matches("./").trim_end_matches('/'))
    }

    /// Returns the major version of a tag such as `v4` or `4.1.2`, or of the comment beside a commit; `None` for a branch
    /// or any other commit.
    pub(crate) fn major_version(&self) -> Option<u32> {
        parse_major(self.commented_version.as_deref().unwrap_or(&self.version))
    }

    /// Returns the major and the minor version of a full version such as `v4.1.0`, or of the comment beside a commit.
    pub(crate) fn minor_version(&self) -> Option<(u32, u32)> {
        let version = self.commented_version.as_deref().unwrap_or(&self.version);
        let (_, rest) = version.split_once('.')?;
        Some((parse_major(version)?, parse_major(rest)?))
    }

    /// Whether it is the action `name`, from any host.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether it is `actions/cache` or `actions/cache/restore`.
    pub(crate) fn is_cache_restore(&self) -> bool {
        self.is_named("actions/cache") && self.subpath != "save"
    }

    /// Whether it uploads an artifact (the original action, or a fork for Forgejo or Gitea).
    pub(crate) fn is_artifact_upload(&self) -> bool {
        ["actions/upload-artifact", "forgejo/upload-artifact", "christopherhx/gitea-upload-artifact"]
            .iter()
            .any(|name| self.is_named(name))
    }

    /// Whether it is assumed to need Node: every action except local ones and images.
    pub(crate) fn needs_node(&self) -> bool {
        !self.is_local && !self.name.starts_with("docker://")
    }
}

/// Returns the major version of `v4` or `4.1.2`.
fn parse_major(version: &str) -> Option<u32> {
    let digits = version.strip_prefix('v').unwrap_or(version);
    let digits = digits.split('.').next().unwrap_or_default();
    if digits.len() > 3 { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_commit_is_in_its_comment() {
        let commit = ActionRef::parse("a/b@0123456789abcdef0123456789abcdef01234567");
        for (comment, major) in [
            ("# v4.1.0", Some(4)),
            ("#v3", Some(3)),
            ("# 3.4.5 or so", Some(3)),
            ("# tag=v2.1", Some(2)),
            ("# ratchet:a/b@v10.0.1", Some(10)),
            ("# main", None),
            ("# 2024-01-02", None),
            ("# version 3", None),
            ("", None),
        ] {
            assert_eq!(commit.clone().with_comment(comment).major_version(), major, "{comment}");
        }
        assert_eq!(commit.clone().with_comment("v4.1.0").minor_version(), Some((4, 1)));
        assert_eq!(commit.with_comment("v4").minor_version(), None);
        assert_eq!(ActionRef::parse("a/b@v3.0.11").minor_version(), Some((3, 0)));
        assert_eq!(ActionRef::parse("a/b@v5").with_comment("# not v4").major_version(), Some(5));
        assert_eq!(ActionRef::parse("a/b@main").with_comment("# v4").major_version(), None);
    }

    #[test]
    fn a_local_path_has_no_version() {
        let local = ActionRef::parse("./.github/actions/x@main");
        assert_eq!((local.local_directory(), local.version.as_str()), (Some(".github/actions/x"), "main"));
    }

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
