//! Conditions of steps in local actions, as far as the inputs of the caller decide them.

use super::super::workflow::{Workflow, WorkflowStep};
use super::super::yaml::YamlNode;

/// A step that uses a local action, with the action.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActionCall<'a> {
    pub(super) step: &'a WorkflowStep,
    pub(super) action: &'a Workflow,
}

/// When a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepCondition {
    Always,
    Never,
    /// A condition that the files do not decide.
    When(String),
}

impl StepCondition {
    /// Returns the condition of a step; in a local action, with the inputs that its caller gives.
    pub(super) fn of_step(step: &WorkflowStep, call: Option<ActionCall>) -> Self {
        let Some(condition) = &step.condition else { return Self::Always };
        match call.and_then(|call| call.decide(&condition.value)) {
            Some(true) => Self::Always,
            Some(false) => Self::Never,
            None => Self::When(condition.value.clone()),
        }
    }

    /// Returns the condition of a step that may run.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::When(text) => Some(text.clone()),
            Self::Always | Self::Never => None,
        }
    }
}

impl ActionCall<'_> {
    /// Returns the value of an input; `None` if an expression computes it.
    fn input_value(&self, name: &str) -> Option<&str> {
        let default = || {
            let inputs = self.action.root.get("inputs").map(YamlNode::entries).unwrap_or_default();
            let is_input = |key: &YamlNode| key.as_str().is_some_and(|declared| declared.eq_ignore_ascii_case(name));
            let (_, input) = inputs.iter().find(|(key, _)| is_input(key))?;
            input.get("default").and_then(YamlNode::as_str)
        };
        let given = self.step.input_value(name).map(|text| text.value.as_str());
        let value = given.or_else(default).unwrap_or_default();
        (!value.contains("${{")).then_some(value)
    }

    /// Returns the value of a condition that compares inputs with texts; `None` for any other.
    fn decide(&self, condition: &str) -> Option<bool> {
        let condition = condition.trim();
        let inner = condition.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(condition);
        if inner.contains("${{") || inner.contains("||") || inner.contains('(') {
            return None;
        }
        let parts: Vec<Option<bool>> = inner.split("&&").map(|part| self.decide_comparison(part.trim())).collect();
        if parts.contains(&Some(false)) {
            return Some(false);
        }
        parts.iter().all(Option::is_some).then_some(true)
    }

    fn decide_comparison(&self, comparison: &str) -> Option<bool> {
        let (name, is_equal, text) = match (comparison.split_once("=="), comparison.split_once("!=")) {
            (Some((name, text)), None) => (name, true, text),
            (None, Some((name, text))) => (name, false, text),
            _ => return None,
        };
        let name = name.trim().strip_prefix("inputs.")?;
        let text = text.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let is_plain =
            !text.contains('\'') && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        // Expressions compare texts without regard to case.
        is_plain.then_some(())?;
        Some(self.input_value(name)?.eq_ignore_ascii_case(text) == is_equal)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::forge::Forge;
    use super::super::super::source::SourceFile;
    use super::super::super::workflow::WorkflowFileKind;
    use super::*;

    fn parse(text: &str, kind: WorkflowFileKind) -> Workflow {
        Workflow::parse(SourceFile::new("x.yml", text.to_owned()), kind, Forge::Github).unwrap()
    }

    #[test]
    fn inputs_and_their_defaults_decide_conditions() {
        let caller = parse(
            "jobs:\n  a:\n    steps:\n      - {uses: ./x, with: {off: 'false', computed: '${{ matrix.x }}'}}\n",
            WorkflowFileKind::Workflow,
        );
        let action = parse(
            "inputs:\n  on: {default: 'true'}\n  off: {default: 'true'}\nruns:\n  steps: [{run: x}]\n",
            WorkflowFileKind::CompositeAction,
        );
        let call = ActionCall { step: &caller.jobs[0].steps[0], action: &action };
        for (condition, expected) in [
            ("${{ inputs.on == 'true' }}", Some(true)),
            ("inputs.on == 'TRUE'", Some(true)),
            ("inputs.off != 'false'", Some(false)),
            ("inputs.missing == ''", Some(true)),
            ("inputs.on == 'true' && inputs.off == 'true'", Some(false)),
            ("inputs.on == 'true' && inputs.off == 'false'", Some(true)),
            ("inputs.off == 'true' && runner.os == 'Linux'", Some(false)),
            ("inputs.on == 'true' && runner.os == 'Linux'", None),
            ("inputs.on == 'false' || always()", None),
            ("inputs.computed == 'x'", None),
            ("inputs.on", None),
            ("inputs.on == true", None),
            ("inputs.on == 'it''s'", None),
            ("!(inputs.on == 'true')", None),
            ("'true' == inputs.on", None),
        ] {
            assert_eq!(call.decide(condition), expected, "{condition}");
        }
    }
}
