//! The host's Python program, concatenated from its files, and the bootstrap code that starts it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Code for `python -c`. It reads the program from descriptor 0, so that the program does not appear in process lists.
pub(super) const BOOTSTRAP: &str = "\
import sys
# Without the working directory, in which a file such as json.py would be imported.
sys.path[:] = [entry for entry in sys.path if entry]
import json, os
def read_exactly(size):
    data = b''
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            raise SystemExit('noxide is gone')
        data += chunk
    return data
def is_own(status):
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022
def program(boot):
    # Compiling takes 9 ms: use the code that another run compiled, if its checksum is right and no other user can have
    # written it.
    import _imp, marshal, sys
    cached = boot.get('code_cache') and '%s-%x' % (boot['code_cache'], sys.hexversion)
    try:
        directory = os.path.dirname(cached)
        with open(cached, 'rb') as file:
            found = [os.fstat(file.fileno()), os.lstat(directory), os.stat(os.path.dirname(directory))]
            data = file.read()
        if all(map(is_own, found)) and data[:8] == _imp.source_hash(0, data[8:]):
            return marshal.loads(data[8:])
    except Exception:
        pass
    code = compile(boot['program'], '<noxide host>', 'exec')
    try:
        data = marshal.dumps(code)
        umask = os.umask(0o022)
        try:
            os.makedirs(os.path.dirname(cached), exist_ok=True)
            with open('%s.%d' % (cached, os.getpid()), 'xb') as file:
                file.write(_imp.source_hash(0, data) + data)
            os.rename('%s.%d' % (cached, os.getpid()), cached)
        finally:
            os.umask(umask)
    except Exception:
        pass
    return code
boot = json.loads(read_exactly(int(read_exactly(10))).decode('utf-8'))
exec(program(boot), {'__name__': 'noxide_host', 'BOOT': boot})
";

/// The files of the program, in the order of their dependencies.
const PROGRAM_FILES: [&str; 24] = [
    include_str!("program/load.py"),
    include_str!("program/source_analysis.py"),
    include_str!("program/variable_analysis.py"),
    include_str!("program/manifest.py"),
    include_str!("program/install_facts.py"),
    include_str!("program/environment_check.py"),
    include_str!("program/local_project.py"),
    include_str!("program/shared_install.py"),
    include_str!("program/bytecode.py"),
    include_str!("program/install.py"),
    include_str!("program/command_words.py"),
    include_str!("program/source_trees.py"),
    include_str!("program/environments.py"),
    include_str!("program/resource_lock.py"),
    include_str!("program/command_uses.py"),
    include_str!("program/coverage_data.py"),
    include_str!("program/command_locks.py"),
    include_str!("program/capture.py"),
    include_str!("program/shared_variables.py"),
    include_str!("program/session.py"),
    include_str!("program/preload.py"),
    include_str!("program/nox_process.py"),
    include_str!("program/processes.py"),
    include_str!("program/serve.py"),
];

/// Returns the input of the bootstrap code: its length in ten digits, then the program and its settings as JSON.
///
/// With `preload` the host prepares for sessions while it loads; `cache` is a directory for the compiled program.
pub(super) fn boot_payload(color: bool, preload: bool, cache: Option<&Path>) -> Vec<u8> {
    let program = PROGRAM_FILES.concat();
    // The file is named by the digest of the program.
    let mut hasher = DefaultHasher::new();
    program.hash(&mut hasher);
    let code_cache = cache.map(|cache| cache.join(format!("host/{:016x}", hasher.finish())));
    let body = serde_json::json!({
        "code_cache": code_cache.as_deref().and_then(Path::to_str),
        "program": program,
        "bootstrap": BOOTSTRAP,
        "role": "host",
        "fd": 0,
        "color": color,
        "preload": preload,
    })
    .to_string();
    format!("{:010}{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files are one module, in which a second definition would replace the first.
    #[test]
    fn no_name_is_defined_twice() {
        let program = PROGRAM_FILES.concat();
        let mut defined = std::collections::BTreeSet::new();
        for line in program.lines() {
            let name = line.strip_prefix("def ").or_else(|| line.strip_prefix("class "));
            let Some(name) = name.and_then(|rest| rest.split(['(', ':']).next()) else { continue };
            assert!(defined.insert(name), "{name} is defined twice");
        }
        assert!(defined.contains("main"));
    }

    #[test]
    fn the_payload_starts_with_its_length() {
        let boot = String::from_utf8(boot_payload(true, false, None)).unwrap();
        let (length, body) = boot.split_at(10);
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["color"], true);
        assert!(body["program"].as_str().unwrap().ends_with("\nmain()\nexit_process()\n"));
    }
}
