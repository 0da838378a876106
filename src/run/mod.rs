//! Graph, plan, schedule and processes of a run.
