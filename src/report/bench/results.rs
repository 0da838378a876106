//! Results of a benchmark, as a document, a table and a Markdown block.

use clap::ValueEnum;
use serde::Serialize;

use super::plan::{BenchCacheState, BenchPlan};
use super::rounds::BenchSample;
use crate::report::comparison::{format_median, format_seconds};
use crate::report::statistics::{CONFIDENCE_LEVEL, ComparisonVerdict, MedianInterval, TimeRatio};
use crate::report::table::TextTable;
use crate::text::{escape_markdown_cell, pluralize};

/// Format version of the document.
pub(crate) const BENCH_VERSION: u32 = 2;

/// Format of a benchmark.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BenchFormat {
    /// Text for people.
    #[default]
    Text,
    /// A table for a document.
    #[value(alias = "md")]
    Markdown,
    /// One JSON document with a `version` key.
    Json,
}

/// Environment of a benchmark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BenchEnvironment {
    /// Operating system and architecture.
    pub machine: String,
    /// Number of CPUs.
    pub cpus: usize,
    /// Git commit of the project, followed by `+` if tracked files differ from it.
    pub commit: Option<String>,
    /// Versions of tools.
    pub versions: Vec<(String, String)>,
}

/// Results of a finished benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchReport {
    /// Always `BENCH_VERSION`.
    pub version: u32,
    /// Confidence level of the intervals.
    pub confidence: f64,
    /// Environment of the benchmark.
    pub environment: BenchEnvironment,
    /// The executed plan.
    pub plan: BenchPlan,
    /// One row per command and cache state.
    pub rows: Vec<BenchRow>,
    /// One entry per command: the time that warm caches save.
    pub cache_savings: Vec<CacheSaving>,
    /// All measured samples.
    pub samples: Vec<BenchSample>,
}

/// One command in one cache state; times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchRow {
    /// State of the caches.
    pub cache_state: BenchCacheState,
    /// Index of the command in [`BenchPlan::variants`]; 0 is the baseline.
    pub variant: usize,
    /// Wall time.
    pub wall: MedianInterval,
    /// Install time, summed over all sessions.
    pub install: Option<MedianInterval>,
    /// Work time, summed over all sessions.
    pub work: Option<MedianInterval>,
    /// Ratio to the baseline, paired by round; `None` for the baseline, which is the first command.
    pub ratio: Option<TimeRatio>,
    /// Verdict on that ratio; `None` for the baseline, which is the first command.
    pub verdict: Option<ComparisonVerdict>,
}

/// Time that warm caches save for one command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheSaving {
    /// Index of the command in [`BenchPlan::variants`]; 0 is the baseline.
    pub variant: usize,
    /// Warm divided by cold.
    pub ratio: Option<TimeRatio>,
    /// Verdict on that ratio.
    pub verdict: ComparisonVerdict,
}

impl BenchReport {
    /// Computes the results from samples.
    pub fn from_samples(plan: BenchPlan, environment: BenchEnvironment, samples: Vec<BenchSample>) -> Self {
        let times = |variant: usize, caches: BenchCacheState, figure: fn(&BenchSample) -> Option<f64>| {
            let selected = samples.iter().filter(|sample| sample.variant == variant && sample.cache_state == caches);
            let mut rounds: Vec<(usize, f64)> =
                selected.filter_map(|sample| Some((sample.round, figure(sample)?))).collect();
            rounds.sort_by_key(|(round, _)| *round);
            rounds.into_iter().map(|(_, figure)| figure).collect::<Vec<f64>>()
        };
        let wall = |variant, caches| times(variant, caches, |sample| Some(sample.wall));
        let row = |caches: BenchCacheState, variant: usize| {
            let ratio = TimeRatio::from_pairs(&wall(0, caches), &wall(variant, caches)).filter(|_| variant > 0);
            Some(BenchRow {
                cache_state: caches,
                variant,
                wall: MedianInterval::from_times(&wall(variant, caches))?,
                install: MedianInterval::from_times(&times(variant, caches, |sample| sample.install)),
                work: MedianInterval::from_times(&times(variant, caches, |sample| sample.work)),
                ratio,
                verdict: (variant > 0).then(|| ComparisonVerdict::from_ratio(ratio)),
            })
        };
        let variants = 0..plan.variants.len();
        let rows =
            plan.cache_states.iter().flat_map(|caches| variants.clone().filter_map(|variant| row(*caches, variant)));
        let rows = rows.collect();
        let saving = |variant| {
            let ratio =
                TimeRatio::from_pairs(&wall(variant, BenchCacheState::Cold), &wall(variant, BenchCacheState::Warm));
            CacheSaving { variant, ratio, verdict: ComparisonVerdict::from_ratio(ratio) }
        };
        let has_both_states = plan.cache_states.len() > 1;
        let savings = variants.filter(|_| has_both_states).map(saving).collect();
        Self {
            version: BENCH_VERSION,
            confidence: CONFIDENCE_LEVEL,
            environment,
            plan,
            rows,
            cache_savings: savings,
            samples,
        }
    }

