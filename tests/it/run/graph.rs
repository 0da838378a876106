//! Needs, locks and plans from manifests, settings and history.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use noxide::project::{CoverageUse, ManifestIndex, Session, SharedVariableUse};
use noxide::record::{LockOrigin, NeedOrigin, SessionHistory};
use noxide::run::{CpuCount, GraphError, PlanIndex, RunCapacity, RunOptions, RunPlan, SessionGraph, SessionOverrides};

use crate::support::{covered_session, manifest, rule, session};

fn after(pattern: &str, on: &[&str]) -> SessionOverrides {
    SessionOverrides { after: on.iter().map(ToString::to_string).collect(), ..rule(pattern) }
}

fn with(rules: Vec<SessionOverrides>) -> RunOptions {
    RunOptions { session_overrides: rules, ..RunOptions::default() }
}

fn needs(graph: &SessionGraph, at: usize) -> Vec<(usize, NeedOrigin)> {
    graph.nodes[at].needs.iter().map(|(need, origin)| (need.0, origin.clone())).collect()
}

fn settings() -> NeedOrigin {
    NeedOrigin::Settings { location: "noxide.toml:3".to_owned() }
}

const ROOM: RunCapacity = RunCapacity { slots: 4, memory: 0 };

#[test]
fn requires_and_settings_make_needs() {
    let build = session("build");
    let test = Session { requires: vec![ManifestIndex(0), ManifestIndex(3)], ..session("test") };
    let mut all = manifest(vec![build, test, session("docs-3.11"), session("not-selected")]);
    all.queue.pop();
    let graph =
        SessionGraph::new(&all, &with(vec![after("docs", &["te*", "docs-*", "nowhere"])]), &SessionHistory::default())
            .unwrap();
    assert_eq!(needs(&graph, 1), [(0, NeedOrigin::Requires)], "what is not selected is not waited for");
    assert_eq!(needs(&graph, 2), [(1, settings())], "never for itself");
    assert!(NeedOrigin::Requires.requires_success() && !settings().requires_success());
    assert_eq!(graph.session_needs(&all, PlanIndex(2))[0].session.as_str(), "test");
}

#[test]
fn a_cycle_is_rejected_by_name() {
    let mut first = session("first");
    first.requires = vec![ManifestIndex(1)];
    let all = manifest(vec![first, session("second"), session("third"), session("beside")]);
    let rules = vec![after("second", &["third"]), after("third", &["first"]), after("beside", &["first"])];
    let error = SessionGraph::new(&all, &with(rules), &SessionHistory::default()).unwrap_err();
    let GraphError::Cycle(steps) = &error;
    assert_eq!(steps.len(), 3);
    assert_eq!(
        error.to_string(),
        "sessions wait for one another in a cycle: first waits for second (requires in the noxfile), \
         second waits for third (after at noxide.toml:3), third waits for first (after at noxide.toml:3)"
    );
}

#[test]
fn coverage_reports_run_last_and_writers_need_no_lock() {
    let report = Session { coverage: CoverageUse { reads: true, ..CoverageUse::default() }, ..session("report") };
    let all = manifest(vec![
        report,
        covered_session("tests-3.11", ".coverage"),
        covered_session("tests-3.12", ".coverage"),
        covered_session("own", ".coverage"),
        session("lint"),
    ]);
    let graph = SessionGraph::new(&all, &RunOptions::default(), &SessionHistory::default()).unwrap();
    let data = NeedOrigin::Coverage { data_file: ".coverage".to_owned() };
    assert_eq!(needs(&graph, 0), [(1, data.clone()), (2, data.clone()), (3, data)]);
    assert!(graph.nodes.iter().all(|node| node.locks.names.is_empty()), "each has a data file of its own");
}

#[test]
fn sessions_that_share_a_variable_keep_their_order() {
    let sharing = |name: &str, reads: &[&str], sets: &[&str], changes: &[&str]| {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Session {
            shared_variables: SharedVariableUse { reads: names(reads), sets: names(sets), changes: names(changes) },
            ..session(name)
        }
    };
    let mut all = manifest(vec![
        sharing("before", &["V"], &[], &[]),
        sharing("one", &[], &["V"], &["LIST"]),
        sharing("two", &["CACHE"], &[], &["LIST", "CACHE"]),
        sharing("own", &["CACHE"], &["V"], &["CACHE"]),
        sharing("reader", &["V", "LIST"], &[], &[]),
    ]);
    let graph = SessionGraph::new(&all, &RunOptions::default(), &SessionHistory::default()).unwrap();
    let memory = |name: &str| NeedOrigin::SharedVariable { name: name.to_owned() };
    assert!(needs(&graph, 0).is_empty() && needs(&graph, 1).is_empty(), "nothing was changed before");
    assert_eq!(needs(&graph, 2), [(1, memory("LIST"))], "each adds to what the other left");
    assert!(needs(&graph, 3).is_empty(), "it sets V for itself, and nobody only reads CACHE");
    assert_eq!(needs(&graph, 4), [(1, memory("LIST")), (2, memory("LIST")), (3, memory("V"))]);
    all.sessions[1].requires = vec![ManifestIndex(4)];
    let graph = SessionGraph::new(&all, &RunOptions::default(), &SessionHistory::default()).unwrap();
    assert_eq!(needs(&graph, 4), [(3, memory("V"))], "what is declared wins: one and then two come after it");
}

