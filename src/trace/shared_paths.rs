//! Shared paths: files of tools in the user's directories that several processes may use at once, because the tools lock them.

use std::path::PathBuf;

/// Directories below the home directory or below one that a variable names, and what the tool locks in them. Other files
/// there, such as `config.toml` and `bin`, are tracked.
const LOCKED_BY_TOOLS: &[(&str, &str, &[&str])] = &[
    ("CARGO_HOME", ".cargo", &CARGO_PATHS),
    ("GRADLE_USER_HOME", ".gradle", &["caches", "daemon", "native", "wrapper/dists"]),
    ("npm_config_cache", ".npm", &["_cacache", "_logs", "_update-notifier-last-checked"]),
    ("NPM_CONFIG_CACHE", ".npm", &["_cacache", "_logs", "_update-notifier-last-checked"]),
    ("CCACHE_DIR", ".ccache", &CCACHE_PATHS),
];

/// What cargo locks: its package cache, and the database of when each package was last used.
const CARGO_PATHS: [&str; 8] = [
    ".global-cache",
    ".global-cache-journal",
    ".global-cache-shm",
    ".global-cache-wal",
    ".package-cache",
    ".package-cache-mutate",
    "git",
    "registry",
];

/// ccache's results by the first digit of their hash, and its locks and temporary files. `ccache.conf` is not one of them.
const CCACHE_PATHS: [&str; 18] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f", "lock", "tmp"];

/// Cache directories that variables name. Without the variable they are below `~/.cache`.
const CACHE_VARIABLES: &[&str] =
    &["XDG_CACHE_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR", "PRE_COMMIT_HOME", "GOCACHE", "SCCACHE_DIR"];

/// Returns the paths that tools share safely; `variable` returns an environment variable that is set.
///
/// Not among them: what tools do not lock themselves, such as the homes of rustup and Conan, conda's packages, Maven's
/// repository, and environments.
pub(super) fn shared_tool_paths(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let home = |name: &str| variable("HOME").map(|home| home.join(name));
    let mut paths: Vec<PathBuf> = CACHE_VARIABLES.iter().filter_map(|name| variable(name)).collect();
    paths.extend(home(".cache"));
    // virtualenv's wheels and uv's interpreters, which both protect by locks.
    let data = variable("XDG_DATA_HOME").or_else(|| home(".local/share"));
    paths.extend(data.iter().flat_map(|data| ["virtualenv", "uv/python"].map(|name| data.join(name))));
    for (name, default, inside) in LOCKED_BY_TOOLS {
        let directory = variable(name).or_else(|| home(default));
        paths.extend(directory.iter().flat_map(|directory| inside.iter().map(|path| directory.join(path))));
    }
    // Go's modules and checksums, in the first directory of GOPATH, and the counters of its telemetry.
    let go_path = variable("GOPATH").and_then(|list| std::env::split_paths(&list).next()).or_else(|| home("go"));
    paths.extend(variable("GOMODCACHE").or_else(|| go_path.as_ref().map(|path| path.join("pkg/mod"))));
    paths.extend(go_path.map(|path| path.join("pkg/sumdb")));
    let settings = variable("XDG_CONFIG_HOME").or_else(|| home(".config"));
    paths.extend(settings.map(|settings| settings.join("go/telemetry")));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        shared_tool_paths(value)
    }

    #[test]
    fn variables_name_the_homes_of_tools() {
        let plain = paths(&[("HOME", "/home/me")]);
        let set = paths(&[
            ("HOME", "/home/me"),
            ("CARGO_HOME", "/cargo"),
            ("GOPATH", "/go:/more"),
            ("GOCACHE", "/built"),
            ("npm_config_cache", "/npm"),
            ("XDG_DATA_HOME", "/data"),
        ]);
        for (paths, path, is_shared) in [
            (&plain, "/home/me/.cargo/.global-cache", true),
            (&plain, "/home/me/.cargo/registry", true),
            (&plain, "/home/me/.cargo", false),
            (&plain, "/home/me/.rustup", false),
            (&plain, "/home/me/.cache", true),
            (&plain, "/home/me/go/pkg/mod", true),
            (&plain, "/home/me/.gradle/caches", true),
            (&plain, "/home/me/.local/share/uv/python", true),
            (&set, "/cargo/git", true),
            (&set, "/home/me/.cargo/git", false),
            (&set, "/go/pkg/mod", true),
            (&set, "/built", true),
            (&set, "/npm/_cacache", true),
            (&set, "/data/virtualenv", true),
        ] {
            assert_eq!(paths.contains(&PathBuf::from(path)), is_shared, "{path}");
        }
        assert_eq!(paths(&[]), Vec::<PathBuf>::new());
    }
}
