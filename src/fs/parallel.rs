//! Work on many items by as many threads as there are processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads work at once: one a processor, at most eight, since disks gain nothing from more.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// Does `work` on every item, in no order; the results stand in the order of the items.
///
/// Threads help each other file by file, so items should be of moderate size.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads().min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let turn = || {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { break };
            own.push((number, work(item)));
        }
        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(own);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(turn);
        }
        turn();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// By how much the priority of work is lowered that others should not notice: it gets what they leave, and a tenth of a
/// processor where they leave nothing.
const BEHIND: i32 = 10;

/// Does `work`, and what it has threads do, behind all else on this machine; waits for it.
pub fn in_background<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let steps_back = || {
        step_back();
        work()
    };
    // A thread of its own: none may raise its priority again.
    std::thread::scope(|scope| match scope.spawn(steps_back).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Linux has a priority for each thread, and whom a thread begins gets its own; elsewhere it is the whole process'.
#[cfg(all(target_os = "linux", not(noxide_portable)))]
fn step_back() {
    // Where it is refused, the work is done in front.
    let _ = rustix::process::setpriority_process(None, BEHIND);
}

#[cfg(not(all(target_os = "linux", not(noxide_portable))))]
fn step_back() {
    let _ = BEHIND;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_order() {
        let items: Vec<usize> = (0..1_000).collect();
        assert_eq!(in_parallel(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(&[1], |item| item + 1), [2]);
        assert!(in_parallel(&[], |item: &u8| *item).is_empty());
    }

    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    #[test]
    fn what_is_done_in_the_background_steps_back_and_nobody_else_does() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let behind = in_background(|| in_parallel(&[1, 2], |_| priority()));
        assert_eq!(behind, vec![(before + BEHIND).min(19); 2]);
        assert_eq!(priority(), before);
        let panicked = std::panic::catch_unwind(|| in_background(|| panic!("of itself")));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"of itself"), "a panic is its caller's");
    }
}
