//! Flags of nox, with their spelling and meaning in nox, and the arguments that pass them on to it.

use std::ffi::OsString;

use clap::{ArgAction, Args};

use super::nox::NoxArguments;

/// Flags that select sessions, shared by all subcommands that load a noxfile.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Selection")]
pub struct SelectionArgs {
    /// Select sessions by name, in addition to those of -s
    #[arg(value_name = "SESSION")]
    pub(crate) names: Vec<OsString>,
    /// Select sessions by name [default: the noxfile's default sessions] [env: NOXSESSION]
    #[arg(short = 's', short_alias = 'e', long, alias = "session", action = ArgAction::Set, num_args = 0.., value_name = "NAME")]
    pub(crate) sessions: Option<Vec<OsString>>,
    /// Select sessions whose names or tags match an expression, such as `test and not slow`
    #[arg(short, long, value_name = "EXPR")]
    pub(crate) keywords: Option<OsString>,
    /// Select sessions with any of these tags
    #[arg(short, long, action = ArgAction::Set, num_args = 0.., value_name = "TAG")]
    pub(crate) tags: Option<Vec<OsString>>,
    /// Select sessions that use these interpreters [env: NOXPYTHON]
    #[arg(short, long, alias = "python", action = ArgAction::Set, num_args = 0.., value_name = "VERSION")]
    pub(crate) pythons: Option<Vec<OsString>>,
    /// Use these interpreters instead of those in the noxfile [env: NOXFORCEPYTHON]
    #[arg(short = 'P', long, alias = "force-python", action = ArgAction::Set, num_args = 0.., value_name = "VERSION")]
    pub(crate) force_pythons: Option<Vec<OsString>>,
    /// Use these interpreters in addition to those in the noxfile [env: NOXEXTRAPYTHON]
    #[arg(long, alias = "extra-python", action = ArgAction::Set, num_args = 0.., value_name = "VERSION")]
    pub(crate) extra_pythons: Option<Vec<OsString>>,
    /// Do not add the sessions that the selected ones require
    #[arg(long)]
    pub(crate) no_dependencies: bool,
    /// Use this noxfile [default: noxfile.py]
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) noxfile: Option<OsString>,
}

/// nox's flags that control environments.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Environments")]
pub struct EnvironmentArgs {
    /// Reuse existing environments; same as --reuse-venv=yes
    #[arg(short = 'r', long = "reuse-existing-virtualenvs", overrides_with = "no_reuse")]
    pub(crate) reuse: bool,
    /// Recreate environments; same as --reuse-venv=no
    #[arg(short = 'N', long = "no-reuse-existing-virtualenvs", overrides_with = "reuse")]
    pub(crate) no_reuse: bool,
    /// Reuse existing environments and skip installs; same as -r --no-install
    #[arg(short = 'R')]
    pub(crate) reuse_as_is: bool,
    /// Reuse existing environments; never and always override the noxfile
    #[arg(long, value_name = "WHEN", value_parser = ["no", "yes", "never", "always"])]
    pub(crate) reuse_venv: Option<String>,
    /// Skip installs in reused environments
    #[arg(long)]
    pub(crate) no_install: bool,
    /// Create environments and install, but run no commands
    #[arg(long)]
    pub(crate) install_only: bool,
    /// Use this backend if the noxfile sets none; also -db [env: NOX_DEFAULT_VENV_BACKEND]
    #[arg(long, value_name = "BACKEND")]
    pub(crate) default_venv_backend: Option<OsString>,
    /// Use this backend for all environments; also -fb
    #[arg(long, value_name = "BACKEND")]
    pub(crate) force_venv_backend: Option<OsString>,
    /// Create no environments; same as --force-venv-backend none
    #[arg(long)]
    pub(crate) no_venv: bool,
    /// Create environments in DIR [default: .nox]
    #[arg(long, value_name = "DIR")]
    pub(crate) envdir: Option<OsString>,
    /// Download missing interpreters [env: NOX_DOWNLOAD_PYTHON]
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "never", "always"])]
    pub(crate) download_python: Option<String>,
    /// Fail sessions whose interpreter is missing (the default if CI is set)
    #[arg(long, overrides_with = "no_error_on_missing_interpreters")]
    pub(crate) error_on_missing_interpreters: bool,
    /// Skip sessions whose interpreter is missing
    #[arg(long, hide_short_help = true, overrides_with = "error_on_missing_interpreters")]
    pub(crate) no_error_on_missing_interpreters: bool,
    /// Fail sessions that run programs from outside their environment
    #[arg(long, hide_short_help = true, overrides_with = "no_error_on_external_run")]
    pub(crate) error_on_external_run: bool,
    /// Let sessions run programs from outside their environment
    #[arg(long, hide_short_help = true, overrides_with = "error_on_external_run")]
    pub(crate) no_error_on_external_run: bool,
    /// Reuse, recreate (fresh) or create no environment for a noxfile with a `# /// script` block
    #[arg(long, value_name = "MODE", value_parser = ["none", "fresh", "reuse"], hide_short_help = true)]
    pub(crate) script_mode: Option<String>,
    /// Use this backend for the noxfile's own environment
    #[arg(long, value_name = "BACKEND", hide_short_help = true)]
    pub(crate) script_venv_backend: Option<OsString>,
}

