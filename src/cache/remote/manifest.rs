//! Manifests of a remote cache: which entry is in which pack.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cache::backend::is_valid_key;
use crate::cache::limited_items::{limited_list, limited_map, limited_map_of_sets};
use crate::cache::store::EntryId;
use crate::fs::read_limited;
use crate::text::{is_hex, shorten_text, to_single_line};

/// Version of the manifest and of packs.
pub(super) const MANIFEST_VERSION: u32 = 2;
/// First bytes of every manifest.
const MANIFEST_MAGIC: &str = "nxm2 ";
/// Maximum size of a manifest after decompression, in bytes.
const MAX_DECOMPRESSED_BYTES: u64 = 16 << 20;
/// Maximum number of entries in all environments.
const MAX_ENVIRONMENT_ENTRIES: usize = 200_000;
/// Maximum length of a display name in characters.
const MAX_NAME_CHARS: usize = 200;

/// Index of the packs of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteManifest {
    version: u32,
    /// The frames, sorted by entry.
    #[serde(deserialize_with = "limited_list::<_, _, 50_000>")]
    pub frames: Vec<PackFrame>,
    /// When each pack was written, in seconds since 1970, by key.
    #[serde(deserialize_with = "limited_map::<_, _, 10_000>")]
    pub packs: BTreeMap<String, i64>,
    /// Keys of the manifests whose content this one includes.
    #[serde(default, deserialize_with = "limited_list::<_, _, 10_000>")]
    pub replaces: Vec<String>,
    /// Entries in each session's environment, by the name of its directory.
    #[serde(default, deserialize_with = "limited_map_of_sets::<_, 10_000>")]
    pub environments: BTreeMap<String, BTreeSet<String>>,
    /// Location of the project in the run that wrote the manifest.
    #[serde(default)]
    pub checkout: CheckoutLocation,
}

/// Location of a project in a run. An environment is valid for one path only, so uploading environments is useless if
/// every run uses a different path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutLocation {
    /// Digest of the path; empty if unknown.
    pub checkout_id: String,
    /// Identifier of the run on the CI server; empty outside CI.
    pub run_id: String,
    /// Whether the path was the same in the previous run, as far as known.
    pub is_stable: bool,
}

impl CheckoutLocation {
    /// Returns the location for the current run; `self` is that of an earlier run, or of an earlier command of this run.
    #[must_use]
    pub(crate) fn for_run(&self, checkout_id: &str, run_id: &str) -> Self {
        // The path is compared too, because act gives every run the same identifier.
        let is_same_run = !run_id.is_empty() && self.run_id == run_id && self.checkout_id == checkout_id;
        let is_stable =
            if is_same_run { self.is_stable } else { self.checkout_id.is_empty() || self.checkout_id == checkout_id };
        Self { checkout_id: checkout_id.to_owned(), run_id: run_id.to_owned(), is_stable }
    }
}

/// An entry in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackFrame {
    /// The entry ID as text, such as `wheel/ab12…`.
    pub entry: String,
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// Key of the pack.
    pub pack: String,
    /// Offset in the pack, in bytes.
    pub offset: u64,
    /// Length in the pack, in bytes.
    pub length: u64,
    /// Length after decompression, in bytes.
    pub uncompressed_length: u64,
    /// BLAKE3 digest of the bytes in the pack.
    pub frame_digest: String,
    /// Tree digest of the entry.
    pub tree_digest: String,
    /// Buckets of uv's cache that the entry fits.
    #[serde(deserialize_with = "limited_list::<_, _, 16>")]
    pub buckets: Vec<String>,
    /// Day of the last use, counted from 1970.
    pub last_used_day: i64,
}

#[cfg(test)]
impl PackFrame {
    /// Returns a frame for tests, whose entry is named after its pack and offset in bytes.
    pub(super) fn at(pack: &str, offset: u64, length: u64) -> Self {
        Self {
            entry: format!("wheel/{pack}{offset}"),
            name: format!("{pack}{offset}"),
            pack: pack.to_owned(),
            offset,
            length,
            uncompressed_length: 0,
            frame_digest: String::new(),
            tree_digest: String::new(),
            buckets: Vec::new(),
            last_used_day: 0,
        }
    }
}

/// What a manifest is signed with, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct ManifestSigning<'a> {
    /// The value of `NOXIDE_CACHE_SIGNING_KEY`.
    pub key: &'a str,
    /// Scope and time, as in the key of the object: a manifest copied to another scope, or to another time, is not signed.
    pub name: &'a str,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemoteManifestError {
    /// The manifest is malformed.
    #[error("the manifest is damaged: {0}")]
    Damaged(String),
    /// The manifest has another version.
    #[error("the manifest has version {0}, but this noxide uses version {MANIFEST_VERSION}")]
    UnsupportedVersion(u32),
    /// A key is configured, and the manifest is not signed with it.
    #[error("the manifest is not signed with NOXIDE_CACHE_SIGNING_KEY")]
    Unsigned,
}

