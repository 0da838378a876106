//! Credentials of noxide itself: no process of a run finds them, and noxide still uses them.
#![cfg(target_os = "linux")]

use crate::support::{NoxideRun, Project, noxide_command};

/// A session that looks for the values in its environment and in that of every process that started it.
const SEARCH: &str = r#"
@nox.session
def search(session):
    process, places = os.getpid(), [str(dict(os.environ)).encode()]
    while process > 1:
        try:
            places.append(open(f"/proc/{process}/environ", "rb").read())
        except OSError:
            pass
        process = int(open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()[1])
    found = [place for place in places if b"sign-with-" + b"this" in place or b"token-" + b"value" in place]
    print(len(places) > 3, "places,", len(found), "with credentials")
    print("masked", "sign-with-" + "this", "token-" + "value")
"#;

#[test]
fn no_session_finds_the_credentials_of_noxide() {
    let project = Project::with_sessions(SEARCH);
    let mut command = noxide_command(&project, "run");
    command.env("NOXIDE_CACHE_SIGNING_KEY", "sign-with-this").env("ACTIONS_RUNTIME_TOKEN", "token-value");
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    let log = project.session_log("search");
    assert!(log.contains("True places, 0 with credentials"), "{log}");
    // noxide still knows them.
    assert!(log.contains("masked *** ***"), "{log}");
}

/// The runner of Forgejo checks no token: whoever knows the address of its cache can write to it.
#[test]
fn no_session_finds_the_address_of_the_cache() {
    let project = Project::with_sessions(&SEARCH.replace("sign-with-", "3f9a1c77d0").replace("\"this\"", "\"aa42e1\""));
    let address = "http://127.0.0.1:9/3f9a1c77d0aa42e1/";
    let mut command = noxide_command(&project, "run");
    command.env("FORGEJO_ACTIONS", "true").env("ACTIONS_CACHE_URL", address).env("ACTIONS_RESULTS_URL", address);
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    let log = project.session_log("search");
    assert!(log.contains("True places, 0 with credentials"), "{log}");
    assert!(log.contains("masked ***") && !ran.text.contains("3f9a1c77d0aa42e1"), "{log}\n{}", ran.text);
}

/// Runs with the key share no store with runs without it.
#[test]
fn the_store_of_runs_with_a_signing_key_is_their_own() {
    let project = Project::with_sessions(SEARCH);
    let status = |key: Option<&str>| {
        let mut command = noxide_command(&project, "cache status --format json");
        command.env_remove("NOXIDE_CACHE_SIGNING_KEY").envs(key.map(|key| ("NOXIDE_CACHE_SIGNING_KEY", key)));
        let ran = NoxideRun::finish(&mut command);
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        std::path::PathBuf::from(document["path"].as_str().unwrap_or_else(|| panic!("{document}")))
    };
    let (plain, empty, signed, other) =
        (status(None), status(Some("")), status(Some("one-key")), status(Some("two-key")));
    assert_eq!(plain, empty);
    assert!(signed.starts_with(&plain) && other.starts_with(&plain) && signed != other && signed != plain);
    assert!(!signed.to_string_lossy().contains("one-key"));
}

#[test]
fn a_credential_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let project = Project::with_sessions(SEARCH);
    for name in ["NOXIDE_CACHE_SIGNING_KEY", "ACTIONS_RUNTIME_TOKEN"] {
        let mut command = noxide_command(&project, "run");
        command.env(name, std::ffi::OsStr::from_bytes(b"\xff\xfe-key")).env("NOXIDE_FORGE_TOKEN", "token-value");
        let ran = NoxideRun::finish(&mut command);
        assert_eq!(ran.exit, Some(2), "{}", ran.text);
        assert!(ran.text.contains(&format!("{name} is not valid UTF-8")), "{}", ran.text);
    }
}