/// nox's flags that control how sessions behave and what they print.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct NoxRunArgs {
    /// Accepted for compatibility with nox; no effect: session.interactive is always false
    #[arg(long, help_heading = "Execution", hide_short_help = true)]
    pub(crate) non_interactive: bool,
    /// Accepted for compatibility with nox; no effect: noxide always runs sessions in parallel
    #[arg(long, hide = true, overrides_with = "no_allow_parallel")]
    pub(crate) allow_parallel: bool,
    /// The opposite of --allow-parallel
    #[arg(long, hide = true, overrides_with = "allow_parallel")]
    pub(crate) no_allow_parallel: bool,
    /// Prefix nox's own lines with the time; also -ts
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(crate) add_timestamp: bool,
    /// Same as --color always
    #[arg(long, alias = "force-color", help_heading = "Output", hide_short_help = true)]
    pub(crate) forcecolor: bool,
    /// Same as --color never
    #[arg(long, alias = "no-color", help_heading = "Output", hide_short_help = true, conflicts_with = "forcecolor")]
    pub(crate) nocolor: bool,
    /// Respect silent=True, even if the noxfile sets nox.options.verbose
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(crate) no_verbose: bool,
    /// The global `-v`, which is passed on to nox.
    #[arg(skip)]
    pub(crate) verbose: bool,
}

impl SelectionArgs {
    /// Returns whether any flag selects sessions.
    pub(crate) fn has_selection(&self) -> bool {
        *self != Self { noxfile: self.noxfile.clone(), ..Self::default() }
    }

    /// Returns the names of `-s` and those without a flag; `None` if there are neither.
    pub(crate) fn selected_names(&self) -> Option<Vec<OsString>> {
        let is_given = self.sessions.is_some() || !self.names.is_empty();
        is_given.then(|| self.sessions.iter().flatten().chain(&self.names).cloned().collect())
    }

    /// Returns the given flags as arguments for nox.
    pub fn nox_flags(&self) -> Vec<OsString> {
        let mut argv = NoxArguments::default();
        argv.push_value("--noxfile", self.noxfile.as_deref());
        argv.push_values("--sessions", self.selected_names().as_deref());
        argv.push_value("--keywords", self.keywords.as_deref());
        argv.push_values("--tags", self.tags.as_deref());
        argv.push_values("--pythons", self.pythons.as_deref());
        argv.push_values("--force-pythons", self.force_pythons.as_deref());
        argv.push_values("--extra-pythons", self.extra_pythons.as_deref());
        argv.push_flag("--no-dependencies", self.no_dependencies);
        argv.0
    }
}

impl EnvironmentArgs {
    /// Returns the given flags as arguments for nox.
    pub(crate) fn nox_flags(&self) -> Vec<OsString> {
        let mut argv = NoxArguments::default();
        argv.push_flag("--reuse-existing-virtualenvs", self.reuse);
        argv.push_flag("--no-reuse-existing-virtualenvs", self.no_reuse);
        argv.push_flag("-R", self.reuse_as_is);
        argv.push_value("--reuse-venv", self.reuse_venv.as_deref());
        argv.push_flag("--no-install", self.no_install);
        argv.push_flag("--install-only", self.install_only);
        argv.push_value("--default-venv-backend", self.default_venv_backend.as_deref());
        argv.push_value("--force-venv-backend", self.force_venv_backend.as_deref());
        argv.push_flag("--no-venv", self.no_venv);
        argv.push_value("--envdir", self.envdir.as_deref());
        argv.push_value("--download-python", self.download_python.as_deref());
        argv.push_flag("--error-on-missing-interpreters", self.error_on_missing_interpreters);
        argv.push_flag("--no-error-on-missing-interpreters", self.no_error_on_missing_interpreters);
        argv.push_flag("--error-on-external-run", self.error_on_external_run);
        argv.push_flag("--no-error-on-external-run", self.no_error_on_external_run);
        argv.push_value("--script-mode", self.script_mode.as_deref());
        argv.push_value("--script-venv-backend", self.script_venv_backend.as_deref());
        argv.0
    }

    /// Returns whether the flags request both no environments and a backend, which nox refuses.
    pub(crate) fn has_backend_conflict(&self) -> bool {
        self.no_venv && self.force_venv_backend.as_deref().is_some_and(|backend| backend != "none")
    }
}

impl NoxRunArgs {
    /// Returns the given flags as arguments for nox.
    pub(crate) fn nox_flags(&self) -> Vec<OsString> {
        let mut argv = NoxArguments::default();
        argv.push_flag("--non-interactive", self.non_interactive);
        argv.push_flag("--allow-parallel", self.allow_parallel);
        argv.push_flag("--no-allow-parallel", self.no_allow_parallel);
        argv.push_flag("--add-timestamp", self.add_timestamp);
        argv.push_flag("--forcecolor", self.forcecolor);
        argv.push_flag("--nocolor", self.nocolor);
        argv.push_flag("--verbose", self.verbose && !self.no_verbose);
        argv.push_flag("--no-verbose", self.no_verbose);
        argv.0
    }
}
