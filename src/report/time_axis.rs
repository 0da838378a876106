//! Time axis of the HTML page: positions as percentages, and ticks at round times.

use serde::Serialize;

use super::run_report::RunReport;
use crate::text::format_duration;

/// Maximum number of ticks.
const MAX_TICKS: u64 = 8;

/// A tick on the axis.
#[derive(Serialize)]
pub(super) struct AxisTick {
    left: String,
    text: String,
}

pub(super) struct TimeAxis {
    /// End of the axis, in milliseconds since the run's start.
    pub(super) end_ms: u64,
}

impl TimeAxis {
    /// Creates the axis of a run.
    pub(super) fn for_report(report: &RunReport) -> Self {
        let last = report.sessions.iter().filter_map(|session| session.end).max().unwrap_or(0);
        Self { end_ms: report.run.wall.max(last).max(1) }
    }

    /// Formats a time as a percentage of the axis.
    pub(super) fn format_percent(&self, ms: u64) -> String {
        let text = format!("{:.2}", ms as f64 * 100.0 / self.end_ms as f64);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Returns the ticks at round times.
    pub(super) fn build_ticks(&self) -> Vec<AxisTick> {
        let steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000];
        let longer_steps =
            [120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000];
        let step =
            steps.into_iter().chain(longer_steps).find(|step| self.end_ms / step < MAX_TICKS).unwrap_or(self.end_ms);
        let text = |ms: u64| match ms {
            0 => "0".to_owned(),
            _ if step < 1_000 => format!("{}s", ms as f64 / 1_000.0),
            _ if ms < 60_000 => format!("{}s", ms / 1_000),
            _ if ms.is_multiple_of(60_000) && ms < 3_600_000 => format!("{}m", ms / 60_000),
            _ => format_duration(ms),
        };
        // A tick at the very end would be cut off.
        let times = (0..=self.end_ms / step).map(|number| number * step).filter(|ms| ms * 100 <= self.end_ms * 97);
        times.map(|ms| AxisTick { left: self.format_percent(ms), text: text(ms) }).collect()
    }
}
