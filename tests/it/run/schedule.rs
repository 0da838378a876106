//! Properties of the scheduler over random graphs, weights, locks and failures.

use std::collections::BTreeSet;

use noxide::record::Outcome;
use noxide::run::{NeedCondition, PlanIndex, Scheduler, SchedulerTask, SessionStart};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    work: Vec<SchedulerTask>,
    outcomes: Vec<Outcome>,
    slots: usize,
    memory: u64,
    /// The running session that ends next: a number, modulo the count of running sessions.
    order: Vec<usize>,
    /// After this many ends, this session is postponed, as if another had notified it.
    postpone: Option<(usize, usize)>,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![4 => Just(Outcome::Passed), 1 => Just(Outcome::Failed), 1 => Just(Outcome::Skipped), 1 => Just(Outcome::TimedOut)]
}

fn work(at: usize) -> impl Strategy<Value = SchedulerTask> {
    let needs = prop::collection::vec((0..at.max(1), any::<bool>()), 0..4.min(at + 1));
    let locks = prop::collection::btree_set(prop::sample::select(vec!["db", "net", "tree"]), 0..3);
    (needs, locks, 1..5_usize, prop::bool::weighted(0.1), 0..40_u64, 0..100_u64).prop_map(
        move |(needs, locks, cpus, exclusive, memory, duration)| SchedulerTask {
            needs: if at == 0 {
                Vec::new()
            } else {
                needs
                    .into_iter()
                    .map(|(n, must)| {
                        (PlanIndex(n), if must { NeedCondition::MustPass } else { NeedCondition::MustEnd })
                    })
                    .collect()
            },
            locks: locks.into_iter().map(str::to_owned).collect(),
            uses: Vec::new(),
            cpus,
            exclusive,
            memory,
            duration,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    (1..24_usize).prop_flat_map(|count| {
        let work: Vec<_> = (0..count).map(work).collect();
        let outcomes = prop::collection::vec(outcome(), count);
        let order = prop::collection::vec(any::<usize>(), count * 2);
        let postpone = prop::option::of((0..count, 0..count));
        (work, outcomes, 1..5_usize, prop_oneof![Just(0), 20..60_u64], order, postpone).prop_map(
            |(work, outcomes, slots, memory, order, postpone)| Case { work, outcomes, slots, memory, order, postpone },
        )
    })
}

/// Simulates a case, checks each step, and returns the order of starts.
fn play(case: &Case) -> Result<Vec<PlanIndex>, TestCaseError> {
    let mut scheduler = Scheduler::new(case.work.clone(), case.slots, case.memory);
    let mut needs: Vec<Vec<(PlanIndex, NeedCondition)>> = case.work.iter().map(|work| work.needs.clone()).collect();
    let mut running: Vec<SessionStart> = Vec::new();
    let mut started: Vec<PlanIndex> = Vec::new();
    let mut aborted: BTreeSet<PlanIndex> = BTreeSet::new();
    let mut ends = 0;
    loop {
        for start in scheduler.start_ready() {
            prop_assert!(!started.contains(&start.session), "{} started twice", start.session);
            for (need, condition) in &needs[start.session.0] {
                let outcome = scheduler.outcome(*need);
                prop_assert!(outcome.is_some(), "{} before its need {need}", start.session);
                prop_assert!(
                    *condition == NeedCondition::MustEnd || outcome.is_some_and(Outcome::allows_dependents),
                    "{} after a failed need",
                    start.session
                );
            }
            let cpus = case.work[start.session.0].cpus.min(case.slots);
            prop_assert_eq!(start.slots.len(), cpus);
            started.push(start.session);
            running.push(start);
        }
        check_room(case, &running)?;
        if scheduler.is_finished() {
            break;
        }
        prop_assert!(!running.is_empty(), "nothing runs and nothing is over: stuck");
        let next = case.order[ends % case.order.len()] % running.len();
        let ended = running.swap_remove(next).session;
        for abort in scheduler.finish_session(ended, case.outcomes[ended.0]) {
            prop_assert!(needs[abort.session.0].contains(&(abort.failed_need, NeedCondition::MustPass)));
            prop_assert!(!scheduler.outcome(abort.failed_need).is_some_and(Outcome::allows_dependents));
            prop_assert!(aborted.insert(abort.session), "{} aborted twice", abort.session);
        }
        ends += 1;
        if let Some((_, index)) = case.postpone.filter(|(after, _)| *after == ends) {
            let session = PlanIndex(index);
            let was_waiting = scheduler.is_waiting(session);
            let more = scheduler.postpone_session(session);
            prop_assert!(was_waiting || more.is_empty());
            needs[index].extend(more.into_iter().map(|need| (need, NeedCondition::MustEnd)));
        }
    }
    prop_assert!(running.is_empty());
    for (index, needs) in needs.iter().enumerate() {
        let session = PlanIndex(index);
        let failed_need = needs.iter().any(|(need, condition)| {
            *condition == NeedCondition::MustPass && !scheduler.outcome(*need).is_some_and(Outcome::allows_dependents)
        });
        prop_assert_eq!(aborted.contains(&session), failed_need, "session {}", session);
        prop_assert_eq!(started.contains(&session), !failed_need);
    }
    Ok(started)
}

fn check_room(case: &Case, running: &[SessionStart]) -> Result<(), TestCaseError> {
    let slots: Vec<usize> = running.iter().flat_map(|start| start.slots.clone()).collect();
    let distinct: BTreeSet<usize> = slots.iter().copied().collect();
    prop_assert_eq!(slots.len(), distinct.len(), "a slot held twice");
    prop_assert!(distinct.iter().all(|slot| *slot < case.slots));
    let locks: Vec<&String> = running.iter().flat_map(|start| &case.work[start.session.0].locks).collect();
    prop_assert_eq!(locks.len(), locks.iter().collect::<BTreeSet<_>>().len(), "a lock held twice");
    let exclusive = running.iter().any(|start| case.work[start.session.0].exclusive);
    prop_assert!(!exclusive || running.len() == 1, "an exclusive session is not alone");
    let memory: u64 = running.iter().map(|start| case.work[start.session.0].memory).sum();
    prop_assert!(case.memory == 0 || memory <= case.memory || running.len() == 1, "too much memory");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_case_ends_in_order_and_within_its_room(case in case()) {
        play(&case)?;
    }

    #[test]
    fn the_same_case_gives_the_same_starts(case in case()) {
        prop_assert_eq!(play(&case)?, play(&case)?);
    }
}

/// Returns the duration of a run from its sessions' durations; `starts` lists when each starts.
fn simulate(work: &[SchedulerTask], slots: usize) -> (u64, Vec<u64>) {
    let mut scheduler = Scheduler::new(work.to_vec(), slots, 0);
    let (mut now, mut starts) = (0, vec![u64::MAX; work.len()]);
    let mut running: Vec<(u64, PlanIndex)> = Vec::new();
    loop {
        for start in scheduler.start_ready() {
            starts[start.session.0] = now;
            running.push((now + work[start.session.0].duration, start.session));
        }
        running.sort_unstable();
        if running.is_empty() {
            assert!(scheduler.is_finished());
            return (now, starts);
        }
        let (end, session) = running.remove(0);
        now = end;
        scheduler.finish_session(session, Outcome::Passed);
    }
}

fn lasting(duration: u64) -> SchedulerTask {
    SchedulerTask { duration, cpus: 1, ..SchedulerTask::default() }
}

fn holding(duration: u64, lock: &str) -> SchedulerTask {
    SchedulerTask { locks: vec![lock.to_owned()], ..lasting(duration) }
}

#[test]
fn the_longest_goes_first() {
    // The case of nox's -j: six of one second and one of six, which it starts last and needs ten for.
    let work: Vec<SchedulerTask> = [1, 1, 1, 1, 1, 1, 6].into_iter().map(lasting).collect();
    assert_eq!(simulate(&work, 2).0, 6);
}

#[test]
fn a_chain_under_one_lock_counts_as_a_path() {
    // Three under one lock, 36 together: they must start at once and follow each other without a gap.
    let mut work = vec![lasting(10), lasting(10), lasting(9)];
    work.extend([holding(7, "db"), holding(21, "db"), holding(8, "db")]);
    assert_eq!(simulate(&work, 2).0, 36);
}

#[test]
fn a_waiting_exclusive_session_with_dependents_is_not_starved() {
    let mut work: Vec<SchedulerTask> = (0..6).map(|_| lasting(10)).collect();
    work.push(SchedulerTask { exclusive: true, ..lasting(5) });
    work.push(SchedulerTask { needs: vec![(PlanIndex(6), NeedCondition::MustPass)], ..lasting(30) });
    let (total, starts) = simulate(&work, 2);
    assert_eq!(starts[6], 0, "its path of 35 is the longest, so it goes first");
    assert_eq!(total, 5 + 50);
    // If nothing waits for it, it starts when all slots are free anyway.
    let (_, starts) = simulate(&work[..7], 2);
    assert_eq!(starts[6], 30);
}

#[test]
fn a_session_of_many_slots_is_not_starved_by_smaller_ones() {
    let mut work: Vec<SchedulerTask> = (0..20).map(|_| lasting(10)).collect();
    work.push(SchedulerTask { cpus: 2, ..lasting(15) });
    let (_, starts) = simulate(&work, 2);
    assert_eq!(starts[20], 0, "the longest single session");
    let mut late = work.clone();
    late[20] = SchedulerTask { cpus: 9, needs: vec![(PlanIndex(0), NeedCondition::MustEnd)], ..lasting(15) };
    let (_, starts) = simulate(&late, 2);
    assert!(starts[20] <= 20, "it started at {}", starts[20]);
}

#[test]
fn the_longest_chain_is_what_the_run_waits_for() {
    let mut work = vec![lasting(10), holding(7, "db"), holding(21, "db")];
    work.push(SchedulerTask { needs: vec![(PlanIndex(0), NeedCondition::MustPass)], ..lasting(5) });
    let mut scheduler = Scheduler::new(work, 2, 0);
    let starts = scheduler.start_ready();
    assert_eq!(
        starts.iter().map(|start| (start.session.0, start.on_longest_chain)).collect::<Vec<_>>(),
        [(2, true), (0, false)]
    );
    scheduler.finish_session(PlanIndex(2), Outcome::Passed);
    assert!(!scheduler.start_ready()[0].on_longest_chain, "10 and 5 behind it are longer than 7");
}

#[test]
fn equal_priorities_keep_the_order_of_the_noxfile() {
    let work: Vec<SchedulerTask> = (0..5).map(|_| lasting(3)).collect();
    let (_, starts) = simulate(&work, 1);
    assert_eq!(starts, [0, 3, 6, 9, 12]);
}

#[test]
fn a_session_that_needs_more_memory_than_there_is_runs_alone() {
    let mut scheduler = Scheduler::new(
        vec![
            SchedulerTask { memory: 10, ..lasting(1) },
            SchedulerTask { memory: 99, ..lasting(9) },
            SchedulerTask { memory: 10, ..lasting(1) },
        ],
        4,
        50,
    );
    assert_eq!(scheduler.start_ready().len(), 1);
    assert!(scheduler.start_ready().is_empty());
    scheduler.finish_session(PlanIndex(1), Outcome::Passed);
    assert_eq!(scheduler.start_ready().len(), 2);
    assert_eq!(scheduler.abort_waiting(), []);
}

#[test]
fn a_notified_session_waits_for_all_that_is_unfinished() {
    let mut scheduler = Scheduler::new(vec![lasting(1), lasting(1), lasting(1)], 1, 0);
    assert_eq!(
        scheduler.start_ready(),
        [SessionStart { session: PlanIndex(0), slots: vec![0], on_longest_chain: true }]
    );
    let added = scheduler.add_task(lasting(50));
    assert_eq!(scheduler.postpone_session(added), [0, 1, 2].map(PlanIndex));
    assert_eq!(scheduler.postpone_session(added), [], "known already");
    assert_eq!(scheduler.postpone_session(PlanIndex(0)), [], "it runs");
    for expected in 1..=3 {
        scheduler.finish_session(PlanIndex(expected - 1), Outcome::Passed);
        assert_eq!(scheduler.start_ready()[0].session, PlanIndex(expected));
    }
    scheduler.finish_session(PlanIndex(3), Outcome::Failed);
    assert!(scheduler.is_finished());
}
