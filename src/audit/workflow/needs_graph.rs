//! The jobs of a workflow by name, and which of them need which, directly or through others.

use std::collections::HashMap;

use super::job::WorkflowJob;

/// Jobs that need each other, as one bit for each pair of jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct NeedsGraph {
    /// Index of each job; of several with one name, the first.
    positions: HashMap<String, usize>,
    /// For each job the set of the jobs that it needs, directly or through others.
    needed: Vec<JobSet>,
}

/// A set of job indexes.
#[derive(Clone, Debug, Default)]
struct JobSet {
    words: Vec<u64>,
}

impl NeedsGraph {
    /// Computes the graph once for a workflow; its memory grows with the square of the number of jobs.
    pub(super) fn new(jobs: &[WorkflowJob]) -> Self {
        let mut positions = HashMap::new();
        for (position, job) in jobs.iter().enumerate() {
            positions.entry(job.id.value.clone()).or_insert(position);
        }
        let mut needed: Vec<JobSet> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut set = JobSet { words: vec![0; jobs.len().div_ceil(64)] };
            job.needs.iter().filter_map(|need| positions.get(&need.value)).for_each(|need| set.insert(*need));
            needed.push(set);
        }
        for through in 0..jobs.len() {
            let set = needed[through].clone();
            for job in needed.iter_mut().filter(|job| job.contains(through)) {
                job.add_all(&set);
            }
        }
        Self { positions, needed }
    }

    /// Returns the index of a job.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// Returns whether a job needs another one, directly or through others; itself, if `needs` form a cycle.
    pub(crate) fn needs(&self, job: &str, other: &str) -> bool {
        let (Some(job), Some(other)) = (self.position(job), self.position(other)) else { return false };
        self.needed.get(job).is_some_and(|needed| needed.contains(other))
    }

    /// Returns the indexes of the jobs that need a job, directly or through others.
    pub(crate) fn dependents(&self, job: &str) -> impl Iterator<Item = usize> {
        let position = self.position(job);
        let needs_job = move |set: &JobSet| position.is_some_and(|position| set.contains(position));
        self.needed.iter().enumerate().filter(move |(_, needed)| needs_job(needed)).map(|(dependent, _)| dependent)
    }
}

impl JobSet {
    fn insert(&mut self, job: usize) {
        if let Some(word) = self.words.get_mut(job / 64) {
            *word |= 1 << (job % 64);
        }
    }

    fn contains(&self, job: usize) -> bool {
        self.words.get(job / 64).is_some_and(|word| word >> (job % 64) & 1 == 1)
    }

    fn add_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::forge::Forge;
    use super::super::super::source::SourceFile;
    use super::super::{Workflow, WorkflowFileKind};

    fn graph(jobs: &str) -> Workflow {
        let text = format!("on: push\njobs:\n{jobs}");
        Workflow::parse(SourceFile::new("ci.yml", text), WorkflowFileKind::Workflow, Forge::Github).unwrap()
    }

    #[test]
    fn needs_are_followed_through_other_jobs_and_cycles() {
        let workflow =
            graph("  a: {}\n  b: {needs: a}\n  c: {needs: [b, unknown]}\n  d: {needs: e}\n  e: {needs: d}\n");
        let needs = |job: &str, other: &str| workflow.needs_graph.needs(job, other);
        assert!(needs("b", "a") && needs("c", "a") && needs("c", "b") && needs("d", "d") && needs("e", "e"));
        assert!(!needs("a", "b") && !needs("a", "a") && !needs("c", "unknown") && !needs("unknown", "a"));
        assert_eq!(workflow.needs_graph.dependents("a").collect::<Vec<_>>(), [1, 2]);
        assert_eq!(workflow.needs_graph.dependents("unknown").count(), 0);
    }

    #[test]
    fn a_job_may_need_all_jobs_before_it() {
        let job = |number: usize| {
            let needs: Vec<String> = (0..number).map(|need| format!("j{need}")).collect();
            format!("  j{number}: {{needs: [{}]}}\n", needs.join(", "))
        };
        let workflow = graph(&(0..200).map(job).collect::<String>());
        assert!(workflow.needs_graph.needs("j199", "j0") && !workflow.needs_graph.needs("j0", "j199"));
        assert_eq!(workflow.needs_graph.dependents("j100").count(), 99);
    }
}
