//! The host's Python program, put together from its parts, and the few lines that start it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// What `python -c` gets: it reads the program from descriptor 0, so that no process list shows the program's text.
pub(super) const BOOTSTRAP: &str = "\
import json, os
def take(size):
    data = b''
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            raise SystemExit('noxide went away')
        data += more
    return data
def program(boot):
    # Compiling takes 9 ms: what another run compiled is taken where it is whole.
    import _imp, marshal, sys
    kept = boot.get('kept') and '%s-%x' % (boot['kept'], sys.hexversion)
    try:
        with open(kept, 'rb') as file:
            data = file.read()
        if data[:8] == _imp.source_hash(0, data[8:]):
            return marshal.loads(data[8:])
    except Exception:
        pass
    code = compile(boot['program'], '<noxide host>', 'exec')
    try:
        data = marshal.dumps(code)
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        with open('%s.%d' % (kept, os.getpid()), 'xb') as file:
            file.write(_imp.source_hash(0, data) + data)
        os.rename('%s.%d' % (kept, os.getpid()), kept)
    except Exception:
        pass
    return code
boot = json.loads(take(int(take(10))).decode('utf-8'))
exec(program(boot), {'__name__': 'noxide_host', 'BOOT': boot})
";

/// The parts in the order they run: later ones use earlier ones.
const PROGRAM_PARTS: [&str; 13] = [
    include_str!("program/load.py"),
    include_str!("program/coverage.py"),
    include_str!("program/describe.py"),
    include_str!("program/installed.py"),
    include_str!("program/shared.py"),
    include_str!("program/bytecode.py"),
    include_str!("program/install.py"),
    include_str!("program/capture.py"),
    include_str!("program/session.py"),
    include_str!("program/ahead.py"),
    include_str!("program/plain.py"),
    include_str!("program/processes.py"),
    include_str!("program/serve.py"),
];

/// What the bootstrap reads first: ten digits of length, then the program and its settings as JSON.
///
/// `ahead` has it start what only sessions need; `cache` is a folder that keeps the program compiled, without one
/// each run compiles it.
pub(super) fn boot_payload(color: bool, ahead: bool, cache: Option<&Path>) -> Vec<u8> {
    let program = PROGRAM_PARTS.concat();
    // Each program has a file of its own: its name is what it is made from.
    let mut hasher = DefaultHasher::new();
    program.hash(&mut hasher);
    let kept = cache.map(|cache| cache.join(format!("host/{:016x}", hasher.finish())));
    let body = serde_json::json!({
        "kept": kept.as_deref().and_then(Path::to_str),
        "program": program,
        "bootstrap": BOOTSTRAP,
        "role": "host",
        "fd": 0,
        "color": color,
        "ahead": ahead,
    })
    .to_string();
    format!("{:010}{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_leads_the_program() {
        let boot = String::from_utf8(boot_payload(true, false, None)).unwrap();
        let (length, body) = boot.split_at(10);
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["color"], true);
        assert!(body["program"].as_str().unwrap().ends_with("\nmain()\nleave()\n"));
    }
}
