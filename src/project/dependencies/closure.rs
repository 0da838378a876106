//! Dependency closure: all packages of a lock file that a set of roots needs in one environment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::marker::MarkerEnvironment;
use super::package_name::normalize_name;
use super::uv_lock::{LockedDependency, LockedPackage, UvLock};

/// Start of a closure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClosureRoot {
    /// A package by name, with extras of it.
    Package {
        /// Its name in normal form.
        name: String,
        /// Requested extras, in normal form.
        extras: Vec<String>,
    },
    /// The project itself, as `.` or `-e .`, with extras.
    Project {
        /// Requested extras, in normal form.
        extras: Vec<String>,
    },
    /// A dependency group of the project, without the project.
    Group(String),
    /// Everything in the lock file, if the required part is unknown.
    All,
}

/// A package's name and version.
pub type PackageIdentity<'a> = (&'a str, Option<&'a str>);

/// The packages that a set of roots needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DependencyClosure<'a> {
    /// The packages by name and version, each with its requested extras.
    pub packages: BTreeMap<PackageIdentity<'a>, (&'a LockedPackage, BTreeSet<String>)>,
    /// Roots that are not in the lock file: names, extras as `name[extra]`, groups as `group name`.
    pub unresolved: BTreeSet<String>,
}

impl<'a> DependencyClosure<'a> {
    /// Returns the packages in the order of their names, without those in the source tree.
    pub fn remote_packages(&self) -> impl Iterator<Item = &'a LockedPackage> {
        self.packages.values().map(|(package, _)| *package).filter(|package| !package.is_local())
    }
}

impl UvLock {
    /// Returns all packages that can be reached from the roots over dependencies whose markers hold in `environment`.
    pub fn resolve_closure(&self, roots: &[ClosureRoot], environment: &MarkerEnvironment) -> DependencyClosure<'_> {
        let mut walk = ClosureWalk {
            lock_file: self,
            environment,
            closure: DependencyClosure::default(),
            pending: VecDeque::new(),
            conflict_markers: BTreeSet::new(),
        };
        for root in roots {
            walk.add_root(root);
        }
        while let Some((package, extra)) = walk.pending.pop_front() {
            let edges = match &extra {
                None => Some(&package.dependencies),
                Some(extra) => package.extras.get(extra),
            };
            for edge in edges.into_iter().flatten() {
                walk.follow_edge(edge);
            }
        }
        walk.closure
    }
}

struct ClosureWalk<'a, 'e> {
    lock_file: &'a UvLock,
    environment: &'e MarkerEnvironment,
    closure: DependencyClosure<'a>,
    pending: VecDeque<(&'a LockedPackage, Option<String>)>,
    /// Requested extras and groups, in the form in which uv writes them in markers if some of them conflict.
    conflict_markers: BTreeSet<String>,
}

impl<'a> ClosureWalk<'a, '_> {
    fn add_root(&mut self, root: &ClosureRoot) {
        match root {
            ClosureRoot::All => {
                for package in &self.lock_file.packages {
                    self.add_package(package, package.extras.keys().cloned().collect::<Vec<_>>());
                }
            }
            ClosureRoot::Project { extras } => match self.lock_file.root_package() {
                Some(project) => self.add_requested(project, extras),
                None => {
                    self.closure.unresolved.insert(".".to_owned());
                }
            },
            ClosureRoot::Package { name, extras } => {
                let name = normalize_name(name);
                match self.select_package(&name, None) {
                    Some(package) => self.add_requested(package, extras),
                    None => {
                        self.closure.unresolved.insert(name);
                    }
                }
            }
            ClosureRoot::Group(group) => {
                let project = self.lock_file.root_package();
                let group = normalize_name(group);
                let Some((project, edges)) = project.and_then(|project| Some((project, project.groups.get(&group)?)))
                else {
                    self.closure.unresolved.insert(format!("group {group}"));
                    return;
                };
                self.conflict_markers.insert(format!("group-{}-{}-{group}", project.name.len(), project.name));
                for edge in edges {
                    self.follow_edge(edge);
                }
            }
        }
    }

    /// Adds a root package with extras; those that are not in the lock file are reported as unresolved.
    fn add_requested(&mut self, package: &'a LockedPackage, extras: &[String]) {
        let known = |extra: &&String| package.extras.contains_key(extra.as_str());
        for extra in extras.iter().filter(|extra| !known(extra)) {
            self.closure.unresolved.insert(format!("{}[{extra}]", package.name));
        }
        for extra in extras {
            self.conflict_markers.insert(format!("extra-{}-{}-{extra}", package.name.len(), package.name));
        }
        self.add_package(package, extras.iter().filter(known).cloned().collect::<Vec<_>>());
    }

    fn follow_edge(&mut self, edge: &'a LockedDependency) {
        if edge.marker.as_ref().is_some_and(|marker| !marker.evaluate(self.environment, &self.conflict_markers)) {
            return;
        }
        if let Some(package) = self.select_package(&edge.name, Some(edge)) {
            self.add_package(package, edge.extras.iter().cloned());
        }
    }

    fn add_package(&mut self, package: &'a LockedPackage, extras: impl IntoIterator<Item = String>) {
        let identity = (package.name.as_str(), package.version.as_deref());
        let (_, known) = self.closure.packages.entry(identity).or_insert_with(|| {
            self.pending.push_back((package, None));
            (package, BTreeSet::new())
        });
        for extra in extras {
            if known.insert(extra.clone()) {
                self.pending.push_back((package, Some(extra)));
            }
        }
    }

