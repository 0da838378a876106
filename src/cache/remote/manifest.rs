//! What lies in which pack: a manifest, version 1, as it stands in a store elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::cache::backend::is_valid_key;
use crate::cache::store::EntryId;
use crate::text::is_hex;

/// The version of the document.
pub(super) const MANIFEST_VERSION: u32 = 2;
/// What every manifest begins with.
const MANIFEST_MAGIC: &str = "nxm2 ";
/// The most that a manifest may unfold to.
const MAX_DECOMPRESSED_BYTES: u64 = 256 << 20;

/// What lies in which pack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteManifest {
    version: u32,
    /// Every frame, by entry.
    pub frames: Vec<PackFrame>,
    /// When each pack was written, in seconds since 1970, by its key.
    pub packs: BTreeMap<String, i64>,
    /// Keys of the manifests that this one holds all of.
    #[serde(default)]
    pub replaces: Vec<String>,
    /// What sessions' environments held, by the name of the environment's folder: entries.
    #[serde(default)]
    pub environments: BTreeMap<String, BTreeSet<String>>,
    /// Where the project lay in the run that wrote it.
    #[serde(default)]
    pub checkout: CheckoutLocation,
}

/// Where a project lay in a run. An environment serves at its own place alone: where each run gets another, none that is
/// sent is ever put back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutLocation {
    /// What its folder is known by; empty where nobody said.
    pub checkout_id: String,
    /// The forge's name for the run; empty where there is no forge.
    pub run_id: String,
    /// Whether it lay there in the run before too, as far as was known.
    pub is_stable: bool,
}

impl CheckoutLocation {
    /// The same for a run of now, with `self` of an earlier run, or of an earlier command of the same.
    #[must_use]
    pub(crate) fn for_run(&self, place: &str, run: &str) -> Self {
        // act gives every run the same number.
        let same = !run.is_empty() && self.run_id == run && self.checkout_id == place;
        let stays = if same { self.is_stable } else { self.checkout_id.is_empty() || self.checkout_id == place };
        Self { checkout_id: place.to_owned(), run_id: run.to_owned(), is_stable: stays }
    }
}

/// One entry in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackFrame {
    /// The entry, such as `wheel/ab12…`.
    pub entry: String,
    /// Its name for people.
    pub name: String,
    /// The key of its pack.
    pub pack: String,
    /// Where it begins there.
    pub offset: u64,
    /// How long it is there.
    pub length: u64,
    /// How long its content is.
    pub uncompressed_length: u64,
    /// BLAKE3 digest of its bytes in the pack.
    pub frame_digest: String,
    /// BLAKE3 digest of the entry's tree.
    pub tree_digest: String,
    /// Buckets of uv's cache that it fits.
    pub buckets: Vec<String>,
    /// The day it was last wanted, counted from 1970.
    pub last_used_day: i64,
}

/// Why bytes are no manifest to use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemoteManifestError {
    /// They are none.
    #[error("the manifest is damaged: {0}")]
    Damaged(String),
    /// It is of another version.
    #[error("the manifest is of version {0}, this noxide knows {MANIFEST_VERSION}")]
    UnsupportedVersion(u32),
    /// A key is given, and it is not signed by it.
    #[error("the manifest is not signed by the key of NOXIDE_CACHE_KEY")]
    Unsigned,
}

impl PackFrame {
    /// The entry's name, if it is one.
    pub(crate) fn entry_id(&self) -> Option<EntryId> {
        EntryId::parse(&self.entry)
    }
}

impl RemoteManifest {
    /// A manifest of these.
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

    /// The bytes that are stored: signed where there is a key.
    ///
    /// # Errors
    /// When memory fails.
    pub fn to_bytes(&self, key: Option<&str>) -> std::io::Result<Vec<u8>> {
        let packed = zstd::encode_all(serde_json::to_vec(self)?.as_slice(), 9)?;
        let signature = key.map_or_else(|| "-".to_owned(), |key| manifest_signature(key, &packed));
        let mut bytes = format!("{MANIFEST_MAGIC}{signature}\n").into_bytes();
        bytes.extend(packed);
        Ok(bytes)
    }

