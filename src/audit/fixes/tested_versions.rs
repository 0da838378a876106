//! Versions written where a project names none: those that this release was tested with.

/// The tested version of a tool.
pub(crate) fn tested_version(tool: &str) -> Option<&'static str> {
    match tool {
        "nox" => Some("2026.10.20"),
        "uv" => Some("0.13.9"),
        _ => None,
    }
}
