//! Network use of sessions, as their traces record it.

use serde_json::Value;

use crate::support::Project;

/// A datagram without a connection to another machine, in an address range that reaches nobody, is network use; one to this machine is not.
#[test]
fn datagrams_to_other_machines_are_network_use() {
    let project = Project::with_sessions(
        "
def send(address, how):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        try:
            how(datagrams, address)
        except OSError:
            pass

@nox.session
def sendto(session):
    send('192.0.2.1', lambda datagrams, address: datagrams.sendto(b'x', (address, 9)))

@nox.session
def sendmsg(session):
    send('192.0.2.1', lambda datagrams, address: datagrams.sendmsg([b'x'], [], 0, (address, 9)))

@nox.session
def local(session):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(('127.0.0.1', 0))
        send('127.0.0.1', lambda datagrams, address: datagrams.sendto(b'x', own.getsockname()))
",
    );
    let ran = project.noxide(&["trace", "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let uses_network = |session: &Value| (session["uses_network"].clone(), session["complete"].clone());
    let sessions: Vec<(Value, Value)> = report["sessions"].as_array().unwrap().iter().map(uses_network).collect();
    let expected = [true, true, false].map(|network| (Value::from(network), Value::from(true)));
    assert_eq!(sessions, expected, "{}", ran.stdout);
}
