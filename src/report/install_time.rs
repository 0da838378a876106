//! Install time of a sequential nox run, from the timestamps of its output lines.

/// Returns the seconds spent on installs, computed from the timestamps of nox's output lines; `end` is the end of the
/// run.
///
/// Returns `None` if nox printed no such lines, or if sessions ran in parallel: their lines are then printed at the
/// end of each session and carry no timing.
pub(crate) fn install_seconds(lines: &[(f64, String)], end: f64) -> Option<f64> {
    // Printed by `nox -j`, which prints the lines of a session only after it ended.
    if lines.iter().any(|(_, line)| line.starts_with("Starting session ")) {
        return None;
    }
    let messages: Vec<(f64, &str)> =
        lines.iter().filter_map(|(at, line)| Some((*at, line.strip_prefix("nox > ")?))).collect();
    if messages.is_empty() {
        return None;
    }
    let ends = messages.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let mut sum = 0.0;
    for ((at, line), next) in messages.iter().zip(ends) {
        if is_install_line(line) {
            sum += (next - at).max(0.0);
        }
    }
    Some(sum)
}

/// Returns whether nox creates an environment or installs into one.
fn is_install_line(line: &str) -> bool {
    let starts = [
        "Creating virtual environment",
        "Creating conda env",
        "Re-using existing virtual environment",
        "uv pip install",
        "uv sync",
        "uv venv",
        "pip install",
        "python -m pip install",
        "conda install",
        "mamba install",
        "micromamba install",
        "pdm install",
        "poetry install",
    ];
    starts.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nox_lines(lines: &[(f64, &str)]) -> Vec<(f64, String)> {
        lines.iter().map(|(at, line)| (*at, format!("nox > {line}"))).collect()
    }

    #[test]
    fn an_install_lasts_until_the_next_line() {
        let lines = nox_lines(&[
            (0.1, "Running session lint"),
            (0.2, "Creating virtual environment (uv) using python3.11 in .nox/lint"),
            (0.7, "uv pip install ruff"),
            (2.7, "ruff check ."),
            (3.0, "Session lint was successful in 3 seconds."),
            (3.1, "uv pip install '.[x]'"),
        ]);
        assert!((install_seconds(&lines, 4.1).unwrap() - 3.5).abs() < 1e-9);
        assert_eq!(install_seconds(&nox_lines(&[(0.1, "Running session a")]), 1.0), Some(0.0));
    }

    #[test]
    fn output_without_timing_has_no_install_time() {
        assert_eq!(install_seconds(&[], 1.0), None);
        assert_eq!(install_seconds(&[(0.1, "other words".to_owned())], 1.0), None);
        let mut parallel = nox_lines(&[(1.0, "uv pip install x")]);
        parallel.insert(0, (0.0, "Starting session a...".to_owned()));
        assert_eq!(install_seconds(&parallel, 2.0), None);
    }
}
