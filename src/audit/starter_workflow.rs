//! Starter workflow of `noxide init`: one job that runs all sessions by `noxide ci`, with a timeout and uploaded logs.

use std::path::Path;

use super::forge::Forge;
use super::options::InstallSource;
use super::project_files::{ProjectFiles, find_project_files};
use crate::fs::write_atomic;

/// Advice that is printed with a new workflow.
pub(crate) const REVIEW_NOTE: &str = "review `runs-on`, the image and `timeout-minutes`: they are defaults";

/// Python of the jobs.
const PYTHON_VERSION: &str = "3.13";

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
    /// Generates a workflow that runs the default sessions; without `forge`, for the forge whose directory exists, else for Forgejo.
    pub(crate) fn generate(root: &Path, forge: Option<Forge>, branch: &str, install: &InstallSource) -> Self {
        let exists = |directory: &str| root.join(directory).is_dir();
        let forge = forge.unwrap_or_else(|| match (exists(".forgejo"), exists(".gitea"), exists(".github")) {
            (false, true, _) => Forge::Gitea,
            (false, false, true) => Forge::Github,
            _ => Forge::Forgejo,
        });
        Self {
            path: format!(".{forge}/workflows/noxide.yml"),
            text: render_workflow(forge, &find_project_files(root), branch, install),
        }
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
        let existing = path.ancestors().skip(1).find(|directory| directory.exists());
        let directory = existing.map(fs_err::canonicalize).transpose()?.unwrap_or_default();
        if !directory.starts_with(fs_err::canonicalize(root)?) {
            let message = format!("{} leads out of the project through a link", self.path);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message).into());
        }
        path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
        Ok(write_atomic(&path, self.text.as_bytes())?)
    }
}

fn render_workflow(forge: Forge, files: &ProjectFiles, branch: &str, install: &InstallSource) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |text: &str| lines.extend(text.lines().map(str::to_owned));
    add(
        "# Created by `noxide init`: runs the sessions of the noxfile in one job, in parallel. Check it with `noxide audit`.",
    );
    add("name: Sessions\n\n# noxide: ignore[NX209] a required check must report for every change\non:\n  push:");
    add(&format!("    branches: [{branch}]\n  pull_request:\n\n"));
    if forge == Forge::Github {
        add("permissions:\n  contents: read\n\n");
    }
    add("# A new push to a pull request cancels the run of the push before it.");
    add("concurrency:\n  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}");
    add("  cancel-in-progress: true\n\njobs:\n  sessions:");
    add(&render_runner(forge, install));
    add("    timeout-minutes: 30\n    steps:");
    add(&render_setup(forge, files, install));
    match install {
        InstallSource::Action(action) => {
            add(
                "      # Installs noxide, restores packages, runs the sessions, saves new packages, collects logs and reports.",
            );
            add("      # Inputs: `sessions`, `args` (flags of `noxide run`, posargs), `remote`, `dir`.");
            add(&format!("      - name: Run the sessions\n        uses: {}", action_for_forge(forge, action)));
        }
        _ => {
            add(
                "      # Restores packages, runs the sessions, saves new packages, collects logs and reports in noxide-ci.",
            );
            add(
                "      # It takes the flags of `noxide run`, such as `-s lint tests` or `--fail-fast`, and posargs after `--`.",
            );
            add("      - name: Run the sessions\n        run: noxide ci");
        }
    }
    let upload = match forge {
        Forge::Github => "actions/upload-artifact@v6",
        Forge::Forgejo => "https://code.forgejo.org/forgejo/upload-artifact@v4",
        Forge::Gitea => "actions/upload-artifact@v3",
    };
    add("      # Also of a failed run; `noxide report` and `noxide merge` read the record in it.");
    add(&format!("      - name: Upload logs and reports\n        if: always()\n        uses: {upload}"));
    add("        with:\n          name: noxide-ci\n          path: noxide-ci\n          include-hidden-files: true");
    lines.join("\n") + "\n"
}

/// Returns the lines that say where the job runs.
fn render_runner(forge: Forge, install: &InstallSource) -> String {
    let runner = if forge == Forge::Github { "ubuntu-latest" } else { "docker" };
    let image = match (install, forge) {
        (InstallSource::Image(image), _) => Some(image.clone()),
        (_, Forge::Github) => None,
        // The slim image has no C compiler.
        (InstallSource::Git(_), _) => Some(format!("python:{PYTHON_VERSION}")),
        _ => Some(format!("python:{PYTHON_VERSION}-slim")),
    };
    let container = image.map(|image| format!("\n    container:\n      image: {image}"));
    format!("    runs-on: {runner}{}", container.unwrap_or_default())
}

