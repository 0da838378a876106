//! Static analysis of CI workflows: rules report where they lose time or hide failures, and fixes rewrite them.

pub mod baseline;
pub(crate) mod expanded_script;
pub mod finding;
pub mod fix;
pub(crate) mod fixes;
pub mod forge;
pub mod forgejo_schema;
pub(crate) mod install_source;
pub mod inventory;
pub mod job_cache;
pub(crate) mod job_facts;
pub(crate) mod job_gate;
pub(crate) mod job_installers;
pub mod noxfile;
pub mod options;
pub mod project;
pub mod project_files;
pub(crate) mod rule;
pub mod rule_docs;
pub mod rule_runner;
pub(crate) mod rules;
pub mod shell;
pub mod source;
pub(crate) mod starter_workflow;
pub mod workflow;
pub mod yaml;
