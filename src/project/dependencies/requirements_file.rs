//! Requirements and constraints files, with the files they include.

use std::path::{Path, PathBuf};

use super::requirement::Requirement;
use crate::fs::read_project_text;

/// A requirements file and all files it includes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequirementsFile {
    /// Requirements, in the order of the files.
    pub requirements: Vec<Requirement>,
    /// Constraints, included by `-c`.
    pub constraints: Vec<Requirement>,
    /// All other lines: options, paths, URLs.
    pub other_lines: Vec<String>,
    /// All files that were read, in order.
    pub files: Vec<PathBuf>,
}

/// Reasons why a requirements file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RequirementsFileError {
    /// It is missing or unreadable.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Files include each other in a cycle.
    #[error("{}:{line}: circular include of {}", path.display(), included.display())]
    CircularInclude {
        /// The file.
        path: PathBuf,
        /// The line of the include.
        line: usize,
        /// The included file.
        included: PathBuf,
    },
}

impl RequirementsFile {
    /// Reads a file and the files it includes.
    ///
    /// # Errors
    /// When one of them cannot be read, or they include each other.
    pub fn read(path: &Path) -> Result<Self, RequirementsFileError> {
        let mut file = Self::default();
        file.read_included(path, false, &mut Vec::new())?;
        Ok(file)
    }

    fn read_included(
        &mut self,
        path: &Path,
        constraint: bool,
        include_stack: &mut Vec<PathBuf>,
    ) -> Result<(), RequirementsFileError> {
        let text = read_project_text(path)
            .map_err(|source| RequirementsFileError::Unreadable { path: path.to_path_buf(), source })?;
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_path_buf());
        }
        include_stack.push(path.to_path_buf());
        for (line, text) in logical_lines(&text) {
            let Some((include, constraint)) =
                parse_include(&text).map(|(file, is_constraint)| (file, is_constraint || constraint))
            else {
                self.add_line(&text, constraint);
                continue;
            };
            let include = path.parent().unwrap_or(Path::new("")).join(include);
            if include_stack.contains(&include) {
                return Err(RequirementsFileError::CircularInclude {
                    path: path.to_path_buf(),
                    line,
                    included: include,
                });
            }
            self.read_included(&include, constraint, include_stack)?;
        }
        include_stack.pop();
        Ok(())
    }

    fn add_line(&mut self, line: &str, constraint: bool) {
        // A requirement may be followed by options such as `--hash=…`.
        let requirement = line.split(" --").next().unwrap_or_default();
        match requirement.parse() {
            Ok(requirement) if constraint => self.constraints.push(requirement),
            Ok(requirement) => self.requirements.push(requirement),
            Err(_) => self.other_lines.push(line.to_owned()),
        }
    }
}

/// Returns the file that a line includes, and whether as constraints.
fn parse_include(line: &str) -> Option<(&str, bool)> {
    let flags = [("-r", false), ("--requirement", false), ("-c", true), ("--constraint", true)];
    flags.iter().find_map(|(flag, constraint)| {
        let rest = line.strip_prefix(flag)?;
        let file = rest.trim_start_matches('=').trim();
        let is_separate = rest.starts_with(['=', ' ']) || flag.len() == 2;
        (is_separate && !file.is_empty()).then_some((file, *constraint))
    })
}

/// Returns the lines without comments, joined at a trailing `\`, each with the number of its first physical line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut continued: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let (number, mut joined) = continued.take().unwrap_or((index + 1, String::new()));
        if let Some(start) = line.strip_suffix('\\') {
            joined.push_str(start);
            continued = Some((number, joined));
            continue;
        }
        joined.push_str(line);
        lines.push((number, joined));
    }
    lines.extend(continued);
    let strip_comment = |line: &str| {
        let comment = line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
        line[..comment.map_or(line.len(), |(at, _)| at)].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    lines
        .into_iter()
        .map(|(number, line)| (number, strip_comment(&line)))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(directory.path().join(name), text).unwrap();
        write(
            "requirements.txt",
            "# all\nruff==0.15.0 \\\n    --hash=sha256:ab  # pinned\n-r base.txt\n--constraint=limits.txt\n--index-url https://packages.example.org/simple\n-e ./here\nd @ https://packages.example.org/d.zip#frag\n",
        );
        write("base.txt", "structlog>=24\n");
        write("limits.txt", "pytest<9\n-r base.txt\n");
        let file = RequirementsFile::read(&directory.path().join("requirements.txt")).unwrap();
        let names =
            |list: &[Requirement]| list.iter().map(|one| one.name.clone() + &one.specifiers).collect::<Vec<_>>();
        assert_eq!(names(&file.requirements), ["ruff==0.15.0", "structlog>=24", "d"]);
        assert_eq!(names(&file.constraints), ["pytest<9", "structlog>=24"]);
        assert_eq!(file.other_lines, ["--index-url https://packages.example.org/simple", "-e ./here"]);
        assert_eq!(file.files.len(), 3);
    }

    #[test]
    fn cycles_and_missing_files_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        fs_err::write(&path, "x\n\n-rb.txt\n").unwrap();
        fs_err::write(directory.path().join("b.txt"), "-c a.txt \\").unwrap();
        let b = directory.path().join("b.txt");
        assert_eq!(
            RequirementsFile::read(&path).unwrap_err().to_string(),
            format!("{}:1: circular include of {}", b.display(), path.display())
        );
        std::fs::remove_file(&b).unwrap();
        assert_eq!(RequirementsFile::read(&path).unwrap_err().to_string(), format!("cannot read {}", b.display()));
    }
}
