//! The host's Python program, put together from its parts, and the few lines that start it.

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
boot = json.loads(take(int(take(10))).decode('utf-8'))
exec(compile(boot['program'], '<noxide host>', 'exec'), {'__name__': 'noxide_host', 'BOOT': boot})
";

/// The parts in the order they run: later ones use earlier ones.
const PARTS: [&str; 6] = [
    include_str!("program/load.py"),
    include_str!("program/coverage.py"),
    include_str!("program/describe.py"),
    include_str!("program/session.py"),
    include_str!("program/plain.py"),
    include_str!("program/serve.py"),
];

/// What the bootstrap reads first: ten digits of length, then the program and its settings as JSON.
pub(super) fn boot(color: bool) -> Vec<u8> {
    let body = serde_json::json!({
        "program": PARTS.concat(),
        "bootstrap": BOOTSTRAP,
        "role": "host",
        "fd": 0,
        "color": color,
    })
    .to_string();
    format!("{:010}{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_leads_the_program() {
        let boot = String::from_utf8(boot(true)).unwrap();
        let (length, body) = boot.split_at(10);
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["color"], true);
        assert!(body["program"].as_str().unwrap().ends_with("main()\n"));
    }
}
