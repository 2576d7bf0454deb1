//! What `/api/v1/health` may say: anybody can read it.

use serde_json::Value;

/// Fails where an answer of `/api/v1/health` names a server.
#[track_caller]
pub fn assert_names_no_server(health: &Value) {
    let dependencies = health["dependencies"].to_string();
    for part in ["127.0.0.1", "localhost", "ipv4", "ipv6", "://", "port"] {
        assert!(!dependencies.contains(part), "`{part}` is in {dependencies}");
    }
    let numbers = dependencies.split(|c: char| !c.is_ascii_digit());
    let like_a_port = numbers.filter_map(|number| number.parse::<u64>().ok()).find(|number| *number >= 1024);
    assert_eq!(like_a_port, None, "{dependencies}");
}