    /// Reads stored bytes; with a key only what that has signed.
    ///
    /// # Errors
    /// When they are no manifest, of another version, or not signed.
    pub fn from_bytes(bytes: &[u8], key: Option<&str>) -> Result<Self, RemoteManifestError> {
        let damaged = |why: &str| RemoteManifestError::Damaged(why.to_owned());
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("no first line"))?;
        let head = std::str::from_utf8(&bytes[..end]).ok().and_then(|head| head.strip_prefix(MANIFEST_MAGIC));
        let said = head.ok_or_else(|| damaged("another first line"))?;
        let packed = &bytes[end + 1..];
        if let Some(key) = key {
            let wanted = blake3::Hash::from_hex(manifest_signature(key, packed));
            // Compared in a time that tells nothing.
            if wanted.is_err() || blake3::Hash::from_hex(said).ok() != wanted.ok() {
                return Err(RemoteManifestError::Unsigned);
            }
        }
        let error = |error: std::io::Error| RemoteManifestError::Damaged(error.to_string());
        let mut text = Vec::new();
        zstd::Decoder::new(packed)
            .map_err(error)?
            .take(MAX_DECOMPRESSED_BYTES)
            .read_to_end(&mut text)
            .map_err(error)?;
        #[derive(Deserialize)]
        struct VersionHeader {
            version: u32,
        }
        let parsed = |error: serde_json::Error| RemoteManifestError::Damaged(error.to_string());
        let VersionHeader { version } = serde_json::from_slice(&text).map_err(parsed)?;
        if version != MANIFEST_VERSION {
            return Err(RemoteManifestError::UnsupportedVersion(version));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(parsed)?;
        match manifest.frames.iter().find(|frame| !is_valid_frame(frame)) {
            Some(frame) => Err(RemoteManifestError::Damaged(format!("the frame of {} is none", frame.entry))),
            None => Ok(manifest),
        }
    }
}

/// Whether a frame could be one: names and keys are plain, its place does not overflow.
fn is_valid_frame(frame: &PackFrame) -> bool {
    let hex = |text: &str| is_hex(text, 64);
    let ends = frame.offset.checked_add(frame.length).is_some() && frame.length > 0;
    frame.entry_id().is_some()
        && is_valid_key(&frame.pack)
        && hex(&frame.frame_digest)
        && hex(&frame.tree_digest)
        && ends
}

/// A keyed BLAKE3 digest; the key is made of the text of the variable.
fn manifest_signature(key: &str, bytes: &[u8]) -> String {
    let key = blake3::derive_key("noxide 2026 signature of cache manifests", key.as_bytes());
    blake3::keyed_hash(&key, bytes).to_hex().to_string()
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
    fn what_is_written_is_read_and_signatures_count() {
        let packs = [("nx2/r/p-1".to_owned(), 5), ("unused".to_owned(), 6)].into();
        let manifest = RemoteManifest::new(vec![frame()], packs, vec!["old".to_owned()]);
        assert_eq!(manifest.packs.len(), 1);
        let plain = manifest.to_bytes(None).unwrap();
        let signed = manifest.to_bytes(Some("secret")).unwrap();
        for (bytes, key) in [(&plain, None), (&signed, None), (&signed, Some("secret"))] {
            assert_eq!(RemoteManifest::from_bytes(bytes, key).as_ref(), Ok(&manifest));
        }
        assert_eq!(RemoteManifest::from_bytes(&plain, Some("secret")), Err(RemoteManifestError::Unsigned));
        assert_eq!(RemoteManifest::from_bytes(&signed, Some("other")), Err(RemoteManifestError::Unsigned));
        let mut forged = signed.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(RemoteManifest::from_bytes(&forged, Some("secret")), Err(RemoteManifestError::Unsigned));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let with = |change: &dyn Fn(&mut PackFrame)| {
            let mut frame = frame();
            change(&mut frame);
            RemoteManifest::from_bytes(
                &RemoteManifest::new(vec![frame], BTreeMap::new(), Vec::new()).to_bytes(None).unwrap(),
                None,
            )
        };
        assert!(with(&|_| {}).is_ok());
        assert!(with(&|frame| frame.entry = "wheel/../x".to_owned()).is_err());
        assert!(with(&|frame| frame.pack = "../x".to_owned()).is_err());
        assert!(with(&|frame| frame.frame_digest = "b".to_owned()).is_err());
        assert!(with(&|frame| frame.offset = u64::MAX).is_err());
        let next = zstd::encode_all(b"{\"version\": 3}".as_slice(), 1).unwrap();
        let next = [b"nxm2 -\n".as_slice(), &next].concat();
        assert_eq!(RemoteManifest::from_bytes(&next, None), Err(RemoteManifestError::UnsupportedVersion(3)));
        for wrong in [b"".as_slice(), b"nxm2 -", b"nxm9 -\n", b"nxm2 -\nzzz"] {
            assert!(matches!(RemoteManifest::from_bytes(wrong, None), Err(RemoteManifestError::Damaged(_))));
        }
    }

    #[test]
    fn a_project_stays_where_the_run_before_found_it() {
        let first = CheckoutLocation::default().for_run("here", "1");
        assert!(first.is_stable, "nobody knows otherwise");
        assert!(first.for_run("here", "2").is_stable && !first.for_run("there", "2").is_stable);
        let moved = first.for_run("there", "2");
        assert!(!moved.for_run("there", "2").is_stable, "another command of that run");
        assert!(!moved.for_run("elsewhere", "2").is_stable, "another job of it, or a runner that numbers none");
        assert!(moved.for_run("there", "3").is_stable);
        let desk = CheckoutLocation::default().for_run("here", "");
        assert!(desk.for_run("here", "").is_stable && !desk.for_run("there", "").is_stable, "each command is a run");
    }
}
