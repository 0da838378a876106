//! Starter workflow of `noxide init`: all sessions in one job, with cache, timeout and an uploaded log.

use std::path::Path;

use super::dialect::Dialect;
use super::fix::CACHE_STEP_COMMENT;
use super::fixes::run_script::tested_version;
use super::noxfile::Noxfile;
use super::project_files::{ProjectFiles, find_project_files};
use crate::fs::write_atomic;

/// Advice that is printed with a new workflow.
pub(crate) const REVIEW_NOTE: &str = "review `runs-on`, the image and `timeout-minutes`: they are defaults. To run the sessions in parallel, install noxide on \
     the runner and replace `nox` by `noxide run`";

/// A workflow that was generated, not yet written.
#[derive(Debug)]
pub(crate) struct StarterWorkflow {
    /// Path in the project.
    pub(crate) path: String,
    /// Content of the file.
    pub(crate) text: String,
}

/// Error of creating a starter workflow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StarterWorkflowError {
    /// The file exists.
    #[error("{0} already exists; fix it with `noxide audit --fix`")]
    Exists(String),
    /// The file cannot be written.
    #[error("cannot write the workflow: {0}")]
    Io(#[from] std::io::Error),
}

impl StarterWorkflow {
    /// Generates a workflow that runs the default sessions; without `dialect`, for the forge whose directory exists, else for Forgejo.
    pub(crate) fn generate(root: &Path, dialect: Option<Dialect>, branch: &str) -> Self {
        let exists = |directory: &str| root.join(directory).is_dir();
        let dialect = dialect.unwrap_or_else(|| match (exists(".forgejo"), exists(".gitea"), exists(".github")) {
            (false, true, _) => Dialect::Gitea,
            (false, false, true) => Dialect::Github,
            _ => Dialect::Forgejo,
        });
        let files = find_project_files(root);
        let noxfile = files.noxfile_name.as_deref().and_then(|name| Noxfile::read(root, name));
        let (path, text) = generate_workflow(dialect, &files, noxfile.as_ref(), branch);
        Self { path, text }
    }

    /// Writes the workflow below `root`.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub(crate) fn write(&self, root: &Path) -> Result<(), StarterWorkflowError> {
        let path = root.join(&self.path);
        if path.exists() {
            return Err(StarterWorkflowError::Exists(self.path.clone()));
        }
        path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
        Ok(write_atomic(&path, self.text.as_bytes())?)
    }
}

/// Returns the path and the text of the workflow.
fn generate_workflow(
    dialect: Dialect,
    files: &ProjectFiles,
    noxfile: Option<&Noxfile>,
    branch: &str,
) -> (String, String) {
    let directory = match dialect {
        Dialect::Forgejo => ".forgejo",
        Dialect::Gitea => ".gitea",
        Dialect::Github => ".github",
    };
    (format!("{directory}/workflows/noxide.yml"), render_workflow(dialect, files, noxfile, branch))
}

