//! What an environment is made of: wheels of the store, links, and files of its own.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fs::{is_symlink_contained, safe_relative_path};

use super::corruption::Corruption;
use super::entry::StoreEntry;
use super::tree_manifest::{TreeManifest, TreeNode, TreeNodeKind};

/// The version of the text.
const VERSION: u32 = 2;

/// What an environment is made of, as it is kept beside its own files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VenvLayout {
    version: u32,
    /// Where the environment lies, and nowhere else.
    pub(super) path: String,
    /// The interpreter it was made for, and the only place that a link in it may lead out to.
    pub(super) python: String,
    /// Its `site-packages`, from its root on.
    pub(super) site_packages: String,
    /// The wheels in it.
    pub(super) wheels: Vec<VenvWheel>,
    /// Its links, by path.
    pub(super) links: BTreeMap<String, String>,
    /// Folders with nothing in them.
    pub(super) empty_folders: BTreeSet<String>,
    /// When its own files, and folders whose time tells what was installed, were last written to.
    pub(super) modified_times: BTreeMap<String, i64>,
}

/// A wheel in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VenvWheel {
    /// Its entry in the store.
    pub(super) entry: String,
    /// Places of its files that are not there, or are the environment's own.
    pub(super) excluded: BTreeSet<String>,
}

/// One thing of an environment and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VenvNode<'a> {
    pub(super) path: String,
    pub(super) source: VenvNodeSource<'a>,
}

