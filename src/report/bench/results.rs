//! Results of a benchmark, as a document, a table and a Markdown block.

use clap::ValueEnum;
use serde::Serialize;

use super::plan::{BenchCacheState, BenchPlan};
use super::rounds::BenchSample;
use crate::report::comparison::{format_median, format_seconds};
use crate::report::statistics::{CONFIDENCE_LEVEL, ComparisonVerdict, MedianInterval, TimeRatio};
use crate::report::table::{TextTable, escape_markdown_cell};
use crate::text::pluralize;

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
    /// Always [`BENCH_VERSION`].
    pub version: u32,
    /// Confidence level of the intervals.
    pub confidence: f64,
    /// Environment of the benchmark.
    pub environment: BenchEnvironment,
    /// The executed plan.
    pub plan: BenchPlan,
    /// One row per command and cache state.
    pub rows: Vec<BenchRow>,
    /// One row per command: what warm caches save.
    pub cache_savings: Vec<CacheSaving>,
    /// All measured samples.
    pub samples: Vec<BenchSample>,
}

/// One command in one cache state; times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchRow {
    /// State of the caches.
    pub cache_state: BenchCacheState,
    /// Index of the command.
    pub variant: usize,
    /// Wall time.
    pub wall: MedianInterval,
    /// Install time, summed over all sessions.
    pub install: Option<MedianInterval>,
    /// Work time, summed over all sessions.
    pub work: Option<MedianInterval>,
    /// Ratio to the baseline, paired by round; `None` for the baseline.
    pub ratio: Option<TimeRatio>,
    /// Verdict on that ratio; `None` for the baseline.
    pub verdict: Option<ComparisonVerdict>,
}

/// Time that warm caches save for one command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheSaving {
    /// Index of the command.
    pub variant: usize,
    /// Warm divided by cold.
    pub ratio: Option<TimeRatio>,
    /// Verdict on that ratio.
    pub verdict: ComparisonVerdict,
}

impl BenchReport {
    /// Computes the results from samples.
    pub fn from_samples(plan: BenchPlan, facts: BenchEnvironment, samples: Vec<BenchSample>) -> Self {
        let of = |variant: usize, caches: BenchCacheState, figure: fn(&BenchSample) -> Option<f64>| {
            let chosen = samples.iter().filter(|sample| sample.variant == variant && sample.cache_state == caches);
            let mut rounds: Vec<(usize, f64)> =
                chosen.filter_map(|sample| Some((sample.round, figure(sample)?))).collect();
            rounds.sort_by_key(|(round, _)| *round);
            rounds.into_iter().map(|(_, figure)| figure).collect::<Vec<f64>>()
        };
        let wall = |variant, caches| of(variant, caches, |sample| Some(sample.wall));
        let line = |caches: BenchCacheState, variant: usize| {
            let ratio = TimeRatio::from_pairs(&wall(0, caches), &wall(variant, caches)).filter(|_| variant > 0);
            Some(BenchRow {
                cache_state: caches,
                variant,
                wall: MedianInterval::from_times(&wall(variant, caches))?,
                install: MedianInterval::from_times(&of(variant, caches, |sample| sample.install)),
                work: MedianInterval::from_times(&of(variant, caches, |sample| sample.work)),
                ratio,
                verdict: (variant > 0).then(|| ComparisonVerdict::from_ratio(ratio)),
            })
        };
        let variants = 0..plan.variants.len();
        let lines = plan.cache_states.iter().flat_map(|caches| variants.clone().filter_map(|one| line(*caches, one)));
        let lines = lines.collect();
        let saving = |variant| {
            let ratio =
                TimeRatio::from_pairs(&wall(variant, BenchCacheState::Cold), &wall(variant, BenchCacheState::Warm));
            CacheSaving { variant, ratio, verdict: ComparisonVerdict::from_ratio(ratio) }
        };
        let both = plan.cache_states.len() > 1;
        let savings = variants.filter(|_| both).map(saving).collect();
        Self {
            version: BENCH_VERSION,
            confidence: CONFIDENCE_LEVEL,
            environment: facts,
            plan,
            rows: lines,
            cache_savings: savings,
            samples,
        }
    }

    fn build_table(&self) -> TextTable {
        let mut table = TextTable::new(&[
            ("caches", false),
            ("command", false),
            ("wall time", true),
            ("against the first", true),
            ("", false),
            ("installs", true),
            ("work", true),
        ]);
        for line in &self.rows {
            let middle =
                |spread: Option<MedianInterval>| spread.map(|spread| format_seconds(spread.median)).unwrap_or_default();
            table.push_row(vec![
                line.cache_state.as_str().to_owned(),
                self.plan.variants[line.variant].name.clone(),
                format_median(line.wall),
                line.ratio.map(TimeRatio::to_text).unwrap_or_default(),
                line.verdict.map(ComparisonVerdict::label).unwrap_or_default().to_owned(),
                middle(line.install),
                middle(line.work),
            ]);
        }
        table
    }

    /// Returns sentences about the time that warm caches save.
    fn saving_sentences(&self) -> Vec<String> {
        let sentence = |saving: &CacheSaving| {
            let name = &self.plan.variants[saving.variant].name;
            let ratio = saving.ratio.map(|ratio| format!(": {}", ratio.to_text())).unwrap_or_default();
            let told = match saving.verdict {
                ComparisonVerdict::Faster => "warm caches make it faster",
                ComparisonVerdict::Slower => "warm caches cost more than they save",
                ComparisonVerdict::NoDifferenceShown => "no difference shown between cold and warm caches",
                ComparisonVerdict::TooFew => "too few rounds to compare cold and warm caches",
            };
            format!("{name}: {told}{ratio}")
        };
        self.cache_savings.iter().map(sentence).collect()
    }

    /// Returns a sentence about the environment.
    fn environment_sentence(&self) -> String {
        let facts = &self.environment;
        let rounds = pluralize(self.plan.rounds, "round");
        let mut parts = vec![format!("{rounds}, interleaved"), format!("{} CPUs, {}", facts.cpus, facts.machine)];
        parts.extend(facts.versions.iter().map(|(tool, version)| format!("{tool} {version}")));
        parts.extend(facts.commit.as_ref().map(|commit| format!("commit {commit}")));
        format!("{}.", parts.join("; "))
    }

    fn footnote_sentence(&self) -> String {
        format!(
            "Medians with intervals of {:.0} %. Installs and work are those of all sessions added up; where nothing \
             stands they could not be told apart.",
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
        let saved: String = self.saving_sentences().iter().map(|line| format!("{line}\n")).collect();
        let gap = if saved.is_empty() { "" } else { "\n" };
        format!(
            "{}\n{saved}{gap}{}\n{}\n",
            self.build_table().to_text(),
            self.environment_sentence(),
            self.footnote_sentence()
        )
    }

    /// Renders the results as Markdown.
    pub fn to_markdown(&self) -> String {
        let saved: String =
            self.saving_sentences().iter().map(|line| format!("- {}\n", escape_markdown_cell(line))).collect();
        let gap = if saved.is_empty() { "" } else { "\n" };
        format!(
            "{}\n{saved}{gap}{} {}\n",
            self.build_table().to_markdown(),
            escape_markdown_cell(&self.environment_sentence()),
            self.footnote_sentence()
        )
    }
}
