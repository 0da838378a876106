//! Summary of what the caches did for a run: lines for people, a document for programs.

use serde_json::{Value, json};

use super::provisioner::CacheProvisioner;
use super::remote::{RemoteCache, write_checksums};
use crate::cache::remote::UploadReport;
use crate::text::format_size;

impl CacheProvisioner {
    /// Uploads what is new and not uploaded yet.
    pub(crate) fn finish_upload(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.finish_upload(&self.store);
        }
    }

    /// Writes the checksums of the packages in all environments to `noxide.sums`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write_checksums(&self) -> std::io::Result<()> {
        write_checksums(self.root(), &self.environment_dirs(), &self.store)
    }

    /// Describes what was restored, downloaded and uploaded, one line each, then the warnings.
    pub(crate) fn summary_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.remote.iter().map(format_download).collect();
        let (restored, present) = (self.restore_report().restored.len(), self.restore_report().already_present.len());
        lines.push(format!("restored {restored} packages to uv's cache, {present} were present"));
        let saved = self.save_report().saved.len();
        match self.remote.as_ref().and_then(|remote| remote.upload_report.as_ref()) {
            Some(report) if report.bytes > 0 => lines.push(format_upload(report)),
            Some(_) => lines.push("uploaded nothing: nothing is new".to_owned()),
            None if saved > 0 => lines.push(format!("saved {saved} new packages")),
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
            "remote": remote.map(RemoteCache::title),
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

fn format_download(remote: &RemoteCache) -> String {
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
