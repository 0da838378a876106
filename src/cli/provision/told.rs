//! What the stores did for a run, as people and programs are told.

use serde_json::{Value, json};

use super::elsewhere::Elsewhere;
use super::provide::Provision;
use crate::output::size;

/// How many entries that are no packages; nothing where there are none.
fn others(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more of bytecode, environments and folders") }
}

impl Provision {
    /// What was done, a line each.
    pub(in crate::cli) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(elsewhere) = &self.elsewhere {
            let brought = &elsewhere.brought;
            lines.push(format!(
                "brought {} of {} packages{}, {} in {:.1} s, from {}",
                brought.entries.len(),
                elsewhere.len(),
                others(brought.others),
                size(brought.bytes),
                brought.seconds,
                elsewhere.title(),
            ));
        }
        let (new, here) = (self.restored.restored.len(), self.restored.here.len());
        lines.push(format!("put {new} packages into uv's cache, {here} were there"));
        let pushed = self.elsewhere.as_ref().and_then(|elsewhere| elsewhere.pushed.as_ref());
        match pushed {
            Some(report) if report.bytes > 0 => {
                let why =
                    report.rewrite.as_ref().map(|why| format!(" (packs written anew: {why})")).unwrap_or_default();
                let (count, bytes) = (report.entries.len(), size(report.bytes));
                let others = others(report.others);
                lines.push(format!("sent {count} packages{others}, {bytes} in {:.1} s{why}", report.seconds));
            }
            Some(_) => lines.push("sent nothing: nothing is new".to_owned()),
            None if !self.saved.saved.is_empty() => {
                lines.push(format!("kept {} new packages here", self.saved.saved.len()));
            }
            None => {}
        }
        lines.extend(self.all_troubles().into_iter().map(|trouble| format!("warning: {trouble}")));
        lines
    }

    /// What was done, for programs.
    pub(in crate::cli) fn document(&self) -> Value {
        let elsewhere = self.elsewhere.as_ref();
        json!({
            "version": 1,
            "from": elsewhere.map(Elsewhere::title),
            "brought": elsewhere.map(|elsewhere| &elsewhere.brought),
            "restored": self.restored,
            "saved": self.saved.saved.len(),
            "pushed": elsewhere.and_then(|elsewhere| elsewhere.pushed.as_ref()),
            "troubles": self.all_troubles(),
        })
    }

    fn all_troubles(&self) -> Vec<&String> {
        self.elsewhere.iter().flat_map(|elsewhere| &elsewhere.troubles).collect()
    }
}
