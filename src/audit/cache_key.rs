//! What a cache key is made of.

/// The files that a key's `hashFiles(…)` name.
pub(crate) fn extract_hashed_files(key: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut rest = key;
    while let Some((_, after)) = rest.split_once("hashFiles(") {
        let inside = after.split(')').next().unwrap_or_default();
        files.extend(inside.split(',').map(|file| file.trim().trim_matches(['\'', '"']).to_owned()));
        rest = after;
    }
    files
}

/// A key without its `hashFiles(…)`, in lower case: what it says beside the files.
pub(crate) fn strip_hash_files(key: &str) -> String {
    let mut text = String::new();
    let mut rest = key;
    while let Some((before, after)) = rest.split_once("hashFiles(") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.to_lowercase()
}

/// Whether a key, as stated, tells operating systems apart.
pub(crate) fn has_os_part(stated: &str) -> bool {
    ["runner.os", "os }}", "runner_os", "linux", "ubuntu", "debian", "macos", "windows", "platform"]
        .iter()
        .any(|part| stated.contains(part))
}

/// Whether a key, as stated, tells processors apart.
pub(crate) fn has_arch_part(stated: &str) -> bool {
    ["arch", "x64", "x86", "arm64", "aarch64"].iter().any(|part| stated.contains(part))
}

/// Whether a key, as stated, tells interpreters apart.
pub(crate) fn has_python_part(stated: &str) -> bool {
    ["python", "py3", "-py", "matrix.py", "cp3"].iter().any(|part| stated.contains(part))
}

/// Whether a key, as stated, tells versions of uv apart.
pub(crate) fn has_uv_version_part(stated: &str) -> bool {
    ["uv_version", "uv-version", "uv0", "uv1", "uv-0", "uv-1"].iter().any(|part| stated.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart() {
        let key = "uv-${{ runner.os }}-${{ hashFiles('uv.lock', \"noxfile.py\") }}-${{ hashFiles('x') }}-Py3.12";
        assert_eq!(extract_hashed_files(key), ["uv.lock", "noxfile.py", "x"]);
        assert_eq!(strip_hash_files(key), "uv-${{ runner.os }}-${{  }}-${{  }}-py3.12");
        assert!(has_os_part(&strip_hash_files(key)) && has_python_part(&strip_hash_files(key)));
        assert!(!has_arch_part(&strip_hash_files(key)) && !has_uv_version_part(&strip_hash_files(key)));
        assert!(has_uv_version_part("${{ env.uv_version }}") && has_arch_part("${{ runner.arch }}"));
        assert_eq!(strip_hash_files("hashFiles(open"), "");
    }
}