    fn build_table(&self) -> TextTable {
        let mut table = TextTable::new(&[
            ("caches", false),
            ("command", false),
            ("wall time", true),
            ("vs first", true),
            ("", false),
            ("installs", true),
            ("work", true),
        ]);
        for row in &self.rows {
            let median = |interval: Option<MedianInterval>| {
                interval.map(|interval| format_seconds(interval.median)).unwrap_or_default()
            };
            table.push_row(vec![
                row.cache_state.as_str().to_owned(),
                self.plan.variants[row.variant].name.clone(),
                format_median(row.wall),
                row.ratio.map(TimeRatio::to_text).unwrap_or_default(),
                row.verdict.map(ComparisonVerdict::label).unwrap_or_default().to_owned(),
                median(row.install),
                median(row.work),
            ]);
        }
        table
    }

    /// Returns sentences about the time that warm caches save.
    fn saving_sentences(&self) -> Vec<String> {
        let sentence = |saving: &CacheSaving| {
            let name = &self.plan.variants[saving.variant].name;
            let ratio = saving.ratio.map(|ratio| format!(": {}", ratio.to_text())).unwrap_or_default();
            let verdict = match saving.verdict {
                ComparisonVerdict::Faster => "warm caches make it faster",
                ComparisonVerdict::Slower => "warm caches cost more than they save",
                ComparisonVerdict::NoDifferenceShown => "no difference shown between cold and warm caches",
                ComparisonVerdict::TooFew => "too few rounds to compare cold and warm caches",
            };
            format!("{name}: {verdict}{ratio}")
        };
        self.cache_savings.iter().map(sentence).collect()
    }

    /// Returns a sentence about the environment.
    fn environment_sentence(&self) -> String {
        let environment = &self.environment;
        let rounds = pluralize(self.plan.rounds, "round");
        let mut parts =
            vec![format!("{rounds}, interleaved"), format!("{} CPUs, {}", environment.cpus, environment.machine)];
        parts.extend(environment.versions.iter().map(|(tool, version)| format!("{tool} {version}")));
        parts.extend(environment.commit.as_ref().map(|commit| format!("commit {commit}")));
        format!("{}.", parts.join("; "))
    }

    fn footnote_sentence(&self) -> String {
        format!(
            "Medians with intervals of {:.0} %. Installs and work are sums over all sessions; an empty cell means \
             that they could not be measured separately.",
            CONFIDENCE_LEVEL * 100.0
        )
    }

    /// Renders the results in a format.
    pub(crate) fn render(&self, format: BenchFormat) -> String {
        match format {
            BenchFormat::Text => self.to_text(),
            BenchFormat::Markdown => self.to_markdown(),
            BenchFormat::Json => format!("{:#}\n", serde_json::to_value(self).unwrap_or_default()),
        }
    }

    /// Renders the results for a terminal.
    pub fn to_text(&self) -> String {
        let savings: String = self.saving_sentences().iter().map(|line| format!("{line}\n")).collect();
        let gap = if savings.is_empty() { "" } else { "\n" };
        format!(
            "{}\n{savings}{gap}{}\n{}\n",
            self.build_table().to_text(),
            self.environment_sentence(),
            self.footnote_sentence()
        )
    }

    /// Renders the results as Markdown.
    pub fn to_markdown(&self) -> String {
        let savings: String =
            self.saving_sentences().iter().map(|line| format!("- {}\n", escape_markdown_cell(line))).collect();
        let gap = if savings.is_empty() { "" } else { "\n" };
        format!(
            "{}\n{savings}{gap}{} {}\n",
            self.build_table().to_markdown(),
            escape_markdown_cell(&self.environment_sentence()),
            self.footnote_sentence()
        )
    }
}
