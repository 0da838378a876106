//! Repair of damaged entries: quarantined, and downloaded again by uv.

use std::io;

use serde::Serialize;
use thiserror::Error;

use crate::cache::package_selection::PackageSelection;
use crate::cache::progress::NoProgress;
use crate::cache::uv::{Uv, UvCache, UvError, UvLayoutSupport};

use super::damage::EntryDamage;
use super::entry_id::{EntryId, EntryKind};
use super::store_dir::{Store, StoreError};

/// What happened to a damaged entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairOutcome {
    /// The entry ID as text, such as `wheel/ab12…`.
    pub entry: String,
    /// Display name, such as `numpy 2.4.5`; empty if it cannot be read.
    pub name: String,
    /// Where the entry was moved to; `None` if it could not be moved.
    pub quarantine_path: Option<String>,
    /// Whether the store contains the entry again.
    pub repaired: bool,
    /// How it was repaired, or why not.
    pub detail: String,
}

/// Tools for a repair.
#[derive(Clone, Debug)]
pub struct RepairContext<'a> {
    /// The uv that downloads wheels; without one, entries are only quarantined.
    pub uv: Option<&'a Uv>,
    /// The project whose uv settings apply.
    pub project: &'a std::path::Path,
}

/// Why a wheel is not downloaded again.
#[derive(Debug, Error)]
enum RepairError {
    #[error("there is no uv")]
    NoUv,
    #[error("it is a {0}, not a wheel")]
    NotAWheel(&'static str),
    #[error("its name cannot be read")]
    UnknownName,
    #[error("the cache layout of this uv is unknown")]
    UnknownUvLayout,
    #[error("uv downloaded another file")]
    OtherFile,
    #[error("{}", last_line(&.0.to_string()))]
    Uv(#[from] UvError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Store {
    /// Quarantines each damaged entry and downloads its wheel again with uv.
    pub fn repair_entries(&self, damaged: &[EntryDamage], context: &RepairContext<'_>) -> Vec<RepairOutcome> {
        let mut ids: Vec<&EntryId> = damaged.iter().map(|damage| &damage.entry).collect();
        ids.sort();
        ids.dedup();
        ids.into_iter().map(|id| self.repair_entry(id, context)).collect()
    }

    fn repair_entry(&self, id: &EntryId, context: &RepairContext<'_>) -> RepairOutcome {
        let name = self.entry_meta(id).map(|meta| meta.name).unwrap_or_default();
        // Read before the entry is moved: its file name in uv's cache contains the Python version.
        let stem = self.open_entry(id).ok().flatten().and_then(|entry| {
            let placement = entry.placements().into_iter().next()?.0;
            Some(placement.link().rsplit('/').next()?.to_owned())
        });
        let quarantine_path = self.quarantine_entry(id).map(|path| path.display().to_string());
        let (repaired, detail) = if quarantine_path.is_none() {
            (false, "it could not be moved to quarantine".to_owned())
        } else {
            match self.download_wheel(id, &name, stem.as_deref(), context) {
                Ok(()) => (true, "downloaded again".to_owned()),
                Err(error) => (false, format!("uv will download it when it is next needed: {error}")),
            }
        };
        RepairOutcome { entry: id.to_string(), name, quarantine_path, repaired, detail }
    }

    /// Installs exactly this wheel (by its digest) with uv into a temporary cache, and saves it from there.
    fn download_wheel(
        &self,
        id: &EntryId,
        name: &str,
        stem: Option<&str>,
        context: &RepairContext<'_>,
    ) -> Result<(), RepairError> {
        let uv = context.uv.ok_or(RepairError::NoUv)?;
        if id.kind != EntryKind::Wheel {
            return Err(RepairError::NotAWheel(id.kind.as_str()));
        }
        let (package, version) = name.split_once(' ').ok_or(RepairError::UnknownName)?;
        // The name may come from another machine; a requirement may contain options.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if package.is_empty() || !package.chars().all(is_name) || version.parse::<pep440_rs::Version>().is_err() {
            return Err(RepairError::UnknownName);
        }
        let UvLayoutSupport::Known(layout) = uv.detect_layout(self) else {
            return Err(RepairError::UnknownUvLayout);
        };
        let workspace = self.create_workspace()?;
        let path = |name: &str| workspace.path().join(name).display().to_string();
        let (requirements, cache, target) = (path("requirements.txt"), path("cache"), path("target"));
        fs_err::write(&requirements, format!("{package}=={version} --hash=sha256:{}\n", id.id()))?;
        let mut arguments = vec!["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-build"];
        arguments.extend(["--requirement", &requirements, "--cache-dir", &cache, "--target", &target]);
        let python = stem.and_then(python_version_from_stem);
        if let Some(python) = &python {
            arguments.extend(["--python-version", python]);
        }
        uv.run(&arguments, context.project)?;
        self.save_wheels(&PackageSelection::All, &UvCache::new(cache.into(), layout), &NoProgress)?;
        if self.has_entry(id) { Ok(()) } else { Err(RepairError::OtherFile) }
    }
}

/// Returns `3.13` for `2.4.5-cp313-cp313-manylinux…`.
fn python_version_from_stem(stem: &str) -> Option<String> {
    let tag = stem.split('-').find_map(|part| part.strip_prefix("cp3"))?;
    let minor: u32 = tag.parse().ok()?;
    Some(format!("3.{minor}"))
}

fn last_line(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.unwrap_or_default().trim_start_matches(['╰', '─', '▶', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_version_is_read_from_the_wheel_tags() {
        assert_eq!(python_version_from_stem("2.4.5-cp313-cp313-manylinux_2_27_x86_64"), Some("3.13".to_owned()));
        assert_eq!(python_version_from_stem("1.0-py3-none-any"), None);
        assert_eq!(last_line("a\n  ╰─▶ b\n\n"), "b");
    }
}
