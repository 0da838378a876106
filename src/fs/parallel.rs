//! A parallel map over a slice, with up to eight threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns the number of threads: one for each CPU, at most eight, because disks gain nothing from more.
pub(crate) fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// Applies `work` to every item, in any order, and returns the results in the order of the items.
///
/// A thread takes the next item when it is free, so put the longest items first.
pub(crate) fn parallel_map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = worker_count().min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let collected: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let run_worker = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            results.push((index, work(item)));
        }
        collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(results);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run_worker);
        }
        run_worker();
    });
    let mut collected = collected.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    collected.sort_unstable_by_key(|(index, _)| *index);
    collected.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1_000).collect();
        assert_eq!(parallel_map(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(parallel_map(&[1], |item| item + 1), [2]);
        assert!(parallel_map(&[], |item: &u8| *item).is_empty());
    }
}