/// Where a thing of an environment comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VenvNodeSource<'a> {
    /// A file of its own.
    OwnFile(&'a TreeNode),
    /// A file of the wheel of that number.
    WheelFile(usize, &'a TreeNode),
    /// A link.
    Symlink(&'a str),
    /// A folder with nothing in it.
    EmptyFolder,
}

impl VenvLayout {
    /// The name of the text among an environment's own files.
    pub(super) const FILE_NAME: &str = ".noxide-venv.json";

    /// Parts of an environment in which nothing was found yet.
    pub(super) fn new(path: &Path, python: &Path, site: &str) -> Self {
        Self {
            version: VERSION,
            path: path.display().to_string(),
            python: python.display().to_string(),
            site_packages: site.to_owned(),
            wheels: Vec::new(),
            links: BTreeMap::new(),
            empty_folders: BTreeSet::new(),
            modified_times: BTreeMap::new(),
        }
    }

    /// The parts of an environment's entry. What they say of paths is looked at by [`VenvLayout::resolve_nodes`].
    pub(super) fn from_entry(entry: &StoreEntry) -> Result<Self, Corruption> {
        let text = std::fs::read(entry.tree_path().join(Self::FILE_NAME))?;
        let parts: Self = serde_json::from_slice(&text).map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
        if parts.version != VERSION {
            return Err(Corruption::InvalidMeta(format!(
                "version {} of parts, this noxide knows {VERSION}",
                parts.version
            )));
        }
        Ok(parts)
    }

    /// The text.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Everything that stands in the environment, sorted by path: each once, inside it, and none below a link.
    pub(super) fn resolve_nodes<'a>(
        &'a self,
        own: &'a TreeManifest,
        wheels: &'a [StoreEntry],
    ) -> Result<Vec<VenvNode<'a>>, Corruption> {
        let mut placed: Vec<VenvNode<'_>> = Vec::new();
        for item in own.nodes.iter().filter(|item| item.path != Self::FILE_NAME) {
            let source = match item.kind {
                TreeNodeKind::File { .. } => VenvNodeSource::OwnFile(item),
                TreeNodeKind::EmptyFolder => VenvNodeSource::EmptyFolder,
                TreeNodeKind::Symlink { .. } => return Err(Corruption::FileTypeMismatch),
            };
            placed.push(VenvNode { path: item.path.clone(), source });
        }
        for (number, (wheel, part)) in wheels.iter().zip(&self.wheels).enumerate() {
            let files =
                wheel.manifest.files().filter_map(|item| Some((install_path(&self.site_packages, &item.path)?, item)));
            let there = files.filter(|(path, _)| !part.excluded.contains(path));
            placed.extend(there.map(|(path, item)| VenvNode { path, source: VenvNodeSource::WheelFile(number, item) }));
        }
        placed.extend(
            self.empty_folders
                .iter()
                .map(|folder| VenvNode { path: folder.clone(), source: VenvNodeSource::EmptyFolder }),
        );
        for (path, target) in &self.links {
            let (path, to) = (Path::new(path), Path::new(target));
            // Links to the interpreter may go by another of its names.
            let python =
                || to.is_absolute() && std::fs::canonicalize(to).is_ok_and(|real| real == Path::new(&self.python));
            if !is_symlink_contained(path, to) && !python() {
                return Err(Corruption::EscapingSymlink(target.clone()));
            }
            placed.push(VenvNode { path: path.display().to_string(), source: VenvNodeSource::Symlink(target) });
        }
        placed.sort_by(|a, b| a.path.cmp(&b.path));
        self.check_paths(&placed)?;
        Ok(placed)
    }

    fn check_paths(&self, placed: &[VenvNode<'_>]) -> Result<(), Corruption> {
        let folders = self.modified_times.keys().chain([&self.site_packages]);
        if folders.into_iter().any(|path| safe_relative_path(path).is_none()) {
            return Err(Corruption::InvalidPath);
        }
        let links: HashSet<&Path> = self.links.keys().map(Path::new).collect();
        for pair in placed.windows(2) {
            let folders = pair.iter().all(|thing| thing.source == VenvNodeSource::EmptyFolder);
            if pair[0].path == pair[1].path && !folders {
                return Err(Corruption::DuplicatePath);
            }
        }
        for thing in placed {
            let inner = safe_relative_path(&thing.path).ok_or(Corruption::InvalidPath)?;
            if inner.ancestors().skip(1).any(|parent| links.contains(parent)) {
                return Err(Corruption::InvalidPath);
            }
        }
        let below_link = |path: &String| Path::new(path).ancestors().any(|parent| links.contains(parent));
        if self.modified_times.keys().any(below_link) { Err(Corruption::InvalidPath) } else { Ok(()) }
    }
}

/// Where an installer puts a file of a wheel, from the environment's root on; none where that is not known here.
pub(super) fn install_path(site: &str, path: &str) -> Option<String> {
    let (top, rest) = path.split_once('/').unwrap_or((path, ""));
    if !top.ends_with(".data") {
        return Some(format!("{site}/{path}"));
    }
    match rest.split_once('/')? {
        ("scripts", name) => Some(format!("bin/{name}")),
        ("purelib" | "platlib", name) => Some(format!("{site}/{name}")),
        ("data", name) => Some(name.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Sha256Digest;

    fn file(path: &str) -> TreeNode {
        let sha256 = Sha256Digest::hash_bytes(b"");
        let what = TreeNodeKind::File { sha256, size: 0, executable: false, inode: 0, modified: 0, changed: 0 };
        TreeNode { path: path.to_owned(), kind: what }
    }

    fn parts() -> VenvLayout {
        let mut parts = VenvLayout::new(Path::new("/p/.nox/lint"), Path::new("/usr"), "lib/python3.11/site");
        parts.links.insert("bin/python".to_owned(), "/usr/../usr".to_owned());
        parts.links.insert("lib64".to_owned(), "lib".to_owned());
        parts
    }

    #[test]
    fn wheels_are_placed_as_installers_do() {
        let at = |path: &str| install_path("lib/site", path);
        assert_eq!(at("a/b.py").as_deref(), Some("lib/site/a/b.py"));
        assert_eq!(at("one.py").as_deref(), Some("lib/site/one.py"));
        assert_eq!(at("ruff-1.data/scripts/ruff").as_deref(), Some("bin/ruff"));
        assert_eq!(at("a-1.data/purelib/a.py").as_deref(), Some("lib/site/a.py"));
        assert_eq!(at("a-1.data/data/share/a.1").as_deref(), Some("share/a.1"));
        assert_eq!((at("a-1.data/headers/a.h"), at("a-1.data/scripts")), (None, None));
    }

    #[test]
    fn what_leads_out_of_an_environment_is_refused() {
        let own = TreeManifest::new(vec![file("pyvenv.cfg"), file(VenvLayout::FILE_NAME)]);
        let good = parts();
        let paths: Vec<String> = good.resolve_nodes(&own, &[]).unwrap().into_iter().map(|placed| placed.path).collect();
        assert_eq!(paths, ["bin/python", "lib64", "pyvenv.cfg"]);
        let wrong = |change: &dyn Fn(&mut VenvLayout)| {
            let mut parts = parts();
            change(&mut parts);
            parts.resolve_nodes(&own, &[]).unwrap_err()
        };
        let link = |path: &str, target: &str| {
            let (path, target) = (path.to_owned(), target.to_owned());
            wrong(&move |parts| drop(parts.links.insert(path.clone(), target.clone())))
        };
        assert_eq!(link("bin/sh", "/bin/sh"), Corruption::EscapingSymlink("/bin/sh".to_owned()));
        assert_eq!(link("bin/sh", "../../sh"), Corruption::EscapingSymlink("../../sh".to_owned()));
        assert_eq!(link("../sh", "/usr"), Corruption::InvalidPath);
        assert_eq!(link("pyvenv.cfg", "lib"), Corruption::DuplicatePath);
        assert_eq!(
            wrong(&|parts| {
                parts.empty_folders.insert("lib64/x".to_owned());
            }),
            Corruption::InvalidPath
        );
        assert_eq!(
            wrong(&|parts| {
                parts.empty_folders.insert("/x".to_owned());
            }),
            Corruption::InvalidPath
        );
        assert_eq!(
            wrong(&|parts| {
                parts.modified_times.insert("../x".to_owned(), 1);
            }),
            Corruption::InvalidPath
        );
        assert_eq!(
            wrong(&|parts| {
                parts.modified_times.insert("lib64/x".to_owned(), 1);
            }),
            Corruption::InvalidPath
        );
        assert_eq!(wrong(&|parts| parts.site_packages = "..".to_owned()), Corruption::InvalidPath);
        let link = TreeManifest::new(vec![TreeNode {
            path: "a".to_owned(),
            kind: TreeNodeKind::Symlink { target: "b".to_owned() },
        }]);
        assert_eq!(good.resolve_nodes(&link, &[]).unwrap_err(), Corruption::FileTypeMismatch);
        let below = TreeManifest::new(vec![file("lib64/a.py")]);
        assert_eq!(good.resolve_nodes(&below, &[]).unwrap_err(), Corruption::InvalidPath);
    }
}