#[test]
fn declared_settings_override_derived_ones() {
    let report = Session { coverage: CoverageUse { reads: true, ..CoverageUse::default() }, ..session("report") };
    let mut tests = covered_session("tests", ".coverage");
    tests.requires = vec![ManifestIndex(0)];
    let graph =
        SessionGraph::new(&manifest(vec![report, tests]), &RunOptions::default(), &SessionHistory::default()).unwrap();
    assert!(needs(&graph, 0).is_empty());
    assert_eq!(needs(&graph, 1), [(0, NeedOrigin::Requires)]);
}

#[test]
fn a_notified_session_that_is_also_selected_waits_for_those_before_it_that_notify_it() {
    let mut tests = session("tests");
    tests.notifies = vec!["report".to_owned(), "early".to_owned(), "unknown".to_owned()];
    let publish =
        Session { requires: vec![ManifestIndex(3)], notifies: vec!["report".to_owned()], ..session("publish") };
    let all = manifest(vec![session("early"), tests, session("lint"), session("report"), publish]);
    let graph = SessionGraph::new(&all, &RunOptions::default(), &SessionHistory::default()).unwrap();
    assert_eq!(needs(&graph, 3), [(1, NeedOrigin::Notify)], "neither lint nor publish, which comes later");
    assert_eq!(needs(&graph, 0), [], "it comes before tests under nox too");
    let mut each_other = manifest(vec![session("a"), session("b")]);
    each_other.sessions[0].notifies = vec!["b".to_owned()];
    each_other.sessions[1].notifies = vec!["a".to_owned()];
    let graph = SessionGraph::new(&each_other, &RunOptions::default(), &SessionHistory::default()).unwrap();
    assert_eq!((needs(&graph, 0), needs(&graph, 1)), (Vec::new(), vec![(0, NeedOrigin::Notify)]));
    let after = with(vec![after("tests", &["report"])]);
    let graph = SessionGraph::new(&all, &after, &SessionHistory::default()).unwrap();
    assert_eq!((needs(&graph, 3), needs(&graph, 1).len()), (Vec::new(), 1), "settings take precedence");
}

#[test]
fn sessions_of_one_environment_run_one_after_another() {
    let directory = Some(PathBuf::from(".nox/shared"));
    let all = manifest(vec![
        Session { envdir: directory.clone(), ..session("a") },
        Session { envdir: directory, ..session("b") },
        Session { envdir: Some(PathBuf::from(".nox/c")), ..session("c") },
    ]);
    let locked = SessionOverrides { locks: vec!["db".to_owned()], ..rule("a") };
    let graph = SessionGraph::new(&all, &with(vec![locked]), &SessionHistory::default()).unwrap();
    assert_eq!(graph.nodes[0].locks.names, ["db", "environment .nox/shared"]);
    let origins = &graph.nodes[0].locks.details.origins;
    assert_eq!(origins["db"], LockOrigin::Settings { location: "noxide.toml:3".to_owned() });
    assert_eq!(origins["environment .nox/shared"], LockOrigin::Noxfile);
    assert_eq!(graph.nodes[1].locks.names, ["environment .nox/shared"]);
    assert!(graph.nodes[2].locks.names.is_empty());
}

#[test]
fn a_plan_serializes() {
    let alone = Session { allow_parallel: Some(false), ..session("alone") };
    let wide = SessionOverrides {
        cpus: Some(CpuCount::All),
        timeout: Some(Duration::from_secs(9)),
        memory: Some(1 << 30),
        env: vec![("A".to_owned(), "1".to_owned())],
        artifacts: vec!["dist/*".to_owned()],
        ..rule("wide")
    };
    let two =
        SessionOverrides { cpus: NonZeroUsize::new(64).map(CpuCount::Count), exclusive: Some(false), ..rule("alone") };
    let all = manifest(vec![alone, session("wide"), session("a/b"), session("a b"), session("A B")]);
    let options = with(vec![wide, two]);
    let mut plan = RunPlan::new(&all, &options, &SessionHistory::default(), ROOM).unwrap();
    assert_eq!(plan.slots, 4);
    assert!(!plan.sessions[0].spec.exclusive, "settings overrule the noxfile");
    assert_eq!((plan.sessions[0].spec.cpus, plan.sessions[1].spec.cpus), (4, 4));
    assert_eq!(plan.sessions[1].timeout, Some(Duration::from_secs(9)));
    let logs: Vec<&str> = plan.sessions.iter().map(|session| session.log_stem.as_str()).collect();
    assert_eq!(logs, ["alone", "wide", "a-b", "a-b-2", "A-B-3"]);
    let index = plan.add_session(&session("a-b"), ManifestIndex(9), &options, &SessionHistory::default());
    assert_eq!((index, plan[index].log_stem.as_str()), (PlanIndex(5), "a-b-4"));
    let one = RunOptions { jobs: NonZeroUsize::new(1), ..RunOptions::default() };
    assert_eq!(RunPlan::new(&all, &one, &SessionHistory::default(), ROOM).unwrap().slots, 1);
}

#[test]
fn a_forecast_starts_and_ends_each_session_once() {
    let mut last = session("last");
    last.requires = vec![ManifestIndex(0)];
    let all = manifest(vec![session("a"), session("b"), last]);
    let plan =
        RunPlan::new(&all, &RunOptions::default(), &SessionHistory::default(), RunCapacity { slots: 2, memory: 0 })
            .unwrap();
    let mut forecast = plan.forecast();
    forecast.sort_by_key(|entry| entry.session);
    let times: Vec<(u64, u64)> = forecast.iter().map(|entry| (entry.start, entry.end)).collect();
    assert_eq!(times, [(0, 1_000), (0, 1_000), (1_000, 2_000)]);
}