    /// Returns the package of an edge or root; among several versions the one that the edge names or whose markers
    /// hold.
    fn select_package(&self, name: &str, edge: Option<&LockedDependency>) -> Option<&'a LockedPackage> {
        let candidates = self.lock_file.packages.iter().filter(|package| package.name == name);
        let matches_edge = |package: &&LockedPackage| {
            edge.is_none_or(|edge| edge.version.is_none() || edge.version == package.version)
                && edge.and_then(|edge| edge.source.as_ref()).is_none_or(|source| *source == package.source)
        };
        let matches_environment = |package: &&LockedPackage| {
            package.markers.is_empty()
                || package.markers.iter().any(|marker| marker.evaluate(self.environment, &self.conflict_markers))
        };
        let mut matching = candidates.filter(matches_edge);
        let first = matching.clone().next();
        matching.find(matches_environment).or(first)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LOCK: &str = r#"
version = 1
[[package]]
name = "app"
source = { virtual = "." }
dependencies = [{ name = "a" }, { name = "win", marker = "sys_platform == 'win32'" }]
[package.optional-dependencies]
x = [{ name = "b", extra = ["fast"] }]
one = [{ name = "f", version = "1", marker = "extra == 'extra-3-app-one'" }]
two = [{ name = "f", version = "2", marker = "extra == 'extra-3-app-two' or extra == 'group-3-app-dev'" }]
[package.dev-dependencies]
dev = [{ name = "c" }, { name = "f", version = "2", marker = "extra == 'group-3-app-dev'" }]
[[package]]
name = "a"
version = "1"
source = { registry = "r" }
dependencies = [{ name = "b" }]
wheels = [{ url = "a.whl", hash = "sha256:aa" }]
[[package]]
name = "b"
version = "1"
source = { registry = "r" }
dependencies = [{ name = "a" }]
sdist = { url = "b.tar.gz", hash = "sha256:bb" }
[package.optional-dependencies]
fast = [{ name = "speed" }]
[[package]]
name = "c"
version = "1"
source = { registry = "r" }
[[package]]
name = "f"
version = "1"
source = { registry = "r" }
resolution-markers = ["python_version < '3.12'"]
[[package]]
name = "f"
version = "2"
source = { registry = "r" }
resolution-markers = ["python_version >= '3.12'"]
[[package]]
name = "speed"
version = "1"
source = { registry = "r" }
[[package]]
name = "win"
version = "1"
source = { registry = "r" }
"#;

    fn closure(roots: &[ClosureRoot], python: &str) -> (String, String) {
        let lock_file = UvLock::parse(LOCK, Path::new("uv.lock")).unwrap();
        let environment = MarkerEnvironment {
            python_version: python.to_owned(),
            sys_platform: "linux".to_owned(),
            ..MarkerEnvironment::default()
        };
        let closure = lock_file.resolve_closure(roots, &environment);
        let names: Vec<String> =
            closure.packages.keys().map(|(name, version)| format!("{name}{}", version.unwrap_or(""))).collect();
        (names.join(" "), closure.unresolved.into_iter().collect::<Vec<_>>().join(" "))
    }

    fn project(extras: &[&str]) -> ClosureRoot {
        ClosureRoot::Project { extras: extras.iter().map(|extra| (*extra).to_owned()).collect() }
    }

    fn package(name: &str, extras: &[&str]) -> ClosureRoot {
        ClosureRoot::Package { name: name.to_owned(), extras: extras.iter().map(|extra| (*extra).to_owned()).collect() }
    }

    #[test]
    fn a_closure_has_exactly_the_packages_that_its_roots_need() {
        assert_eq!(closure(&[project(&[])], "3.11").0, "a1 app b1");
        assert_eq!(closure(&[project(&["x"])], "3.11").0, "a1 app b1 speed1");
        assert_eq!(closure(&[package("b", &["fast"])], "3.11").0, "a1 b1 speed1");
        assert_eq!(
            closure(&[ClosureRoot::Group("Dev".to_owned())], "3.11").0,
            "c1 f2",
            "a group comes without its project"
        );
        assert_eq!(closure(&[ClosureRoot::All], "3.11").0, "a1 app b1 c1 f1 f2 speed1 win1");
    }

    #[test]
    fn conflicting_extras_and_forked_versions_are_distinguished() {
        assert_eq!(closure(&[project(&["one"])], "3.11").0, "a1 app b1 f1");
        assert_eq!(closure(&[project(&["two"])], "3.11").0, "a1 app b1 f2");
        assert_eq!(closure(&[package("f", &[])], "3.11").0, "f1");
        assert_eq!(closure(&[package("f", &[])], "3.13").0, "f2");
    }

    #[test]
    fn roots_missing_from_the_lock_are_reported() {
        let roots =
            [package("radon", &[]), project(&["gone"]), ClosureRoot::Group("old".to_owned()), package("b", &["no"])];
        assert_eq!(closure(&roots, "3.11"), ("a1 app b1".to_owned(), "app[gone] b[no] group old radon".to_owned()));
        let empty = UvLock::parse("version = 1", Path::new("uv.lock")).unwrap();
        let unknown = empty.resolve_closure(&[project(&[])], &MarkerEnvironment::default()).unresolved;
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["."]);
    }

    #[test]
    fn hashes_are_those_of_all_files() {
        let lock_file = UvLock::parse(LOCK, Path::new("uv.lock")).unwrap();
        let closure = lock_file.resolve_closure(&[project(&[])], &MarkerEnvironment::default());
        let hashes: Vec<_> = closure.remote_packages().flat_map(LockedPackage::file_hashes).collect();
        assert_eq!(hashes, ["aa", "bb"]);
        assert_eq!(closure.remote_packages().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
