//! Summary of restores, downloads, saves and uploads of a run, as text and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::provisioner::CacheProvisioner;
use super::remote::{RunRemoteCache, write_checksums};
use crate::cache::remote::UploadReport;
use crate::project::SessionName;
use crate::record::CacheStats;
use crate::text::{format_duration, format_size, pluralize};

impl CacheProvisioner {
    /// Uploads the new entries that are not uploaded yet.
    pub(crate) fn finish_upload(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.finish_upload(&self.store);
        }
    }

    /// Writes the checksums of the packages in all environments to `noxide.sums`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write_checksums(&self) -> std::io::Result<Vec<String>> {
        write_checksums(self.root(), &self.environment_dirs(), &self.store)
    }

    /// Describes downloads, restores and uploads, one line each, then the warnings.
    pub(crate) fn summary_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.remote.iter().map(format_download).collect();
        let (restored, present) = (self.restore_report().restored.len(), self.restore_report().already_present.len());
        lines.push(format!("restored {} to uv's cache, {present} were present", pluralize(restored, "package")));
        let saved = self.save_report().saved.len();
        match self.remote.as_ref().and_then(|remote| remote.upload_report.as_ref()) {
            Some(report) if report.bytes > 0 => lines.push(format_upload(report)),
            Some(_) => lines.push("uploaded nothing: nothing is new".to_owned()),
            None if saved > 0 => lines.push(format!("saved {}", pluralize(saved, "new package"))),
            None => {}
        }
        lines.extend(self.remote_warnings().into_iter().map(|warning| format!("warning: {warning}")));
        lines
    }

    /// Returns the document of `cache.json`.
    pub(crate) fn to_json(&self) -> Value {
        let remote = self.remote.as_ref();
        json!({
            "version": 2,
            "remote": remote.map(RunRemoteCache::title),
            "downloaded": remote.map(|remote| &remote.download_report),
            "restored": self.restore_report(),
            "saved": self.save_report().saved.len(),
            "uploaded": remote.and_then(|remote| remote.upload_report.as_ref()),
            "warnings": self.remote_warnings(),
        })
    }

    fn remote_warnings(&self) -> Vec<&String> {
        self.remote.iter().flat_map(|remote| &remote.warnings).collect()
    }
}

fn format_download(remote: &RunRemoteCache) -> String {
    let report = &remote.download_report;
    format!(
        "downloaded {} of {} packages{}, {} in {:.1} s, from {}",
        report.packages.len(),
        remote.package_count(),
        format_other_entries(report.other_entries),
        format_size(report.bytes),
        report.seconds,
        remote.title(),
    )
}

fn format_upload(report: &UploadReport) -> String {
    let rewrite =
        report.repack_reason.as_ref().map(|reason| format!(" (packs rewritten: {reason})")).unwrap_or_default();
    let (others, bytes) = (format_other_entries(report.other_entries), format_size(report.bytes));
    format!("uploaded {} packages{others}, {bytes} in {:.1} s{rewrite}", report.packages.len(), report.seconds)
}

/// Counts entries that are not packages; empty if there are none.
fn format_other_entries(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more of bytecode, environments and directories") }
}

/// Hits and misses of sessions that were restored one after the other.
#[derive(Debug, Default)]
pub(crate) struct SessionCacheStats(Vec<(String, CacheStats)>);

impl SessionCacheStats {
    /// Adds a session, unless it has no stats.
    pub(crate) fn add(&mut self, session: &SessionName, stats: Option<CacheStats>) {
        self.0.extend(stats.map(|stats| (session.as_str().to_owned(), stats)));
    }

    /// Whether a package of any session is missing.
    pub(crate) fn has_misses(&self) -> bool {
        self.0.iter().any(|(_, stats)| stats.misses > 0)
    }

    /// Returns one line per session.
    pub(crate) fn to_text(&self) -> String {
        if self.0.is_empty() {
            return "nothing to restore: no selected session installs with uv\n".to_owned();
        }
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, stats) in &self.0 {
            let restored = match stats.restored_bytes {
                0 => String::new(),
                bytes => format!(", {} restored in {}", format_size(bytes), format_duration(stats.restore_ms)),
            };
            let reason = if stats.miss_reason.is_empty() { String::new() } else { format!("; {}", stats.miss_reason) };
            let packages = pluralize(stats.hits + stats.misses, "package");
            let _ = writeln!(text, "{name:width$}  {} of {packages} cached{restored}{reason}", stats.hits);
        }
        text
    }

    /// Returns one object per session.
    pub(crate) fn to_json(&self) -> Value {
        let row = |(name, stats): &(String, CacheStats)| {
            json!({
                "session": name, "hits": stats.hits, "misses": stats.misses,
                "bytes": stats.restored_bytes, "ms": stats.restore_ms, "reason": stats.miss_reason,
            })
        };
        self.0.iter().map(row).collect()
    }
}