fn render_workflow(dialect: Dialect, files: &ProjectFiles, noxfile: Option<&Noxfile>, branch: &str) -> String {
    let version = |tool: &str| {
        files.locked_versions.get(tool).map(String::as_str).or(tested_version(tool)).unwrap_or_default().to_owned()
    };
    let (nox, uv) = (version("nox"), version("uv"));
    let cache_dir = noxfile
        .and_then(|noxfile| noxfile.find_env_assignment("UV_CACHE_DIR"))
        .map_or("~/.cache/uv", |variable| variable.value.as_str());
    let mut hashed = vec!["noxfile.py"];
    hashed.extend(files.has_pyproject.then_some("pyproject.toml"));
    hashed.extend(files.lock_file.as_deref());
    hashed.extend(files.requirements_files.iter().map(String::as_str));
    let hashed: Vec<String> = hashed.iter().map(|file| format!("'{file}'")).collect();
    let prefix = format!("uv-${{{{ runner.os }}}}-${{{{ runner.arch }}}}-py3.13-uv{uv}-");
    let mut lines = vec![
        "# Created by `noxide init`; check it with `noxide audit`.".to_owned(),
        "name: Sessions".to_owned(),
        String::new(),
        "# noxide: ignore[NX209] a required check must report for every change".to_owned(),
        "on:".to_owned(),
        "  push:".to_owned(),
        format!("    branches: [{branch}]"),
        "  pull_request:".to_owned(),
        String::new(),
        "concurrency:".to_owned(),
        "  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}".to_owned(),
        "  cancel-in-progress: true".to_owned(),
        String::new(),
        "jobs:".to_owned(),
        "  sessions:".to_owned(),
    ];
    let mut add = |text: &str| lines.extend(text.lines().map(str::to_owned));
    if dialect == Dialect::Github {
        add("    runs-on: ubuntu-latest\n    timeout-minutes: 30\n    steps:\n      - uses: actions/checkout@v5");
        add("      - uses: actions/setup-python@v6\n        with:\n          python-version: \"3.13\"");
    } else {
        add("    runs-on: docker\n    container:\n      image: python:3.13-slim\n    timeout-minutes: 30\n    steps:");
        add(
            "      - name: Install git, and Node.js for actions\n        run: apt-get update && apt-get install -y -qq nodejs git",
        );
        add("      - uses: actions/checkout@v4");
    }
    add(&CACHE_STEP_COMMENT.map(|line| format!("      {line}")).join("\n"));
    let cache = if dialect == Dialect::Github { "v5" } else { "v4" };
    add(&format!(
        "      - name: Restore Python packages\n        uses: actions/cache@{cache}\n        with:\n          path: |"
    ));
    add(&format!("            {cache_dir}\n            ~/.cache/pip"));
    add(&format!(
        "          key: {prefix}${{{{ hashFiles({}) }}}}\n          restore-keys: |\n            {prefix}",
        hashed.join(", ")
    ));
    add(&format!("      - name: Install uv and nox\n        run: pip install -q uv=={uv} nox=={nox}"));
    add("      # With noxide installed, `noxide run` in place of `nox` runs the sessions in parallel.");
    add(
        "      - name: Run all sessions\n        run: |\n          set -o pipefail\n          nox 2>&1 | tee nox-output.log",
    );
    if !noxfile.is_some_and(Noxfile::has_uv_backend) {
        add("        env:\n          NOX_DEFAULT_VENV_BACKEND: uv");
    }
    let upload = match dialect {
        Dialect::Github => "actions/upload-artifact@v6",
        Dialect::Forgejo => "https://code.forgejo.org/forgejo/upload-artifact@v4",
        Dialect::Gitea => "actions/upload-artifact@v3",
    };
    add(&format!(
        "      - name: Upload the log\n        if: always()\n        uses: {upload}\n        with:\n          name: nox-output\n          path: nox-output.log"
    ));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::noxfile::model::tests::noxfile;
    use super::super::options::AuditOptions;
    use super::super::rule_runner::{run_audit, tests::project};
    use super::*;

    #[test]
    fn the_starter_workflow_has_no_findings() {
        let python = "import os\nimport nox\nnox.options.reuse_venv = 'yes'\nos.environ['UV_CACHE_DIR'] = '/tmp/x'\n@nox.session\ndef lint(session):\n    session.install('ruff')\n";
        let file = noxfile(python);
        for dialect in [Dialect::Forgejo, Dialect::Gitea, Dialect::Github] {
            for known in [Some(&file), None] {
                let (path, text) = generate_workflow(dialect, &ProjectFiles::default(), known, "main");
                let mut files = vec![(path.as_str(), text.as_str())];
                files.extend(known.map(|_| ("noxfile.py", python)));
                let findings: Vec<String> = run_audit(&project(&files, AuditOptions::default()))
                    .findings
                    .iter()
                    .map(|finding| format!("{} {}", finding.rule.id, finding.message))
                    .collect();
                assert_eq!(findings, Vec::<String>::new(), "{text}");
            }
        }
    }
}