impl PackFrame {
    /// Parses the entry ID.
    pub(crate) fn entry_id(&self) -> Option<EntryId> {
        EntryId::parse(&self.entry)
    }
}

impl RemoteManifest {
    /// Creates a manifest; packs without frames are dropped.
    pub fn new(frames: Vec<PackFrame>, packs: BTreeMap<String, i64>, replaces: Vec<String>) -> Self {
        let used: BTreeSet<&str> = frames.iter().map(|frame| frame.pack.as_str()).collect();
        let packs = packs.into_iter().filter(|(key, _)| used.contains(key.as_str())).collect();
        let mut frames = frames;
        frames.sort_by(|one, other| (&one.entry, &one.buckets).cmp(&(&other.entry, &other.buckets)));
        Self {
            version: MANIFEST_VERSION,
            frames,
            packs,
            replaces,
            environments: BTreeMap::new(),
            checkout: CheckoutLocation::default(),
        }
    }

    /// Serializes the manifest, signed if there is a key.
    ///
    /// # Errors
    /// If compression fails.
    pub fn to_bytes(&self, signing: Option<ManifestSigning<'_>>) -> std::io::Result<Vec<u8>> {
        let compressed = zstd::encode_all(serde_json::to_vec(self)?.as_slice(), 9)?;
        let signature = signing.map_or_else(|| "-".to_owned(), |signing| manifest_signature(signing, &compressed));
        let mut bytes = format!("{MANIFEST_MAGIC}{signature}\n").into_bytes();
        bytes.extend(compressed);
        Ok(bytes)
    }

    /// Parses a manifest; with a key, it must be signed with it, for the place where it was found.
    ///
    /// # Errors
    /// If the manifest is malformed, has another version, or is not signed.
    pub fn from_bytes(bytes: &[u8], signing: Option<ManifestSigning<'_>>) -> Result<Self, RemoteManifestError> {
        let damaged = |reason: &str| RemoteManifestError::Damaged(reason.to_owned());
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no first line"))?;
        let header = std::str::from_utf8(&bytes[..end]).ok().and_then(|header| header.strip_prefix(MANIFEST_MAGIC));
        let signature = header.ok_or_else(|| damaged("the first line is not that of a manifest"))?;
        let compressed = &bytes[end + 1..];
        if let Some(signing) = signing {
            let expected = blake3::Hash::from_hex(manifest_signature(signing, compressed));
            // This comparison takes constant time.
            if expected.is_err() || blake3::Hash::from_hex(signature).ok() != expected.ok() {
                return Err(RemoteManifestError::Unsigned);
            }
        }
        let error = |error: std::io::Error| RemoteManifestError::Damaged(error.to_string());
        let decoder = zstd::Decoder::new(compressed).map_err(error)?;
        let text = read_limited(decoder, MAX_DECOMPRESSED_BYTES).map_err(error)?;
        #[derive(Deserialize)]
        struct VersionHeader {
            version: u32,
        }
        let parsed = |error: serde_json::Error| RemoteManifestError::Damaged(error.to_string());
        let VersionHeader { version } = serde_json::from_slice(&text).map_err(parsed)?;
        if version != MANIFEST_VERSION {
            return Err(RemoteManifestError::UnsupportedVersion(version));
        }
        let mut manifest: Self = serde_json::from_slice(&text).map_err(parsed)?;
        for frame in &mut manifest.frames {
            // Names are printed.
            frame.name = shorten_text(&to_single_line(&frame.name), MAX_NAME_CHARS);
        }
        if manifest.environments.values().map(BTreeSet::len).sum::<usize>() > MAX_ENVIRONMENT_ENTRIES {
            return Err(damaged("its environments have too many entries"));
        }
        match manifest.frames.iter().find(|frame| !is_valid_frame(frame)) {
            Some(frame) => {
                let entry = shorten_text(&to_single_line(&frame.entry), MAX_NAME_CHARS);
                Err(RemoteManifestError::Damaged(format!("the frame of {entry} is invalid")))
            }
            None => Ok(manifest),
        }
    }
}

/// Returns whether the ID, key, digests and range of a frame are valid.
fn is_valid_frame(frame: &PackFrame) -> bool {
    let hex = |text: &str| is_hex(text, 64);
    let has_range = frame.offset.checked_add(frame.length).is_some() && frame.length > 0;
    frame.entry_id().is_some()
        && is_valid_key(&frame.pack)
        && hex(&frame.frame_digest)
        && hex(&frame.tree_digest)
        && has_range
}

