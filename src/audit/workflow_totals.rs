//! Limits of all workflows and actions of a project together: each file has limits of its own, but a pull request can add
//! any number of links to one file.

use super::forge::Forge;
use super::source::SharedSource;
use super::workflow::{Workflow, WorkflowFileKind};
use super::yaml::{YamlError, measure_nodes};

/// Maximum number of jobs of all workflows.
const MAX_ALL_JOBS: usize = 5_000;
/// Maximum number of nodes of all documents, those of expanded aliases included.
const MAX_ALL_NODES: usize = 1_000_000;
/// Maximum number of bytes of text of all documents, that of expanded aliases included.
const MAX_ALL_TEXT: usize = 16 << 20;

/// What may be added to the workflows that are parsed.
#[derive(Debug)]
pub(super) struct WorkflowTotals {
    jobs_left: usize,
    nodes_left: usize,
    text_left: usize,
    /// The limit that a file exceeded: those after it are not parsed.
    exceeded: Option<YamlError>,
}

impl Default for WorkflowTotals {
    fn default() -> Self {
        Self { jobs_left: MAX_ALL_JOBS, nodes_left: MAX_ALL_NODES, text_left: MAX_ALL_TEXT, exceeded: None }
    }
}

impl WorkflowTotals {
    /// Parses a file, unless an earlier one exceeded a limit.
    ///
    /// # Errors
    /// If it is not valid, or exceeds a limit together with the files before it.
    pub(super) fn parse(
        &mut self,
        source: SharedSource,
        kind: WorkflowFileKind,
        forge: Forge,
    ) -> Result<Workflow, YamlError> {
        if let Some(exceeded) = self.exceeded.as_ref().filter(|_| source.unread.is_none()) {
            return Err(exceeded.clone());
        }
        let workflow = Workflow::parse(source, kind, forge)?;
        let (nodes, text) = measure_nodes(&workflow.root);
        let totals = [
            (&mut self.jobs_left, workflow.jobs.len(), MAX_ALL_JOBS, "jobs"),
            (&mut self.nodes_left, nodes, MAX_ALL_NODES, "nodes"),
            (&mut self.text_left, text, MAX_ALL_TEXT, "bytes of text, that of expanded aliases included"),
        ];
        for (left, size, limit, what) in totals {
            let Some(rest) = left.checked_sub(size) else {
                return Err(self.exceeded.insert(YamlError::BeyondProjectLimit(limit, what)).clone());
            };
            *left = rest;
        }
        Ok(workflow)
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    fn parse(totals: &mut WorkflowTotals, text: &str) -> Result<usize, YamlError> {
        let source = SourceFile::new(".github/workflows/a.yml", text);
        totals.parse(source, WorkflowFileKind::Workflow, Forge::Github).map(|workflow| workflow.jobs.len())
    }

    #[test]
    fn all_workflows_together_have_limits() {
        let text = "on: push\njobs:\n  a:\n    runs-on: x\n  b:\n    runs-on: x\n";
        let (jobs, nodes, bytes) = (2, 13, 28);
        let totals =
            |jobs_left, nodes_left, text_left| WorkflowTotals { jobs_left, nodes_left, text_left, exceeded: None };
        let mut enough = totals(jobs, nodes, bytes);
        assert_eq!(parse(&mut enough, text), Ok(2));
        assert_eq!((enough.jobs_left, enough.nodes_left, enough.text_left), (0, 0, 0));
        let few = [totals(jobs - 1, nodes, bytes), totals(jobs, nodes - 1, bytes), totals(jobs, nodes, bytes - 1)];
        for (mut few, problem) in few.into_iter().zip(["5000 jobs", "1000000 nodes", "16777216 bytes of text"]) {
            let error = parse(&mut few, text).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
            assert_eq!(parse(&mut few, "on: push"), Err(error), "no file after it is parsed");
        }
    }
}
