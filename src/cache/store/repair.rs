//! Damaged entries put aside, and their wheels fetched anew by uv itself.

use serde::Serialize;

use crate::cache::package_selection::PackageSelection;
use crate::cache::progress::NoProgress;
use crate::cache::uv::{Uv, UvCache, UvLayoutSupport};

use super::corruption::EntryDamage;
use super::entry_id::{EntryId, EntryKind};
use super::store_dir::Store;

/// What became of one damaged entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairOutcome {
    /// The entry.
    pub entry: String,
    /// Its name and version; empty where it is lost.
    pub name: String,
    /// Where it was put aside; none where it could not be moved.
    pub quarantine_path: Option<String>,
    /// Whether it is in the store again.
    pub repaired: bool,
    /// How, or why not, in words for people.
    pub detail: String,
}

/// What a repair works with.
#[derive(Clone, Debug)]
pub struct RepairContext<'a> {
    /// The uv that fetches; without one entries are only put aside.
    pub uv: Option<&'a Uv>,
    /// The project whose settings say from where.
    pub project: &'a std::path::Path,
}

impl Store {
    /// Puts each damaged entry aside and has uv fetch its wheel anew.
    pub fn repair_entries(&self, damaged: &[EntryDamage], with: &RepairContext<'_>) -> Vec<RepairOutcome> {
        let mut ids: Vec<&EntryId> = damaged.iter().map(|damage| &damage.entry).collect();
        ids.dedup();
        ids.sort();
        ids.dedup();
        ids.into_iter().map(|id| self.repair_entry(id, with)).collect()
    }

    fn repair_entry(&self, id: &EntryId, with: &RepairContext<'_>) -> RepairOutcome {
        let name = self.entry_meta(id).map(|head| head.name).unwrap_or_default();
        // Read before it is moved: what uv called it tells which Python it is for.
        let stem = self.open_entry(id).ok().flatten().and_then(|entry| {
            let placing = entry.placements().into_iter().next()?.0;
            Some(placing.link.rsplit('/').next()?.to_owned())
        });
        let aside = self.quarantine_entry(id).map(|path| path.display().to_string());
        let mut repaired = RepairOutcome {
            entry: id.to_string(),
            name,
            quarantine_path: aside,
            repaired: false,
            detail: String::new(),
        };
        if repaired.quarantine_path.is_none() {
            repaired.detail = "it could not be put aside".to_owned();
            return repaired;
        }
        match self.fetch_wheel(id, &repaired.name, stem.as_deref(), with) {
            Ok(()) => {
                repaired.repaired = true;
                repaired.detail = "fetched anew".to_owned();
            }
            Err(why) => repaired.detail = format!("not fetched now, but when it is next wanted: {why}"),
        }
        repaired
    }

    /// Has uv install just that file, by its digest, into a cache of its own, and takes it from there.
    fn fetch_wheel(
        &self,
        id: &EntryId,
        name: &str,
        stem: Option<&str>,
        with: &RepairContext<'_>,
    ) -> Result<(), String> {
        let uv = with.uv.ok_or("there is no uv")?;
        if id.kind != EntryKind::Wheel {
            return Err(format!("it is no wheel but a {}", id.kind.as_str()));
        }
        let (package, version) = name.split_once(' ').ok_or("its name is lost")?;
        let UvLayoutSupport::Known(layout) = uv.detect_layout(self) else {
            return Err("this uv's cache is not known".to_owned());
        };
        let workspace = self.create_workspace().map_err(|error| error.to_string())?;
        let words = |error: std::io::Error| error.to_string();
        let wanted = workspace.path().join("requirements.txt");
        fs_err::write(&wanted, format!("{package}=={version} --hash=sha256:{}\n", id.id())).map_err(words)?;
        let text = |name: &str| workspace.path().join(name).display().to_string();
        let (wanted, cache, target) = (text("requirements.txt"), text("cache"), text("target"));
        let mut arguments = vec!["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-build"];
        arguments.extend(["--requirement", &wanted, "--cache-dir", &cache, "--target", &target]);
        let python = stem.and_then(python_version_from_stem);
        if let Some(python) = &python {
            arguments.extend(["--python-version", python]);
        }
        uv.run(&arguments, with.project).map_err(|error| last_line(&error.to_string()))?;
        let report = self.save_wheels(&PackageSelection::All, &UvCache::new(cache.into(), layout), &NoProgress);
        report.map_err(|error| error.to_string())?;
        if self.has_entry(id) { Ok(()) } else { Err("uv fetched another file".to_owned()) }
    }
}

/// `3.13` out of `2.4.5-cp313-cp313-manylinux…`.
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
    fn a_wheels_tags_tell_its_python() {
        assert_eq!(python_version_from_stem("2.4.5-cp313-cp313-manylinux_2_27_x86_64"), Some("3.13".to_owned()));
        assert_eq!(python_version_from_stem("1.0-py3-none-any"), None);
        assert_eq!(last_line("a\n  ╰─▶ b\n\n"), "b");
    }
}
