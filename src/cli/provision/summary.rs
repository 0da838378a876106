//! What the stores did for a run, as people and programs are told.

use serde_json::{Value, json};

use super::cache_provisioner::CacheProvisioner;
use super::remote_cache::RemoteCache;
use crate::text::format_size;

/// How many entries that are no packages; nothing where there are none.
fn format_other_entries(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more of bytecode, environments and folders") }
}

impl CacheProvisioner {
    /// What was done, a line each.
    pub(in crate::cli) fn summary_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(elsewhere) = &self.remote {
            let brought = &elsewhere.download_report;
            lines.push(format!(
                "brought {} of {} packages{}, {} in {:.1} s, from {}",
                brought.packages.len(),
                elsewhere.len(),
                format_other_entries(brought.other_entries),
                format_size(brought.bytes),
                brought.seconds,
                elsewhere.title(),
            ));
        }
        let (new, here) = (self.restore_report.restored.len(), self.restore_report.already_present.len());
        lines.push(format!("put {new} packages into uv's cache, {here} were there"));
        let pushed = self.remote.as_ref().and_then(|elsewhere| elsewhere.upload_report.as_ref());
        match pushed {
            Some(report) if report.bytes > 0 => {
                let why = report
                    .repack_reason
                    .as_ref()
                    .map(|why| format!(" (packs written anew: {why})"))
                    .unwrap_or_default();
                let (count, bytes) = (report.packages.len(), format_size(report.bytes));
                let others = format_other_entries(report.other_entries);
                lines.push(format!("sent {count} packages{others}, {bytes} in {:.1} s{why}", report.seconds));
            }
            Some(_) => lines.push("sent nothing: nothing is new".to_owned()),
            None if !self.save_report.saved.is_empty() => {
                lines.push(format!("kept {} new packages here", self.save_report.saved.len()));
            }
            None => {}
        }
        lines.extend(self.remote_warnings().into_iter().map(|trouble| format!("warning: {trouble}")));
        lines
    }

    /// What was done, for programs.
    pub(in crate::cli) fn to_json(&self) -> Value {
        let elsewhere = self.remote.as_ref();
        json!({
            "version": 1,
            "from": elsewhere.map(RemoteCache::title),
            "brought": elsewhere.map(|elsewhere| &elsewhere.download_report),
            "restored": self.restore_report,
            "saved": self.save_report.saved.len(),
            "pushed": elsewhere.and_then(|elsewhere| elsewhere.upload_report.as_ref()),
            "troubles": self.remote_warnings(),
        })
    }

    fn remote_warnings(&self) -> Vec<&String> {
        self.remote.iter().flat_map(|elsewhere| &elsewhere.warnings).collect()
    }
}
