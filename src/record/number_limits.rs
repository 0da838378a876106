//! Limits of the numbers in records: a document from another machine may have any, and they size lists and loops.

use serde_json::Value;

/// Most slots and CPUs of a run.
const MAX_SLOTS: u64 = 100_000;
/// Longest time in milliseconds: ten years.
const MAX_MILLISECONDS: u64 = 10 * 366 * 24 * 3_600_000;
/// Largest size in bytes.
const MAX_BYTES: u64 = 1 << 53;
/// Largest count of attempts, packages and commands.
const MAX_COUNT: u64 = u32::MAX as u64;
/// Most shards of a run.
const MAX_SHARDS: u64 = 10_000;

/// Returns the largest value of the number in a field, or `None` if it may have any value: statuses of processes.
fn maximum(field: &str) -> Option<u64> {
    Some(match field {
        "exit_status" | "signal" => return None,
        "slots" | "cpus" => MAX_SLOTS,
        "index" | "count" => MAX_SHARDS,
        "at" | "start" | "end" => MAX_MILLISECONDS,
        "exit_code" => u64::from(u8::MAX),
        "number" | "attempt" | "hits" | "misses" | "commands" | "skipped" | "version" | "mode" => MAX_COUNT,
        _ if field.ends_with("_ms") => MAX_MILLISECONDS,
        _ => MAX_BYTES,
    })
}

/// Finds a number in a document that no run can have, and describes it: the path of its field, its value, the limits.
pub(super) fn find_invalid_number(document: &Value) -> Option<String> {
    find_below(document, "", &mut String::new())
}

/// Searches a value; `field` is the name of the field that it belongs to, `path` its path.
fn find_below(value: &Value, field: &str, path: &mut String) -> Option<String> {
    let length = path.len();
    let found = match value {
        Value::Number(number) => {
            let maximum = maximum(field)?;
            let is_valid = number.as_u64().is_some_and(|number| number <= maximum);
            return (!is_valid).then(|| format!("{path} is {number}, which is not a whole number from 0 to {maximum}"));
        }
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            path.push_str(&format!("[{index}]"));
            let found = find_below(item, field, path);
            path.truncate(length);
            found
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, item)| {
            if length > 0 {
                path.push('.');
            }
            path.push_str(name);
            let found = find_below(item, name, path);
            path.truncate(length);
            found
        }),
        _ => None,
    };
    path.truncate(length);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_beyond_the_limits_are_named_by_their_field() {
        let check = |document: Value| find_invalid_number(&document);
        assert_eq!(check(json!({"slots": 4, "a": {"exit_status": -9, "signal": 9, "log_bytes": 1_u64 << 40}})), None);
        let attempt =
            |value: Value| json!({"sessions": [{"result": {"attempts": [{"start": 1}, {"slots": [0, value]}]}}]});
        assert_eq!(check(attempt(json!(3))), None);
        for value in [json!(-1), json!(1_u64 << 31), json!(u64::MAX), json!(1e308), json!(1.5)] {
            let found = check(attempt(value.clone())).unwrap();
            assert_eq!(
                found,
                format!(
                    "sessions[0].result.attempts[1].slots[1] is {value}, which is not a whole number from 0 to 100000"
                )
            );
        }
        assert_eq!(
            check(json!({"shard": {"index": 1, "count": 2_000_000_000}})).unwrap(),
            "shard.count is 2000000000, which is not a whole number from 0 to 10000"
        );
        for field in
            ["wall_ms", "at", "end", "usual_ms", "cpu_ms", "delay_ms", "hits", "peak_memory", "cpus", "exit_code"]
        {
            assert!(check(json!({field: -1})).is_some() && check(json!({field: 1_u64 << 60})).is_some(), "{field}");
            assert_eq!(check(json!({field: 200})), None, "{field}");
        }
    }
}
