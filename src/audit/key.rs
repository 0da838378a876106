//! What a cache key is made of.

/// The files that a key's `hashFiles(…)` name.
pub fn hashed(key: &str) -> Vec<String> {
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
pub fn stated(key: &str) -> String {
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
pub fn names_os(stated: &str) -> bool {
    ["runner.os", "os }}", "runner_os", "linux", "ubuntu", "debian", "macos", "windows", "platform"]
        .iter()
        .any(|part| stated.contains(part))
}

/// Whether a key, as stated, tells processors apart.
pub fn names_arch(stated: &str) -> bool {
    ["arch", "x64", "x86", "arm64", "aarch64"].iter().any(|part| stated.contains(part))
}

/// Whether a key, as stated, tells interpreters apart.
pub fn names_python(stated: &str) -> bool {
    ["python", "py3", "-py", "matrix.py", "cp3"].iter().any(|part| stated.contains(part))
}

/// Whether a key, as stated, tells versions of uv apart.
pub fn names_uv_version(stated: &str) -> bool {
    ["uv_version", "uv-version", "uv0", "uv1", "uv-0", "uv-1"].iter().any(|part| stated.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart() {
        let key = "uv-${{ runner.os }}-${{ hashFiles('uv.lock', \"noxfile.py\") }}-${{ hashFiles('x') }}-Py3.12";
        assert_eq!(hashed(key), ["uv.lock", "noxfile.py", "x"]);
        assert_eq!(stated(key), "uv-${{ runner.os }}-${{  }}-${{  }}-py3.12");
        assert!(names_os(&stated(key)) && names_python(&stated(key)));
        assert!(!names_arch(&stated(key)) && !names_uv_version(&stated(key)));
        assert!(names_uv_version("${{ env.uv_version }}") && names_arch("${{ runner.arch }}"));
        assert_eq!(stated("hashFiles(open"), "");
    }
}
