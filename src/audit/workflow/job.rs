//! Job of a workflow.

use super::super::source::{SourceFile, Span};
use super::super::yaml::YamlNode;
use super::expression::ExpressionNames;
use super::matrix::{JobMatrix, MatrixCombination};
use super::step::WorkflowStep;
use super::text::{SpannedText, spanned_entries};
use super::triggers::{is_tag_only, runs_after_failure};

/// A job of a workflow, or the steps of a composite action.
#[derive(Clone, Debug)]
pub struct WorkflowJob {
    /// Key in `jobs`.
    pub(crate) id: SpannedText,
    /// Runner labels.
    pub(crate) runs_on: Vec<SpannedText>,
    /// Container image.
    pub(crate) container: Option<SpannedText>,
    pub(crate) needs: Vec<SpannedText>,
    /// Value of `if`.
    pub(crate) condition: Option<SpannedText>,
    pub(crate) timeout_minutes: Option<SpannedText>,
    pub(crate) continue_on_error: Option<SpannedText>,
    pub(crate) matrix: Option<JobMatrix>,
    pub(crate) env: Vec<(SpannedText, SpannedText)>,
    pub(crate) steps: Vec<WorkflowStep>,
    /// Reusable workflow that it calls.
    pub(crate) uses: Option<SpannedText>,
    /// Mapping of the job in the YAML document.
    pub(crate) node: YamlNode,
}

/// Actions that publish.
const PUBLISHING_ACTIONS: [&str; 4] =
    ["pypa/gh-action-pypi-publish", "softprops/action-gh-release", "ncipollo/release-action", "actions/deploy-pages"];
/// Commands that publish.
const PUBLISHING_COMMANDS: [&str; 8] = [
    "twine upload",
    "uv publish",
    "gh release create",
    "flit publish",
    "poetry publish",
    "hatch publish",
    "pdm publish",
    "maturin upload",
];

/// Returns the default shell that a workflow or a job sets for its steps.
pub(super) fn default_shell(node: &YamlNode) -> Option<&str> {
    node.get("defaults")?.get("run")?.get("shell")?.as_str()
}

impl WorkflowJob {
    pub(super) fn from_node(
        source: &SourceFile,
        key: &YamlNode,
        node: &YamlNode,
        names: &ExpressionNames,
        workflow_shell: Option<&str>,
    ) -> Option<Self> {
        let names = names.with_matrix(node);
        let mut node = node.clone();
        names.normalize_node(&mut node, None);
        let node = &node;
        let text = |key: &str| node.get(key).and_then(SpannedText::from_node);
        let list = |key: &str| {
            let values = node.get(key).map(YamlNode::one_or_many).unwrap_or_default();
            values.into_iter().filter_map(SpannedText::from_node).collect()
        };
        let container =
            node.get("container").and_then(|node| SpannedText::from_node(node.get("image").unwrap_or(node)));
        let shell = default_shell(node).or(workflow_shell);
        let steps = node.get("steps").map(YamlNode::items).unwrap_or_default();
        Some(Self {
            id: SpannedText::from_node(key)?,
            runs_on: node.get("runs-on").and_then(|node| node.get("labels")).map_or_else(
                || list("runs-on"),
                |labels| labels.one_or_many().into_iter().filter_map(SpannedText::from_node).collect(),
            ),
            container,
            needs: list("needs"),
            condition: text("if"),
            timeout_minutes: text("timeout-minutes"),
            continue_on_error: text("continue-on-error"),
            matrix: node.get_entry("strategy").and_then(|(key, value)| JobMatrix::from_node(key, value)),
            env: node.get("env").map(spanned_entries).unwrap_or_default(),
            steps: steps
                .iter()
                .enumerate()
                .map(|(index, step)| WorkflowStep::from_node(source, index, step, &names, shell))
                .collect(),
            uses: text("uses"),
            node: node.clone(),
        })
    }

    /// Returns the span of a key, or of the job's id if the key is missing.
    pub(crate) fn key_span(&self, name: &str) -> Span {
        self.node.get_entry(name).map_or(self.id.span, |(key, _)| key.span)
    }

    /// Whether it also runs after the failure of a needed job.
    pub(crate) fn runs_after_failure(&self) -> bool {
        runs_after_failure(self.condition.as_ref().map(|text| text.value.as_str()))
    }

    /// Whether it runs for releases or publishes something.
    pub(crate) fn is_release_job(&self) -> bool {
        is_tag_only(self.condition.as_ref().map(|text| text.value.as_str()))
            || self.node.get("environment").is_some_and(|node| {
                let name = node.get("name").unwrap_or(node).as_str();
                name.is_some_and(|name| ["pypi", "release", "publish"].iter().any(|word| name.contains(word)))
            })
            || self.publishes_by_steps()
    }

    /// Whether a step publishes something.
    pub(crate) fn publishes_by_steps(&self) -> bool {
        self.steps.iter().any(|step| {
            PUBLISHING_ACTIONS.iter().any(|action| step.uses_action(action))
                || step.commands.iter().any(|command| {
                    let line = command.command_line();
                    PUBLISHING_COMMANDS.iter().any(|start| line.contains(start))
                })
        })
    }

    /// Whether all its labels are, or may be by an expression, those of GitHub-hosted runners.
    pub(crate) fn is_github_hosted(&self) -> bool {
        let is_hosted = |label: &str| ["ubuntu-", "macos-", "windows-"].iter().any(|start| label.starts_with(start));
        let may_be_hosted = |label: &SpannedText| match self.matrix_labels(&label.value) {
            Some(labels) => labels.iter().any(|label| is_hosted(label) || label.contains("${{")),
            None => is_hosted(&label.value) || label.value.starts_with("${{"),
        };
        !self.runs_on.is_empty() && self.runs_on.iter().all(may_be_hosted)
    }

    /// Whether every runner has the label `self-hosted`, as written or from the matrix.
    pub(crate) fn has_self_hosted_label(&self) -> bool {
        self.runs_on.iter().any(|label| {
            let values = self.matrix_labels(&label.value);
            label.value == "self-hosted"
                || values.is_some_and(|labels| labels.iter().all(|label| *label == "self-hosted"))
        })
    }

    /// Returns the values of a label `${{ matrix.x }}` in each job of the matrix; `None` if it is not one, or if a value is
    /// not literal.
    fn matrix_labels(&self, label: &str) -> Option<Vec<&str>> {
        let axis = label.strip_prefix("${{")?.strip_suffix("}}")?.trim().strip_prefix("matrix.")?;
        let entries = self.matrix.as_ref()?.entries.as_ref().filter(|entries| !entries.is_empty())?;
        let value = |entry: &MatrixCombination| entry.iter().position(|(path, _)| path == axis);
        entries.iter().map(|entry| Some(entry.get(value(entry)?)?.1.value.as_str())).collect()
    }
}
