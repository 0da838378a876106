//! Critical path of a workflow: the chain of `needs` that ends last, where durations are known; else its longest chain.

use std::collections::{BTreeSet, HashMap};

use super::table::JobRow;

/// Chains of `needs` of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NeedsChains {
    /// The chain that ends last; empty if the durations of its jobs are not all known.
    pub(super) critical_path: Vec<String>,
    /// Its duration in milliseconds.
    pub(super) duration_ms: Option<u64>,
    /// The chain of most jobs, if it has two or more and no other chain is as long.
    pub(super) longest_chain: Vec<String>,
}

/// Finds the chains of a workflow.
pub(super) fn find_chains(jobs: &[JobRow]) -> NeedsChains {
    let is_measured = jobs.iter().any(|job| !job.sessions.is_empty()) && jobs.iter().all(|job| duration(job).is_some());
    let names = |path: &[usize]| path.iter().map(|job| jobs[*job].job.clone()).collect::<Vec<_>>();
    if is_measured || jobs.len() == 1 {
        let ends = chain_ends(jobs, |job| duration(job).unwrap_or_default());
        let last = ends.iter().rev().max_by_key(|(time, path)| (*time, path.len()));
        let (time, path) = last.cloned().unwrap_or_default();
        return NeedsChains {
            critical_path: names(&path),
            duration_ms: is_measured.then_some(time),
            longest_chain: Vec::new(),
        };
    }
    let ends = chain_ends(jobs, |_| 1);
    let longest = ends.iter().map(|(_, path)| path.len()).max().unwrap_or_default();
    let mut chains = ends.iter().filter(|(_, path)| path.len() == longest);
    // Of a job that needs two chains of equal length, neither is the longest.
    let needed = needed_jobs(jobs);
    let has_equals = |path: &[usize]| {
        path.windows(2).any(|pair| {
            let others = needed[pair[1]].iter().filter(|need| **need != pair[0]);
            others.map(|need| ends[*need].1.len()).any(|length| length == ends[pair[0]].1.len())
        })
    };
    let longest_chain = match (chains.next(), chains.next()) {
        (Some((_, path)), None) if longest > 1 && !has_equals(path) => names(path),
        _ => Vec::new(),
    };
    NeedsChains { longest_chain, ..NeedsChains::default() }
}

/// Returns the duration of a job's sessions; `None` if it may do more than the files show.
fn duration(job: &JobRow) -> Option<u64> {
    let is_hidden = job.calls.is_some() || job.hidden.iter().any(|hidden| hidden.hides_sessions);
    match (is_hidden, job.sessions.is_empty(), job.duration_ms) {
        (true, ..) => None,
        (false, true, _) => Some(0),
        (false, false, known) => known,
    }
}

/// Returns for each job the chain that ends with it and takes longest, with its weight.
fn chain_ends(jobs: &[JobRow], weight: impl Fn(&JobRow) -> u64) -> Vec<(u64, Vec<usize>)> {
    let needed = needed_jobs(jobs);
    let mut pending: Vec<usize> = (0..jobs.len()).collect();
    let mut finished: Vec<Option<(u64, Vec<usize>)>> = vec![None; jobs.len()];
    // If `needs` form a cycle, no pending job is ready: the first one is processed without its needs.
    while let Some(index) = pending
        .iter()
        .position(|job| needed[*job].iter().all(|need| finished[*need].is_some()))
        .or(Some(0).filter(|_| !pending.is_empty()))
    {
        let job = pending.remove(index);
        let ends: Vec<(u64, Vec<usize>)> = needed[job].iter().filter_map(|need| finished[*need].clone()).collect();
        let longest = ends.into_iter().rev().max_by_key(|(time, path)| (*time, path.len()));
        let (time, mut path) = longest.unwrap_or_default();
        path.push(job);
        finished[job] = Some((time + weight(&jobs[job]), path));
    }
    finished.into_iter().map(Option::unwrap_or_default).collect()
}

/// Returns for each job the indexes of the jobs that it needs, in the order of the file; names of unknown jobs are ignored.
fn needed_jobs(jobs: &[JobRow]) -> Vec<BTreeSet<usize>> {
    let positions: HashMap<&str, usize> =
        jobs.iter().enumerate().map(|(index, row)| (row.job.as_str(), index)).collect();
    let needed = |(index, row): (usize, &JobRow)| {
        let needs = row.needs.iter().filter_map(|need| positions.get(need.as_str()).copied());
        needs.filter(|need| *need != index).collect()
    };
    jobs.iter().enumerate().map(needed).collect()
}
