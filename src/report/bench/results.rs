//! What the rounds of a bench show, as a document, a table and a page's block.

use serde::Serialize;

use super::plan::{BenchCacheState, BenchPlan};
use super::rounds::BenchSample;
use crate::report::comparison::{format_median, format_seconds};
use crate::report::statistics::{CONFIDENCE_LEVEL, ComparisonVerdict, MedianInterval, TimeRatio};
use crate::report::table::{TextTable, escape_markdown_cell};
use crate::text::pluralize;

/// The version of the document.
pub(crate) const BENCH_VERSION: u32 = 1;

/// Where and with what a bench was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BenchEnvironment {
    /// Operating system and architecture.
    pub machine: String,
    /// CPUs there.
    pub cpus: usize,
    /// Git commit of the project; with `+` where tracked files differ from it.
    pub commit: Option<String>,
    /// Versions of tools.
    pub versions: Vec<(String, String)>,
}

/// A bench that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchReport {
    /// Always [`BENCH_VERSION`].
    pub version: u32,
    /// How sure the intervals are.
    pub confidence: f64,
    /// Where and with what.
    pub facts: BenchEnvironment,
    /// What was measured.
    pub plan: BenchPlan,
    /// A line for each command and state of the caches.
    pub lines: Vec<BenchRow>,
    /// What warm caches save, a line for each command.
    pub savings: Vec<CacheSaving>,
    /// Every measurement that counts.
    pub samples: Vec<BenchSample>,
}

/// One command in one state of the caches; seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchRow {
    /// What it finds.
    pub caches: BenchCacheState,
    /// The command, by its number.
    pub variant: usize,
    /// Wall time.
    pub wall: MedianInterval,
    /// Installs of all sessions added up.
    pub install: Option<MedianInterval>,
    /// Work of all sessions added up.
    pub work: Option<MedianInterval>,
    /// Against the first command, by pairs of a round; none for the first itself.
    pub ratio: Option<TimeRatio>,
    /// What that shows; none for the first itself.
    pub verdict: Option<ComparisonVerdict>,
}

/// What warm caches save one command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheSaving {
    /// The command, by its number.
    pub variant: usize,
    /// Warm against cold.
    pub ratio: Option<TimeRatio>,
    /// What that shows.
    pub verdict: ComparisonVerdict,
}

impl BenchReport {
    /// What the samples of a plan show.
    pub fn from_samples(plan: BenchPlan, facts: BenchEnvironment, samples: Vec<BenchSample>) -> Self {
        let of = |variant: usize, caches: BenchCacheState, figure: fn(&BenchSample) -> Option<f64>| {
            let chosen = samples.iter().filter(|sample| sample.variant == variant && sample.caches == caches);
            let mut rounds: Vec<(usize, f64)> =
                chosen.filter_map(|sample| Some((sample.round, figure(sample)?))).collect();
            rounds.sort_by_key(|(round, _)| *round);
            rounds.into_iter().map(|(_, figure)| figure).collect::<Vec<f64>>()
        };
        let wall = |variant, caches| of(variant, caches, |sample| Some(sample.wall));
        let line = |caches: BenchCacheState, variant: usize| {
            let ratio = TimeRatio::from_pairs(&wall(0, caches), &wall(variant, caches)).filter(|_| variant > 0);
            Some(BenchRow {
                caches,
                variant,
                wall: MedianInterval::from_times(&wall(variant, caches))?,
                install: MedianInterval::from_times(&of(variant, caches, |sample| sample.install)),
                work: MedianInterval::from_times(&of(variant, caches, |sample| sample.work)),
                ratio,
                verdict: (variant > 0).then(|| ComparisonVerdict::from_ratio(ratio)),
            })
        };
        let variants = 0..plan.variants.len();
        let lines = plan.caches.iter().flat_map(|caches| variants.clone().filter_map(|one| line(*caches, one)));
        let lines = lines.collect();
        let saving = |variant| {
            let ratio =
                TimeRatio::from_pairs(&wall(variant, BenchCacheState::Cold), &wall(variant, BenchCacheState::Warm));
            CacheSaving { variant, ratio, verdict: ComparisonVerdict::from_ratio(ratio) }
        };
        let both = plan.caches.len() > 1;
        let savings = variants.filter(|_| both).map(saving).collect();
        Self { version: BENCH_VERSION, confidence: CONFIDENCE_LEVEL, facts, plan, lines, savings, samples }
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
        for line in &self.lines {
            let middle =
                |spread: Option<MedianInterval>| spread.map(|spread| format_seconds(spread.median)).unwrap_or_default();
            table.push_row(vec![
                line.caches.as_str().to_owned(),
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

    /// What warm caches save, in sentences.
    fn saving_sentences(&self) -> Vec<String> {
        let sentence = |saving: &CacheSaving| {
            let name = &self.plan.variants[saving.variant].name;
            let ratio = saving.ratio.map(|ratio| format!(": {}", ratio.to_text())).unwrap_or_default();
            let told = match saving.verdict {
                ComparisonVerdict::Faster => "warm caches make it faster",
                ComparisonVerdict::Slower => "warm caches cost more than they save",
                ComparisonVerdict::NoDifferenceShown => "no difference shown between cold and warm caches",
                ComparisonVerdict::TooFew => "too few rounds to tell what warm caches save",
            };
            format!("{name}: {told}{ratio}")
        };
        self.savings.iter().map(sentence).collect()
    }

    /// Where and how, in a sentence.
    fn environment_sentence(&self) -> String {
        let facts = &self.facts;
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

    /// For a terminal.
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

    /// For a document.
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
