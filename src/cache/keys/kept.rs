//! Keys that were used, with their facts and with what sessions' environments held then: what a miss is compared with.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::facts::{Fact, FactKind};
use super::key::plain;
use super::recipe::Recipe;
use crate::fs::write_atomic;

/// The version of an entry's file.
const VERSION: u32 = 1;
/// How many entries of one session are kept.
const MOST: usize = 20;

/// One entry: a state of a session that was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The version of the file.
    pub version: u32,
    /// When it was used last, RFC 3339.
    pub time: String,
    /// The facts then.
    pub recipe: Recipe,
    /// What the environment held then.
    pub held: Vec<Held>,
}

/// A package that an environment held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// Its name in normal form.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digests of the wheels of that version that were there; empty where nobody knows.
    pub sha256: Vec<String>,
}

/// Why an entry could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the key of {session} cannot be kept: {source}")]
pub struct KeptError {
    session: String,
    source: io::Error,
}

/// What differs between two states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The kind of fact.
    pub kind: FactKind,
    /// What it is about.
    pub name: String,
    /// What was so; none where the fact is new.
    pub old: Option<String>,
    /// What is so; none where the fact is gone.
    pub new: Option<String>,
}

/// The entries of a project.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// Those of a project below a folder for caches.
    pub fn new(caches: &Path, project: &str) -> Self {
        Self { folder: caches.join("keys").join(plain(project)) }
    }

    /// All entries of a session, the newest first; what cannot be read is passed over.
    pub fn of(&self, session: &str) -> Vec<Kept> {
        let Ok(entries) = std::fs::read_dir(self.folder(session)) else { return Vec::new() };
        let read = |entry: io::Result<std::fs::DirEntry>| {
            let bytes = std::fs::read(entry.ok()?.path()).ok()?;
            serde_json::from_slice::<Kept>(&bytes).ok().filter(|kept| kept.version == VERSION)
        };
        let mut kept: Vec<Kept> = entries.filter_map(read).filter(|kept| kept.recipe.session == session).collect();
        kept.sort_by(|a, b| b.time.cmp(&a.time));
        kept
    }

    /// The entry of this very state.
    pub fn hit(&self, recipe: &Recipe) -> Option<Kept> {
        self.of(&recipe.session).into_iter().find(|kept| kept.recipe == *recipe)
    }

    /// The entry of the state most like this one, and what differs; the newest of several.
    pub fn nearest(&self, recipe: &Recipe) -> Option<(Kept, Vec<Difference>)> {
        let all = self.of(&recipe.session).into_iter().map(|kept| {
            let differences = differences(&kept.recipe, recipe);
            (kept, differences)
        });
        all.min_by_key(|(_, differences)| differences.len())
    }

    /// Keeps a state; the oldest go where there are too many.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn keep(&self, recipe: &Recipe, held: Vec<Held>) -> Result<(), KeptError> {
        let failed = |source| KeptError { session: recipe.session.clone(), source };
        let folder = self.folder(&recipe.session);
        fs_err::create_dir_all(&folder).map_err(failed)?;
        let kept = Kept { version: VERSION, time: jiff::Timestamp::now().to_string(), recipe: recipe.clone(), held };
        let bytes = serde_json::to_vec(&kept).map_err(|error| failed(error.into()))?;
        write_atomic(&folder.join(format!("{}.json", recipe.digest())), &bytes).map_err(failed)?;
        for old in self.of(&recipe.session).iter().skip(MOST) {
            // Another run may have been quicker.
            let _ = std::fs::remove_file(folder.join(format!("{}.json", old.recipe.digest())));
        }
        Ok(())
    }

    fn folder(&self, session: &str) -> PathBuf {
        // Names that are written alike in a file's name are still told apart.
        self.folder.join(format!("{}-{}", plain(session), &blake3::hash(session.as_bytes()).to_hex()[..8]))
    }
}

/// What differs between two recipes, sorted.
fn differences(old: &Recipe, new: &Recipe) -> Vec<Difference> {
    let by_name = |recipe: &Recipe| -> BTreeMap<(FactKind, String), String> {
        let pair = |fact: &Fact| ((fact.kind, fact.name.clone()), fact.value.clone());
        recipe.facts.iter().map(pair).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let difference = |at: (FactKind, String)| {
        let (was, is) = (old.get(&at).cloned(), new.get(&at).cloned());
        (was != is).then_some(Difference { kind: at.0, name: at.1, old: was, new: is })
    };
    names.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(packages: &[(&str, &str)]) -> Recipe {
        let fact = |(name, value): &(&str, &str)| Fact {
            kind: FactKind::Package,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        Recipe::new("lint", packages.iter().map(fact).collect())
    }

    #[test]
    fn a_miss_is_compared_with_the_state_most_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(folder.path(), "Parcel Book");
        assert_eq!(keys.nearest(&recipe(&[])), None);
        let held = vec![Held { name: "ruff".to_owned(), version: "0.15.0".to_owned(), sha256: Vec::new() }];
        keys.keep(&recipe(&[("ruff", "0.15.0"), ("a", "1")]), held.clone()).unwrap();
        keys.keep(&recipe(&[("ruff", "0.14.0"), ("b", "2")]), Vec::new()).unwrap();
        let now = recipe(&[("ruff", "0.15.1"), ("a", "1")]);
        assert_eq!(keys.hit(&now), None);
        let (nearest, differences) = keys.nearest(&now).unwrap();
        assert_eq!(nearest.held, held);
        assert_eq!(differences.len(), 1);
        assert_eq!((differences[0].old.as_deref(), differences[0].new.as_deref()), (Some("0.15.0"), Some("0.15.1")));
        assert_eq!(keys.hit(&recipe(&[("a", "1"), ("ruff", "0.15.0")])).unwrap().held, held);
        let (_, gone) = keys.nearest(&recipe(&[("ruff", "0.15.0")])).unwrap();
        assert_eq!((gone[0].name.as_str(), gone[0].old.as_deref(), gone[0].new.as_deref()), ("a", Some("1"), None));
    }

    #[test]
    fn entries_are_bounded_and_broken_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(folder.path(), "p");
        for version in 0..MOST + 5 {
            keys.keep(&recipe(&[("ruff", &version.to_string())]), Vec::new()).unwrap();
        }
        let kept = keys.of("lint");
        assert_eq!(kept.len(), MOST);
        assert!(kept.windows(2).all(|pair| pair[0].time >= pair[1].time));
        fs_err::write(keys.folder("lint").join("x.json"), "{").unwrap();
        assert_eq!(keys.of("lint").len(), MOST);
        fs_err::write(folder.path().join("file"), "").unwrap();
        let said = Keys::new(&folder.path().join("file"), "p").keep(&recipe(&[]), Vec::new()).unwrap_err().to_string();
        assert!(said.starts_with("the key of lint cannot be kept: "), "{said}");
    }
}
