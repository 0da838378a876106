//! Programs that run what another file says, such as `make` and shells.

/// Programs that run what another file or another program's output says; `.` and `source` are not among them.
pub(crate) const FILE_RUNNERS: [&str; 27] = [
    "spin",
    "mise",
    "nix",
    "nix-shell",
    "bazel",
    "cmake",
    "ninja",
    "scons",
    "make",
    "gmake",
    "just",
    "task",
    "invoke",
    "inv",
    "tox",
    "poe",
    "doit",
    "duty",
    "npm",
    "pnpm",
    "yarn",
    "npx",
    "docker",
    "docker-compose",
    "podman",
    "eval",
    "xargs",
];
/// Shells that run a script.
pub(crate) const SHELLS: [&str; 5] = ["sh", "bash", "zsh", "dash", "ksh"];
