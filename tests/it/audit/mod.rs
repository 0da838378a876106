//! `noxide audit` on whole projects: findings, fixes, and the verdicts of other validators on the result.

mod audit_project;
mod command;
mod executed_workflow;
mod expected_findings;
pub(crate) mod external_validators;
mod false_findings;
mod fixes;
mod generated;
mod harmless_fixes;
mod inventory;
mod judged_findings;
mod malformed_files;
mod matrix_fixes;
mod missed_findings;
mod missed_spellings;
mod missed_values;
mod real_workflows;
mod rule_boundaries;
mod rule_cases;
mod speed;
