//! Requirements and constraints files as pip and uv read them: with what they include.

use std::path::{Path, PathBuf};

use super::requirement::Requirement;

/// A requirements file and all it includes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequirementsFile {
    /// What it asks for, in the order of the files.
    pub requirements: Vec<Requirement>,
    /// Constraints it includes by `-c`.
    pub constraints: Vec<Requirement>,
    /// Everything else that is said, a line each: options, paths, addresses.
    pub other_lines: Vec<String>,
    /// All files read, the first one first.
    pub files: Vec<PathBuf>,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RequirementsFileError {
    /// It is not there, or not to be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An include goes round in a circle.
    #[error("{}:{line}: includes {} again", path.display(), included.display())]
    CircularInclude {
        /// The file.
        path: PathBuf,
        /// The line that includes.
        line: usize,
        /// What it includes.
        included: PathBuf,
    },
}

impl RequirementsFile {
    /// Reads a file and what it includes.
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
        open: &mut Vec<PathBuf>,
    ) -> Result<(), RequirementsFileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RequirementsFileError::Unreadable { path: path.to_path_buf(), source })?;
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_path_buf());
        }
        open.push(path.to_path_buf());
        for (line, said) in logical_lines(&text) {
            let Some((include, constraint)) = parse_include(&said).map(|(file, kind)| (file, kind || constraint))
            else {
                self.add_line(&said, constraint);
                continue;
            };
            let include = path.parent().unwrap_or(Path::new("")).join(include);
            if open.contains(&include) {
                return Err(RequirementsFileError::CircularInclude {
                    path: path.to_path_buf(),
                    line,
                    included: include,
                });
            }
            self.read_included(&include, constraint, open)?;
        }
        open.pop();
        Ok(())
    }

    fn add_line(&mut self, said: &str, constraint: bool) {
        // Options of a single requirement, such as `--hash=…`, follow it.
        let bare = said.split(" --").next().unwrap_or_default();
        match bare.parse() {
            Ok(requirement) if constraint => self.constraints.push(requirement),
            Ok(requirement) => self.requirements.push(requirement),
            Err(_) => self.other_lines.push(said.to_owned()),
        }
    }
}

/// The file that a line includes, and whether as constraints.
fn parse_include(line: &str) -> Option<(&str, bool)> {
    let flags = [("-r", false), ("--requirement", false), ("-c", true), ("--constraint", true)];
    flags.iter().find_map(|(flag, constraint)| {
        let rest = line.strip_prefix(flag)?;
        let file = rest.trim_start_matches('=').trim();
        let apart = rest.starts_with(['=', ' ']) || flag.len() == 2;
        (apart && !file.is_empty()).then_some((file, *constraint))
    })
}

/// Lines without comments, joined where a `\` says so; each with the number of its first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let (number, mut said) = open.take().unwrap_or((at + 1, String::new()));
        if let Some(begun) = line.strip_suffix('\\') {
            said.push_str(begun);
            open = Some((number, said));
            continue;
        }
        said.push_str(line);
        lines.push((number, said));
    }
    lines.extend(open);
    let bare = |said: &str| {
        let comment = said.match_indices('#').find(|(at, _)| *at == 0 || said[..*at].ends_with([' ', '\t']));
        said[..comment.map_or(said.len(), |(at, _)| at)].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    lines.into_iter().map(|(line, said)| (line, bare(&said))).filter(|(_, said)| !said.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_with_what_they_include() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
        write(
            "requirements.txt",
            "# all\nruff==0.15.0 \\\n    --hash=sha256:ab  # pinned\n-r base.txt\n--constraint=limits.txt\n--index-url https://packages.example.org/simple\n-e ./here\nd @ https://packages.example.org/d.zip#frag\n",
        );
        write("base.txt", "structlog>=24\n");
        write("limits.txt", "pytest<9\n-r base.txt\n");
        let file = RequirementsFile::read(&folder.path().join("requirements.txt")).unwrap();
        let names =
            |list: &[Requirement]| list.iter().map(|one| one.name.clone() + &one.specifiers).collect::<Vec<_>>();
        assert_eq!(names(&file.requirements), ["ruff==0.15.0", "structlog>=24", "d"]);
        assert_eq!(names(&file.constraints), ["pytest<9", "structlog>=24"]);
        assert_eq!(file.other_lines, ["--index-url https://packages.example.org/simple", "-e ./here"]);
        assert_eq!(file.files.len(), 3);
    }

    #[test]
    fn circles_and_missing_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs_err::write(&path, "x\n\n-rb.txt\n").unwrap();
        fs_err::write(folder.path().join("b.txt"), "-c a.txt \\").unwrap();
        let b = folder.path().join("b.txt");
        assert_eq!(
            RequirementsFile::read(&path).unwrap_err().to_string(),
            format!("{}:1: includes {} again", b.display(), path.display())
        );
        std::fs::remove_file(&b).unwrap();
        assert_eq!(RequirementsFile::read(&path).unwrap_err().to_string(), format!("cannot read {}", b.display()));
    }
}