/// Returns the steps before the sessions: checkout, Python and noxide.
fn render_setup(forge: Forge, files: &ProjectFiles, install: &InstallSource) -> String {
    let mut text = String::new();
    let has_image = matches!(install, InstallSource::Image(_));
    if forge != Forge::Github && !has_image {
        text.push_str("      # The actions below need Node.js, which the image does not have.\n");
        text.push_str("      - name: Install git and Node.js\n");
        text.push_str("        run: apt-get update && apt-get install -y -qq git nodejs\n");
    }
    let checkout = if forge == Forge::Github { "v5" } else { "v4" };
    text.push_str(&format!("      - uses: actions/checkout@{checkout}\n"));
    let mut inputs = Vec::new();
    inputs.extend((forge == Forge::Github).then_some("          persist-credentials: false\n"));
    inputs.extend(files.version_from_git.then_some("          fetch-depth: 0 # the version comes from Git tags\n"));
    if !inputs.is_empty() {
        text.push_str(&format!("        with:\n{}", inputs.concat()));
    }
    if forge == Forge::Github && !has_image {
        text.push_str("      - uses: actions/setup-python@v6\n        with:\n");
        text.push_str(&format!("          python-version: \"{PYTHON_VERSION}\"\n"));
    }
    if let Some(argument) = install.pip_argument() {
        text.push_str(match install {
            InstallSource::Git(_) => {
                "      # Builds noxide, which takes minutes: a release or a wheel takes seconds. Brings nox and uv.\n"
            }
            _ => "      # With nox and uv. What to install is the setting `install` of noxide.\n",
        });
        text.push_str(&format!("      - name: Install noxide\n        run: pip install -q {argument}\n"));
    }
    if forge == Forge::Github && !matches!(install, InstallSource::Action(_)) {
        text.push_str(
            "      # GitHub shows the address of its cache to JavaScript actions only: this one hands it to noxide.\n",
        );
        text.push_str("      - uses: actions/github-script@v8\n        with:\n          script: |\n");
        text.push_str("            for (const name of ['ACTIONS_RESULTS_URL', 'ACTIONS_RUNTIME_TOKEN', 'ACTIONS_CACHE_SERVICE_V2'])\n");
        text.push_str("              core.exportVariable(name, process.env[name] ?? '')\n");
    }
    text
}

/// Returns the action's variant for the forge: on GitHub the one in `github/`, which hands the cache's address on.
fn action_for_forge(forge: Forge, action: &str) -> String {
    match action.rsplit_once('@') {
        Some((name, version)) if forge == Forge::Github && name.split('/').count() == 2 => {
            format!("{name}/github@{version}")
        }
        _ => action.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::AuditOptions;
    use super::super::rule_runner::{run_audit, tests::project};
    use super::*;

    const SOURCES: [&str; 5] = [
        "noxide==0.2.0",
        "https://h/noxide-0.2.0-py3-none-any.whl",
        "git+https://forge.example/noxide/noxide@0123456789abcdef0123456789abcdef01234567",
        "uses: noxide/noxide@0123456789abcdef0123456789abcdef01234567",
        "image: forge.example/noxide:0.2.0",
    ];

    fn generated(forge: Forge, source: &str) -> StarterWorkflow {
        let root = tempfile::tempdir().unwrap();
        StarterWorkflow::generate(root.path(), Some(forge), "main", &source.parse().unwrap())
    }

    #[test]
    fn the_starter_workflow_has_no_findings() {
        let noxfile = "import nox\n@nox.session\ndef lint(session):\n    session.install('ruff')\n    session.run('ruff')\n@nox.session\ndef tests(session):\n    session.install('pytest')\n    session.run('pytest')\n";
        for forge in [Forge::Forgejo, Forge::Gitea, Forge::Github] {
            for source in SOURCES {
                let StarterWorkflow { path, text } = generated(forge, source);
                let project =
                    project(&[(path.as_str(), text.as_str()), ("noxfile.py", noxfile)], AuditOptions::default());
                let findings: Vec<String> = run_audit(&project)
                    .findings
                    .iter()
                    .map(|finding| format!("{} {}", finding.rule.id, finding.message))
                    .collect();
                assert_eq!(findings, Vec::<String>::new(), "{text}");
            }
        }
    }

    #[test]
    fn each_source_is_installed_in_its_own_way() {
        for (forge, source, expected, absent) in [
            (Forge::Forgejo, SOURCES[0], "run: pip install -q noxide==0.2.0\n", "github-script"),
            (Forge::Github, SOURCES[0], "uses: actions/github-script@v8\n", "container:"),
            (Forge::Gitea, SOURCES[2], "image: python:3.13\n", "slim"),
            (Forge::Github, SOURCES[3], "uses: noxide/noxide/github@0123", "pip install"),
            (Forge::Forgejo, SOURCES[3], "uses: noxide/noxide@0123", "noxide ci\n"),
            (Forge::Forgejo, SOURCES[4], "image: forge.example/noxide:0.2.0\n", "apt-get"),
        ] {
            let text = generated(forge, source).text;
            assert!(text.contains(expected) && !text.contains(absent), "{text}");
        }
    }

    #[test]
    fn versions_from_git_need_all_tags() {
        let files = ProjectFiles { version_from_git: true, ..ProjectFiles::default() };
        let source = SOURCES[0].parse().unwrap();
        for forge in [Forge::Forgejo, Forge::Github] {
            assert!(render_workflow(forge, &files, "main", &source).contains("          fetch-depth: 0 #"));
        }
    }
}