/// Computes the signature: a BLAKE3 digest with a key derived from `NOXIDE_CACHE_SIGNING_KEY`.
fn manifest_signature(signing: ManifestSigning<'_>, bytes: &[u8]) -> String {
    let key = blake3::derive_key("noxide 2026 signature of cache manifests", signing.key.as_bytes());
    let mut hasher = blake3::Hasher::new_keyed(&key);
    hasher.update(&(signing.name.len() as u64).to_le_bytes()).update(signing.name.as_bytes()).update(bytes);
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> PackFrame {
        PackFrame {
            entry: format!("wheel/{}", "a".repeat(64)),
            name: "a 1".to_owned(),
            pack: "nx2/r/p-1".to_owned(),
            offset: 0,
            length: 10,
            uncompressed_length: 20,
            frame_digest: "b".repeat(64),
            tree_digest: "c".repeat(64),
            buckets: vec!["wheels-v8".to_owned()],
            last_used_day: 1,
        }
    }

    #[test]
    fn manifests_round_trip_and_signatures_are_checked() {
        let packs = [("nx2/r/p-1".to_owned(), 5), ("unused".to_owned(), 6)].into();
        let manifest = RemoteManifest::new(vec![frame()], packs, vec!["old".to_owned()]);
        assert_eq!(manifest.packs.len(), 1);
        let plain = manifest.to_bytes(None).unwrap();
        let signing = |key, name| Some(ManifestSigning { key, name });
        let (secret, other) = (signing("secret", "a/m-1"), signing("other", "a/m-1"));
        let signed = manifest.to_bytes(secret).unwrap();
        for (bytes, key) in [(&plain, None), (&signed, None), (&signed, secret)] {
            assert_eq!(RemoteManifest::from_bytes(bytes, key).as_ref(), Ok(&manifest));
        }
        for (bytes, signing) in [
            (&plain, secret),
            (&signed, other),
            (&signed, signing("secret", "b/m-1")),
            (&signed, signing("secret", "a/m-2")),
        ] {
            assert_eq!(RemoteManifest::from_bytes(bytes, signing), Err(RemoteManifestError::Unsigned), "{signing:?}");
        }
        let mut forged = signed.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(RemoteManifest::from_bytes(&forged, secret), Err(RemoteManifestError::Unsigned));
    }

    #[test]
    fn malformed_manifests_are_refused() {
        let parse_changed = |change: &dyn Fn(&mut PackFrame)| {
            let mut frame = frame();
            change(&mut frame);
            RemoteManifest::from_bytes(
                &RemoteManifest::new(vec![frame], BTreeMap::new(), Vec::new()).to_bytes(None).unwrap(),
                None,
            )
        };
        assert!(parse_changed(&|_| {}).is_ok());
        assert!(parse_changed(&|frame| frame.entry = "wheel/../x".to_owned()).is_err());
        assert!(parse_changed(&|frame| frame.pack = "../x".to_owned()).is_err());
        assert!(parse_changed(&|frame| frame.frame_digest = "b".to_owned()).is_err());
        assert!(parse_changed(&|frame| frame.offset = u64::MAX).is_err());
        let next = zstd::encode_all(b"{\"version\": 3}".as_slice(), 1).unwrap();
        let next = [b"nxm2 -\n".as_slice(), &next].concat();
        assert_eq!(RemoteManifest::from_bytes(&next, None), Err(RemoteManifestError::UnsupportedVersion(3)));
        for malformed in [b"".as_slice(), b"nxm2 -", b"nxm9 -\n", b"nxm2 -\nzzz"] {
            assert!(matches!(RemoteManifest::from_bytes(malformed, None), Err(RemoteManifestError::Damaged(_))));
        }
    }

    #[test]
    fn a_checkout_is_stable_if_the_previous_run_had_the_same_path() {
        let first = CheckoutLocation::default().for_run("here", "1");
        assert!(first.is_stable, "there is no earlier run");
        assert!(first.for_run("here", "2").is_stable && !first.for_run("there", "2").is_stable);
        let moved = first.for_run("there", "2");
        assert!(!moved.for_run("there", "2").is_stable, "another command of the same run");
        assert!(!moved.for_run("third", "2").is_stable, "another job of the run, or a runner without run identifiers");
        assert!(moved.for_run("there", "3").is_stable);
        let local = CheckoutLocation::default().for_run("here", "");
        assert!(
            local.for_run("here", "").is_stable && !local.for_run("there", "").is_stable,
            "outside CI each command is a run"
        );
    }
}
