//! What the rounds of a bench show, as a document, a table and a page's block.

use serde::Serialize;

use super::plan::{BenchPlan, Caches};
use super::rounds::Sample;
use crate::report::compare::{median_words, seconds};
use crate::report::statistics::{CONFIDENCE, Ratio, Spread, Verdict};
use crate::report::table::{Table, cell};

/// The version of the document.
pub const BENCH_VERSION: u32 = 1;

/// Where and with what a bench was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
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
pub struct Bench {
    /// Always [`BENCH_VERSION`].
    pub version: u32,
    /// How sure the intervals are.
    pub confidence: f64,
    /// Where and with what.
    pub facts: Facts,
    /// What was measured.
    pub plan: BenchPlan,
    /// A line for each command and state of the caches.
    pub lines: Vec<Line>,
    /// What warm caches save, a line for each command.
    pub savings: Vec<Saving>,
    /// Every measurement that counts.
    pub samples: Vec<Sample>,
}

/// One command in one state of the caches; seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What it finds.
    pub caches: Caches,
    /// The command, by its number.
    pub variant: usize,
    /// Wall time.
    pub wall: Spread,
    /// Installs of all sessions added up.
    pub install: Option<Spread>,
    /// Work of all sessions added up.
    pub work: Option<Spread>,
    /// Against the first command, by pairs of a round; none for the first itself.
    pub ratio: Option<Ratio>,
    /// What that shows; none for the first itself.
    pub verdict: Option<Verdict>,
}

/// What warm caches save one command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Saving {
    /// The command, by its number.
    pub variant: usize,
    /// Warm against cold.
    pub ratio: Option<Ratio>,
    /// What that shows.
    pub verdict: Verdict,
}

impl Bench {
    /// What the samples of a plan show.
    pub fn new(plan: BenchPlan, facts: Facts, samples: Vec<Sample>) -> Self {
        let of = |variant: usize, caches: Caches, figure: fn(&Sample) -> Option<f64>| {
            let chosen = samples.iter().filter(|sample| sample.variant == variant && sample.caches == caches);
            let mut rounds: Vec<(usize, f64)> =
                chosen.filter_map(|sample| Some((sample.round, figure(sample)?))).collect();
            rounds.sort_by_key(|(round, _)| *round);
            rounds.into_iter().map(|(_, figure)| figure).collect::<Vec<f64>>()
        };
        let wall = |variant, caches| of(variant, caches, |sample| Some(sample.wall));
        let line = |caches: Caches, variant: usize| {
            let ratio = Ratio::paired(&wall(0, caches), &wall(variant, caches)).filter(|_| variant > 0);
            Some(Line {
                caches,
                variant,
                wall: Spread::of(&wall(variant, caches))?,
                install: Spread::of(&of(variant, caches, |sample| sample.install)),
                work: Spread::of(&of(variant, caches, |sample| sample.work)),
                ratio,
                verdict: (variant > 0).then(|| Verdict::of(ratio)),
            })
        };
        let variants = 0..plan.variants.len();
        let lines = plan.caches.iter().flat_map(|caches| variants.clone().filter_map(|one| line(*caches, one)));
        let lines = lines.collect();
        let saving = |variant| {
            let ratio = Ratio::paired(&wall(variant, Caches::Cold), &wall(variant, Caches::Warm));
            Saving { variant, ratio, verdict: Verdict::of(ratio) }
        };
        let both = plan.caches.len() > 1;
        let savings = variants.filter(|_| both).map(saving).collect();
        Self { version: BENCH_VERSION, confidence: CONFIDENCE, facts, plan, lines, savings, samples }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            ("caches", false),
            ("command", false),
            ("wall time", true),
            ("against the first", true),
            ("", false),
            ("installs", true),
            ("work", true),
        ]);
        for line in &self.lines {
            let middle = |spread: Option<Spread>| spread.map(|spread| seconds(spread.median)).unwrap_or_default();
            table.row(vec![
                line.caches.word().to_owned(),
                self.plan.variants[line.variant].name.clone(),
                median_words(line.wall),
                line.ratio.map(Ratio::words).unwrap_or_default(),
                line.verdict.map(Verdict::words).unwrap_or_default().to_owned(),
                middle(line.install),
                middle(line.work),
            ]);
        }
        table
    }

    /// What warm caches save, in sentences.
    fn saved(&self) -> Vec<String> {
        let sentence = |saving: &Saving| {
            let name = &self.plan.variants[saving.variant].name;
            let ratio = saving.ratio.map(|ratio| format!(": {}", ratio.words())).unwrap_or_default();
            let told = match saving.verdict {
                Verdict::Faster => "warm caches make it faster",
                Verdict::Slower => "warm caches cost more than they save",
                Verdict::NoDifferenceShown => "no difference shown between cold and warm caches",
                Verdict::TooFew => "too few rounds to tell what warm caches save",
            };
            format!("{name}: {told}{ratio}")
        };
        self.savings.iter().map(sentence).collect()
    }

    /// Where and how, in a sentence.
    fn made(&self) -> String {
        let facts = &self.facts;
        let rounds = if self.plan.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", self.plan.rounds) };
        let mut parts = vec![format!("{rounds}, interleaved"), format!("{} CPUs, {}", facts.cpus, facts.machine)];
        parts.extend(facts.versions.iter().map(|(tool, version)| format!("{tool} {version}")));
        parts.extend(facts.commit.as_ref().map(|commit| format!("commit {commit}")));
        format!("{}.", parts.join("; "))
    }

    fn notes(&self) -> String {
        format!(
            "Medians with intervals of {:.0} %. Installs and work are those of all sessions added up; where nothing \
             stands they could not be told apart.",
            CONFIDENCE * 100.0
        )
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let saved: String = self.saved().iter().map(|line| format!("{line}\n")).collect();
        let gap = if saved.is_empty() { "" } else { "\n" };
        format!("{}\n{saved}{gap}{}\n{}\n", self.table().text(), self.made(), self.notes())
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        let saved: String = self.saved().iter().map(|line| format!("- {}\n", cell(line))).collect();
        let gap = if saved.is_empty() { "" } else { "\n" };
        format!("{}\n{saved}{gap}{} {}\n", self.table().markdown(), cell(&self.made()), self.notes())
    }
}
